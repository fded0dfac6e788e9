"""`headrace adopt`: a new stack takes over what a destroyed one left: the data, its key and the model registry.

CloudFormation creates a new bucket, key and group, or fails because the name is taken, unless it imports
the existing ones: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import.html. The import
makes a stack of nothing but them, changes none of them, and the next `cdk deploy` adds all the rest.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import WaiterError

from headrace.client.environment import Environment
from headrace.commands import cdk
from headrace.commands.command import command
from headrace.errors import SetupError
from headrace.terminal.output import Output

GROUP = "AWS::SageMaker::ModelPackageGroup"
BUCKET = "AWS::S3::Bucket"
_CHANGE_SET = "headrace-adopt"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the destroyed stack left in place; the physical id is what AWS calls it."""

    logical_id: str
    type: str
    physical_id: str


@command(
    "adopt", 'The data bucket, its key and the model registry, which removal = "retain" keeps. To be followed by a '
    "deployment, which adds the rest.", takes_project=False,
)  # fmt: skip
def adopt(environment: Environment, output: Output) -> None:
    """Make a stack of what the last destroyed one retained.

    Raises:
        SetupError: there is a stack, none was destroyed in the last 90 days, it left nothing, or CloudFormation
            refuses.
    """
    name = environment.stack_name
    with environment.doing(f"removing a stack {name} that could not be created"):
        _remove_failed(environment, output)
    with environment.doing(f"looking for what {name} left behind"):
        kept = _kept(environment)
    for item in kept:
        output.note(f"kept: {item.type} {item.physical_id}")
    output.note("cdk synth …")
    synthesized = _synthesized(environment)
    kept = list(_still_declared(kept, synthesized, output))
    template = _import_template(synthesized, kept, _policy_reader(environment))
    with environment.doing(f"importing them into a new stack {name}"):
        _import(environment, template, kept)
    if output.as_json:
        output.json({"stack": name, "adopted": {item.logical_id: item.physical_id for item in kept}})
    output.note(f"the stack {name} holds them again, and nothing else yet")
    output.next(environment.deploy_command, "adds the rest; an approved model is served again")


def _remove_failed(environment: Environment, output: Output) -> None:
    """One that was deployed without adopting fails, since names are taken. It holds nothing, and is in the way."""
    name, cloudformation = environment.stack_name, environment.client("cloudformation")
    stack = environment.find_stack(name)
    if stack is None or stack["StackStatus"] != "ROLLBACK_COMPLETE":
        return
    output.note(f"removing the stack {name}, which could not be created …")
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName=name)
    waiting = {"Delay": 2, "MaxAttempts": 300}
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack["StackId"], WaiterConfig=waiting)


def _kept(environment: Environment) -> list[Kept]:
    """From the events of the deleted stacks of that name, which CloudFormation keeps for 90 days."""
    name, cloudformation = environment.stack_name, environment.client("cloudformation")
    stack = environment.find_stack(name)
    if stack and stack["StackStatus"] != "REVIEW_IN_PROGRESS":  # that is what an import that was refused leaves
        raise SetupError(
            f"there is a stack {name} ({stack['StackStatus']}): nothing is to be adopted",
            hint=environment.command("status"),
        )
    deleted = [
        stack
        for page in cloudformation.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
        for stack in page["StackSummaries"]
        if stack["StackName"] == name
    ]
    if not deleted:
        raise SetupError(
            f"no stack {name} was destroyed in {environment.region} within 90 days", hint=environment.deploy_command
        )
    newest_first = sorted(deleted, key=lambda stack: stack["CreationTime"], reverse=True)
    left = [_left_by(cloudformation, stack["StackId"]) for stack in newest_first]
    # A deployment that was tried without adopting leaves an empty bucket or a key: the one with the registry is meant.
    for kind in (GROUP, BUCKET):
        for kept in left:
            if any(item.type == kind for item in kept):
                return kept
    raise SetupError(
        f"the destroyed stacks {name} left nothing behind: no bucket and no registry", hint=environment.deploy_command
    )


def _left_by(cloudformation: Any, stack_id: str) -> list[Kept]:
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    kept = {
        event["LogicalResourceId"]: Kept(event["LogicalResourceId"], event["ResourceType"], event["PhysicalResourceId"])
        for page in pages
        for event in page["StackEvents"]
        if event["ResourceStatus"] == "DELETE_SKIPPED"
    }
    return sorted(kept.values(), key=lambda item: item.logical_id)


def _synthesized(environment: Environment) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        cdk.synthesize(environment, Path(folder))
        template: Mapping[str, Any] = json.loads((Path(folder) / f"{environment.stack_name}.template.json").read_text())
    return template


def _still_declared(kept: list[Kept], synthesized: Mapping[str, Any], output: Output) -> Iterator[Kept]:
    """All but the registries of model lines that environments.toml no longer declares, which stay as they are."""
    for item in kept:
        if (
            item.type == GROUP
            and item.logical_id.startswith("Line")
            and item.logical_id not in synthesized["Resources"]
        ):
            output.note(f"left: {item.physical_id}, whose model line is not declared in environments.toml")
        else:
            yield item


def _policy_reader(environment: Environment) -> Callable[[str], Any]:
    def read(bucket: str) -> Any:
        with environment.doing(f"reading the policy of the bucket {bucket}"):
            return json.loads(environment.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])

    return read


def _import_template(
    synthesized: Mapping[str, Any], kept: list[Kept], read_policy: Callable[[str], Any]
) -> dict[str, Any]:
    """Each kept resource under its name in the app's template, with the properties that CloudFormation asks for.

    The others refer to queues and roles that are not there yet. They come with the next deployment, as an update.
    """
    resources = {}
    for item in kept:
        declared = synthesized["Resources"].get(item.logical_id)
        if declared is None or declared["Type"] != item.type:
            raise SetupError(
                f"{item.type} {item.physical_id} was kept as {item.logical_id}, which the app no longer has",
                hint="check out the version that was deployed, adopt with it, then deploy the new one",
            )
        properties = {}
        if item.type == "AWS::S3::BucketPolicy":
            bucket = _bucket(kept)
            properties = {"Bucket": bucket, "PolicyDocument": read_policy(bucket)}
        elif item.type == GROUP:
            properties = {"ModelPackageGroupName": declared["Properties"]["ModelPackageGroupName"]}
        resources[item.logical_id] = {
            "Type": item.type,
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": properties,
        }
    return {"Resources": resources}


def _identifier(item: Kept, kept: list[Kept]) -> dict[str, str]:
    """The primary identifier that the type's schema names."""
    match item.type:
        case "AWS::KMS::Key":
            return {"KeyId": item.physical_id}
        case kind if kind == BUCKET:
            return {"BucketName": item.physical_id}
        case "AWS::S3::BucketPolicy":
            return {"Bucket": _bucket(kept)}
        case kind if kind == GROUP:
            return {"ModelPackageGroupArn": item.physical_id}
    raise SetupError(
        f"{item.type} {item.physical_id} was kept, and adopt does not know this type",
        hint="import it with CloudFormation, or delete it",
    )


def _bucket(kept: list[Kept]) -> str:
    return next(item.physical_id for item in kept if item.type == BUCKET)


def _import(environment: Environment, template: dict[str, Any], kept: list[Kept]) -> None:
    name, cloudformation = environment.stack_name, environment.client("cloudformation")
    change = {"StackName": name, "ChangeSetName": _CHANGE_SET}
    cloudformation.create_change_set(
        **change,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(template),
        ResourcesToImport=[
            {
                "ResourceType": item.type,
                "LogicalResourceId": item.logical_id,
                "ResourceIdentifier": _identifier(item, kept),
            }
            for item in kept
        ],
    )
    patience = {"Delay": 2, "MaxAttempts": 300}
    try:
        cloudformation.get_waiter("change_set_create_complete").wait(**change, WaiterConfig=patience)
        cloudformation.execute_change_set(**change)
        cloudformation.get_waiter("stack_import_complete").wait(StackName=name, WaiterConfig=patience)
    except WaiterError as error:
        said = error.last_response
        reason = said.get("StatusReason") or said.get("Stacks", [{}])[0].get("StackStatusReason") or str(error)
        cloudformation.delete_change_set(**change)
        raise SetupError(
            f"CloudFormation does not import what {name} left: {reason}",
            hint=f"nothing was changed: see the events of the stack {name}, then try again",
        ) from error
