"""Training jobs: the API calls."""

from typing import Any, ClassVar

from local_cloud.sagemaker.containers import images
from local_cloud.sagemaker.containers.folder import under
from local_cloud.sagemaker.containers.hosts import MAX_HOSTS
from local_cloud.sagemaker.containers.images.entry_points import training_command
from local_cloud.sagemaker.containers.launcher import has_private_mounts
from local_cloud.sagemaker.core import quotas
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.statuses import SecondaryStatus
from local_cloud.sagemaker.core.store import Scope
from local_cloud.sagemaker.jobs.api import JobApi
from local_cloud.sagemaker.jobs.training.checkpoints import DEFAULT_PATH
from local_cloud.sagemaker.jobs.training.run import artifact_uri


class TrainingJobs(JobApi):
    type_name = "Training"
    document = DocumentKind.TRAINING_JOB
    unknown = "Requested resource not found: training job {}."
    taken = "Training job names must be unique within an AWS account and region: {} exists."
    listed = ("TrainingEndTime", "SecondaryStatus")
    defaults: ClassVar[dict[str, Any]] = {**JobApi.defaults} | dict.fromkeys(
        ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"), False
    )
    stopping: ClassVar[dict[str, str]] = {"SecondaryStatus": SecondaryStatus.STOPPING}

    def begun(self, request: dict[str, Any], now: float) -> dict[str, Any]:
        message = "Starting the training job"
        starting = {"Status": SecondaryStatus.STARTING, "StartTime": now, "StatusMessage": message}
        return {
            "ModelArtifacts": {"S3ModelArtifacts": artifact_uri(request)},
            "SecondaryStatus": SecondaryStatus.STARTING,
            "SecondaryStatusTransitions": [starting],
        }

    def require_quota(self, scope: Scope, request: dict[str, Any]) -> None:
        quotas.require_for_training(self._context, scope, request)

    def require_served(self, request: dict[str, Any]) -> None:
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
                    "MaxWaitTimeInSeconds must be given with EnableManagedSpotTraining, and be equal to or greater "
                    "than MaxRuntimeInSeconds."
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

    def require_command(self, request: dict[str, Any]) -> None:
        image = images.require(self._context, request["AlgorithmSpecification"]["TrainingImage"])
        training_command(request, image)


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
