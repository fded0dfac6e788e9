"""Checks of an endpoint: an approval creates it, it answers, and a model that cannot be loaded is rolled back."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

from botocore.exceptions import ClientError

from headrace.client.endpoint import Endpoint, read_endpoint, wait_for_endpoint
from headrace.client.model_packages import APPROVED, REJECTED, find_model
from headrace.commands.decision import write_decision
from tests.conformance.checks import Check, DidNotHold, NotChecked
from tests.conformance.world import World

UPDATE_SECONDS = 1800
BROKEN = b"""
def model_fn(model_dir):
    raise RuntimeError("this model cannot be loaded")
"""


def serves_model(world: World) -> str:
    if world.model is None:
        raise NotChecked("no version has been registered")
    write_decision(world.environment, world.model.arn, APPROVED, "headrace conformance")
    endpoint = wait_for_endpoint(world.environment, seconds=UPDATE_SECONDS)
    world.served = True
    world.ask("sagemaker", "describe_endpoint", EndpointName=endpoint.name)
    assert world.image is not None
    answer = world.environment.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint.name, ContentType="image/png", Body=world.image.read_bytes()
    )
    body = json.loads(answer["Body"].read())
    world.recorder.record("invoke_endpoint", {"ContentType": answer["ContentType"], "Body": body})
    if body["predictions"][0]["label"] != "red":
        raise DidNotHold(f"a red image is said to be {body['predictions'][0]}")
    return f"version {endpoint.version} is in service and answers"


def refuses_image(world: World) -> str:
    """C6: the server's status for the caller's fault."""
    need_endpoint(world)
    try:
        world.ask(
            "sagemaker-runtime", "invoke_endpoint", EndpointName=world.environment.stack.endpoint,
            ContentType="image/png", Body=b"no image",
        )  # fmt: skip
    except ClientError as error:
        status = error.response.get("OriginalStatusCode")
        if status != 400:
            raise DidNotHold(f"{error.response['Error']['Code']}, status {status} of the container") from error
        return f"{error.response['Error']['Code']}, status 400 of the container"
    raise DidNotHold("the endpoint answered a request whose body is not an image")


def rolls_back(world: World) -> str:
    """C2: TorchServe may say that it is well before a model has been loaded."""
    need_endpoint(world)
    assert world.model is not None
    before = look(world)
    arn = register_broken(world)
    world.cleanup.append(
        ("the broken version", lambda: world.ask("sagemaker", "delete_model_package", ModelPackageName=arn))
    )
    write_decision(world.environment, arn, APPROVED, "headrace conformance: a model_fn that raises")
    broken = find_model(world.environment, "latest").version
    world.wait(lambda: look(world).status != "InService" or look(world).version == broken, seconds=300)
    world.wait(lambda: look(world).status in ("InService", "Failed"), seconds=UPDATE_SECONDS)
    # deploy_model sends the model a few requests, half a minute apart, before it gives up; then comes a second update.
    world.wait(lambda: serves(world, before.version), seconds=300 + UPDATE_SECONDS)
    after = look(world)
    world.ask("sagemaker", "describe_endpoint", EndpointName=after.name)
    if after.status != "InService" or after.version != before.version:
        raise DidNotHold(f"the endpoint is {after.status} with version {after.version}, whose model_fn raises")
    return f"version {after.version} is served"


def serves(world: World, version: int | None) -> bool:
    found = look(world)
    return found.status == "InService" and found.version == version


def goes_back(world: World) -> str:
    need_endpoint(world)
    assert world.model is not None
    newest = find_model(world.environment, "latest")
    if newest.version == world.model.version:
        raise NotChecked("there is no second version to reject")
    write_decision(world.environment, newest.arn, REJECTED, "headrace conformance")
    endpoint = wait_for_endpoint(world.environment, seconds=UPDATE_SECONDS)
    if endpoint.version != world.model.version:
        raise DidNotHold(f"version {endpoint.version} is served, and {world.model.version} is approved")
    return f"version {endpoint.version} is served"


def need_endpoint(world: World) -> None:
    if not world.served:
        raise NotChecked("no endpoint is in service")


def look(world: World) -> Endpoint:
    endpoint = read_endpoint(world.environment)
    if endpoint is None:
        raise DidNotHold("the endpoint is gone")
    return endpoint


def register_broken(world: World) -> str:
    """A version whose code raises in model_fn, stored as a run stores its own."""
    assert world.model is not None
    sagemaker, s3 = world.environment.client("sagemaker"), world.environment.client("s3")
    package = sagemaker.describe_model_package(ModelPackageName=world.model.arn)
    specification = package["InferenceSpecification"]
    bucket, _, key = specification["Containers"][0]["ModelDataUrl"].removeprefix("s3://").partition("/")
    content = with_broken_code(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    sha256 = hashlib.sha256(content).hexdigest()
    key = f"runs/{sha256[:12]}/evaluate/winner/model.tar.gz"
    s3.put_object(Bucket=bucket, Key=key, Body=content)
    judged = {"ModelDataUrl": f"s3://{bucket}/{key}", "Sha256": sha256, "Bytes": len(content)}
    answer = world.environment.client("lambda").invoke(FunctionName=store_model(world), Payload=json.dumps(judged))
    stored = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise DidNotHold(f"the function StoreModel failed: {stored}")
    specification["Containers"] = [
        {name: value for name, value in specification["Containers"][0].items() if name != "ImageDigest"}
        | {"ModelDataUrl": stored["ModelDataUrl"]}
    ]
    recorded = {"ArtifactSha256": sha256, "ArtifactBytes": str(len(content)), "ArtifactVersionId": stored["VersionId"]}
    made = world.ask(
        "sagemaker", "create_model_package", ModelPackageGroupName=world.environment.stack.model_package_group,
        ModelApprovalStatus="PendingManualApproval", InferenceSpecification=specification,
        CustomerMetadataProperties={**package["CustomerMetadataProperties"], **recorded},
    )  # fmt: skip
    return str(made["ModelPackageArn"])


def store_model(world: World) -> str:
    resources = world.every(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=world.environment.stack.name
    )
    return next(
        str(item["PhysicalResourceId"])
        for item in resources
        if item["ResourceType"] == "AWS::Lambda::Function" and item["LogicalResourceId"].startswith("StoreModel")
    )


def with_broken_code(artifact: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(artifact)) as old, tarfile.open(fileobj=target, mode="w:gz") as new:
        for member in old:
            content: Any = old.extractfile(member) if member.isfile() else None
            if member.name.removeprefix("./") == "code/inference.py":
                content, member.size = io.BytesIO(BROKEN), len(BROKEN)
            new.addfile(member, content)
    return target.getvalue()


SERVE = (
    Check("endpoint", "an approval puts the version in service, and it answers", serves_model),
    Check("bad-request", "a request that is the caller's fault is answered with 400", refuses_image),
    Check("rollback", "an endpoint whose new model cannot be loaded goes back to the former one", rolls_back),
    Check("reject", "a rejected version gives way to the newest approved one", goes_back),
)
