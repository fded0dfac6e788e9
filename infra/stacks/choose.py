"""The stack of an environment: one that trains, or one that only serves what another one approves.

Neither is ever updated into the other: the update would delete data and models. CloudFormation refuses, before it
changes anything, a template in which a resource keeps its name and has another type ("Update of resource type is not
permitted"), and names the resource.
"""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnWaitConditionHandle, IStackSynthesizer
from aws_cdk import aws_ssm as ssm

from environments.settings import Settings
from infra.stacks.base_stack import BaseStack
from infra.stacks.serving_stack import ServingStack
from infra.stacks.training_stack import TrainingStack

REFUSAL = "DestroyBeforePromotesFromChanges"


def environment_stack(
    app: App, *, settings: Settings, root: Path, synthesizer: IStackSynthesizer | None = None
) -> BaseStack:
    kind = TrainingStack if settings.source is None else ServingStack
    stack = kind(app, settings.name, settings=settings, root=root, synthesizer=synthesizer)
    # Both are free and do nothing.
    if settings.source is None:
        CfnWaitConditionHandle(stack, REFUSAL)
    else:
        ssm.CfnParameter(stack, REFUSAL, type="String", value=settings.source.environment)
    return stack
