"""The API calls of a type of job: create, describe, stop, list."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from local_cloud.sagemaker.containers import vpc
from local_cloud.sagemaker.core import arns, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ResourceInUse, ResourceNotFound
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import JobStatus
from local_cloud.sagemaker.core.store import Document, Scope
from local_cloud.sagemaker.jobs.job import publish
from local_cloud.sagemaker.jobs.runner import JobRunner


class JobApi(ABC):
    """A subclass has what differs: names, SageMaker's words for refusals, and what is not served."""

    type_name: ClassVar[str]  # Training or Processing, as in the names of the API
    document: ClassVar[DocumentKind]
    unknown: ClassVar[str]
    taken: ClassVar[str]
    listed: ClassVar[tuple[str, ...]]
    """Members of a summary beside the name, the ARN, the status and the times of creation and modification."""
    defaults: ClassVar[Mapping[str, Any]] = {"StoppingCondition": {"MaxRuntimeInSeconds": 86400}}
    """What Describe gives of a job that was created without it (botocore: the default of a StoppingCondition)."""
    stopping: ClassVar[dict[str, str]] = {}
    """Members that change, beside the status, when a job is asked to stop."""

    def __init__(self, context: Context, runner: JobRunner) -> None:
        self._context, self._store, self._runner = context, context.store, runner
        self._name, self._arn, self._status = (f"{self.type_name}Job{member}" for member in ("Name", "Arn", "Status"))

    @abstractmethod
    def require_served(self, request: dict[str, Any]) -> None:
        """Raises ValidationException for what the local cloud does not run, whatever the job's image is."""

    @abstractmethod
    def require_command(self, request: dict[str, Any]) -> None:
        """Raises ValidationException for an image without a counterpart, or with nothing to run in it."""

    @abstractmethod
    def require_quota(self, scope: Scope, request: dict[str, Any]) -> None: ...

    def begun(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        """Further members of the description of a new job."""
        return {}

    def operations(self) -> Operations:
        return {
            f"Create{self.type_name}Job": self._create,
            f"Describe{self.type_name}Job": self._describe,
            f"Stop{self.type_name}Job": self._stop,
            f"List{self.type_name}Jobs": self._list,
        }

    def _existing(self, call: Call, request: dict[str, Any]) -> Document:
        job = self._store.get(call.scope, self.document, request[self._name])
        if job is None:
            raise ResourceNotFound(self.unknown.format(request[self._name]))
        return job

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self.require_served(request)
        self.require_command(request)
        call.authorize("iam:PassRole", request["RoleArn"])
        name, now = request[self._name], time.time()
        arn = arns.arn(call.scope, self.document, name)
        vpc.require_network(self._context, call.scope, request, request["RoleArn"], arn)
        with self._store.transaction():
            if self._store.get(call.scope, self.document, name) is not None:
                raise ResourceInUse(self.taken.format(name))
            self.require_quota(call.scope, request)
            tags.tag_on_create(self._store, call, arn, request)
            given = {key: value for key, value in request.items() if key != "Tags"}
            description = {**self.defaults, **given} | {
                self._arn: arn, self._status: JobStatus.IN_PROGRESS, "CreationTime": now, "LastModifiedTime": now,
            } | self.begun(request, now)  # fmt: skip
            self._store.put(call.scope, self.document, name, description)
        publish(self._context, call.scope, self.type_name, description)
        self._runner.submit(self.type_name, call.scope, name)
        return {self._arn: arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, request)

    def _stop(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        job = self._existing(call, request)
        if job[self._status] == JobStatus.IN_PROGRESS:
            changes = {self._status: JobStatus.STOPPING, **self.stopping}
            self._store.update(call.scope, self.document, job[self._name], **changes)
            self._runner.request_stop(self.type_name, call.scope, job[self._name])
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = (self._name, self._arn, self._status, "CreationTime", "LastModifiedTime", *self.listed)
        found = [
            pick(job, *members)
            for job in self._store.find(call.scope, self.document)
            if request.get("NameContains", "") in job[self._name]
            and request.get("StatusEquals", job[self._status]) == job[self._status]
        ]
        return page(found, request, f"{self.type_name}JobSummaries")
