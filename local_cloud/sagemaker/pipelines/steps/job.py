"""What Processing and Training steps share: create the job, wait for its end, read its description."""

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core import tags
from local_cloud.sagemaker.core.aws_errors import error_details
from local_cloud.sagemaker.core.statuses import JobStatus, SecondaryStatus, StepStatus
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed

# The member of StoppingCondition that a job with this secondary status has reached.
_LIMITS: dict[str, str] = {
    SecondaryStatus.MAX_RUNTIME_EXCEEDED: "MaxRuntimeInSeconds",
    SecondaryStatus.MAX_WAIT_TIME_EXCEEDED: "MaxWaitTimeInSeconds",
}


def step_type(kind: str, *, cache_key: tuple[str, ...]) -> StepType:
    """The step type that runs jobs of ``kind``: Processing or Training."""
    return StepType(
        run=lambda attempt: run(attempt, kind),
        stop=lambda attempt, metadata: stop(attempt, metadata, kind),
        request=f"Create{kind}Job",
        generated=(f"{kind}JobName",),
        describe=f"Describe{kind}Job",
        cache_key=cache_key,
    )


def run(attempt: Attempt, kind: str) -> Outcome:
    """The job is created as the pipeline's role."""
    client = attempt.client("sagemaker")
    name = attempt.job_name(attempt.arguments.get(f"{kind}JobName"))
    request = attempt.arguments | {f"{kind}JobName": name, "Tags": tags_of_job(attempt)}
    try:
        answer = _call(client, f"create_{kind.lower()}_job", request)
        arn = answer[f"{kind}JobArn"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUse":  # in use: created before the local cloud restarted
            return failed(
                f"ClientError: Failed to invoke sagemaker:Create{kind}Job. Error Details: {error_details(error)}"
            )
        arn = None
    metadata = {f"{kind}Job": {"Arn": arn or job_arn(attempt, kind, name)}}
    attempt.record_metadata(metadata)
    attempt.wait_for_job(kind, attempt.scope, name)
    try:
        description = _call(client, f"describe_{kind.lower()}_job", {f"{kind}JobName": name})
    except ClientError as error:
        reason = f"ClientError: Failed to invoke sagemaker:Describe{kind}Job. Error Details: {error_details(error)}"
        return failed(reason, metadata=metadata)
    status = description[f"{kind}JobStatus"]
    if status == JobStatus.COMPLETED:
        return Outcome(StepStatus.SUCCEEDED, properties=plain(description), metadata=metadata)
    reason = description.get("FailureReason") or _ended_as(kind, name, description)
    if status == JobStatus.STOPPED and attempt.is_stopping():
        return Outcome(StepStatus.STOPPED, metadata=metadata, failure_reason=None)
    return failed(reason, metadata=metadata)


def tags_of_job(attempt: Attempt) -> list[dict[str, str]]:
    """The pipeline's tags, those of the step, and the two by which Pipelines marks its jobs.

    The pipeline's are copied: seen on a real account, in the logs of collin-smith/mlops-aiops-pipeline (D-040).
    """
    pipeline = tags.get(attempt.context.store, attempt.scope, attempt.execution["PipelineArn"])
    own = {tag["Key"]: tag["Value"] for tag in attempt.arguments.get("Tags", [])}
    return [{"Key": key, "Value": value} for key, value in (pipeline | own | marks(attempt)).items()]


def marks(attempt: Attempt) -> dict[str, str]:
    return {
        "sagemaker:pipeline-execution-arn": attempt.execution["PipelineExecutionArn"],
        "sagemaker:pipeline-step-name": attempt.step.name,
    }


def _ended_as(kind: str, name: str, description: dict[str, Any]) -> str:
    """A stopped job has no FailureReason; its secondary status names the limit that it reached."""
    status, secondary = description[f"{kind}JobStatus"], description.get("SecondaryStatus")
    limit = _LIMITS.get(str(secondary))
    if limit is None:
        return f"{kind} job {name} ended as {status}."
    seconds, allowed = description.get("TrainingTimeInSeconds", 0), description["StoppingCondition"][limit]
    return f"{kind} job {name} ended as {status} ({secondary}): it ran {seconds} s, and {limit} is {allowed}."


def stop(attempt: Attempt, metadata: dict[str, Any], kind: str) -> None:
    name = metadata[f"{kind}Job"]["Arn"].rsplit("/", 1)[1]
    _call(attempt.client("sagemaker"), f"stop_{kind.lower()}_job", {f"{kind}JobName": name})


def job_arn(attempt: Attempt, kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{attempt.scope.region}:{attempt.scope.account}:{kind.lower()}-job/{name}"


def _call(client: Any, method: str, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = getattr(client, method)(**request)
    return answer


def plain(description: dict[str, Any]) -> dict[str, Any]:
    """The description without the SDK's own member and with times as epoch seconds, so that it can be stored."""
    return {name: _storable(value) for name, value in description.items() if name != "ResponseMetadata"}


def _storable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value
