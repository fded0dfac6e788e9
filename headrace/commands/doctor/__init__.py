"""`headrace doctor`: whether an account has what an environment needs, checked before anything costs.

findings.py     what a check has found, and how that is shown
needs.py        the quotas that the settings need: pure
identity.py     credentials, account, region
quotas.py       SageMaker's quotas, VPCs
deployment.py   the CDK, its bootstrap, the stack, names that are taken, Lambda's concurrency, the key of the data
images.py       tags and digests in ECR
zones.py        availability zones of a VPC
offerings.py    instance types in these zones
billing.py      cost allocation tag, budget
subscriptions.py  who has not confirmed to get notices
command.py      the command
"""
