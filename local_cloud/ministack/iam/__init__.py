"""IAM as AWS has it: keys, sessions, conditions, and who may do what."""
