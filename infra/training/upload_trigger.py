"""The function that turns an upload into an execution of the pipeline, once."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from data_sets import kinds
from infra.data.data_bucket import DataBucket
from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.parts.notices import Notices
from infra.parts.watched_queue import WatchedQueue

TIMEOUT = Duration.seconds(120)


class UploadTrigger(LambdaFunction):
    """It also keeps the pipeline as the definition in the bucket wants it, with `bindings` for the names in it."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        quiet_seconds: int,
        parameter_defaults: Mapping[str, str],
        tags: Mapping[str, str],
        max_runs_per_day: int,
        max_concurrent_runs: int,
        max_run_cost: float | None,
        prices: Mapping[str, float],
        lines: str,
        code: FunctionCode,
        data: DataBucket,
        uploads: WatchedQueue,
        notices: Notices,
        pipeline_role: iam.IRole,
        bindings: Mapping[str, str | list[str]],
        image_kinds: Collection[str],
    ) -> None:
        """`lines` are the declared lines with their data sets, as JSON; empty where there are none."""
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
                "PIPELINE_NAME": name,
                "PIPELINE_ROLE_ARN": pipeline_role.role_arn,
                "QUEUE_URL": uploads.queue.queue_url,
                "DEAD_LETTER_QUEUE_URL": uploads.dead_letters.queue_url,
                "NOTICES_QUEUE_URL": notices.queue.queue.queue_url,
                "QUIET_SECONDS": str(quiet_seconds),
                "BINDINGS": json.dumps(bindings, sort_keys=True),
                **(
                    {"PARAMETER_DEFAULTS": json.dumps(dict(parameter_defaults), sort_keys=True)}
                    if parameter_defaults
                    else {}
                ),
                "PIPELINE_TAGS": json.dumps(tags, sort_keys=True),
                "MAX_RUNS_PER_DAY": str(max_runs_per_day),
                "MAX_CONCURRENT_RUNS": str(max_concurrent_runs),
                **_budget(max_run_cost, prices),
                **({"LINES": lines} if lines else {}),
                **_image_kinds(image_kinds),
            },
        )


def _budget(max_run_cost: float | None, prices: Mapping[str, float]) -> dict[str, str]:
    """Without a limit there are no prices either: the variables of a function hold 4 KB in all."""
    if max_run_cost is None:
        return {}
    return {
        "MAX_RUN_COST": str(max_run_cost),
        "PRICES": json.dumps(prices, sort_keys=True, separators=(",", ":")),
    }


def _image_kinds(decoded: Collection[str]) -> dict[str, str]:
    """The variable that names all kinds of images that jobs decode; none where these are the usual ones."""
    return {"IMAGE_KINDS": json.dumps(sorted(decoded))} if set(decoded) != kinds.TAKEN else {}
