"""What can be asked of an account before anything costs, and of the stack as it is deployed."""

from __future__ import annotations

import json
import time

from tests.conformance.checks import Check, DidNotHold
from tests.conformance.preparation import deploy
from tests.conformance.world import World

DLC = "763104351884"  # AWS's registry of Deep Learning Containers in most regions


def has_account(world: World) -> str:
    identity = world.ask("sts", "get_caller_identity")
    if identity["Account"] != world.environment.account:
        raise DidNotHold(f"the credentials are of another account than {world.environment.account}")
    return f"region {world.environment.region}"


def has_quotas(world: World) -> str:
    """D14: an update of an endpoint needs twice its instances."""
    settings, pipeline = world.settings, world.settings.pipeline
    spot, on_demand = pipeline.capacity in ("spot", "both"), pipeline.capacity != "spot"
    wanted = {f"{pipeline.processing_instance_type} for processing job usage": 1}
    if spot:
        wanted[f"{pipeline.train_instance_type} for spot training job usage"] = pipeline.train_instance_count
    if on_demand:
        wanted[f"{pipeline.train_instance_type} for training job usage"] = pipeline.train_instance_count
    wanted[f"{settings.endpoint_instance_type} for endpoint usage"] = 2 * settings.endpoint_instance_count
    quotas = {
        quota["QuotaName"]: quota["Value"]
        for quota in world.every("service-quotas", "list_service_quotas", "Quotas", ServiceCode="sagemaker")
    }
    lacking = [
        f"{name}: {quotas.get(name)} of {least}" for name, least in wanted.items() if quotas.get(name, 0) < least
    ]
    if lacking:
        raise DidNotHold(f"to be raised in Service Quotas: {', '.join(lacking)}")
    return ", ".join(f"{name}: {quotas[name]:.0f}" for name in wanted)


def has_concurrency(world: World) -> str:
    """D23: a new account has 10."""
    limit = world.ask("lambda", "get_account_settings")["AccountLimit"]["ConcurrentExecutions"]
    if limit < 50:
        raise DidNotHold(f"{limit} concurrent executions: a burst of uploads may be throttled into the dead letters")
    return f"{limit} concurrent executions"


def has_images(world: World) -> str:
    """Of AWS's own registry, which lets everybody pull, and so call BatchGetImage, and nothing else."""
    settings = world.settings
    names = {settings.processing_image, settings.training_image, settings.inference_image}
    own = sorted(name.partition("@")[0] for name in names if ".dkr.ecr." not in name)
    for name in own:
        repository, _, tag = name.partition(":")
        answer = world.ask(
            "ecr", "batch_get_image", registryId=DLC, repositoryName=repository, imageIds=[{"imageTag": tag}]
        )
        if not answer["images"]:
            raise DidNotHold(f"{name}: {answer['failures']}")
    return ", ".join(own)


def has_zones(world: World) -> str:
    """D10: use1-az3 lacks most instance types."""
    zones = world.ask("ec2", "describe_availability_zones")["AvailabilityZones"]
    first = [(zone["ZoneName"], zone["ZoneId"]) for zone in zones[:2]]
    if any(zone == "use1-az3" for _, zone in first):
        raise DidNotHold(f"{first}: set availability_zones in environments.toml before network_access = vpc")
    return f"{first}"


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
    Check("quotas", "the quotas suffice for the jobs and for an update of the endpoint", has_quotas),
    Check("concurrency", "Lambda may run enough functions at once", has_concurrency),
    Check("zones", "the first two zones have the instance types", has_zones),
    Check("images", "the images of jobs and endpoint exist and may be pulled", has_images),
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
