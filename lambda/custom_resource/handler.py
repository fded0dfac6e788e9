"""The stack's custom resource: fills the data bucket on every deployment, and clears up when the stack is destroyed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from custom_resource.deadline import Patience
from custom_resource.destroy import destroy
from custom_resource.install import install, publish_again, serve_again
from custom_resource.network_interfaces import await_interfaces
from custom_resource.request import Deployment, answer, physical_id
from shared import aws, log
from shared.errors import MalformedEvent


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> None:
    """Always answers CloudFormation: a request without an answer blocks the stack for an hour."""
    with log.about(request_id=context.aws_request_id):
        try:
            patience = Patience(lambda: context.get_remaining_time_in_millis() / 1000, time.sleep)
            carry_out(event, aws.client, patience)
        except Exception as problem:  # the job boundary: whatever it is, CloudFormation has to be told
            log.error("request failed", problem, request=event.get("RequestType"))
            answer(event, failure=f"{type(problem).__name__}: {problem}")
        else:
            answer(event)


def carry_out(event: Mapping[str, Any], client: Callable[[str], Any], patience: Patience) -> None:
    match event["RequestType"]:
        case "Create" | "Update":
            deployment = Deployment.from_event(event)
            install(client("s3"), deployment)
            publish_again(client("sqs"), deployment)
            serve_again(client("sqs"), deployment)
        case "Delete":
            remove(event, client, patience)
        case other:
            raise MalformedEvent(
                f"the request type {other!r} is none of CloudFormation's", hint="expected are Create, Update and Delete"
            )


def remove(event: Mapping[str, Any], client: Callable[[str], Any], patience: Patience) -> None:
    if event["PhysicalResourceId"] != physical_id(event):
        # A creation that never answered: CloudFormation made up an id. Nothing of that name is ours to delete.
        log.warning("nothing deleted: this is no resource that was created", id=event["PhysicalResourceId"])
        return
    deployment = Deployment.from_event(event)
    destroy(client("s3"), client("sagemaker"), deployment, patience, request_id=event["RequestId"])
    if deployment.subnets:
        await_interfaces(client("ec2"), deployment.subnets, patience)
