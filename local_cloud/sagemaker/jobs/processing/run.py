"""How a processing job runs: download, process, upload."""

import time
from typing import Any

from local_cloud.sagemaker.containers import images, transfer
from local_cloud.sagemaker.containers.folder import Folder
from local_cloud.sagemaker.containers.hosts import ExitReason
from local_cloud.sagemaker.containers.images.entry_points import processing_command
from local_cloud.sagemaker.containers.opt_ml import algorithm_error, local_folder, message, resource_config
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.statuses import JobStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.jobs.job import Job, publish

_DEFAULT_SECONDS = 24 * 3600
STATUS = "ProcessingJobStatus"


class Processing:
    """Implements `job.JobType`."""

    name = "Processing"
    document = DocumentKind.PROCESSING_JOB
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
            image = images.require(job.context, specification["ImageUri"])
            ending = job.run_containers(
                job.hosts(1),
                image_uri=specification["ImageUri"],
                command=processing_command(specification, image),
                environment=dict(description.get("Environment", {}))
                | {"PROCESSING_JOB_NAME": job.name, "PROCESSING_JOB_ARN": description["ProcessingJobArn"]},
                seconds=longest,
            )
            exit_message = message(Folder(job.root, "output"), "message")
            if ending.reason == ExitReason.EXITED and ending.code != 0:
                self.fail(job, algorithm_error(exit_message, ending.code), exit_message)
            elif ending.reason == ExitReason.EXITED:
                self._upload(job, description, s3)
                self._end(job, JobStatus.COMPLETED, ExitMessage=exit_message or None)
            else:
                ran = round(time.time() - began)
                overdue = f"MaxRuntimeExceeded: the job ran {ran} s, and MaxRuntimeInSeconds is {longest}"
                self._end(
                    job, JobStatus.STOPPED, FailureReason=overdue if ending.reason == ExitReason.MAX_RUNTIME else None
                )
        except (transfer.TransferError, ServiceError) as error:
            self.fail(job, str(error))

    def fail(self, job: Job, reason: str, exit_message: str = "") -> None:
        self._end(job, JobStatus.FAILED, FailureReason=reason, ExitMessage=exit_message or None)

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

    def _end(self, job: Job, status: JobStatus, **more: Any) -> None:
        now = time.time()
        description = job.update(**{STATUS: status}, ProcessingEndTime=now, LastModifiedTime=now, **more)
        publish(job.context, job.scope, "Processing", description)
