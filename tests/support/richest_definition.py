"""The CreatePipeline request of the richest settings, and what each setting of the pipeline changes in a definition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from suite import ROOT

from pipeline_definition import PipelineSettings, build_pipeline
from pipeline_definition.build import SCRIPTS
from pipeline_definition.variants import Variant
from start_pipeline.definition.binding import bound_definition

ACCOUNT, REGION, NAME = "111122223333", "eu-central-1", "headrace-richest"
GOLDEN = ROOT / "tests/pipeline_definition/create_pipeline.json"
DOCUMENT = ROOT / "docs/definition.md"
WRITE = "python -m pytest tests/pipeline_definition/test_richest_definition.py --write-definition"

OTHER: dict[str, Any] = {
    "capacity": "on-demand", "processing_instance_type": "ml.m5.2xlarge", "train_instance_type": "ml.g5.xlarge",
    "train_instance_count": 2, "epochs": 40, "batch_size": 128, "learning_rate": 0.0001, "image_size": 224,
    "accuracy_threshold": 0.9, "champion_tolerance": 0.01, "macro_f1_threshold": 0.7, "class_recall_floor": 0.5,
    "model_approval_status": "Approved", "network": "timm:resnet50", "pretrained": "resnet50", "crop": 0.875,
    "flip_probability": 0.5, "ema_decay": 0.999, "checkpoint_seconds": 60, "input_mode": "FastFile",
    "keep_alive_seconds": 600, "tuning_jobs": 6, "tuning_jobs_at_once": 3, "seed": 7, "validation_share": 0.1,
    "test_share": 0.2, "max_skipped_share": 0.1, "group_pattern": r"(patient\d+)_", "volume_size_gb": 100,
    "max_run_seconds": 7_200, "spot_wait_seconds": 7_200, "cache_expires_after_days": 7,
    "variants": (Variant(name="small"), Variant(name="large", network="timm:resnet50")),
    "inference_instance_types": ("ml.m5.2xlarge",),
}  # fmt: skip
"""A value of each setting that is not its default."""
BESIDE: dict[str, dict[str, Any]] = {"variants": {"capacity": "on-demand"}, "tuning_jobs_at_once": {"tuning_jobs": 6}}
"""What a setting needs beside it to be taken, or to have an effect."""
NOT_TOGETHER = {"variants": "with tuning_jobs, or with capacity both", "capacity": "both has every lane"}
RICHEST = PipelineSettings(**{name: value for name, value in OTHER.items() if name not in NOT_TOGETHER})

_JOB_ROLE = f"arn:aws:iam::{ACCOUNT}:role/job"
BINDINGS: dict[str, str | list[str]] = {
    "Account": ACCOUNT, "Region": REGION, "PipelineName": NAME, "DataBucket": "data-bucket",
    "DataKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012",
    "PipelineRoleArn": f"arn:aws:iam::{ACCOUNT}:role/pipeline", "JobRoleArn": _JOB_ROLE,
    "ModelPackageGroupName": NAME, "ModelApprovalStatus": "Approved", "CodeHash": "0" * 64,
    "FindChampionFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:find-champion",
    "StoreModelFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:store-model",
    **{f"{image}Image": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch:{image.lower()}"
       for image in ("Processing", "Training", "Inference")},
    **{f"CodeUri/{script}": f"s3://data-bucket/code/{index}/source.tar.gz" for index, script in enumerate(SCRIPTS)},
    **{f"CodeHash/{script}": f"{index}" * 64 for index, script in enumerate(SCRIPTS)},
    "SecurityGroupIds": ["sg-0123456789abcdef0"],
    "SubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}  # fmt: skip


def bound(settings: PipelineSettings, *, in_vpc: bool = False) -> dict[str, Any]:
    return bound_definition(json.dumps(build_pipeline(settings, in_vpc=in_vpc)), BINDINGS)


def request() -> dict[str, Any]:
    """As lambda/start_pipeline/definition/pipeline.py sends it, without the token, which is another one each time."""
    return {
        "PipelineName": NAME,
        "PipelineDefinition": json.dumps(bound(RICHEST, in_vpc=True), sort_keys=True),
        "RoleArn": str(BINDINGS["PipelineRoleArn"]),
        "Tags": [{"Key": "headrace:environment", "Value": "richest"}],
    }


def golden() -> str:
    """The request with its definition as an object, so that a difference can be read."""
    found = request()
    return json.dumps(found | {"PipelineDefinition": json.loads(found["PipelineDefinition"])}, indent=1) + "\n"


def changes(name: str) -> list[str]:
    """The places of the definition that differ once the setting has its other value."""
    if name == "network_access":
        return sorted(set(_differences(bound(PipelineSettings()), bound(PipelineSettings(), in_vpc=True), "")))
    before = PipelineSettings(**BESIDE.get(name, {}))
    return sorted(set(_differences(bound(before), bound(replace(before, **{name: OTHER[name]})), "")))


def document() -> str:
    lines = [
        "# What each setting changes in the pipeline's definition",
        "",
        "The settings are those of `[<environment>.pipeline]` (`docs/settings.md`); `network_access` is",
        "the environment's.",
        "`+` is new, `-` is gone, and the rest is changed. A parameter's default is what a run has unless it is given",
        f"another value. Written by a test: `{WRITE}`.",
        "",
        "| setting | value here | what differs |",
        "| --- | --- | --- |",
    ]
    for name in (*OTHER, "network_access"):
        value = "vpc" if name == "network_access" else _shown(OTHER[name])
        beside = "".join(f", with `{other}` {_shown(given)}" for other, given in BESIDE.get(name, {}).items())
        said = "<br>".join(f"`{change}`" for change in changes(name)) or "nothing: it is bound when it is deployed"
        lines.append(f"| `{name}` | {value}{beside} | {said} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(item.name if isinstance(item, Variant) else str(item) for item in value)
    return str(value).replace("|", "\\|")


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    left, right = _members(before), _members(after)
    if left is None or right is None:
        if before != after:
            yield path
        return
    for name in sorted({*left, *right}):
        place = f"{path}.{name}" if path else name
        if name not in right:
            yield f"- {place}"
        elif name not in left:
            yield f"+ {place}"
        else:
            yield from _differences(left[name], right[name], place)


def _members(value: Any) -> dict[str, Any] | None:
    """The members of an object, or of a list whose elements have names; None for other values."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for key in ("Name", "InputName", "OutputName", "ChannelName"):
            if all(isinstance(item.get(key), str) for item in value):
                return {item[key]: item for item in value}
    return None
