"""What can be asked of an account before anything costs, and of the stack as it is deployed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from headrace.commands.doctor import findings as doctors
from headrace.commands.doctor.deployment import check_functions
from headrace.commands.doctor.images import check_images
from headrace.commands.doctor.quotas import check_quotas, check_vpcs
from headrace.commands.doctor.zones import check_zones
from tests.conformance.checks import Check, DidNotHold, NotChecked
from tests.conformance.preparation import deploy
from tests.conformance.world import World


def has_account(world: World) -> str:
    identity = world.ask("sts", "get_caller_identity")
    if identity["Account"] != world.environment.account:
        raise DidNotHold(f"the credentials are of another account than {world.environment.account}")
    return f"region {world.environment.region}"


def doctor(*checks: doctors.Check) -> Callable[[World], str]:
    """What `headrace doctor` finds: a problem of its does not hold, with its cure."""

    def act(world: World) -> str:
        findings = [finding for check in checks for finding in check(world.environment)]
        world.recorder.record("doctor", [asdict(finding) for finding in findings])
        problems = [finding for finding in findings if finding.result is doctors.Result.PROBLEM]
        if problems:
            raise DidNotHold("; ".join(f"{finding.found} ({finding.hint})" for finding in problems))
        seen = [finding.found for finding in findings if finding.result is doctors.Result.OK]
        if not seen:
            said = [finding.found for finding in findings]
            raise NotChecked("; ".join(said) or "it has no effect with these settings")
        return "; ".join(seen)

    return act


def is_deployed(world: World) -> str:
    began = time.monotonic()
    world.deployed = True
    deploy(world.environment)
    world.recorder.record("stack", world.environment.find_stack(world.environment.stack_name))
    return f"{world.environment.stack.status} after {time.monotonic() - began:.0f} s"


def takes_definition(world: World) -> str:
    described = world.ask("sagemaker", "describe_pipeline", PipelineName=world.environment.stack.pipeline)
    if described["PipelineStatus"] != "Active":
        raise DidNotHold(f"the pipeline is {described['PipelineStatus']}")
    return f"{len(described['PipelineDefinition']):,} characters, {len(definition_of(world)['Steps'])} steps"


def takes_second_pipeline(world: World) -> str:
    """D6: after Create and Delete, the same content is created again, and not answered as a repetition."""
    sagemaker, stack = world.environment.client("sagemaker"), world.environment.stack
    described = sagemaker.describe_pipeline(PipelineName=stack.pipeline)
    name = f"{stack.pipeline}-conformance"
    request = {
        "PipelineName": name, "PipelineDefinition": described["PipelineDefinition"], "RoleArn": described["RoleArn"],
    }  # fmt: skip
    for _ in range(2):
        world.ask("sagemaker", "create_pipeline", **request)
        try:
            world.ask("sagemaker", "describe_pipeline", PipelineName=name)
        except sagemaker.exceptions.ResourceNotFound as error:
            raise DidNotHold("CreatePipeline with the content of a deleted pipeline answers, and makes none") from error
        world.ask("sagemaker", "delete_pipeline", PipelineName=name)
    return "created, deleted and created again with the same content"


def may_register(world: World) -> str:
    """D2: the resources that CreateModelPackage is checked against."""
    stack = world.environment.stack
    role = world.environment.client("sagemaker").describe_pipeline(PipelineName=stack.pipeline)["RoleArn"]
    prefix = f"arn:aws:sagemaker:{world.environment.region}:{world.environment.account}"
    status = {
        "ContextKeyName": "sagemaker:ModelApprovalStatus",
        "ContextKeyValues": ["PendingManualApproval"],
        "ContextKeyType": "string",
    }
    decisions = {}
    for kind, name in (("model-package", "/1"), ("model-package-group", "")):
        answer = world.ask(
            "iam", "simulate_principal_policy", PolicySourceArn=role, ActionNames=["sagemaker:CreateModelPackage"],
            ResourceArns=[f"{prefix}:{kind}/{stack.model_package_group}{name}"], ContextEntries=[status],
        )  # fmt: skip
        decisions[kind] = answer["EvaluationResults"][0]["EvalDecision"]
    if decisions["model-package"] != "allowed":
        raise DidNotHold(f"{decisions}")
    return f"{decisions}: RegisterModel has succeeded, so the group's is not asked"


def takes_group_policy(world: World) -> str:
    """D22: the registry's policy for environments that promote, on a group that is made for it and deleted."""
    name = f"{world.environment.stack_name}-conformance"
    prefix = f"arn:aws:sagemaker:{world.environment.region}:{world.environment.account}"
    statement = {
        "Sid": "Promote", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{world.environment.account}:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
        "Resource": f"{prefix}:model-package/{name}/*",
        "Condition": {"StringEquals": {"aws:PrincipalArn": f"arn:aws:iam::{world.environment.account}:role/{name}"}},
    }  # fmt: skip
    world.ask("sagemaker", "create_model_package_group", ModelPackageGroupName=name)
    world.cleanup.append(
        ("the group", lambda: world.ask("sagemaker", "delete_model_package_group", ModelPackageGroupName=name))
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    world.ask("sagemaker", "put_model_package_group_policy", ModelPackageGroupName=name, ResourcePolicy=policy)
    held = world.ask("sagemaker", "get_model_package_group_policy", ModelPackageGroupName=name)["ResourcePolicy"]
    if json.loads(held)["Statement"][0].get("Condition") != statement["Condition"]:
        raise DidNotHold(f"the policy that is held has another condition: {held}")
    return "the group holds the policy with its condition"


def definition_of(world: World) -> dict[str, list[object]]:
    name = world.environment.stack.pipeline
    definition: dict[str, list[object]] = json.loads(
        world.environment.client("sagemaker").describe_pipeline(PipelineName=name)["PipelineDefinition"]
    )
    return definition


BEFORE = (
    Check("account", "the credentials are of the environment's account", has_account),
    Check("quotas", "the quotas suffice for jobs and for an update of the endpoint", doctor(check_quotas, check_vpcs)),
    Check("concurrency", "Lambda may run enough functions at once", doctor(check_functions)),
    Check("zones", "the zones of a VPC have the instance types", doctor(check_zones)),
    Check("images", "the images of jobs and endpoint exist and may be pulled", doctor(check_images)),
    Check("deploy", "CloudFormation makes every resource of the template", is_deployed),
)  # fmt: skip
# The trigger makes the pipeline when the first data set has come.
PIPELINE = (
    Check("definition", "CreatePipeline takes the bound definition", takes_definition),
    Check("create-again", "a deleted pipeline is created again with the same content", takes_second_pipeline),
    Check("group-policy", "a group takes a policy with a condition on aws:PrincipalArn", takes_group_policy),
    Check("register-permission", "IAM checks CreateModelPackage against the version's ARN", may_register,
          aws_only="the local cloud's policy simulator takes no context keys; the run above has registered a version"),
)  # fmt: skip
