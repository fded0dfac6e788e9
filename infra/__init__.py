"""The AWS CDK constructs of Headrace, one a file; `stack.py` is the architecture on one screen."""
