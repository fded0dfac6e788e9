"""A SageMaker project of the published template, and the choice of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.errors import NotFound, SetupError, is_missing
from headrace.formats import iso

GONE = "DeleteCompleted"
USABLE = ("CreateCompleted", "UpdateInProgress", "UpdateCompleted", "UpdateFailed")  # a failed update is rolled back


@dataclass(frozen=True, slots=True)
class Project:
    name: str
    id: str
    status: str
    created: datetime
    description: str
    template_url: str | None  # None of a project from Service Catalog
    parameters: Mapping[str, str]
    stack: str | None
    message: str | None  # of the stack's status; the reason, if something failed

    @property
    def in_progress(self) -> bool:
        return self.status == "Pending" or self.status.endswith("InProgress")

    def as_data(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "id": self.id,
            "status": self.status,
            "created": iso(self.created),
            "description": self.description or None,
            "template": self.template_url,
            "parameters": dict(self.parameters),
            "stack": self.stack,
            "message": self.message,
        }


def choose_project(environment: Environment, name: str) -> None:
    """From here on the commands concern the project's stack instead of the environment's."""
    project = read_project(environment, name)
    if project.status not in USABLE:
        show = environment.command(f"projects show {name}")
        reason = f": {project.message}" if project.message else ""
        raise SetupError(f"the project {name} is {project.status}{reason}", hint=show)
    environment.use_project(name, project.stack or _stack_by_tag(environment, project))


def read_project(environment: Environment, name: str) -> Project:
    """Raises NotFound, also of a project that was deleted."""
    with environment.doing(f"reading the project {name}"):
        project = described(environment, name)
    if project is None:
        raise NotFound(f"there is no project {name} in {environment.region}", hint=environment.command("projects list"))
    return project


def described(environment: Environment, name: str) -> Project | None:
    try:
        found = environment.client("sagemaker").describe_project(ProjectName=name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    if found["ProjectStatus"] == GONE:
        return None
    detail = found.get("TemplateProviderDetails", [{}])[0].get("CfnTemplateProviderDetail", {})
    stack = detail.get("StackDetail", {})
    product = found.get("ServiceCatalogProvisionedProductDetails", {})
    return Project(
        name=name,
        id=found["ProjectId"],
        status=found["ProjectStatus"],
        created=found["CreationTime"],
        description=found.get("ProjectDescription", ""),
        template_url=detail.get("TemplateURL"),
        parameters={item["Key"]: item.get("Value", "") for item in detail.get("Parameters", [])},
        stack=stack["Id"].split("/")[1] if "Id" in stack else None,
        message=stack.get("StatusMessage") or product.get("ProvisionedProductStatusMessage"),
    )


def _stack_by_tag(environment: Environment, project: Project) -> str:
    """The stack of a project from Service Catalog, which does not name it."""
    with environment.doing(f"looking for the stack of the project {project.name}"):
        for page in environment.client("cloudformation").get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                if {"Key": "sagemaker:project-id", "Value": project.id} in stack.get("Tags", []):
                    return str(stack["StackName"])
    raise SetupError(
        f"the project {project.name} has no stack in {environment.region}: none has the tag sagemaker:project-id = "
        f"{project.id}",
        hint=environment.command(f"projects show {project.name}"),
    )
