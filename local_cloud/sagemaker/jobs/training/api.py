"""Training jobs: the API calls."""

import time
from typing import Any

from local_cloud.sagemaker.containers import images, vpc
from local_cloud.sagemaker.containers.folder import under
from local_cloud.sagemaker.containers.hosts import MAX_HOSTS
from local_cloud.sagemaker.containers.images.entry_points import training_command
from local_cloud.sagemaker.containers.launcher import has_private_mounts
from local_cloud.sagemaker.core import arns, quotas, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.errors import ResourceInUse, ResourceNotFound, ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import JobStatus, SecondaryStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.jobs.runner import JobRunner
from local_cloud.sagemaker.jobs.training.checkpoints import DEFAULT_PATH
from local_cloud.sagemaker.jobs.training.run import DOCUMENT, artifact_uri, publish


class TrainingJobs:
    """Training jobs: create, describe, stop, list."""

    def __init__(self, context: Context, runner: JobRunner) -> None:
        self._context, self._store, self._runner = context, context.store, runner

    def operations(self) -> Operations:
        return {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "StopTrainingJob": self._stop,
            "ListTrainingJobs": self._list,
        }

    def refuse(self, request: dict[str, Any]) -> None:
        """Raises ValidationException for a job that cannot run here; no permission matters."""
        _refuse_what_is_not_served(request)
        image = images.require(self._context, request["AlgorithmSpecification"]["TrainingImage"])
        training_command(request, image)

    def _existing(self, call: Call, name: str) -> Document:
        job = self._store.get(call.scope, DOCUMENT, name)
        if job is None:
            raise ResourceNotFound(f"Requested resource not found: training job {name}.")
        return job

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        self.refuse(request)
        call.authorize("iam:PassRole", request["RoleArn"])
        name, now = request["TrainingJobName"], time.time()
        arn = arns.arn(call.scope, "training-job", name)
        vpc.require_network(self._context, call.scope, request, request["RoleArn"], arn)
        with self._store.transaction():
            if self._store.get(call.scope, DOCUMENT, name) is not None:
                raise ResourceInUse(
                    f"Training job names must be unique within an AWS account and region: {name} exists."
                )
            quotas.require_for_training(self._context, call.scope, request)
            tags.tag_on_create(self._store, call, arn, request)
            description = {key: value for key, value in request.items() if key != "Tags"} | {
                "TrainingJobArn": arn,
                "TrainingJobStatus": JobStatus.IN_PROGRESS,
                "ModelArtifacts": {"S3ModelArtifacts": artifact_uri(request)},
                "SecondaryStatus": SecondaryStatus.STARTING,
                "SecondaryStatusTransitions": [
                    {"Status": SecondaryStatus.STARTING, "StartTime": now, "StatusMessage": "Starting the training job"}
                ],
                "CreationTime": now,
                "LastModifiedTime": now,
            }
            self._store.put(call.scope, DOCUMENT, name, description)
        publish(self._context, call.scope, description)
        self._runner.submit("Training", call.scope, name)
        return {"TrainingJobArn": arn}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        return self._existing(call, request["TrainingJobName"])

    def _stop(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        job = self._existing(call, request["TrainingJobName"])
        if job["TrainingJobStatus"] == JobStatus.IN_PROGRESS:
            name = job["TrainingJobName"]
            self._store.update(
                call.scope,
                DOCUMENT,
                name,
                TrainingJobStatus=JobStatus.STOPPING,
                SecondaryStatus=SecondaryStatus.STOPPING,
            )
            self._runner.request_stop("Training", call.scope, name)
        return {}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
                   "TrainingJobStatus", "SecondaryStatus")  # fmt: skip
        found = [
            pick(job, *members)
            for job in self._store.find(call.scope, DOCUMENT)
            if request.get("NameContains", "") in job["TrainingJobName"]
            and request.get("StatusEquals", job["TrainingJobStatus"]) == job["TrainingJobStatus"]
        ]
        return page(found, request, "TrainingJobSummaries")


def _refuse_what_is_not_served(request: dict[str, Any]) -> None:
    algorithm = request.get("AlgorithmSpecification", {})
    if "TrainingImage" not in algorithm:
        raise ValidationException(
            "The local cloud runs training jobs with a TrainingImage only. hint: a custom or Marketplace "
            "algorithm runs on AWS only"
        )
    _refuse_instances(request.get("ResourceConfig", {}))
    stopping = request.get("StoppingCondition", {})
    if request.get("EnableManagedSpotTraining"):
        longest, wait = stopping.get("MaxRuntimeInSeconds", 86400), stopping.get("MaxWaitTimeInSeconds")
        if wait is None or wait < longest:
            raise ValidationException(
                "MaxWaitTimeInSeconds must be given with EnableManagedSpotTraining, and be equal to or greater than "
                "MaxRuntimeInSeconds."
            )
    elif "MaxWaitTimeInSeconds" in stopping:
        raise ValidationException("MaxWaitTimeInSeconds needs EnableManagedSpotTraining.")
    under("/opt/ml", request.get("CheckpointConfig", {}).get("LocalPath", DEFAULT_PATH))
    for channel in request.get("InputDataConfig", []):
        under("/opt/ml/input/data", f"/opt/ml/input/data/{channel['ChannelName']}")
        if "S3DataSource" not in channel["DataSource"]:
            raise ValidationException(
                f"The channel {channel['ChannelName']}: the local cloud serves S3 data sources only."
            )


def _refuse_instances(resources: dict[str, Any]) -> None:
    if "InstanceType" not in resources:
        raise ValidationException("ResourceConfig has no InstanceType, which the local cloud needs.")
    count = resources.get("InstanceCount", 1)
    if not 1 <= count <= MAX_HOSTS:
        raise ValidationException(
            f"InstanceCount is {count}: the local cloud runs training jobs on 1 to {MAX_HOSTS} instances, for they "
            "share this machine."
        )
    if count > 1 and not has_private_mounts():
        raise ValidationException(
            "On this machine the local cloud runs training jobs on one instance only: it lets no process have an "
            "private /etc/hosts (Linux mount namespaces), by which several would find each other."
        )
