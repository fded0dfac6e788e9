"""The language of SageMaker's pipeline definitions: parse one, find and resolve its references, and its graph of steps.

Only the standard library, and nothing of the project: who runs a definition, and where, is not known here.
"""
