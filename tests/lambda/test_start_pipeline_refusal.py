"""A definition that is refused: the pipeline stays, its author is notified once, and a good one clears it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from botocore.response import StreamingBody
from fake_aws import ACCOUNT, REGION, Refused
from worlds import BINDINGS, BUCKET, DEFINITION, NAME, UploadWorld

from shared.errors import DefinitionError
from start_pipeline.definition.binding import bound_definition

KEY, REFUSAL = f"pipelines/{NAME}.json", f"pipelines/{NAME}.error.json"
FOREIGN = "999988887777"


def named(name: str) -> str:
    """The portable definition, whose first step has another name."""
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Name"] = name
    return json.dumps(definition)


def step_in_force(world: UploadWorld) -> str:
    name: str = json.loads(world.cloud.pipelines[NAME]["PipelineDefinition"])["Steps"][0]["Name"]
    return name


def with_variable(value: object) -> str:
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["Environment"] = {"VALUE": value}
    return json.dumps(definition)


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:kms:{REGION}:{FOREIGN}:key/1",
        f"arn:aws:kms:ap-south-1:{ACCOUNT}:key/1",
        f"arn:aws:iam::{FOREIGN}:role/admin",
        f"arn:aws-cn:sns:cn-north-1:{ACCOUNT}:topic",
        f"aws sts assume-role --role-arn 'arn:aws:iam::{FOREIGN}:role/admin' > /tmp/x",
    ],
)
def test_an_arn_of_another_account_or_region_is_refused_wherever_it_is(arn: str) -> None:
    definition = json.loads(with_variable(arn))
    definition["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"] = ["--arn", arn]
    in_parameter = json.loads(DEFINITION) | {"Parameters": [{"Name": "P", "Type": "String", "DefaultValue": arn}]}
    in_branch = json.loads(DEFINITION)
    in_branch["Steps"][2]["Arguments"]["IfSteps"][0]["Arguments"]["Resources"] = {"Arns": [arn]}
    for number, (content, place) in enumerate(
        [
            (definition, "step Preprocess, Arguments."),
            (in_parameter, "Parameters[0].DefaultValue:"),
            (in_branch, "step CreateModel, Arguments.Resources.Arns[0]:"),
        ]
    ):
        with pytest.raises(DefinitionError) as refusal:
            bound_definition(json.dumps(content), BINDINGS)
        assert refusal.value.what.startswith(place), number
        assert "${headrace:" in refusal.value.hint


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:kms:${headrace:Region}:${headrace:Account}:key/1",
        "arn:aws:s3:::public-data/x",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        f"arn:aws:iam::{ACCOUNT}:role/any",
        "no arn:aws at all",
    ],
)
def test_an_arn_of_this_environment_or_of_none_is_taken(arn: str) -> None:
    bound_definition(with_variable(arn), BINDINGS)


def test_a_file_that_is_too_large_is_refused_without_being_read(
    world: UploadWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload(KEY, " " * 5_000_000)
    monkeypatch.setattr(StreamingBody, "read", lambda *_: pytest.fail("it was read"))
    world.settle()
    assert "has 5,000,000 bytes, and a definition has 4,194,304 at most" in world.document(REFUSAL)["error"]


def test_the_author_is_told_which_upload_was_refused_and_why(world: UploadWorld) -> None:
    world.upload(KEY, named("${headrace:Nothing}"))
    world.settle()
    held = world.cloud.current(BUCKET, KEY)
    assert held is not None
    (notice,) = world.cloud.notices
    assert notice == {
        "headrace": "notice",
        "kind": "definition-refused",
        "definition": KEY,
        "version": held.etag,
        "error": "the definition uses ${headrace:Nothing}, which this environment does not have",
        "hint": notice["hint"],
    }
    assert world.document(REFUSAL) == {key: notice[key] for key in ("definition", "version", "error", "hint")}


def test_a_definition_that_is_missing_is_told_too(world: UploadWorld) -> None:
    world.upload(KEY, named("Prepare"))
    world.settle()
    world.cloud.put(BUCKET, KEY, None)
    world.upload_and_settle("datasets/birds/1.jpg")
    assert world.cloud.notices[-1]["version"] == ""
    assert "there is no definition at" in world.cloud.notices[-1]["error"]
    assert step_in_force(world) == "Prepare"


def test_a_refusal_that_quotes_a_long_definition_fits_into_a_message(world: UploadWorld) -> None:
    definition = json.loads(DEFINITION)
    definition["Steps"][0] |= {"Name": "x" * 900_000, "FunctionArn": f"arn:aws:lambda:{REGION}:{FOREIGN}:function:f"}
    world.upload(KEY, json.dumps(definition))
    world.settle()
    assert len(json.dumps(world.cloud.notices[0])) < 10_000


def test_a_definition_under_another_name_changes_nothing_and_its_author_is_told(world: UploadWorld) -> None:
    world.upload(KEY, named("Prepare"))
    world.upload("pipelines/birds.json", named("Other"))
    world.settle()
    assert step_in_force(world) == "Prepare"
    assert list(world.cloud.pipelines) == [NAME]
    assert f"upload it as {KEY}" in world.document("pipelines/birds.error.json")["hint"]
    assert [notice["definition"] for notice in world.cloud.notices] == ["pipelines/birds.json"]
    assert REFUSAL not in world.cloud.keys(BUCKET)


def test_what_is_said_of_another_name_goes_when_that_goes(world: UploadWorld) -> None:
    world.upload("pipelines/birds.json", named("Other"))
    world.settle()
    world.remove("pipelines/birds.json")
    world.settle()
    assert world.cloud.keys(BUCKET, "pipelines/") == [KEY]


def test_late_events_of_another_name_do_not_contradict_what_is_there(world: UploadWorld) -> None:
    world.upload("pipelines/birds.json", named("Other"))
    world.remove("pipelines/birds.json")
    world.upload("pipelines/birds.json", named("Other"))
    for number in (2, 0, 1):  # created, created, removed, of which the last is old
        message = world.cloud.queue[number]
        assert world.deliver(message, keep=True)
    assert "pipelines/birds.error.json" in world.cloud.keys(BUCKET)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["GetObject", "UpdatePipeline", "HeadObject"])
@pytest.mark.parametrize("later", ["Later", "${headrace:Nothing}"])
@pytest.mark.parametrize("earlier", ["Earlier", "${headrace:Nothing}"])
def test_of_two_definitions_at_once_the_later_one_decides(
    world: UploadWorld, earlier: str, later: str, operation: str, moment: str
) -> None:
    """Another worker publishes the later one in the middle of the earlier one's publication, whenever that is."""
    world.upload(KEY, named("First"))
    world.settle()
    calls = itertools.count()

    def overtake(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == (moment, operation) and next(calls) == 0:
            world.upload(KEY, named(later))
            assert world.deliver(world.cloud.queue[-1])

    world.upload(KEY, named(earlier))
    world.cloud.interrupt = overtake
    world.settle()
    if next(calls) == 0:  # the earlier one is refused before it comes to that call
        assert (operation, earlier) == ("UpdatePipeline", "${headrace:Nothing}")
        return
    refused = later == "${headrace:Nothing}"
    assert (REFUSAL in world.cloud.keys(BUCKET)) == refused
    assert step_in_force(world) in ({"First", "Earlier"} if refused else {"Later"})


def test_a_definition_that_keeps_being_replaced_is_left_to_the_queue(world: UploadWorld) -> None:
    numbers = itertools.count()

    def replace(when: str, name: str, parameters: dict[str, Any]) -> None:
        if (when, name) == ("before", "HeadObject") and parameters["Key"] == KEY:
            world.cloud.put(BUCKET, KEY, named(f"Name{next(numbers)}").encode())

    world.upload(KEY, named("First"))
    world.cloud.interrupt = replace
    assert not world.deliver(world.cloud.queue[0])
    world.cloud.interrupt = None
    assert world.deliver(world.cloud.queue[0])
    assert step_in_force(world) == "Name4"


def test_a_notice_that_cannot_be_sent_fails_the_message(world: UploadWorld) -> None:
    def refuse(when: str, name: str, parameters: dict[str, Any]) -> None:
        if name == "SendMessage":
            raise Refused("ThrottlingException", "Rate exceeded")

    world.upload(KEY, "no json")
    world.cloud.interrupt = refuse
    assert not world.deliver(world.cloud.queue[0])
