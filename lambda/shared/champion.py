"""The champion of a model package group: its approved version with the highest number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


@dataclass(frozen=True, slots=True)
class Champion:
    """`registered` is the creation time in milliseconds: a group that was created again numbers its versions from 1."""

    model_package_arn: str
    version: int
    registered: int


def find_champion(sagemaker: SageMakerClient, model_package_group: str) -> Champion | None:
    """The champion of the group with that name, or ARN for another account's group. None: no approved version."""
    return next(iter(find_approved(sagemaker, model_package_group)), None)


def find_approved(sagemaker: SageMakerClient, model_package_group: str) -> list[Champion]:
    """The approved versions that can be served, the highest number first, which is the champion.

    Reads every page: the order is by creation, and the number is what counts.
    """
    pages = sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=model_package_group,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    approved = [
        Champion(
            package["ModelPackageArn"],
            package["ModelPackageVersion"],
            round(package["CreationTime"].timestamp() * 1000),
        )
        for page in pages
        for package in page["ModelPackageSummaryList"]
        if package["ModelPackageStatus"] == "Completed"  # one that failed or is being deleted cannot be served
    ]
    return sorted(approved, key=lambda champion: champion.version, reverse=True)


def model_data_url(sagemaker: SageMakerClient, champion: Champion) -> str | None:
    """The champion's artifact: s3://bucket/…/model.tar.gz. None: its version does not record one."""
    package = sagemaker.describe_model_package(ModelPackageName=champion.model_package_arn)
    containers = package.get("InferenceSpecification", {}).get("Containers", [])
    return (containers[0].get("ModelDataUrl") if containers else None) or None
