"""TrainSpot and TrainOnDemand, the same training on two kinds of capacity; or a training for each variant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_definition import preprocess, tune
from pipeline_definition.job import cache, entrypoint, job_retries, run_uri
from pipeline_definition.references import binding, code_hash, code_uri, join, parameter, processing_output, text
from pipeline_definition.settings import PipelineSettings
from pipeline_definition.variants import Variant

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ChannelTypeDef, CheckpointConfigTypeDef, MetricDefinitionTypeDef

SCRIPT = "train.py"
NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
METRICS = ("train:loss", "validation:loss", "validation:accuracy")


@dataclass(frozen=True, slots=True)
class Lane:
    """One training of a run; `name` is also the candidate's name in the evaluation."""

    name: str
    step_name: str
    tag: str
    spot: bool
    variant: Variant | None = None


SPOT = Lane("spot", "TrainSpot", "Spot", spot=True)
ON_DEMAND = Lane("on-demand", "TrainOnDemand", "OnDemand", spot=False)


def lanes(settings: PipelineSettings) -> list[Lane]:
    """The lanes in use, the cheapest first: of equally good candidates, Evaluate takes the first.

    Variants are in the order of the settings, and all of them on the one kind of capacity that is set.
    """
    if settings.variants:
        spot = settings.capacity == "spot"
        tag = (SPOT if spot else ON_DEMAND).tag
        return [Lane(variant.name, variant.step_name, tag, spot, variant) for variant in settings.variants]
    return {"spot": [SPOT], "on-demand": [ON_DEMAND], "both": [SPOT, ON_DEMAND]}[settings.capacity]


def train(lane: Lane, settings: PipelineSettings) -> dict[str, Any]:
    own = settings.of(lane.variant)
    arguments: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": binding("TrainingImage"),
            "TrainingInputMode": settings.input_mode,
            "ContainerEntrypoint": entrypoint("/opt/ml/input/data/code"),
            "ContainerArguments": [SCRIPT],
            "MetricDefinitions": metric_definitions(),
        },
        "HyperParameters": hyperparameters(settings, lane.variant),
        "RoleArn": binding("JobRoleArn"),
        "InputDataConfig": channels(own),
        "OutputDataConfig": {"S3OutputPath": run_uri(f"train-{lane.name}"), "KmsKeyId": binding("DataKeyArn")},
        "ResourceConfig": {
            "InstanceType": parameter("TrainInstanceType"),
            "InstanceCount": parameter("TrainInstanceCount"),
            "VolumeSizeInGB": settings.volume_size_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
        "Tags": [
            {"Key": "TrainingType", "Value": lane.tag},
            *([{"Key": "Variant", "Value": lane.name}] if lane.variant else []),
        ],
    }
    if not lane.spot and settings.keep_alive_seconds:  # a warm pool holds instances, which spot capacity cannot
        arguments["ResourceConfig"]["KeepAlivePeriodInSeconds"] = settings.keep_alive_seconds
    if lane.spot:
        arguments["EnableManagedSpotTraining"] = True
        arguments["StoppingCondition"]["MaxWaitTimeInSeconds"] = settings.max_run_seconds + settings.spot_wait_seconds
        arguments["CheckpointConfig"] = _checkpoints(lane, settings)
    return {
        "Name": lane.step_name,
        "Type": "Training",
        "Arguments": arguments,
        "CacheConfig": cache(settings),
        "RetryPolicies": job_retries(),
    }


def hyperparameters(settings: PipelineSettings, variant: Variant | None = None) -> dict[str, Any]:
    """The flags of `train.py`, as strings."""
    own = settings.of(variant)
    return {
        "epochs": text(_given("epochs", "Epochs", variant)),
        "batch-size": text(_given("batch_size", "BatchSize", variant)),
        "learning-rate": _learning_rate(settings, variant),
        "seed": str(own.seed),
        "network": own.network,
        "crop": str(own.crop),
        "flip-probability": str(own.flip_probability),
        "ema-decay": str(own.ema_decay),
        "checkpoint-seconds": str(own.checkpoint_seconds),
    }


def _given(setting: str, name: str, variant: Variant | None) -> Any:
    """The variant's own value, as text; else the pipeline's parameter, which each execution may choose."""
    value = variant.chosen.get(setting) if variant else None
    return parameter(name) if value is None else str(value)


def channels(settings: PipelineSettings) -> list[ChannelTypeDef]:
    found = [
        _channel("train", processing_output(preprocess.NAME, "train")),
        _channel("validation", processing_output(preprocess.NAME, "validation")),
    ]
    if settings.pretrained:
        found.append(_channel("pretrained", f"s3://{binding('DataBucket')}/pretrained/{settings.pretrained}/"))
    return [*found, _channel("code", code_uri(SCRIPT))]


def _learning_rate(settings: PipelineSettings, variant: Variant | None) -> Any:
    return tune.best(tune.SEARCHED) if settings.tuning_jobs else text(_given("learning_rate", "LearningRate", variant))


def metric_definitions() -> list[MetricDefinitionTypeDef]:
    """Read from the line that `train.py` prints after each epoch: `epoch=3 train:loss=0.1234 validation:loss=0.2 …`."""
    return [{"Name": name, "Regex": f"{name}={NUMBER}"} for name in METRICS]


def _channel(name: str, uri: Any) -> ChannelTypeDef:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
    }


def _checkpoints(lane: Lane, settings: PipelineSettings) -> CheckpointConfigTypeDef:
    """Checkpoints live at an address made of all that training depends on, and of nothing else.

    CheckpointConfig is part of a training step's cache key: with the execution's id in it no execution would ever reuse
    another's training. And a prefix shared by two configurations would resume one from the other's checkpoint.
    """
    own, variant = settings.of(lane.variant), lane.variant
    split = f"split-{settings.validation_share}-{settings.test_share}-{settings.max_skipped_share}"
    if settings.group_pattern:  # any text, which a key may not hold
        split += f"-groups-{hashlib.sha256(settings.group_pattern.encode()).hexdigest()[:12]}"
    return {
        "S3Uri": join(
            f"s3://{binding('DataBucket')}/checkpoints/{lane.name}",
            parameter("DataSet"),
            parameter("Fingerprint"),
            code_hash(SCRIPT),
            f"seed-{settings.seed}-{split}",
            join("image", parameter("ImageSize"), on="-"),
            join("epochs", _given("epochs", "Epochs", variant), on="-"),
            join("batch", _given("batch_size", "BatchSize", variant), on="-"),
            join("rate", _learning_rate(settings, variant), on="-"),
            parameter("TrainInstanceType"),  # of another, the GPUs round otherwise, and are others in number
            join("hosts", parameter("TrainInstanceCount"), on="-"),
            f"{own.network}-{own.crop}-{own.flip_probability}-{own.ema_decay}".replace(":", "-"),
            *([f"weights-{own.seed}"] if variant else []),  # the seed above is that of the split
            *([f"from-{own.pretrained}"] if own.pretrained else []),
            on="/",
        ),
        "LocalPath": "/opt/ml/checkpoints",
    }
