"""What a step type is: the API call it stands for, and how it runs."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.core.store import Document, Scope
from pipeline_language.definition import Step

_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

WaitForJob = Callable[[str, Scope, str], None]
"""Given Training or Processing, where the job is and its name; returns when the job has ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended."""

    status: StepStatus
    """SUCCEEDED, FAILED or STOPPED."""
    properties: dict[str, Any] = field(default_factory=dict)
    """What later steps can refer to: the Describe response, or a Lambda step's ``OutputParameters``."""
    metadata: dict[str, Any] = field(default_factory=dict)
    failure_reason: str | None = None


def failed(reason: str, **more: Any) -> Outcome:
    return Outcome(StepStatus.FAILED, failure_reason=reason[:1024], **more)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of one step: who runs it, with which arguments, and how it says what it has started."""

    context: Context
    scope: Scope
    execution: Document
    step: Step
    arguments: dict[str, Any]
    number: int
    record_metadata: Callable[[dict[str, Any]], None]
    """Records metadata of the running step, such as its job's ARN, so that a stop or a restart finds it."""
    wait_for_job: WaitForJob
    is_stopping: Callable[[], bool]
    """Whether the execution was asked to stop."""

    def client(self, service: str) -> Any:
        """A boto3 client that acts as the pipeline's role."""
        source = self.execution["PipelineExecutionArn"]
        return self.context.clients.get(service, self.scope, self.execution["RoleArn"], source)

    def job_name(self, prefix: str | None) -> str:
        """The name of the job, or of another thing that the step makes."""
        return job_name(self.execution, self.step.name, self.number, prefix)


def job_name(execution: Document, step: str, attempt: int, prefix: str | None) -> str:
    """``pipelines-<execution id>-<step name, cut at 20>-<10 characters>``; the same again after a restart.

    With a prefix, which the SDK writes for ``use_custom_job_prefix``: ``<prefix>-<execution id>-<10 characters>-<number
    of failures>`` (aws/sagemaker-python-sdk, pull request 3946); the prefix is cut so that the whole has 63 characters.
    """
    execution_id = execution["PipelineExecutionArn"].rsplit("/", 1)[1]
    digest = hashlib.sha256(f"{execution_id}/{step}/{attempt}".encode()).digest()
    token = "".join(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in digest[:10])
    if prefix is None:
        return f"pipelines-{execution_id}-{step[:20]}-{token}"
    end = f"-{execution_id}-{token}-{attempt}"
    return f"{prefix[: 63 - len(end)]}{end}"


@dataclass(frozen=True, slots=True)
class StepType:
    """A type of step, in one module each and in the table `STEP_TYPES`.

    def run(attempt: Attempt) -> Outcome:
        attempt.client("sagemaker")…
        return Outcome(StepStatus.SUCCEEDED, properties={…})

    TYPE = StepType(run, request="CreateTransformJob", describe="DescribeTransformJob")
    """

    run: Callable[[Attempt], Outcome] | None
    """None: such steps run on AWS only."""
    request: str | None = None
    """The API call whose request shape ``Arguments`` has."""
    generated: tuple[str, ...] = ()
    """Required members of that request which the engine fills in."""
    check: Callable[[Step], Iterator[str]] | None = None
    """What else is wrong with the form of a step."""
    describe: str | None = None
    """The API call whose response references to the step follow."""
    properties: tuple[str, ...] = ()
    """What else references to the step may name. Without such a call: all of it, or anything when none is given."""
    cache_key: tuple[str, ...] = ()
    """The members of ``Arguments`` that decide whether an earlier result may be used (AWS's documented keys)."""
    stop: Callable[[Attempt, dict[str, Any]], None] | None = None
    """Asks a running step to end, given the metadata that it recorded."""
