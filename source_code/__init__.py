"""The jobs' code as archives: which files a script needs, where its archive lies, and the archive's bytes.

Used by the CDK app and by the function that binds a definition. Imports the standard library only.
"""
