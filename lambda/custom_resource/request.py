"""CloudFormation's request to a custom resource, typed, and the answer that it waits for."""

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
LONGEST_REASON = 1_000  # characters; CloudFormation takes an answer of 4 KB in all


@dataclass(frozen=True, slots=True)
class Copy:
    from_bucket: str
    from_key: str
    to_key: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the resource's properties say: what goes into the bucket, and what a destroyed stack leaves behind.

    Pipeline, group and the uploads' queue are empty where the environment only serves another one's models. A model
    line that the environment declares has a resource of its own, which names the `line`.

    `copied` are those copies that the deployment before this has made. An asset's key is the hash of its content, so
    the same asset in another bucket is the same.
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
                # CloudFormation hands over every property as text. Anything but "false" keeps the data.
                retain=properties["Retain"] != "false",
                subnets=tuple(properties.get("SubnetIds", ())),
                line=properties.get("Line", DEFAULT),
            )
        except KeyError as missing:
            raise MalformedEvent(
                f"the custom resource has no property {missing}", hint="give it in the stack's template"
            ) from missing


def physical_id(event: Mapping[str, Any]) -> str:
    """The same for the resource's whole life: were it to change, CloudFormation would delete the "old" resource."""
    stack_name = event["StackId"].split("/")[1]
    return f"{stack_name}-{event['LogicalResourceId']}"


def answer(event: Mapping[str, Any], *, failure: str | None = None) -> None:
    """Tell CloudFormation that it is done, or why not. Without an answer the stack would wait for an hour."""
    body = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        "Reason": (failure or "done")[:LONGEST_REASON],
        "PhysicalResourceId": event.get("PhysicalResourceId") or physical_id(event),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    # The address is signed for an empty content type; urllib would add one of its own.
    request = Request(event["ResponseURL"], data=json.dumps(body).encode(), headers={"Content-Type": ""}, method="PUT")
    for attempt in range(1, ANSWER_ATTEMPTS + 1):
        try:
            with urlopen(request, timeout=10):
                return
        except OSError:  # URLError and time-outs
            if attempt == ANSWER_ATTEMPTS:
                raise
            time.sleep(2**attempt)
