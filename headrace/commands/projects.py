"""SageMaker projects of the published template: `headrace projects`, and `--project`, which finds a project's stack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.catalog import Catalog, read_catalog
from headrace.client.environment import Environment
from headrace.errors import NotFound, ProjectFailed, SetupError, UsageError, is_missing
from headrace.formats import iso, when
from headrace.project.folder import PROJECT
from headrace.terminal.output import Output

TEMPLATE = PROJECT  # what a project calls it
GONE = "DeleteCompleted"
USABLE = ("CreateCompleted", "UpdateInProgress", "UpdateCompleted", "UpdateFailed")  # a failed update is rolled back
COLUMNS = ("name", "status", "created", "id", "description")


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


def create(
    environment: Environment, output: Output, *, name: str, settings: Mapping[str, str], description: str, wait: bool,
    interval: float,
) -> None:  # fmt: skip
    if name != name.lower():
        raise UsageError(
            f"{name} has capital letters, with which IAM might not know the project's models: AWS may write their "
            "names in lower case",
            hint=environment.command(f"projects create {name.lower()}"),
        )
    catalog = read_catalog(environment)
    provider = _provider(catalog, settings) | {"RoleARN": catalog.launch_role_arn}
    request: dict[str, Any] = {"ProjectName": name, "TemplateProviders": [{"CfnTemplateProvider": provider}]}
    if description:
        request["ProjectDescription"] = description
    with environment.doing(f"creating the project {name}"):
        try:
            environment.client("sagemaker").create_project(**request)
        except ClientError as error:
            if "already exists" not in str(error):
                raise
            hint = environment.command(f"projects show {name}")
            raise SetupError(f"there is a project {name} already", hint=hint) from error
    again = f"{environment.command(f'projects delete {name}')}   # then create it again"
    project = _follow(environment, output, name, wait=wait, interval=interval, if_it_fails=again)
    if project and not project.in_progress:
        upload = environment.command(f"--project {name} upload FOLDER")
        output.next(upload, "class folders of images; a run starts by itself")


def update(
    environment: Environment, output: Output, *, name: str, settings: Mapping[str, str], unset: Sequence[str],
    wait: bool, interval: float,
) -> None:  # fmt: skip
    """All parameters are sent: one that is not named would fall back to the template's default."""
    project = read_project(environment, name)
    if project.template_url is None:
        raise SetupError(f"the project {name} was made from Service Catalog", hint="update it there, or in Studio")
    unknown = sorted(set(unset) - project.parameters.keys())
    if unknown:
        raise UsageError(
            f"the project {name} has no {', '.join(unknown)} to unset",
            hint=f"it has {', '.join(sorted(project.parameters)) or 'nothing but defaults'}",
        )
    kept = {key: value for key, value in project.parameters.items() if key not in unset}
    provider = _provider(read_catalog(environment), kept | dict(settings))
    with environment.doing(f"updating the project {name}"):
        environment.client("sagemaker").update_project(
            ProjectName=name, TemplateProvidersToUpdate=[{"CfnTemplateProvider": provider}]
        )
    again = f"{environment.command(f'projects update {name} --set …')}   # the project is as it was before"
    _follow(environment, output, name, wait=wait, interval=interval, if_it_fails=again)


def delete(environment: Environment, output: Output, *, name: str, wait: bool, interval: float) -> None:
    read_project(environment, name)
    with environment.doing(f"deleting the project {name}"):
        environment.client("sagemaker").delete_project(ProjectName=name)
    again = f"{environment.command(f'projects delete {name}')}   # tries again, once what hinders it is gone"
    _follow(environment, output, name, wait=wait, interval=interval, if_it_fails=again)


def show_projects(environment: Environment, output: Output) -> None:
    """Those that are there; AWS lists deleted ones for a while."""
    with environment.doing("listing projects"):
        items = [item for item in _summaries(environment) if item["ProjectStatus"] != GONE]
    now = datetime.now(UTC)
    rows = [
        (item["ProjectName"], item["ProjectStatus"], when(item["CreationTime"], now), item["ProjectId"],
         item.get("ProjectDescription", ""))
        for item in items
    ]  # fmt: skip
    data = [
        {"name": item["ProjectName"], "id": item["ProjectId"], "status": item["ProjectStatus"],
         "created": iso(item["CreationTime"]), "description": item.get("ProjectDescription") or None}
        for item in items
    ]  # fmt: skip
    if not items:
        output.note("no project yet")
    if items or output.as_json:
        output.table(COLUMNS, rows, data)
    output.next(environment.command("projects show NAME" if items else "projects create NAME"))


def _summaries(environment: Environment) -> Iterator[dict[str, Any]]:
    """boto3 has no paginator for this call."""
    sagemaker = environment.client("sagemaker")
    request = {"SortBy": "Name", "SortOrder": "Ascending"}
    while True:
        answer = sagemaker.list_projects(**request)
        yield from answer["ProjectSummaryList"]
        if "NextToken" not in answer:
            return
        request["NextToken"] = answer["NextToken"]


def show_project(environment: Environment, output: Output, *, name: str) -> None:
    project = read_project(environment, name)
    _print(project, output)
    if project.status in USABLE:
        output.next(environment.command(f"--project {name} status"))


def read_project(environment: Environment, name: str) -> Project:
    """Raises NotFound, also of a project that was deleted."""
    with environment.doing(f"reading the project {name}"):
        project = _described(environment, name)
    if project is None:
        raise NotFound(f"there is no project {name} in {environment.region}", hint=environment.command("projects list"))
    return project


def _described(environment: Environment, name: str) -> Project | None:
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


def _provider(catalog: Catalog, settings: Mapping[str, str]) -> dict[str, Any]:
    parameters = [{"Key": key, "Value": value} for key, value in settings.items()]
    return {"TemplateName": TEMPLATE, "TemplateURL": catalog.template_url, "Parameters": parameters}


def _follow(
    environment: Environment, output: Output, name: str, *, wait: bool, interval: float, if_it_fails: str
) -> Project | None:
    """Waits for the end of what goes on, and prints the project; None once it is deleted."""
    noted = ""
    while True:
        with environment.doing(f"reading the project {name}"):
            project = _described(environment, name)
        if project is None:
            output.note(f"{name} is deleted")
            if output.as_json:
                output.json({"name": name, "status": GONE})
            return None
        if project.status != noted:
            noted = project.status
            output.note(f"{name} is {noted}{' …' if project.in_progress else ''}")
        if not wait or not project.in_progress:
            break
        time.sleep(interval)
    if project.status.endswith("Failed"):
        raise ProjectFailed(f"the project {name} is {project.status}: {project.message}", hint=if_it_fails)
    _print(project, output)
    if project.in_progress:
        output.next(environment.command(f"projects show {name}"))
    return project


def _print(project: Project, output: Output) -> None:
    lines = {
        "name": project.name,
        "status": project.status + (f": {project.message}" if project.status.endswith("Failed") else ""),
        "created": when(project.created, datetime.now(UTC)),
        "id": project.id,
        "stack": project.stack or "-",
        "template": project.template_url or "a product of Service Catalog",
        **{f"  {key}": value for key, value in project.parameters.items()},
    }
    if project.description:
        lines["description"] = project.description
    output.facts(lines, project.as_data())
