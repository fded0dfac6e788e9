"""Keep the tags of resources that the functions create at run time equal to the current settings.

SageMaker copies a pipeline's tags to the jobs that it starts, so cost allocation uses them. UpdatePipeline and
UpdateEndpoint do not accept tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared import log

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

RESERVED = ("aws:", "sagemaker:")  # AWS's own


def sync_tags(sagemaker: SageMakerClient, arn: str, wanted: Mapping[str, str]) -> None:
    """Give the resource exactly these tags, apart from AWS's own: it belongs to this environment alone."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    found = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    changed = {key: value for key, value in wanted.items() if found.get(key) != value}
    gone = sorted(key for key in found if key not in wanted and not key.startswith(RESERVED))
    if changed:
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in changed.items()])
    if gone:
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=gone)
    if changed or gone:
        log.info("tags changed", resource=arn, set=sorted(changed), removed=gone)
