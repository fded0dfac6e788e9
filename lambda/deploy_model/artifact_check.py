"""Check that a version's artifact is the one that was registered and approved.

The registry records an S3 URL. A principal that can write there decides what the endpoint runs, approved or not. So a
version is deployed only if its URL has the form of shared/stored_model.py, and if the SHA-256 that S3 computed for the
object is the recorded one. No other member of the container may name data that the container downloads at its start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy_model.environment import Environment
from shared.aws import DENIED, NOT_FOUND, S3Client, error_code
from shared.champion import Champion
from shared.stored_model import as_checksum, sha256_in, split

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

# Members of a container that name further data. The registry records no hash of that data.
OTHER_SOURCES = ("ModelDataSource", "AdditionalS3DataSource", "AdditionalModelDataSources", "ModelInput")


def why_not_served(
    sagemaker: SageMakerClient, s3: S3Client, environment: Environment, champion: Champion
) -> str | None:
    """The reason why this version's artifact is not the registered one, for people; None if it is."""
    package = sagemaker.describe_model_package(ModelPackageName=champion.model_package_arn)
    containers: list[Mapping[str, Any]] = [*package.get("InferenceSpecification", {}).get("Containers", [])]
    if len(containers) != 1:
        return f"it has {len(containers)} containers, and one can be served"
    (container,) = containers
    if other := [name for name in OTHER_SOURCES if container.get(name)]:
        return f"its container names {', '.join(other)} beside its artifact"
    if fetched := [
        name for name, value in sorted(container.get("Environment", {}).items()) if value.startswith("s3://")
    ]:
        return f"its container fetches {', '.join(fetched)} from S3 when it starts"
    return _why_other_bytes(s3, environment, container.get("ModelDataUrl", ""), package)


def _why_other_bytes(s3: S3Client, environment: Environment, url: str, package: Mapping[str, Any]) -> str | None:
    bucket, key = split(url)
    sha256 = sha256_in(key)
    recorded = package.get("CustomerMetadataProperties", {})
    if sha256 is None or environment.data_bucket not in (None, bucket):
        return f"its artifact {url or '(none)'} does not lie under models/ of the data bucket, so it can be exchanged"
    if recorded.get("ArtifactSha256") != sha256:
        return f"it records the SHA-256 {recorded.get('ArtifactSha256', '(none)')}, and names the artifact {url}"
    owner = environment.model_package_group_arn.split(":")[4]
    try:
        found = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED", ExpectedBucketOwner=owner)
    except ClientError as error:
        if error_code(error) not in NOT_FOUND | DENIED:
            raise
        return f"its artifact {url} is gone, or may not be read"
    if found.get("ChecksumSHA256") != as_checksum(sha256):
        return f"what lies at {url} has another SHA-256"
    if recorded.get("ArtifactBytes") != str(found["ContentLength"]):
        size = f"{found['ContentLength']} bytes"
        return f"it records {recorded.get('ArtifactBytes', 'no')} bytes, and what lies at {url} has {size}"
    return None
