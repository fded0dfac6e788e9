"""Model lines in the functions: which line a data set, a decision or an event belongs to, and that the others rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fake_aws import ACCOUNT, REGION
from notice_world import EXECUTION, NoticeWorld
from worlds import BUCKET, DEFINITION, NAME, DeployWorld, UploadWorld, event

from deploy_model.environment import Environment as DeployEnvironment
from deploy_model.environment import Instances
from shared.errors import LineError, SettingError
from shared.lines import line_of_data_set

LINES = {"pets": ["pets*", "animals.zip"], "birds": ["birds", "*-birds"]}
PETS, BIRDS = f"{NAME}-pets", f"{NAME}-birds"


@pytest.fixture
def world() -> UploadWorld:
    world = UploadWorld()
    world.environment = replace(world.environment, lines=LINES)
    for name in (PETS, BIRDS):
        world.cloud.put(BUCKET, f"pipelines/{name}.json", DEFINITION)
    return world


@pytest.mark.parametrize(
    ("data_set", "line"),
    [("pets", "pets"), ("pets-2.zip", "pets"), ("animals.zip", "pets"), ("sea-birds", "birds"), ("animals", ""),
     ("Pets", ""), ("birds.zip", "")],
)  # fmt: skip
def test_a_data_set_belongs_to_the_line_whose_pattern_matches_its_name(data_set: str, line: str) -> None:
    assert line_of_data_set(data_set, LINES) == line


def test_each_data_set_starts_the_pipeline_of_its_line(world: UploadWorld) -> None:
    for key in ("datasets/pets/a/1.jpg", "datasets/birds/a/1.jpg", "datasets/flowers/a/1.jpg"):
        world.upload(key)
    world.settle()
    started = {execution.parameters["DataSet"]: execution.pipeline for execution in world.executions()}
    assert started == {"pets": PETS, "birds": BIRDS, "flowers": NAME}


def test_a_lines_definition_is_bound_to_its_own_group_and_pipeline(world: UploadWorld) -> None:
    asking = json.loads(DEFINITION)
    asking["Metadata"] = {"Group": "${headrace:ModelPackageGroupName}", "Pipeline": "${headrace:PipelineName}"}
    for name in (NAME, PETS):
        world.upload(f"pipelines/{name}.json", json.dumps(asking))
    world.settle()
    for name in (NAME, PETS):
        bound = json.loads(world.cloud.pipelines[name]["PipelineDefinition"])
        assert bound["Metadata"] == {"Group": name, "Pipeline": name}


def test_a_definition_that_registers_in_another_lines_group_is_refused(world: UploadWorld) -> None:
    foreign = json.loads(DEFINITION)
    foreign["Steps"].append({"Name": "R", "Type": "RegisterModel", "Arguments": {"ModelPackageGroupName": BIRDS}})
    world.upload(f"pipelines/{PETS}.json", json.dumps(foreign))
    world.settle()
    refusal = world.document(f"pipelines/{PETS}.error.json")
    assert f'"{BIRDS}" is not the model package group of this pipeline, which is {PETS}' in refusal["error"]
    assert refusal["hint"] == "write ${headrace:ModelPackageGroupName}"
    assert PETS not in world.cloud.pipelines


def test_a_refused_definition_of_one_line_leaves_the_others_alone(world: UploadWorld) -> None:
    world.upload(f"pipelines/{PETS}.json", "no JSON")
    world.settle()
    assert world.cloud.keys(BUCKET).count(f"pipelines/{PETS}.error.json") == 1
    assert not [
        key for key in world.cloud.keys(BUCKET) if key in (f"pipelines/{name}.error.json" for name in (NAME, BIRDS))
    ]
    assert set(world.cloud.pipelines) == {NAME, BIRDS}


def test_a_definition_of_no_line_is_refused_with_every_lines_name(world: UploadWorld) -> None:
    world.upload(f"pipelines/{NAME}-cats.json", DEFINITION.decode())
    world.settle()
    refusal = world.document(f"pipelines/{NAME}-cats.error.json")
    assert f"whose pipelines are {NAME}, {BIRDS}, {PETS}" in refusal["error"]


def test_a_data_set_of_two_lines_is_refused_with_both_names_and_starts_nothing(world: UploadWorld) -> None:
    world.upload("datasets/pets-and-birds/1.jpg")
    (message,) = world.cloud.queue
    world.cloud.now = message.due
    assert world.deliver(message)
    (check,) = world.cloud.queue
    world.cloud.now = check.due
    assert world.deliver(check)
    (letter,) = world.cloud.dead_letters
    assert "the data set pets-and-birds matches the model lines birds and pets" in letter.reason
    assert "headrace redrive" in letter.reason
    assert world.executions() == []
    assert [notice["kind"] for notice in world.cloud.notices] == ["set-aside"]


def test_several_matches_are_an_error_that_names_every_line() -> None:
    with pytest.raises(LineError, match="birds and pets"):
        line_of_data_set("pets-birds", LINES)


def test_a_data_set_that_moves_to_another_line_is_run_there_too(world: UploadWorld) -> None:
    """Even by a definition that names no group, so that both lines have the very same one."""
    world.upload_and_settle("datasets/pets/a/1.jpg")
    world.finish("Succeeded")
    world.environment = replace(world.environment, lines={})
    world.send({"headrace": "check", "data_set": "pets", "sent": 0})
    world.settle()
    assert [execution.pipeline for execution in world.executions()] == [PETS, NAME]


@pytest.fixture
def registry() -> DeployWorld:
    world = DeployWorld(group=PETS)
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package-group/{NAME}"
    lines = {"pets": Instances("ml.c5.xlarge", 2), "birds": Instances("ml.m5.large", 1)}
    world.environment = replace(world.environment, lines=lines, model_package_group=NAME, model_package_group_arn=arn)
    return world


def test_an_approval_deploys_to_its_lines_endpoint_and_to_no_other(registry: DeployWorld) -> None:
    assert registry.deliver(registry.decide(1, "Approved")) == []
    registry.settle()
    assert list(registry.cloud.endpoints) == [PETS]
    (configuration,) = registry.cloud.configurations.values()
    (variant,) = configuration["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c5.xlarge", 2)
    assert [name.rpartition("-v1-")[0] for name in registry.cloud.models] == [PETS]


def test_a_look_at_one_lines_endpoint_leaves_the_others_as_they_are(registry: DeployWorld) -> None:
    registry.decide(1, "Approved")
    for look in ({}, {"line": "birds"}):
        assert registry.deliver({"headrace": "look-again", "count": 0, **look}) == []
    assert registry.cloud.endpoints == {}
    assert registry.deliver({"headrace": "look-again", "count": 0, "line": "pets"}) == []
    assert list(registry.cloud.endpoints) == [PETS]


def test_a_look_at_a_line_that_is_gone_is_ignored(registry: DeployWorld, logged: Any) -> None:
    assert registry.deliver({"headrace": "look-again", "count": 0, "line": "cats"}) == []
    assert any("'cats', which is not declared" in line.get("reason", "") for line in logged())


@pytest.mark.parametrize("instances", ['"ml.m5.large"', '{"type": "ml.m5.large"}', '{"type": 1, "count": 1}',
                                       '{"type": "ml.m5.large", "count": 0}'])  # fmt: skip
def test_instances_that_are_not_a_type_and_a_count_are_refused(registry: DeployWorld, instances: str) -> None:
    given = {"ENDPOINT_NAME": "e", "ENDPOINT_ROLE_ARN": "r", "MODEL_PACKAGE_GROUP_NAME": "g", "QUEUE_URL": "q",
             "MODEL_PACKAGE_GROUP_ARN": "a", "ENDPOINT_INSTANCE_TYPE": "t", "ENDPOINT_INSTANCE_COUNT": "1",
             "DEAD_LETTER_QUEUE_URL": "d", "NOTICES_QUEUE_URL": "n"}  # fmt: skip
    with pytest.raises(SettingError, match="LINES"):
        DeployEnvironment.from_variables(given | {"LINES": f'{{"pets": {instances}}}'})


@pytest.fixture
def notices() -> NoticeWorld:
    world = NoticeWorld()
    world.environment = replace(world.environment, lines=("birds", "pets"))
    return world


def test_a_notice_names_the_line_and_its_commands_carry_it(notices: NoticeWorld) -> None:
    arn = notices.cloud.register(PETS, 3, "PendingManualApproval")
    change = event("model_package_state_change")
    change["detail"] |= {"ModelPackageGroupName": PETS, "ModelPackageArn": arn, "ModelPackageVersion": 3,
                         "ModelApprovalStatus": "PendingManualApproval"}  # fmt: skip
    assert notices.deliver(change) == []
    (published,) = notices.cloud.published
    assert published["Subject"].startswith("[headrace test, line pets] version 3 of headrace-test-pets waits")
    assert published["MessageAttributes"]["line"]["StringValue"] == "pets"
    data = json.loads(json.loads(published["Message"])["sqs"])
    assert (data["environment"], data["line"]) == ("test", "pets")
    assert "headrace --env test --line pets approve 3   # deploys it" in data["what_to_do"]


def test_a_run_of_a_line_is_told_and_one_of_a_foreign_pipeline_is_not(notices: NoticeWorld) -> None:
    for name, told in ((f"{NAME}-cats", 0), (BIRDS, 1)):
        change = event("pipeline_execution_failed")
        arn = EXECUTION.replace(f"pipeline/{NAME}/", f"pipeline/{name}/")
        change["detail"] |= {"pipelineArn": arn.partition("/execution/")[0], "pipelineExecutionArn": arn}
        assert notices.deliver(change) == []
        assert len(notices.cloud.published) == told
    assert notices.cloud.published[0]["MessageAttributes"]["line"]["StringValue"] == "birds"
