"""The instances behind an environment's or a model line's endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pipeline_definition import PipelineSettings
from pipeline_definition.limits import Problem, Range

# lambda/deploy_model/environment.py has the same limit.
InstanceCount = Annotated[int, Range(1, 100, hint="use a whole number from 1 to 100")]


def endpoint_problems(environment: str, line: str, kind: str, pipeline: PipelineSettings) -> Iterator[Problem]:
    """`line` is empty for the environment's own endpoint; `kind` is the type of the instances."""
    of, table = (f" of the line {line}", f"{environment}.lines.{line}") if line else ("", environment)
    types = pipeline.inference_instance_types
    if kind not in types:
        yield (
            f"endpoint_instance_type{of} is {kind!r}, for which no model is registered",
            f"use one of {', '.join(types)}, or add it to [{table}.pipeline] inference_instance_types if SageMaker "
            "runs batch transforms on it",
        )
