"""The AWS CDK constructs of Headrace, in rooms; `stacks/training_stack.py` is the architecture on one screen."""
