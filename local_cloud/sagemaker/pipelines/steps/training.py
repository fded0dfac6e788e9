"""Training step: a training job."""

from local_cloud.sagemaker.pipelines.steps import job

TYPE = job.step_type(
    "Training",
    cache_key=(
        "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "Environment",
        "HyperParameters", "InputDataConfig",
    ),
)  # fmt: skip
