"""The function that turns an upload into an execution of the pipeline, once."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from data_sets import kinds
from environments.lines import declared_lines
from environments.settings import Settings
from infra.data.data_bucket import CODE, DataBucket
from infra.parts.arns import sagemaker_arn
from infra.parts.grants import allow, allow_to_pass
from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.parts.notices import Notices
from infra.parts.watched_queue import WatchedQueue

TIMEOUT = Duration.seconds(120)
PIPELINE_ACTIONS = [
    "sagemaker:AddTags",
    "sagemaker:CreatePipeline",
    "sagemaker:DeleteTags",
    "sagemaker:DescribePipeline",
    "sagemaker:ListPipelineExecutions",
    "sagemaker:ListTags",
    "sagemaker:StartPipelineExecution",
    "sagemaker:UpdatePipeline",
]


class UploadTrigger(LambdaFunction):
    """It also keeps the pipeline as the definition in the bucket wants it, with `bindings` for the names in it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        code: FunctionCode,
        data: DataBucket,
        uploads: WatchedQueue,
        notices: Notices,
        pipeline_role: iam.IRole,
        bindings: Mapping[str, str | list[str]],
        image_kinds: Collection[str],
    ) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="start_pipeline",
            description="Starts the pipeline for what was uploaded, and keeps its definition",
            timeout=TIMEOUT,
            when_it_fails="Its queue keeps what failed for another try, and then in a dead-letter queue with an alarm.",
            environment={
                "DATA_BUCKET": data.bucket.bucket_name,
                "PIPELINE_NAME": settings.name,
                "PIPELINE_ROLE_ARN": pipeline_role.role_arn,
                "QUEUE_URL": uploads.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": uploads.dead_letters.queue_url,
                "NOTICES_QUEUE_URL": notices.queue.queue.queue_url,
                "QUIET_SECONDS": str(settings.quiet_seconds),
                "BINDINGS": json.dumps(bindings, sort_keys=True),
                **_defaults(settings),
                "PIPELINE_TAGS": json.dumps(settings.all_tags, sort_keys=True),
                "MAX_RUNS_PER_DAY": str(settings.max_runs_per_day),
                "MAX_CONCURRENT_RUNS": str(settings.max_concurrent_runs),
                **_budget(settings),
                **_lines(settings),
                **_image_kinds(image_kinds),
            },
        )
        refusal = "pipelines/*.error.json"  # beside each definition that is refused, misnamed ones too
        data.grant_list(self.role)
        data.grant_read(self.role, "datasets/*", "pipelines/*", CODE, "manifests/*", "ledger/*", "quiet/*")
        data.grant_write(self.role, "manifests/*", "ledger/*", "quiet/*", "code/*/source.tar.gz", refusal)
        data.grant_delete(self.role, "quiet/*", refusal)
        allow(self.role, ["sqs:SendMessage"], uploads.arns)
        notices.grant_send(self.role)
        allow_to_pass(self.role, pipeline_role)
        allow(self.role, PIPELINE_ACTIONS, [sagemaker_arn(self, "pipeline", name) for name in settings.names])
        allow(
            self.role,
            ["sagemaker:DescribePipelineExecution"],
            [sagemaker_arn(self, "pipeline", f"{name}/execution/*") for name in settings.names],
            because="SageMaker names executions; these are all of this pipeline.",
        )


def _defaults(settings: Settings) -> dict[str, str]:
    found = settings.parameter_defaults
    return {"PARAMETER_DEFAULTS": json.dumps(dict(found), sort_keys=True)} if found else {}


def _budget(settings: Settings) -> dict[str, str]:
    """Without a limit there are no prices either: the variables of a function hold 4 KB in all."""
    if settings.max_run_cost is None:
        return {}
    return {
        "MAX_RUN_COST": str(settings.max_run_cost),
        "PRICES": json.dumps(settings.prices, sort_keys=True, separators=(",", ":")),
    }


def _lines(settings: Settings) -> dict[str, str]:
    """The variable that declares further lines; none where there are none."""
    return {"LINES": declared_lines(settings.lines)} if settings.lines else {}


def _image_kinds(decoded: Collection[str]) -> dict[str, str]:
    """The variable that names all kinds of images that jobs decode; none where these are the usual ones."""
    return {"IMAGE_KINDS": json.dumps(sorted(decoded))} if set(decoded) != kinds.TAKEN else {}
