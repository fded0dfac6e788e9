"""The pipeline's ExplainChange step: describe how a run differs from the champion, before any training.

The step never fails a run, and reports what it cannot determine. Evaluate decides whether the models can be compared,
because it has both of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.aws import DENIED, NOT_FOUND, S3Client, error_code
from shared.champion import find_champion
from shared.errors import MalformedEvent
from shared.stored_model import split

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

MIN_CLASSES = 2  # shared by both models: training/compare.py
MAX_NAMES = 5
ARGUMENTS = ("ModelPackageGroupName", "PreparedUri", "ImageSize", "Network")


@dataclass(frozen=True, slots=True)
class Plan:
    """The step's arguments; `prepared_uri` is the folder with Preprocess's test arrays and their dataset.json."""

    model_package_group: str
    prepared_uri: str
    image_size: str
    network: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Plan:
        missing = [name for name in ARGUMENTS if not str(event.get(name, ""))]
        if missing:
            raise MalformedEvent(
                f"the event holds {sorted(event)} and lacks {', '.join(missing)}",
                hint=f"give the Lambda step the arguments {', '.join(ARGUMENTS)}",
            )
        return cls(*(str(event[name]) for name in ARGUMENTS))


def explain(sagemaker: SageMakerClient, s3: S3Client, plan: Plan) -> str:
    champion = find_champion(sagemaker, plan.model_package_group)
    if champion is None:
        return "no version is approved yet: nothing to compare with"
    package = sagemaker.describe_model_package(ModelPackageName=champion.model_package_arn)
    recorded = package.get("CustomerMetadataProperties", {})
    prepared = read_json(s3, plan.prepared_uri.rstrip("/") + "/dataset.json") or {}
    report = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri")
    before = (read_json(s3, report) if report else None) or {}
    words = [classes_in_words(prepared.get("classes"), before.get("per_class"), champion.version)]
    for name, old, new in (
        ("image size", recorded.get("ImageSize"), plan.image_size),
        ("network", recorded.get("Network"), plan.network),
    ):
        if old is not None and old != new:
            words.append(f"{name} {old} -> {new}: each model is judged at its own")
    return "; ".join(words)


def classes_in_words(now: Any, before: Any, version: int) -> str:
    champion = f"champion version {version}"
    if not isinstance(now, list) or not isinstance(before, dict):
        return f"the classes of {champion} are not known here; Evaluate asks the model itself"
    added, removed = sorted({*now} - {*before}), sorted({*before} - {*now})
    shared = [name for name in now if name in before]
    changes = [
        f"{len(names)} {'class' if len(names) == 1 else 'classes'} {verb} ({some(names)})"
        for names, verb in ((added, "added"), (removed, "removed"))
        if names
    ]
    if not changes:
        return f"the classes are those of {champion}: compared on all test images"
    if len(shared) < MIN_CLASSES:
        return f"{', '.join(changes)}: no comparison with {champion}, so the new version will wait for a person"
    return f"{', '.join(changes)}: compared with {champion} on the {len(shared)} classes that both know"


def some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:MAX_NAMES])
    return f"{shown} and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else shown


def read_json(s3: S3Client, uri: str) -> dict[str, Any] | None:
    """None: the object is gone, lies in a bucket that this function may not read, or is not a JSON object."""
    bucket, key = split(uri)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        document = json.loads(body)
    except ClientError as error:
        if error_code(error) in NOT_FOUND | DENIED:
            return None
        raise
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
