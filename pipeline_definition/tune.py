"""Tune: a search for the learning rate before the final training; off unless `tuning_jobs` asks for it."""

from __future__ import annotations

from typing import Any

from pipeline_definition.job import cache, job_retries, run_uri
from pipeline_definition.references import binding, parameter, step
from pipeline_definition.settings import PipelineSettings

NAME = "Tune"
OBJECTIVE = "validation:accuracy"
SEARCHED = "learning-rate"
SPAN = 10  # the search goes from a tenth to ten times the environment's rate


def best(hyperparameter: str) -> Any:
    """Its value in the best of the tuning's jobs, as a string."""
    return step(NAME, f"BestTrainingJob.TunedHyperParameters['{hyperparameter}']")


def tune(
    settings: PipelineSettings,
    channels: list[Any],
    hyperparameters: dict[str, Any],
    metrics: list[Any],
) -> dict[str, Any]:
    """Training jobs as the final one on on-demand capacity. A tuning's jobs take no entry point: the
    image's own toolkit unpacks the code and runs `train.py`.
    """
    fixed = {name: value for name, value in hyperparameters.items() if name != SEARCHED}
    rates = {
        "Name": SEARCHED,
        "MinValue": f"{settings.learning_rate / SPAN:g}",
        "MaxValue": f"{settings.learning_rate * SPAN:g}",
        "ScalingType": "Logarithmic",
    }
    return {
        "Name": NAME,
        "Type": "Tuning",
        "Arguments": {
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
                "ResourceLimits": {
                    "MaxNumberOfTrainingJobs": settings.tuning_jobs,
                    "MaxParallelTrainingJobs": min(settings.tuning_jobs, settings.tuning_jobs_at_once),
                },
                "ParameterRanges": {"ContinuousParameterRanges": [rates]},
                "RandomSeed": settings.seed,
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {
                    **fixed,
                    "sagemaker_program": "train.py",
                    # The channel's file: where the network is isolated the toolkit cannot fetch it from S3 itself.
                    "sagemaker_submit_directory": "/opt/ml/input/data/code/source.tar.gz",
                },
                "AlgorithmSpecification": {
                    "TrainingImage": binding("TrainingImage"),
                    "TrainingInputMode": settings.input_mode,
                    "MetricDefinitions": metrics,
                },
                "RoleArn": binding("JobRoleArn"),
                "InputDataConfig": channels,
                "OutputDataConfig": {"S3OutputPath": run_uri("tune"), "KmsKeyId": binding("DataKeyArn")},
                "ResourceConfig": {
                    "InstanceType": parameter("TrainInstanceType"),
                    "InstanceCount": parameter("TrainInstanceCount"),
                    "VolumeSizeInGB": settings.volume_size_gb,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
            },
        },
        "CacheConfig": cache(settings),
        "RetryPolicies": job_retries(),
    }
