"""The function that words notices, and sends each once."""

from __future__ import annotations

import json
from collections.abc import Sequence

from constructs import Construct

from environments.settings import Settings
from infra.data.data_bucket import RUNS, DataBucket
from infra.parts.arns import JOB_LOGS, log_group_arn, sagemaker_arn
from infra.parts.grants import allow
from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.parts.notices import TIMEOUT, Notices
from infra.parts.private_bucket import PrivateBucket
from infra.registry.model_registry import ModelRegistry
from infra.registry.source_registry import SourceRegistry


class Notifier(LambdaFunction):
    """It writes only its markers, into the bucket `markers`. The first registry is that of the default line."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        code: FunctionCode,
        notices: Notices,
        markers: PrivateBucket,
        registries: Sequence[ModelRegistry | SourceRegistry],
    ) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="notify",
            description="Words notices and sends each once",
            timeout=TIMEOUT,
            when_it_fails="Its queue keeps what failed for another try, and then in a dead-letter queue with an alarm.",
            environment={
                "ENVIRONMENT": settings.label,
                "COMMAND": settings.command,
                "REGISTRY_COMMAND": (settings.source or settings).command,
                "QUEUE_URL": notices.queue.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": notices.queue.dead_letters.queue_url,
                "TOPIC_ARN": notices.topic.topic_arn,
                "DATA_BUCKET": markers.bucket.bucket_name,
                "PIPELINE_NAME": settings.name,
                "MODEL_PACKAGE_GROUP_NAME": registries[0].group_name,
                "ENDPOINT_NAME": settings.name,
                **({"LINES": json.dumps(sorted(settings.lines))} if settings.lines else {}),
            },
        )
        allow(self.role, ["sqs:SendMessage"], [notices.queue.dead_letters.queue_arn])
        notices.grant_publish(self.role)
        markers.grant_list(self.role)
        markers.grant_read(self.role, "notices/*")
        markers.grant_write(self.role, "notices/*")
        for registry in registries:
            registry.grant_read(self.role)

    def allow_to_read_runs(self, data: DataBucket, pipelines: Sequence[str]) -> None:
        """What a run of these pipelines has left: its jobs' logs, and the evaluation of a refused model."""
        data.grant_read(self.role, RUNS)
        run = ["DescribePipelineExecution", "ListPipelineExecutionSteps", "ListPipelineParametersForExecution"]
        allow(
            self.role,
            [f"sagemaker:{action}" for action in run],
            [sagemaker_arn(self, "pipeline", f"{name}/execution/*") for name in pipelines],
            because="SageMaker names executions; these are all of this pipeline.",
        )
        allow(
            self.role,
            ["sagemaker:DescribeProcessingJob"],
            [sagemaker_arn(self, "processing-job", "pipelines-*")],
            because="SageMaker names a pipeline's jobs: pipelines-<execution>-<step>-<random>.",
        )
        allow(
            self.role,
            ["sagemaker:DescribeTrainingJob"],
            [sagemaker_arn(self, "training-job", "pipelines-*")],
            because="SageMaker names a pipeline's jobs: pipelines-<execution>-<step>-<random>.",
        )
        why = "A log stream is named after the job and its host."
        for action, streams in (("DescribeLogStreams", "*"), ("GetLogEvents", "pipelines-*")):
            names = [name for group in JOB_LOGS for name in (group, f"{group}:log-stream:{streams}")]
            allow(self.role, [f"logs:{action}"], [log_group_arn(self, name) for name in names], because=why)
