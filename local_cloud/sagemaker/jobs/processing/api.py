"""Processing jobs: the API calls."""

from typing import Any

from local_cloud.sagemaker.containers import images
from local_cloud.sagemaker.containers.folder import under
from local_cloud.sagemaker.containers.images.entry_points import processing_command
from local_cloud.sagemaker.core import quotas
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.store import Scope
from local_cloud.sagemaker.jobs.api import JobApi


class ProcessingJobs(JobApi):
    type_name = "Processing"
    document = DocumentKind.PROCESSING_JOB
    unknown = "Could not find requested job with name: {}"
    taken = "Job name must be unique within an AWS account and region: {} exists already."
    listed = ("ProcessingEndTime", "FailureReason", "ExitMessage")

    def require_quota(self, scope: Scope, request: dict[str, Any]) -> None:
        quotas.require_for_processing(self._context, scope, request)

    def require_served(self, request: dict[str, Any]) -> None:
        cluster = request["ProcessingResources"]["ClusterConfig"]
        if cluster.get("InstanceCount") != 1 or "InstanceType" not in cluster:
            raise ValidationException("The local cloud runs processing jobs on one instance only, of an InstanceType.")
        for item in [
            *request.get("ProcessingInputs", []),
            *request.get("ProcessingOutputConfig", {}).get("Outputs", []),
        ]:
            s3 = item.get("S3Input") or item.get("S3Output")
            if s3 is None or not s3.get("LocalPath", "").startswith("/opt/ml/processing/"):
                raise ValidationException(
                    "The local cloud serves S3 inputs and outputs only, with a LocalPath under /opt/ml/processing/."
                )
            under("/opt/ml/processing", s3["LocalPath"])
            if s3.get("S3InputMode", "File") != "File":
                raise ValidationException("The local cloud serves the S3InputMode File only.")

    def require_command(self, request: dict[str, Any]) -> None:
        specification = request["AppSpecification"]
        processing_command(specification, images.require(self._context, specification["ImageUri"]))
