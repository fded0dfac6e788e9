"""CloudFormation's request to a custom resource, typed, and the response that CloudFormation waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

from shared.errors import MalformedEvent
from shared.lines import DEFAULT

ANSWER_ATTEMPTS = 4
MAX_REASON = 1_000  # characters; CloudFormation takes an answer of 4 KB in all


@dataclass(frozen=True, slots=True)
class Copy:
    from_bucket: str
    from_key: str
    to_key: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """The resource's properties: the objects for the bucket, and the names of what has to be deleted with the stack.

    Pipeline, group and the uploads' queue are empty where the environment only serves models of another environment.
    Each declared model line has a separate custom resource, which names the `line`.

    `copied` are the copies that the last deployment made. An asset's key is the hash of its content, so the same key in
    another asset bucket has the same content.
    """

    bucket: str
    copies: tuple[Copy, ...]
    copied: frozenset[tuple[str, str]]  # FromKey and ToKey
    objects: Mapping[str, str]
    pipeline_name: str
    endpoint_name: str
    model_package_group: str
    decisions_queue_url: str
    uploads_queue_url: str
    retain: bool
    subnets: tuple[str, ...]  # of the environment's network, if it has one
    line: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Deployment:
        properties, former = event["ResourceProperties"], event.get("OldResourceProperties", {})
        try:
            same_bucket = former.get("Bucket") == properties["Bucket"]
            return cls(
                bucket=properties["Bucket"],
                copies=tuple(
                    Copy(item["FromBucket"], item["FromKey"], item["ToKey"]) for item in properties.get("Copies", [])
                ),
                copied=frozenset(
                    (item["FromKey"], item["ToKey"]) for item in (former.get("Copies", []) if same_bucket else [])
                ),
                objects=dict(properties.get("Objects", {})),
                pipeline_name=properties["PipelineName"],
                endpoint_name=properties["EndpointName"],
                model_package_group=properties["ModelPackageGroupName"],
                decisions_queue_url=properties["DecisionsQueueUrl"],
                uploads_queue_url=properties.get("UploadsQueueUrl", ""),
                # CloudFormation passes every property as text. Any value but "false" retains the data.
                retain=properties["Retain"] != "false",
                subnets=tuple(properties.get("SubnetIds", ())),
                line=properties.get("Line", DEFAULT),
            )
        except KeyError as missing:
            raise MalformedEvent(
                f"the custom resource has no property {missing}", hint="give it in the stack's template"
            ) from missing


def physical_id(event: Mapping[str, Any]) -> str:
    """Constant for the resource's whole life: if it changed, CloudFormation would delete the "old" resource."""
    stack_name = event["StackId"].split("/")[1]
    return f"{stack_name}-{event['LogicalResourceId']}"


def answer(event: Mapping[str, Any], *, failure: str | None = None) -> None:
    """Send CloudFormation the result, with the reason of a failure. Without it the stack would wait for an hour."""
    body = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        "Reason": (failure or "done")[:MAX_REASON],
        "PhysicalResourceId": event.get("PhysicalResourceId") or physical_id(event),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    # The URL is signed for an empty content type; urllib would add its default.
    request = Request(event["ResponseURL"], data=json.dumps(body).encode(), headers={"Content-Type": ""}, method="PUT")
    for attempt in range(1, ANSWER_ATTEMPTS + 1):
        try:
            with urlopen(request, timeout=10):
                return
        except OSError:  # URLError and time-outs
            if attempt == ANSWER_ATTEMPTS:
                raise
            time.sleep(2**attempt)
