"""TrainSpot and TrainOnDemand: the same training job on two kinds of capacity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_definition import preprocess, tune
from pipeline_definition.job import cache, entrypoint, job_retries, run_uri
from pipeline_definition.references import binding, join, parameter, processing_output, text
from pipeline_definition.settings import PipelineSettings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ChannelTypeDef, CheckpointConfigTypeDef, MetricDefinitionTypeDef

NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
METRICS = ("train:loss", "validation:loss", "validation:accuracy")


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of capacity on which the model is trained; `name` is also the candidate's name in the evaluation."""

    name: str
    step_name: str
    tag: str
    spot: bool


SPOT = Lane("spot", "TrainSpot", "Spot", spot=True)
ON_DEMAND = Lane("on-demand", "TrainOnDemand", "OnDemand", spot=False)


def lanes(settings: PipelineSettings) -> list[Lane]:
    """The lanes in use, the cheapest first: of equally good candidates, Evaluate takes the first."""
    return {"spot": [SPOT], "on-demand": [ON_DEMAND], "both": [SPOT, ON_DEMAND]}[settings.capacity]


def train(lane: Lane, settings: PipelineSettings) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": binding("TrainingImage"),
            "TrainingInputMode": settings.input_mode,
            "ContainerEntrypoint": entrypoint("/opt/ml/input/data/code"),
            "ContainerArguments": ["train.py"],
            "MetricDefinitions": metric_definitions(),
        },
        "HyperParameters": hyperparameters(settings),
        "RoleArn": binding("JobRoleArn"),
        "InputDataConfig": channels(settings),
        "OutputDataConfig": {"S3OutputPath": run_uri(f"train-{lane.name}"), "KmsKeyId": binding("DataKeyArn")},
        "ResourceConfig": {
            "InstanceType": parameter("TrainInstanceType"),
            "InstanceCount": parameter("TrainInstanceCount"),
            "VolumeSizeInGB": settings.volume_size_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
        "Tags": [{"Key": "TrainingType", "Value": lane.tag}],
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


def hyperparameters(settings: PipelineSettings) -> dict[str, Any]:
    """The flags of `train.py`, as strings."""
    return {
        "epochs": text(parameter("Epochs")),
        "batch-size": text(parameter("BatchSize")),
        "learning-rate": _learning_rate(settings),
        "seed": str(settings.seed),
        "network": settings.network,
        "crop": str(settings.crop),
        "flip-probability": str(settings.flip_probability),
        "ema-decay": str(settings.ema_decay),
        "checkpoint-seconds": str(settings.checkpoint_seconds),
    }


def channels(settings: PipelineSettings) -> list[ChannelTypeDef]:
    found = [
        _channel("train", processing_output(preprocess.NAME, "train")),
        _channel("validation", processing_output(preprocess.NAME, "validation")),
    ]
    if settings.pretrained:
        found.append(_channel("pretrained", f"s3://{binding('DataBucket')}/pretrained/{settings.pretrained}/"))
    return [*found, _channel("code", binding("CodeUri"))]


def _learning_rate(settings: PipelineSettings) -> Any:
    return tune.best(tune.SEARCHED) if settings.tuning_jobs else text(parameter("LearningRate"))


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
    split = f"split-{settings.validation_share}-{settings.test_share}-{settings.max_skipped_share}"
    return {
        "S3Uri": join(
            f"s3://{binding('DataBucket')}/checkpoints/{lane.name}",
            parameter("DataSet"),
            parameter("Fingerprint"),
            binding("CodeHash"),
            f"seed-{settings.seed}-{split}",
            join("image", parameter("ImageSize"), on="-"),
            join("epochs", parameter("Epochs"), on="-"),
            join("batch", parameter("BatchSize"), on="-"),
            join("rate", _learning_rate(settings), on="-"),
            parameter("TrainInstanceType"),  # of another, the GPUs round otherwise, and are others in number
            join("hosts", parameter("TrainInstanceCount"), on="-"),
            f"{settings.network}-{settings.crop}-{settings.flip_probability}-{settings.ema_decay}".replace(":", "-"),
            *([f"from-{settings.pretrained}"] if settings.pretrained else []),
            on="/",
        ),
        "LocalPath": "/opt/ml/checkpoints",
    }
