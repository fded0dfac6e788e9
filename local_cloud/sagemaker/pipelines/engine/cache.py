"""Step caching: a step whose deciding arguments equal those of an earlier success is not run again.

As AWS documents it: only successful results, only of the same pipeline and step, only inside ``ExpireAfter``; which
arguments decide is fixed per step type (outputs, instance types and roles do not); content under an unchanged URI is
not looked at.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.store import Document, Scope, Store
from local_cloud.sagemaker.pipelines.steps.step_type import Outcome, StepType
from pipeline_language.definition import Step


@dataclass(frozen=True, slots=True)
class Hit:
    execution_arn: str
    properties: dict[str, Any]
    metadata: dict[str, Any]


def key(step: Step, kind: StepType, arguments: dict[str, Any]) -> str | None:
    """What the result is remembered under; None when the step is not cached."""
    if step.cache_seconds is None or not kind.cache_key:
        return None
    deciding = {name: arguments[name] for name in kind.cache_key if name in arguments}
    text = json.dumps([step.type, step.name, deciding], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def lookup(store: Store, scope: Scope, execution: Document, step: Step, key: str) -> Hit | None:
    assert step.cache_seconds is not None
    entry = store.get(scope, DocumentKind.CACHED_RESULT, f"{execution['PipelineArn']}/{key}")
    if entry is None or time.time() - entry["Time"] > step.cache_seconds:
        return None
    if entry["ExecutionArn"] == execution["PipelineExecutionArn"]:
        return None
    return Hit(entry["ExecutionArn"], entry["Properties"], entry["Metadata"])


def remember(store: Store, scope: Scope, execution: Document, step: Step, key: str, outcome: Outcome) -> None:
    store.put(
        scope,
        DocumentKind.CACHED_RESULT,
        f"{execution['PipelineArn']}/{key}",
        {
            "Time": time.time(),
            "ExecutionArn": execution["PipelineExecutionArn"],
            "Properties": outcome.properties,
            "Metadata": outcome.metadata,
        },
    )
