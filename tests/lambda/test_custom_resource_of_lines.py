"""A declared model line's custom resource: what goes with the line, and what stays."""

from __future__ import annotations

import json

import pytest
from cloudformation_requests import Stack
from worlds import BUCKET, NAME

LINE = {"Line": "pets"} | dict.fromkeys(("PipelineName", "EndpointName", "ModelPackageGroupName"), f"{NAME}-pets")


def live_with_a_line(stack: Stack) -> None:
    """What the default line and the line pets have made."""
    stack.live()
    stack.cloud.pipelines[f"{NAME}-pets"] = {"PipelineDefinition": "{}", "RoleArn": "arn:aws:iam::111122223333:role/x"}
    stack.cloud.register(f"{NAME}-pets", 1, "Approved")
    stack.cloud.models[f"{NAME}-pets-v1-0123abcd"] = {}
    stack.cloud.configurations[f"{NAME}-pets-v1-0123abcd"] = {}
    stack.cloud.endpoints[f"{NAME}-pets"] = {"EndpointConfigName": "x", "EndpointStatus": "InService"}
    stack.cloud.put(BUCKET, f"pipelines/{NAME}-pets.json", b"definition")


@pytest.mark.parametrize(("retain", "left"), [("false", 0), ("true", 1)])
def test_a_removed_line_takes_its_pipeline_endpoint_and_definition_along_and_leaves_the_rest(
    stack: Stack, retain: str, left: int
) -> None:
    """Its versions stay if they are to be retained; the bucket's data is the environment's and always stays."""
    live_with_a_line(stack)
    before = set(stack.cloud.keys(BUCKET)), len(stack.cloud.packages)
    assert stack.request("delete", **LINE, Retain=retain)["Status"] == "SUCCESS"
    assert list(stack.cloud.pipelines) == [NAME]
    assert list(stack.cloud.endpoints) == [NAME]
    assert not [name for name in (*stack.cloud.models, *stack.cloud.configurations) if "pets" in name]
    assert f"{NAME}-v1" in stack.cloud.models
    assert before[0] - set(stack.cloud.keys(BUCKET)) == {f"pipelines/{NAME}-pets.json"}
    assert len([arn for arn in stack.cloud.packages if "pets" in arn]) == left
    assert len(stack.cloud.packages) == before[1] - 1 + left


def test_a_deployment_has_the_endpoint_of_a_line_looked_at(stack: Stack) -> None:
    stack.request("create", **LINE, Copies=[], Objects={}, UploadsQueueUrl="")
    assert [json.loads(message.body) for message in stack.cloud.queue] == [
        {"headrace": "look-again", "count": 0, "line": "pets"}
    ]
