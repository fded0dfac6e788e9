"""Versions in the model registry, newest first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.client.executions import read_parameters
from headrace.client.results import read_evaluation
from headrace.errors import DENIED, HeadraceError, NotFound, SetupError, error_code, is_missing
from headrace.formats import iso

APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"


@dataclass(frozen=True, slots=True)
class Model:
    """One version of the model package group."""

    version: int
    arn: str
    created: datetime
    status: str  # Pending, InProgress, Completed or Failed: of the package, not of the decision
    approval: str
    note: str | None
    accuracy: float | None
    data_set: str | None
    run: str | None  # the id of the execution that registered it
    report_uri: str | None = None  # of its evaluation.json
    code: str | None = None  # the hash of the code that trained it
    fingerprint: str | None = None  # of its data set
    comparison: str | None = None  # with the champion before it, in words
    warnings: str | None = None  # of its evaluation
    sha256: str | None = None  # of its artifact, in hexadecimal; None for a version that cannot be deployed without
    artifact: str | None = None  # the URL of it

    @property
    def pins_artifact(self) -> bool:
        """Whether its artifact's address is made of the recorded SHA-256: deploy_model deploys no other version."""
        return self.sha256 is not None and (self.artifact or "").endswith(f"/models/{self.sha256}/model.tar.gz")

    def as_data(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "arn": self.arn,
            "created": iso(self.created),
            "status": self.status,
            "approval": self.approval,
            "note": self.note,
            "accuracy": self.accuracy,
            "data_set": self.data_set,
            "run": self.run,
            "comparison": self.comparison,
            "warnings": self.warnings,
            "sha256": self.sha256,
            "artifact": self.artifact,
        }


def list_models(environment: Environment) -> list[Model]:
    """All versions, newest first."""
    arns = [item["ModelPackageArn"] for item in list_packages(environment)]
    with ThreadPoolExecutor(8, thread_name_prefix="models") as pool:
        return list(pool.map(lambda arn: read_model(environment, arn), arns))


def list_packages(environment: Environment) -> list[dict[str, Any]]:
    """The versions as the list gives them (number, ARN, approval), newest first."""
    group = environment.stack.model_package_group
    with environment.doing(f"listing the versions of {group}"):
        try:
            pages = (
                environment.client("sagemaker")
                .get_paginator("list_model_packages")
                .paginate(ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending")
            )
            found = (item for page in pages for item in page["ModelPackageSummaryList"])
            packages = [item for item in found if item["ModelPackageStatus"] != "Deleting"]  # listed until it is gone
        except ClientError as error:
            if error_code(error) in DENIED and environment.stack.promotes_from:
                raise SetupError(
                    f"{environment.stack.promotes_from} does not let account {environment.account} read its models: "
                    f"{error.response['Error'].get('Message')}",
                    hint=f"{environment.registry_deploy_command}   # grants it what environments.toml says",
                ) from error
            if not is_missing(error):
                raise
            packages = []
    return sorted(packages, key=lambda item: int(item["ModelPackageVersion"]), reverse=True)


def is_servable(package: dict[str, Any]) -> bool:
    """The approved version with the highest number is deployed, unless making its package failed."""
    return package.get("ModelApprovalStatus") == APPROVED and package.get("ModelPackageStatus") == "Completed"


def read_model(environment: Environment, arn: str) -> Model:
    with environment.doing(f"reading the model version {arn.rsplit('/', 1)[-1]}"):
        package = environment.client("sagemaker").describe_model_package(ModelPackageName=arn)
    source = package.get("MetadataProperties", {}).get("GeneratedBy", "")
    run = source.rsplit("/", 1)[-1] if "/execution/" in source else None
    return Model(
        version=package["ModelPackageVersion"],
        arn=package["ModelPackageArn"],
        created=package["CreationTime"],
        status=package["ModelPackageStatus"],
        approval=package.get("ModelApprovalStatus", PENDING),
        note=package.get("ApprovalDescription"),
        accuracy=_accuracy(environment, package),
        data_set=_data_set(environment, package, source if run else None),
        run=run,
        report_uri=package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri"),
        code=package.get("CustomerMetadataProperties", {}).get("CodeHash"),
        fingerprint=package.get("CustomerMetadataProperties", {}).get("Fingerprint"),
        comparison=package.get("CustomerMetadataProperties", {}).get("Comparison"),
        warnings=_warnings(package),
        sha256=package.get("CustomerMetadataProperties", {}).get("ArtifactSha256"),
        artifact=next(
            (it.get("ModelDataUrl") for it in package.get("InferenceSpecification", {}).get("Containers", [])), None
        ),
    )


def find_model(environment: Environment, version: str) -> Model:
    """The version of that number, or `latest`: the newest.

    Raises:
        NotFound: there is none.
    """
    packages = list_packages(environment)
    if not packages:
        raise NotFound("no model has been registered yet", hint=environment.command("runs"))
    numbers = {str(item["ModelPackageVersion"]): item["ModelPackageArn"] for item in packages}
    arn = next(iter(numbers.values())) if version == "latest" else numbers.get(version)
    if arn is None:
        group = environment.stack.model_package_group
        raise NotFound(
            f"there is no version {version!r} of {group}; there is {', '.join(numbers)}",
            hint=environment.command("models"),
        )
    return read_model(environment, arn)


def _accuracy(environment: Environment, package: dict[str, Any]) -> float | None:
    """As recorded on the version; failing that, from the report that its metrics name, if that is in this account."""
    try:
        return float(package.get("CustomerMetadataProperties", {})["Accuracy"])
    except (KeyError, ValueError):
        if environment.stack.promotes_from:
            return None
        report = package.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {}).get("S3Uri")
        evaluation = read_evaluation(environment, report) if report else None
        return evaluation.accuracy if evaluation else None


def _warnings(package: dict[str, Any]) -> str | None:
    recorded = package.get("CustomerMetadataProperties", {}).get("Warnings")
    return None if recorded == "none" else recorded  # SageMaker takes no empty value


def _data_set(environment: Environment, package: dict[str, Any], execution_arn: str | None) -> str | None:
    """As recorded on the version; failing that, the parameter of its run, if that was in this account."""
    recorded = package.get("CustomerMetadataProperties", {}).get("DataSet")
    if recorded or execution_arn is None or environment.stack.promotes_from:
        return recorded or None
    try:
        return read_parameters(environment, execution_arn).get("DataSet")
    except HeadraceError as error:
        if isinstance(error.__cause__, ClientError) and is_missing(error.__cause__):
            return None  # executions can be gone before the versions they registered
        raise
