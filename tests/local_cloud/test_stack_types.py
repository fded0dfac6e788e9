"""A resource of a stack keeps its type: CloudFormation refuses a template in which it gives it another."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

HANDLE, TOPIC, QUEUE = "AWS::CloudFormation::WaitConditionHandle", "AWS::SNS::Topic", "AWS::SQS::Queue"


def template(**kinds: str) -> str:
    return json.dumps({"Resources": {name: {"Type": kind} for name, kind in kinds.items()}})


@pytest.mark.parametrize("way", ["update", "change set"])
def test_a_template_that_changes_the_type_of_a_resource_is_refused_and_nothing_is_changed(
    connect: Callable[[str], Any], way: str
) -> None:
    cloudformation, name = connect("cloudformation"), f"types-{uuid.uuid4().hex[:8]}"
    cloudformation.create_stack(StackName=name, TemplateBody=template(Kind=HANDLE, Old=QUEUE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})

    def update(body: str) -> None:
        if way == "update":
            cloudformation.update_stack(StackName=name, TemplateBody=body)
        else:
            cloudformation.create_change_set(StackName=name, ChangeSetName="a-change", TemplateBody=body)

    with pytest.raises(ClientError, match=r"modifies resource type of the following resources: \[Kind\]"):
        update(template(Kind=TOPIC))
    resources = cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    assert {item["LogicalResourceId"]: item["ResourceType"] for item in resources} == {"Kind": HANDLE, "Old": QUEUE}
    update(template(Kind=HANDLE, New=TOPIC))  # other changes are not refused
