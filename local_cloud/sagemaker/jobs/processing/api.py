"""Processing jobs: the API calls, and how one runs."""

import time
from typing import Any

from local_cloud.sagemaker.containers import transfer, vpc
from local_cloud.sagemaker.containers.folder import Folder, under
from local_cloud.sagemaker.containers.opt_ml import algorithm_error, local_folder, message, resource_config
from local_cloud.sagemaker.core import arns, events, quotas, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.errors import ResourceInUse, ResourceNotFound, ServiceError, ValidationException
from local_cloud.sagemaker.core.paging import page, summary
from local_cloud.sagemaker.core.store import Document, Scope
from local_cloud.sagemaker.jobs.runner import Job, JobRunner

_DEFAULT_SECONDS = 24 * 3600
_STATUS = "ProcessingJobStatus"


class Processing:
    """Implements `runner.JobKind`."""

    kind = "Processing"
    document = "processing-job"
    log_group = "/aws/sagemaker/ProcessingJobs"

    def run(self, job: Job) -> None:
        description = job.describe()
        try:
            s3 = job.client("s3")
            self._prepare(job, description, s3)
            began = time.time()
            job.update(ProcessingStartTime=began)
            longest = description.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_SECONDS)
            specification = description["AppSpecification"]
            ending = job.run_containers(
                job.hosts(1),
                image_uri=specification["ImageUri"],
                command=(*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", ())),
                environment=dict(description.get("Environment", {}))
                | {"PROCESSING_JOB_NAME": job.name, "PROCESSING_JOB_ARN": description["ProcessingJobArn"]},
                seconds=longest,
            )
            exit_message = message(Folder(job.root, "output"), "message")
            if ending.how == "exit" and ending.code != 0:
                self.fail(job, algorithm_error(exit_message, ending.code), exit_message)
            elif ending.how == "exit":
                self._upload(job, description, s3)
                self._end(job, "Completed", ExitMessage=exit_message or None)
            else:
                ran = round(time.time() - began)
                overdue = f"MaxRuntimeExceeded: the job ran {ran} s, and MaxRuntimeInSeconds is {longest}"
                self._end(job, "Stopped", FailureReason=overdue if ending.how == "timeout" else None)
        except (transfer.TransferError, ServiceError) as error:
            self.fail(job, str(error))

    def fail(self, job: Job, reason: str, exit_message: str = "") -> None:
        self._end(job, "Failed", FailureReason=reason, ExitMessage=exit_message or None)

    def _prepare(self, job: Job, description: Document, s3: Any) -> None:
        job.root.mkdir(parents=True)
        inside = Folder(job.root)
        inside.write_json("config/processingjobconfig.json", {
            name: value for name, value in description.items() if not name.endswith("Time")
        })  # fmt: skip
        instance = description["ProcessingResources"]["ClusterConfig"]["InstanceType"]
        inside.write_json("config/resourceconfig.json", resource_config(instance, "algo-1", ["algo-1"]))
        (inside / "output").make()
        for source in description.get("ProcessingInputs", []):
            s3_input = source["S3Input"]
            transfer.download(s3, s3_input, local_folder(job.root, s3_input["LocalPath"]))
        for output in description.get("ProcessingOutputConfig", {}).get("Outputs", []):
            local_folder(job.root, output["S3Output"]["LocalPath"]).make()

    def _upload(self, job: Job, description: Document, s3: Any) -> None:
        config = description.get("ProcessingOutputConfig", {})
        for output in config.get("Outputs", []):
            s3_output = output["S3Output"]
            folder = local_folder(job.root, s3_output["LocalPath"])
            transfer.upload_folder(s3, folder, s3_output["S3Uri"], config.get("KmsKeyId"))

    def _end(self, job: Job, status: str, **more: Any) -> None:
        now = time.time()
        description = job.update(**{_STATUS: status}, ProcessingEndTime=now, LastModifiedTime=now, **more)
        _publish(job.context, job.scope, description)


def _publish(context: Context, scope: Scope, description: Document) -> None:
    job_tags = tags.get(context.store, scope, description["ProcessingJobArn"])
    events.job_changed(context.cloud, scope, "Processing", description, job_tags)


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

    def _existing(self, call: Call, name: str) -> Document:
        job = self._store.get(call.scope, Processing.document, name)
        if job is None:
            raise ResourceNotFound(f"Could not find requested job with name: {name}")
        return job

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        _refuse_what_is_not_served(request)
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
                "ProcessingJobArn": arn, _STATUS: "InProgress", "CreationTime": now, "LastModifiedTime": now,
            }  # fmt: skip
            self._store.put(call.scope, Processing.document, name, description)
        _publish(self._context, call.scope, description)
        self._runner.submit("Processing", call.scope, name)
        return {"ProcessingJobArn": arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, request["ProcessingJobName"])

    def _stop(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        job = self._existing(call, request["ProcessingJobName"])
        if job[_STATUS] == "InProgress":
            self._store.update(call.scope, Processing.document, job["ProcessingJobName"], **{_STATUS: "Stopping"})
            self._runner.request_stop("Processing", call.scope, job["ProcessingJobName"])
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        jobs = self._store.find(call.scope, Processing.document)
        members = ("ProcessingJobName", "ProcessingJobArn", "CreationTime", "ProcessingEndTime", "LastModifiedTime",
                   _STATUS, "FailureReason", "ExitMessage")  # fmt: skip
        found = [
            summary(job, *members)
            for job in jobs
            if request.get("NameContains", "") in job["ProcessingJobName"]
            and request.get("StatusEquals", job[_STATUS]) == job[_STATUS]
        ]
        return page(found, request, "ProcessingJobSummaries")


def _refuse_what_is_not_served(request: dict[str, Any]) -> None:
    if "ContainerEntrypoint" not in request["AppSpecification"]:
        raise ValidationException("The local cloud runs processing jobs with a ContainerEntrypoint only.")
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
