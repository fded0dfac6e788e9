"""A finding of cdk-nag that stays, answered where it arises and with the reason."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

NIST = "NIST.800.53.R5"
AWS_SOLUTIONS = "AwsSolutions"


def acknowledge(construct: IConstruct, pack: str, rule: str, because: str) -> None:
    """`rule` is what the finding is called within the pack: `LambdaDLQ`, or `IAM5[Resource::*]` for one resource."""
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{pack}::{pack}-{rule}", reason=because))
