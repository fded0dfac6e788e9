"""Projects from a CloudFormation template in S3: create, describe, list, update and delete.

A call answers at once, and `Provisioning` has CloudFormation make the project's stack. SageMaker calls it in the name
of the caller, who needs CloudFormation's permissions on that stack, read access to the template and iam:PassRole on the
launch role (aws-samples/sagemaker-custom-project-templates: cfn-stack-sm-projects.json, and the README beside it).
A deleted project stays described and listed, as DeleteCompleted (Terraform's aws_sagemaker_project depends on it).
"""

import secrets
import string
import time
from typing import Any

from local_cloud.sagemaker.core import arns, tags
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.context import Context, Operations
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.paging import page, pick
from local_cloud.sagemaker.core.statuses import ProjectStatus
from local_cloud.sagemaker.core.store import Document
from local_cloud.sagemaker.projects.provisioning import GIVEN, Provisioning, stack_name, template_location

_CLOUDFORMATION = "cloudformation.amazonaws.com"
_ID_CHARACTERS = string.ascii_lowercase + string.digits
_UPDATABLE = (ProjectStatus.CREATE_COMPLETED, ProjectStatus.UPDATE_COMPLETED, ProjectStatus.UPDATE_FAILED)
_BUSY = (
    ProjectStatus.PENDING,
    ProjectStatus.CREATE_IN_PROGRESS,
    ProjectStatus.UPDATE_IN_PROGRESS,
    ProjectStatus.DELETE_IN_PROGRESS,
    ProjectStatus.DELETE_COMPLETED,
)


class Projects:
    """Projects: create, describe, update, delete, list."""

    def __init__(self, context: Context, provisioning: Provisioning) -> None:
        self._context, self._store, self._provisioning = context, context.store, provisioning

    def operations(self) -> Operations:
        return {
            "CreateProject": self._create,
            "DescribeProject": self._describe,
            "ListProjects": self._list,
            "UpdateProject": self._update,
            "DeleteProject": self._delete,
        }

    def _existing(self, call: Call, name: str) -> Document:
        project = self._store.get(call.scope, DocumentKind.PROJECT, name)
        if project is None:
            raise ValidationException(f"Project {name} does not exist.")
        return project

    def _authorize(self, call: Call, action: str, project: Document, template: dict[str, Any]) -> None:
        """The permissions that CloudFormation asks of the caller."""
        name = stack_name(project)
        stack = f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:stack/{name}/*"
        call.authorize(f"cloudformation:{action}Stack", stack, **{"cloudformation:rolearn": project["RoleARN"]})
        if template:
            bucket, key = template_location(template["TemplateURL"], self._context.cloud.gateway.endpoint)
            call.authorize("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")

    def _create(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        template = request.get("TemplateProviders", [{}])[0].get("CfnTemplateProvider")
        if template is None or "RoleARN" not in template:
            raise ValidationException("The local cloud serves projects of one CfnTemplateProvider with a RoleARN only.")
        name, now = request["ProjectName"], time.time()
        arn = arns.arn(call.scope, "project", name)
        identifier = "p-" + "".join(secrets.choice(_ID_CHARACTERS) for _ in range(12))
        project = pick(request, "ProjectName", "ProjectDescription") | {
            "ProjectArn": arn,
            "ProjectId": identifier,
            "ProjectStatus": ProjectStatus.CREATE_IN_PROGRESS,
            "CreationTime": now,
            "LastModifiedTime": now,
            "RoleARN": template["RoleARN"],
            "Template": _template(template, _checked_parameters(template.get("Parameters", []))),
        }
        call.authorize("iam:PassRole", template["RoleARN"], **{"iam:passedtoservice": _CLOUDFORMATION})
        self._authorize(call, "Create", project, template)
        self._context.cloud.require_trust(template["RoleARN"], _CLOUDFORMATION, arn)
        with self._store.transaction():
            known = self._store.get(call.scope, DocumentKind.PROJECT, name)
            if known is not None and known["ProjectStatus"] != ProjectStatus.DELETE_COMPLETED:
                raise ValidationException(
                    f"Project names must be unique within an AWS account and region. Project with name ({name}) "
                    "already exists."
                )
            tags.delete(self._store, call.scope, arn)  # those of a deleted project of that name
            tags.tag_on_create(self._store, call, arn, request)
            self._store.put(call.scope, DocumentKind.PROJECT, name, project | {"Tags": request.get("Tags", [])})
        self._provisioning.begin(call.scope, name)
        return {"ProjectArn": arn, "ProjectId": identifier}

    def _describe(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        project = self._existing(call, request["ProjectName"])
        detail = project["Template"] | {"RoleARN": project["RoleARN"]}
        if "Stack" in project:
            detail["StackDetail"] = project["Stack"]
        shown = pick(project, "ProjectArn", "ProjectName", "ProjectId", "ProjectDescription", "ProjectStatus",
                        "CreationTime", "LastModifiedTime")  # fmt: skip
        return shown | {"TemplateProviderDetails": [{"CfnTemplateProviderDetail": detail}]}

    def _list(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        members = ("ProjectName", "ProjectDescription", "ProjectArn", "ProjectId", "CreationTime", "ProjectStatus")
        found = [pick(project, *members) for project in self._store.find(call.scope, DocumentKind.PROJECT)
                 if request.get("NameContains", "") in project["ProjectName"]]  # fmt: skip
        return page(found, request, "ProjectSummaryList", newest_first=False)

    def _update(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ProjectName"]
        changes: dict[str, Any] = pick(request, "ProjectDescription")
        with self._store.transaction():
            project = self._existing(call, name)
            if project["ProjectStatus"] not in _UPDATABLE:
                raise ValidationException(f"Cannot update Project in {project['ProjectStatus']} status.")
            provider = request.get("TemplateProvidersToUpdate", [{}])[0].get("CfnTemplateProvider")
            if provider is not None:
                changes |= {"NextTemplate": _next_template(project["Template"], provider)}
                changes |= {"ProjectStatus": ProjectStatus.UPDATE_IN_PROGRESS}
                self._authorize(call, "Update", project, provider)
            self._store.update(call.scope, DocumentKind.PROJECT, name, **changes, LastModifiedTime=time.time())
        if provider is not None:
            self._provisioning.begin(call.scope, name)
        return {"ProjectArn": project["ProjectArn"]}

    def _delete(self, call: Call, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ProjectName"]
        with self._store.transaction():
            project = self._existing(call, name)
            if project["ProjectStatus"] in _BUSY:
                raise ValidationException(f"Cannot delete Project in {project['ProjectStatus']} status.")
            self._authorize(call, "Delete", project, {})
            self._store.update(
                call.scope,
                DocumentKind.PROJECT,
                name,
                ProjectStatus=ProjectStatus.DELETE_IN_PROGRESS,
                LastModifiedTime=time.time(),
            )
        self._provisioning.begin(call.scope, name)
        return {}


def _checked_parameters(parameters: list[dict[str, str]]) -> list[dict[str, str]]:
    for parameter in parameters:
        if parameter["Key"] in GIVEN:
            raise ValidationException(f"SageMaker itself gives the template its parameter {parameter['Key']}.")
    return parameters


def _template(provider: dict[str, Any], parameters: list[dict[str, str]]) -> dict[str, Any]:
    return {name: provider[name] for name in ("TemplateName", "TemplateURL")} | {"Parameters": parameters}


def _next_template(current: dict[str, Any], provider: dict[str, Any]) -> dict[str, Any]:
    """A parameter without a value keeps the one it has; one that is not named falls back to the template's default."""
    if provider["TemplateName"] != current["TemplateName"]:
        raise ValidationException(f"The project has no template {provider['TemplateName']}; it has "
                                  f"{current['TemplateName']}.")  # fmt: skip
    had = {parameter["Key"]: parameter for parameter in current["Parameters"]}
    given = _checked_parameters(provider.get("Parameters", []))
    return _template(provider, [item if "Value" in item else had.get(item["Key"], item) for item in given])
