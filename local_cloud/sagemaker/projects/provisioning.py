"""Provisioning: has CloudFormation make, change and remove the stacks of projects.

What a project's status promises is in the store before anything is done, and each operation looks at what is there: one
that was cut off by the end of the process is begun again by the next.
"""

import logging
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import DiskFull, ServiceError, ValidationException
from local_cloud.sagemaker.core.statuses import ProjectStatus
from local_cloud.sagemaker.core.store import Document, Scope, retry_while_disk_full

log = logging.getLogger(__name__)

GIVEN = {"SageMakerProjectName": "ProjectName", "SageMakerProjectId": "ProjectId"}
"""Parameters that SageMaker gives to a template that declares them, and the project's member that each is."""

# How each operation may end.
_ENDS = {
    ProjectStatus.CREATE_IN_PROGRESS: (ProjectStatus.CREATE_COMPLETED, ProjectStatus.CREATE_FAILED),
    ProjectStatus.UPDATE_IN_PROGRESS: (ProjectStatus.UPDATE_COMPLETED, ProjectStatus.UPDATE_FAILED),
    ProjectStatus.DELETE_IN_PROGRESS: (ProjectStatus.DELETE_COMPLETED, ProjectStatus.DELETE_FAILED),
}
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
_POLL_SECONDS = 0.2
_REASONS = 3  # failed resources that a status message names
_MESSAGE = 4096  # characters at most, by botocore's model
_S3_HOST = re.compile(r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]+)\.)?s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


class _Abandoned(Exception):
    """The local cloud is ending: the project stays as it is recorded."""


class _Failed(Exception):
    """CloudFormation did not do it; says why."""


def stack_name(project: Document) -> str:
    """The prefix is AWS's; policies name it (`stack/SP-*`)."""
    return f"SP-{project['ProjectId']}"


def template_location(url: str, endpoint: str) -> tuple[str, str]:
    """Bucket and key of a template's https URL, in S3's two styles or at the local cloud's own endpoint.

    Raises ValidationException.
    """
    parts = urlsplit(url)
    known = _S3_HOST.fullmatch(parts.netloc)
    path = unquote(parts.path.lstrip("/"))
    bucket = known["bucket"] if known else None
    if (known or parts.netloc == urlsplit(endpoint).netloc) and not parts.query:
        bucket, key = (bucket, path) if bucket else path.partition("/")[::2]
        if bucket and key:
            return bucket, key
    raise ValidationException(
        f"TemplateURL {url} is not an object in S3: https://BUCKET.s3.REGION.amazonaws.com/KEY, "
        f"https://s3.REGION.amazonaws.com/BUCKET/KEY or {endpoint}/BUCKET/KEY"
    )


class Provisioning:
    """The operations on projects that are in progress, one thread each."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ending = threading.Event()
        self._threads: dict[tuple[Scope, str], threading.Thread] = {}

    def begin(self, scope: Scope, name: str) -> None:
        """Does what the project's status says to be in progress."""
        thread = threading.Thread(target=self._run, args=(scope, name), name=f"project {name}", daemon=True)
        self._threads[scope, name] = thread  # one at a time: a project in progress refuses another operation
        thread.start()

    def resume(self) -> None:
        for scope, project in self._context.store.scan(DocumentKind.PROJECT):
            if project["ProjectStatus"] in _ENDS:
                self.begin(scope, project["ProjectName"])

    def stop(self) -> None:
        self._ending.set()
        for thread in list(self._threads.values()):
            thread.join(10)

    def _run(self, scope: Scope, name: str) -> None:
        store = self._context.store
        project = store.get(scope, DocumentKind.PROJECT, name)
        assert project is not None
        status = ProjectStatus(project["ProjectStatus"])
        completed, failed = _ENDS[status]
        stack = _Stack(self._context, scope, project, self._ending)
        changes: dict[str, Any] = {"ProjectStatus": completed, "NextTemplate": None}
        try:
            message = stack.run(status)
            changes["Template"] = project.get("NextTemplate", project["Template"])
        except _Abandoned:
            return
        except (_Failed, ServiceError, ClientError, BotoCoreError) as error:
            if self._ending.is_set():
                return
            changes["ProjectStatus"], message = failed, str(error)
        except Exception as error:  # the boundary of the thread: a project must end in a true state
            log.exception("project %s", name)
            changes["ProjectStatus"], message = failed, f"InternalFailure: {error}"
        known = store.get(scope, DocumentKind.PROJECT, name) or project
        changes |= {"Stack": known.get("Stack", {}) | {"StatusMessage": message[:_MESSAGE]}}
        with suppress(DiskFull):  # the local cloud is ending: the next start does it again
            retry_while_disk_full(
                lambda: store.update(scope, DocumentKind.PROJECT, name, **changes, LastModifiedTime=time.time()),
                self._ending,
            )


@dataclass(slots=True)
class _Stack:
    """One operation on the stack of a project; each returns the stack's last status, or raises `_Failed`."""

    context: Context
    scope: Scope
    project: Document
    ending: threading.Event

    def run(self, status: ProjectStatus) -> str:
        """Does what the project's status promises."""
        match status:
            case ProjectStatus.CREATE_IN_PROGRESS:
                return self.create()
            case ProjectStatus.UPDATE_IN_PROGRESS:
                return self.update()
        return self.delete()

    def create(self) -> str:
        found = self._find()
        if found is not None and found["StackStatus"] != "CREATE_COMPLETE":  # what a process that was killed left
            self.delete()
            found = None
        if found is None:
            made = self._cloudformation.create_stack(
                StackName=stack_name(self.project),
                **self._template(self.project["Template"]),
                RoleARN=self.project["RoleARN"],
                Tags=[
                    {"Key": "sagemaker:project-name", "Value": self.project["ProjectName"]},
                    {"Key": "sagemaker:project-id", "Value": self.project["ProjectId"]},
                    *self.project["Tags"],
                ],
            )
            found = {"StackId": made["StackId"], "StackStatus": "CREATE_IN_PROGRESS"}
        detail = {"Name": stack_name(self.project), "Id": found["StackId"], "StatusMessage": found["StackStatus"]}
        self.context.store.update(self.scope, DocumentKind.PROJECT, self.project["ProjectName"], Stack=detail)
        return self._end("CREATE_COMPLETE")

    def update(self) -> str:
        try:
            self._cloudformation.update_stack(
                StackName=stack_name(self.project), **self._template(self.project["NextTemplate"])
            )
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return "No updates are to be performed."
        return self._end("UPDATE_COMPLETE")

    def delete(self) -> str:
        if self._find() is None:
            return "DELETE_COMPLETE"
        self._cloudformation.delete_stack(StackName=stack_name(self.project))
        return self._end("DELETE_COMPLETE")

    @property
    def _cloudformation(self) -> Any:
        return self.context.clients.of_account("cloudformation", self.scope)

    def _template(self, template: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a stack's creation or update. Raises _Failed on what the template does not declare."""
        gateway = self.context.cloud.gateway.endpoint
        bucket, key = template_location(template["TemplateURL"], gateway)
        url = f"{gateway}/{bucket}/{key}"
        declared = self._cloudformation.get_template_summary(TemplateURL=url)["Parameters"]
        names = [parameter["ParameterKey"] for parameter in declared]
        values = {parameter["Key"]: parameter.get("Value") for parameter in template["Parameters"]}
        unknown = sorted(values.keys() - names)
        if unknown:  # ministack ignores them
            raise _Failed(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
        values |= {name: self.project[member] for name, member in GIVEN.items() if name in names}
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items() if value is not None]
        kept = [{"ParameterKey": name, "UsePreviousValue": True} for name, value in values.items() if value is None]
        return {"TemplateURL": url, "Parameters": [*given, *kept], "Capabilities": _CAPABILITIES}

    def _find(self) -> dict[str, Any] | None:
        """The stack; by its name, as a deleted one is not found."""
        try:
            found: dict[str, Any] = self._cloudformation.describe_stacks(StackName=stack_name(self.project))
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        stack: dict[str, Any] = found["Stacks"][0]
        return stack

    def _end(self, hoped_for: str) -> str:
        while True:
            stack = self._find()
            status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
            if not status.endswith("_IN_PROGRESS"):
                break
            if self.ending.wait(_POLL_SECONDS):
                raise _Abandoned
        if status != hoped_for:
            raise _Failed(f"{status}: {'; '.join(self._reasons()) or (stack or {}).get('StackStatusReason', '')}")
        return str(status)

    def _reasons(self) -> list[str]:
        """Why resources failed in the stack's last operation, the first failure first."""
        reasons: list[str] = []
        name = stack_name(self.project)
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            for event in page["StackEvents"]:
                status, reason = event["ResourceStatus"], event.get("ResourceStatusReason")
                if event["LogicalResourceId"] == name:
                    if status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"):
                        return reasons[:_REASONS]
                elif status.endswith("_FAILED") and reason:
                    reasons.insert(0, f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        return reasons[:_REASONS]
