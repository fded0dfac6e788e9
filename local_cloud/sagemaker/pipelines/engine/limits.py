"""What a definition asks for that the local cloud does not do: found when an execution starts, before any step runs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_cloud.sagemaker.core.shapes import without_nulls
from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from pipeline_language.definition import Definition
from pipeline_language.graph import own_arguments
from pipeline_language.references import Unresolved, Values, is_reference, resolve

Limits = Callable[[str, Mapping[str, Any]], Iterator[str]]
"""Given an API call and its request, in which references may stand: what of it the local cloud does not do."""


def unserved(definition: Definition, values: Values, limits: Limits) -> Iterator[str]:
    """``values`` has those of the parameters and of the execution; what steps will give stays a reference."""
    if definition.mlflow is not None:
        yield "MlflowConfig: the local cloud has no MLflow."
    for step in definition.steps.values():
        kind, where = STEP_TYPES[step.type], f"Step '{step.name}'"
        if kind.run is None:
            yield f"{where}: {step.type} steps run on AWS only."
            continue
        if step.cache_seconds is not None and not kind.cache_key:
            yield f"{where}: CacheConfig: the local cloud does not cache {step.type} steps."
        if kind.request is not None:
            arguments = _as_far_as_known(without_nulls(own_arguments(step)), values)
            yield from (f"{where}: {problem}" for problem in limits(kind.request, arguments))


def _as_far_as_known(value: Any, values: Values) -> Any:
    if is_reference(value):
        try:
            return resolve(value, values)
        except Unresolved:
            return value
    if isinstance(value, dict):
        return {name: _as_far_as_known(item, values) for name, item in value.items()}
    return [_as_far_as_known(item, values) for item in value] if isinstance(value, list) else value
