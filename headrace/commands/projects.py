"""SageMaker projects of the published template: `headrace projects`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
from botocore.exceptions import ClientError

from headrace.client.catalog import Catalog, read_catalog
from headrace.client.environment import Environment
from headrace.client.projects import GONE, USABLE, Project, described, read_project
from headrace.commands.command import command, command_group
from headrace.commands.parameters import interval_option, project_name, set_option
from headrace.errors import ProjectFailed, SetupError, UsageError
from headrace.formats import iso, when
from headrace.project.folder import PROJECT
from headrace.terminal.output import Output

TEMPLATE = PROJECT  # what a project calls it
COLUMNS = ("name", "status", "created", "id", "description")
_GROUP = command_group(
    "projects",
    "A project is all of this once more, for another team or another data set: its own bucket, pipeline, models "
    "and endpoint. `headrace publish` makes the template; Studio shows it as well. Then --project NAME has the "
    "other commands work on it.",
)
action = partial(command, group=_GROUP, takes_project=False)
NAME = click.argument("name", type=project_name, metavar="NAME", help="the project's name")
SET = set_option("settings", metavar="KEY=VALUE", text="a parameter of the template")
WAIT = click.option("--wait/--no-wait", default=True, help="wait for the end (default: yes)")


@action("list", "With status, creation, id and description.", short="list the projects")
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


@action("show", "With its stack, its parameters, and why it failed if it did.", short="show one project")
@NAME
def show_project(environment: Environment, output: Output, *, name: str) -> None:
    project = read_project(environment, name)
    _print(project, output)
    if project.status in USABLE:
        output.next(environment.command(f"--project {name} status"))


@action(
    "create", "With the launch role's permissions, not your own. Waits until it is complete.",
    short="create a project of the template that was published last",
)  # fmt: skip
@click.option("--description", default="", metavar="TEXT", help="what it is for")
@SET
@NAME
@WAIT
@interval_option()
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


@action(
    "update", "Parameters that are not named keep their values.",
    short="change a project's parameters, and bring it to the template that was published last",
)  # fmt: skip
@SET
@click.option(
    "--unset", multiple=True, metavar="KEY", help="give a parameter the template's default again; may be repeated"
)
@NAME
@WAIT
@interval_option()
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


@action(
    "delete", "Its stack goes. Its data and its models go with it or stay, as removal under [projects] in "
    "environments.toml said when the template was published.",
    short="delete a project",
)  # fmt: skip
@NAME
@WAIT
@interval_option()
def delete(environment: Environment, output: Output, *, name: str, wait: bool, interval: float) -> None:
    read_project(environment, name)
    with environment.doing(f"deleting the project {name}"):
        environment.client("sagemaker").delete_project(ProjectName=name)
    again = f"{environment.command(f'projects delete {name}')}   # tries again, once what hinders it is gone"
    _follow(environment, output, name, wait=wait, interval=interval, if_it_fails=again)


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
            project = described(environment, name)
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
