"""CloudFormation as AWS has it: stacks, their permissions, and resource types."""
