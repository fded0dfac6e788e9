"""The stack's custom resource: it fills the data bucket on every deployment and cleans up when the stack is deleted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from custom_resource.deadline import Deadline
from custom_resource.destroy import destroy
from custom_resource.install import install, request_publish, request_recheck
from custom_resource.network_interfaces import await_interfaces
from custom_resource.request import Deployment, answer, physical_id
from shared import aws, log
from shared.errors import MalformedEvent


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> None:
    """Handle a request and always answer it: a request without an answer blocks the stack for an hour."""
    with log.context(request_id=context.aws_request_id):
        try:
            deadline = Deadline(lambda: context.get_remaining_time_in_millis() / 1000, time.sleep)
            carry_out(event, aws.client, deadline)
        except Exception as problem:  # the job boundary: CloudFormation needs an answer after any failure
            log.error("request failed", problem, request=event.get("RequestType"))
            answer(event, failure=f"{type(problem).__name__}: {problem}")
        else:
            answer(event)


def carry_out(event: Mapping[str, Any], client: Callable[[str], Any], deadline: Deadline) -> None:
    match event["RequestType"]:
        case "Create" | "Update":
            deployment = Deployment.from_event(event)
            install(client("s3"), deployment)
            request_publish(client("sqs"), deployment)
            request_recheck(client("sqs"), deployment)
        case "Delete":
            remove(event, client, deadline)
        case other:
            raise MalformedEvent(
                f"the request type {other!r} is none of CloudFormation's", hint="expected are Create, Update and Delete"
            )


def remove(event: Mapping[str, Any], client: Callable[[str], Any], deadline: Deadline) -> None:
    if event["PhysicalResourceId"] != physical_id(event):
        # The creation never answered, and CloudFormation chose an id. No resource of ours belongs to that id.
        log.warning("nothing deleted: this resource was never created", id=event["PhysicalResourceId"])
        return
    deployment = Deployment.from_event(event)
    destroy(client("s3"), client("sagemaker"), deployment, deadline, request_id=event["RequestId"])
    if deployment.subnets:
        await_interfaces(client("ec2"), deployment.subnets, deadline)
