"""The one reader of data sets, for the command line, the trigger and the preprocessing job alike.

It needs the standard library only and imports nothing of the project. The Lambda functions and the jobs get it with
their code: it lies beside their modules in the function's package and in the code archive.
"""
