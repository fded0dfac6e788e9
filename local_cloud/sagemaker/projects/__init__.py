"""Projects: the API, and the CloudFormation stacks that they are provisioned with."""
