"""What every environment's stack has: its place, its tags, its protection, and outputs for the command line."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CfnOutput, Environment, IStackSynthesizer, Stack, Tags, Token
from constructs import Construct

from environments.settings import Settings


class BaseStack(Stack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        purpose: str,
        synthesizer: IStackSynthesizer | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            env=Environment(account=settings.account, region=settings.region),
            description=f"Headrace, {settings.environment}: {purpose}",
            synthesizer=synthesizer,
            termination_protection=not settings.destroys,
        )
        for key, value in settings.all_tags.items():
            # CloudFormation takes no reference as a tag of the stack itself.
            Tags.of(self).add(key, value, exclude_resource_types=["aws:cdk:stack"] * Token.is_unresolved(value))

    def put_out(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            CfnOutput(self, name, value=value)
