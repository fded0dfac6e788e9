"""Processing jobs: the API calls."""

import time
from typing import Any

from local_cloud.sagemaker.containers import images, vpc
from local_cloud.sagemaker.containers.folder import under
from local_cloud.sagemaker.containers.images.entry_points import processing_command
from local_cloud.sagemaker.core import arns, quotas, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.errors import ResourceInUse, ResourceNotFound, ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import JobStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.jobs.processing.run import STATUS, Processing, publish
from local_cloud.sagemaker.jobs.runner import JobRunner


class ProcessingJobs:
    """Processing jobs: create, describe, stop, list."""

    def __init__(self, context: Context, runner: JobRunner) -> None:
        self._context, self._store, self._runner = context, context.store, runner

    def operations(self) -> Operations:
        return {
            "CreateProcessingJob": self._create,
            "DescribeProcessingJob": self._describe,
            "StopProcessingJob": self._stop,
            "ListProcessingJobs": self._list,
        }

    def refuse(self, request: dict[str, Any]) -> None:
        """Raises ValidationException for a job that cannot run here; no permission matters."""
        _refuse_what_is_not_served(request)
        specification = request["AppSpecification"]
        processing_command(specification, images.require(self._context, specification["ImageUri"]))

    def _existing(self, call: Call, name: str) -> Document:
        job = self._store.get(call.scope, Processing.document, name)
        if job is None:
            raise ResourceNotFound(f"Could not find requested job with name: {name}")
        return job

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self.refuse(request)
        call.authorize("iam:PassRole", request["RoleArn"])
        name, now = request["ProcessingJobName"], time.time()
        arn = arns.arn(call.scope, "processing-job", name)
        vpc.require_network(self._context, call.scope, request, request["RoleArn"], arn)
        with self._store.transaction():
            if self._store.get(call.scope, Processing.document, name) is not None:
                raise ResourceInUse(f"Job name must be unique within an AWS account and region: {name} exists already.")
            quotas.require_for_processing(self._context, call.scope, request)
            tags.tag_on_create(self._store, call, arn, request)
            description = {key: value for key, value in request.items() if key != "Tags"} | {
                "ProcessingJobArn": arn, STATUS: JobStatus.IN_PROGRESS, "CreationTime": now, "LastModifiedTime": now,
            }  # fmt: skip
            self._store.put(call.scope, Processing.document, name, description)
        publish(self._context, call.scope, description)
        self._runner.submit("Processing", call.scope, name)
        return {"ProcessingJobArn": arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, request["ProcessingJobName"])

    def _stop(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        job = self._existing(call, request["ProcessingJobName"])
        if job[STATUS] == JobStatus.IN_PROGRESS:
            self._store.update(
                call.scope, Processing.document, job["ProcessingJobName"], **{STATUS: JobStatus.STOPPING}
            )
            self._runner.request_stop("Processing", call.scope, job["ProcessingJobName"])
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        jobs = self._store.find(call.scope, Processing.document)
        members = ("ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
                   STATUS, "FailureReason", "ExitMessage")  # fmt: skip
        found = [
            pick(job, *members)
            for job in jobs
            if request.get("NameContains", "") in job["ProcessingJobName"]
            and request.get("StatusEquals", job[STATUS]) == job[STATUS]
        ]
        return page(found, request, "ProcessingJobSummaries")


def _refuse_what_is_not_served(request: dict[str, Any]) -> None:
    if request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] != 1:
        raise ValidationException("The local cloud runs processing jobs on one instance only.")
    for item in [*request.get("ProcessingInputs", []), *request.get("ProcessingOutputConfig", {}).get("Outputs", [])]:
        s3 = item.get("S3Input") or item.get("S3Output")
        if s3 is None or not s3.get("LocalPath", "").startswith("/opt/ml/processing/"):
            raise ValidationException(
                "The local cloud serves S3 inputs and outputs only, with a LocalPath under /opt/ml/processing/."
            )
        under("/opt/ml/processing", s3["LocalPath"])
        if s3.get("S3InputMode", "File") != "File":
            raise ValidationException("The local cloud serves the S3InputMode File only.")
