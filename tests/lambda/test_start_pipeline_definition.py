"""Binding and upsert: a good definition becomes the pipeline, a bad one leaves it as it is and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from fake_aws import ACCOUNT, Refused
from worlds import BINDINGS, BUCKET, DEFINITION, NAME, UploadWorld

from shared.errors import BindingError, DefinitionError
from start_pipeline.definition.binding import bind, bound_definition

FOREIGN = "999988887777"
Change = Callable[[dict[str, Any]], None]


def changed(path: str, value: object) -> Change:
    """A change of the portable definition at a path like 0.Arguments.RoleArn, counted from its steps."""

    def change(definition: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        target: Any = definition["Steps"]
        for name in parents:
            target = target[int(name)] if name.isdecimal() else target[name]
        target[last] = value

    return change


def test_every_known_placeholder_is_bound_and_other_shell_text_left_alone() -> None:
    text = "${headrace:DataBucket}/${HOME}/${headrace:Region}/$${x}/${Headrace:Region}"
    bound = bind({"a": [{"b": text}], "n": 1, "none": None, "${headrace:Region}": True}, BINDINGS)
    assert bound == {
        "a": [{"b": f"{BUCKET}/${{HOME}}/{BINDINGS['Region']}/$${{x}}/${{Headrace:Region}}"}],
        "n": 1,
        "none": None,
        BINDINGS["Region"]: True,
    }


def test_a_bound_value_cannot_break_out_of_its_string() -> None:
    bound = bound_definition(DEFINITION, BINDINGS | {"CodeUri": '", "RoleArn": "x'})
    assert bound["Steps"][0]["Arguments"]["RoleArn"] == BINDINGS["JobRoleArn"]


def test_what_was_chosen_for_the_environment_goes_before_the_definitions_defaults_in_the_parameters_type() -> None:
    parameters = [
        {"Name": "Kind", "Type": "String", "DefaultValue": "a"},
        {"Name": "Count", "Type": "Integer", "DefaultValue": 1},
        {"Name": "Share", "Type": "Float"},
        {"Name": "Wanted", "Type": "Boolean", "DefaultValue": False},
        {"Name": "Other", "Type": "Float", "DefaultValue": 0.5},
    ]
    text = json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": []})
    chosen = {"Kind": "b", "Count": "2", "Share": "0.9", "Wanted": "true", "NotInTheDefinition": "x"}
    bound = bound_definition(text, BINDINGS, chosen)
    defaults = {item["Name"]: item["DefaultValue"] for item in bound["Parameters"]}
    assert defaults == {"Kind": "b", "Count": 2, "Share": 0.9, "Wanted": True, "Other": 0.5}


@pytest.mark.parametrize(("kind", "value"), [("Integer", "0.5"), ("Float", "many"), ("Boolean", "1"), ("Number", "1")])
def test_what_was_chosen_has_to_fit_the_parameters_type(kind: str, value: str) -> None:
    text = json.dumps({"Version": "2020-12-01", "Parameters": [{"Name": "N", "Type": kind}], "Steps": []})
    with pytest.raises(DefinitionError, match=f"the parameter N has the type {kind}"):
        bound_definition(text, BINDINGS, {"N": value})


def test_an_unknown_placeholder_is_refused_with_the_known_names() -> None:
    with pytest.raises(BindingError, match=r"\$\{headrace:DataBuckets\}") as refusal:
        bind(["s3://${headrace:DataBuckets}/"], BINDINGS)
    assert "DataBucket, FindChampionFunctionArn" in refusal.value.hint


NETWORK = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
SUBNETS = "${headrace:SubnetIds}"


def test_a_name_of_several_values_gives_them_to_the_list_it_is_in() -> None:
    bound = bind({"a": [SUBNETS], "b": ["first", SUBNETS, "last"], "c": [[SUBNETS]]}, NETWORK)
    both = NETWORK["SubnetIds"]
    assert bound == {"a": both, "b": ["first", *both, "last"], "c": [both]}


@pytest.mark.parametrize("value", [SUBNETS, {"a": SUBNETS}, [f"{SUBNETS},x"], {SUBNETS: 1}])
def test_a_name_of_several_values_anywhere_else_is_refused(value: object) -> None:
    with pytest.raises(BindingError, match="has 2 values") as refusal:
        bind({"Subnets": value}, NETWORK)
    assert f'["{SUBNETS}"]' in refusal.value.hint


@pytest.mark.parametrize(
    ("vpc", "foreign"),
    [
        ({"Subnets": ["subnet-9"]}, "subnet-9"),
        ({"Subnets": [SUBNETS, "subnet-9"]}, "subnet-9"),
        ({"Subnets": [SUBNETS], "SecurityGroupIds": ["sg-9"]}, "sg-9"),
        ({"Subnets": {"Get": "Parameters.Subnets"}}, "Parameters.Subnets"),
        ({"Subnets": [{"Get": "Parameters.Subnet"}]}, "Parameters.Subnet"),
    ],
)
def test_a_foreign_subnet_or_group_is_refused(vpc: object, foreign: str) -> None:
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["NetworkConfig"] = {"VpcConfig": vpc}
    with pytest.raises(DefinitionError, match=foreign) as refusal:
        bound_definition(json.dumps(definition), BINDINGS | NETWORK)
    assert "step Preprocess, Arguments.NetworkConfig.VpcConfig." in refusal.value.what
    assert "${headrace:" in refusal.value.hint


def test_where_there_is_no_network_every_subnet_is_foreign() -> None:
    definition = json.loads(DEFINITION)
    definition["Steps"][0]["Arguments"]["NetworkConfig"] = {"VpcConfig": {"Subnets": ["subnet-1"]}}
    with pytest.raises(DefinitionError, match="subnet-1") as refusal:
        bound_definition(json.dumps(definition), BINDINGS)
    assert "this environment has no network" in refusal.value.hint


def test_the_subnets_and_groups_of_the_environment_are_taken() -> None:
    definition = json.loads(DEFINITION)
    vpc = {"Subnets": [SUBNETS], "SecurityGroupIds": ["${headrace:SecurityGroupIds}"]}
    definition["Steps"][0]["Arguments"]["NetworkConfig"] = {"VpcConfig": vpc}
    bound = bound_definition(json.dumps(definition), BINDINGS | NETWORK)
    assert bound["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"] == {
        "Subnets": ["subnet-1", "subnet-2"],
        "SecurityGroupIds": ["sg-1"],
    }


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"Version": "2020-12-01"}',
        b'{"Version": "1", "Steps": []}',
        b"[" * 9_999,
    ],
)
def test_what_is_no_definition_is_refused(text: bytes) -> None:
    with pytest.raises(DefinitionError):
        bound_definition(text, BINDINGS)


@pytest.mark.parametrize("step", [None, "Train", {"Type": "Fail"}, {"Name": "Train"}, {"Name": 1, "Type": "Fail"}])
def test_a_step_without_name_or_type_is_refused(step: object) -> None:
    with pytest.raises(DefinitionError, match=r"Steps\[0\]"):
        bound_definition(json.dumps({"Version": "2020-12-01", "Steps": [step]}), BINDINGS)


def test_a_definition_longer_than_sagemaker_takes_is_refused() -> None:
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "x" * 1_048_576}}
    with pytest.raises(DefinitionError, match="characters"):
        bound_definition(json.dumps({"Version": "2020-12-01", "Steps": [step]}), BINDINGS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("0.Arguments.RoleArn", f"arn:aws:iam::{FOREIGN}:role/job"),
        ("0.Arguments.RoleArn", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("0.Arguments.RoleArn", {"Get": "Parameters.Role"}),
        ("2.Arguments.IfSteps.0.Arguments.ExecutionRoleArn", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("0.Arguments.AppSpecification.ImageUri", f"{FOREIGN}.dkr.ecr.eu-central-1.amazonaws.com/x:1"),
        ("0.Arguments.AppSpecification.ImageUri", "763104351884.dkr.ecr.eu-central-1.example.com/x:1"),
        ("0.Arguments.AppSpecification.ImageUri", "someone/pytorch:latest"),
        ("1.Arguments.AlgorithmSpecification.TrainingImage", {"Get": "Parameters.Image"}),
        ("2.Arguments.IfSteps.0.Arguments.PrimaryContainer.Image", f"{FOREIGN}.dkr.ecr.eu-central-1.amazonaws.com/x"),
        ("0.Arguments.ProcessingOutputConfig.Outputs.0.S3Output.S3Uri", "s3://elsewhere/runs/"),
        ("0.Arguments.ProcessingOutputConfig.Outputs.0.S3Output.S3Uri", {"Get": "Parameters.Uri"}),
        (
            "0.Arguments.ProcessingOutputConfig.Outputs.0.S3Output.S3Uri",
            {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Bucket"}, BUCKET]}},
        ),
        ("1.Arguments.OutputDataConfig.S3OutputPath", f"s3://{BUCKET}-2/runs/"),
        ("1.Arguments.CheckpointConfig.S3Uri", {"Std:Join": {"On": "", "Values": [f"s3://{BUCKET}", "-2/"]}}),
    ],
)
def test_what_is_foreign_to_the_environment_is_refused_by_step_and_path(path: str, value: object) -> None:
    definition = json.loads(DEFINITION)
    changed(path, value)(definition)
    with pytest.raises(DefinitionError) as refusal:
        bound_definition(json.dumps(definition), BINDINGS)
    step = {"0": "Preprocess", "1": "Train", "2": "CreateModel"}[path[0]]
    assert refusal.value.what.startswith(f"step {step}, Arguments.")
    assert f".{path.split('.')[-1]}:" in refusal.value.what
    assert "${headrace:" in refusal.value.hint


def registering(status: object, *, kind: str = "RegisterModel") -> dict[str, Any]:
    """A step that registers a model with this approval status."""
    return {"Name": "Register", "Type": kind, "Arguments": {"ModelApprovalStatus": status}}


def branched(step: dict[str, Any], branch: str) -> dict[str, Any]:
    return {"Name": "Decide", "Type": "Condition", "Arguments": {"Conditions": [], branch: [step]}}


WAYS_TO_APPROVED = {
    "literal": [registering("Approved")],
    "parameter": [registering({"Get": "Parameters.Status"})],
    "output of a step": [registering({"Get": "Steps.Find.OutputParameters['Status']"})],
    "joined": [registering({"Std:Join": {"On": "", "Values": ["Appr", "oved"]}})],
    "joined to what is allowed": [registering({"Std:Join": {"On": "", "Values": ["PendingManualApproval"]}})],
    "branch": [branched(registering("Approved"), "ElseSteps")],
    "branch of a branch": [branched(branched(registering("Approved"), "IfSteps"), "IfSteps")],
    "second step": [registering("PendingManualApproval"), registering("Approved") | {"Name": "Again"}],
    "a step of another type": [registering("Approved", kind="Model")],
    "below the arguments": [
        {"Name": "Each", "Type": "ForEach", "Arguments": {"Steps": [registering("Approved")]}},
    ],
    "another word": [registering("approved")],
    "rejected": [registering("Rejected")],
}


@pytest.mark.parametrize("steps", WAYS_TO_APPROVED.values(), ids=WAYS_TO_APPROVED)
def test_no_definition_approves_its_model_where_people_decide(steps: list[dict[str, Any]]) -> None:
    parameters = [{"Name": "Status", "Type": "String", "DefaultValue": "Approved"}]
    text = json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": steps})
    with pytest.raises(DefinitionError, match="registers models as PendingManualApproval") as refusal:
        bound_definition(text, BINDINGS)
    assert "model_approval_status" in refusal.value.hint


@pytest.mark.parametrize(
    ("environment", "status"),
    [
        ("PendingManualApproval", "PendingManualApproval"),
        ("PendingManualApproval", "${headrace:ModelApprovalStatus}"),
        ("Approved", "Approved"),
        ("Approved", "PendingManualApproval"),
        ("Approved", "${headrace:ModelApprovalStatus}"),
    ],
)
def test_definition_registers_as_its_environment_says_or_for_a_person_to_decide(environment: str, status: str) -> None:
    text = json.dumps({"Version": "2020-12-01", "Steps": [registering(status)]})
    bound_definition(text, BINDINGS | {"ModelApprovalStatus": environment})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("0.Arguments.AppSpecification.ImageUri", "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13"),
        ("1.Arguments.OutputDataConfig.S3OutputPath", f"s3://{BUCKET}/elsewhere/"),
        (
            "1.Arguments.CheckpointConfig.S3Uri",
            {
                "Std:Join": {
                    "On": "",
                    "Values": [{"Std:Join": {"On": "//", "Values": ["s3:", f"{BUCKET}/"]}}, {"Get": "x"}],
                }
            },
        ),
        ("1.Arguments.InputDataConfig", [{"DataSource": {"S3DataSource": {"S3Uri": "s3://public-data/x/"}}}]),
        ("0.Arguments.RoleArn", None),
    ],
)
def test_what_lies_in_the_environment_is_taken(path: str, value: object) -> None:
    definition = json.loads(DEFINITION)
    changed(path, value)(definition)
    bound_definition(json.dumps(definition), BINDINGS)


def test_a_definition_that_is_put_is_upserted_at_once(world: UploadWorld) -> None:
    world.put_definition(lambda definition: None)
    world.settle()
    assert json.loads(world.cloud.pipelines[NAME]["PipelineDefinition"])["Steps"][0]["Name"] == "Preprocess"
    world.put_definition(changed("0.Name", "Prepare"))
    world.settle()
    assert json.loads(world.cloud.pipelines[NAME]["PipelineDefinition"])["Steps"][0]["Name"] == "Prepare"
    assert [name for name in world.cloud.names() if "Pipeline" in name and "Describe" not in name] == [
        "CreatePipeline",
        "UpdatePipeline",
    ]


def test_an_unchanged_definition_updates_nothing(world: UploadWorld) -> None:
    for _ in range(2):
        world.put_definition(lambda definition: None)
        world.settle()
    assert "UpdatePipeline" not in world.cloud.names()


def test_a_changed_pipeline_role_updates_the_pipeline(world: UploadWorld) -> None:
    world.put_definition(lambda definition: None)
    world.settle()
    world.cloud.pipelines[NAME]["RoleArn"] = f"arn:aws:iam::{ACCOUNT}:role/former"
    world.put_definition(lambda definition: None)
    world.settle()
    assert world.cloud.pipelines[NAME]["RoleArn"] == BINDINGS["PipelineRoleArn"]


def test_a_pipeline_created_by_another_worker_is_updated(world: UploadWorld) -> None:
    def create(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if (moment, operation) == ("before", "CreatePipeline"):
            world.cloud.pipelines[NAME] = {"PipelineDefinition": "{}", "RoleArn": parameters["RoleArn"]}

    world.cloud.interrupt = create
    world.put_definition(lambda definition: None)
    world.settle()
    assert "Preprocess" in world.cloud.pipelines[NAME]["PipelineDefinition"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (changed("0.Name", "${headrace:Nothing}"), "${headrace:Nothing}"),
        (changed("0.Arguments.RoleArn", f"arn:aws:iam::{FOREIGN}:role/job"), "is not a role of this environment"),
        (lambda definition: definition.pop("Steps"), 'a list "Steps"'),
    ],
)
def test_a_bad_definition_leaves_the_pipeline_and_says_why(
    world: UploadWorld, logged: Any, change: Change, error: str
) -> None:
    world.put_definition(lambda definition: None)
    world.settle()
    before = dict(world.cloud.pipelines[NAME])
    world.put_definition(change)
    world.settle()
    assert world.cloud.pipelines[NAME] == before
    written = world.document(f"pipelines/{NAME}.error.json")
    assert error in written["error"]
    (line,) = [line for line in logged() if line["level"] == "ERROR"]
    assert (line["error"], line["hint"]) == (written["error"], written["hint"])


def test_a_definition_that_sagemaker_refuses_says_why(world: UploadWorld) -> None:
    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreatePipeline":
            raise Refused("ValidationException", "Unable to parse pipeline definition. Step Train is not a step.")

    world.cloud.interrupt = refuse
    world.put_definition(lambda definition: None)
    world.settle()
    assert "Step Train is not a step" in world.document(f"pipelines/{NAME}.error.json")["error"]


def test_a_good_definition_clears_the_former_error(world: UploadWorld) -> None:
    world.put_definition(changed("0.Name", "${headrace:Nothing}"))
    world.settle()
    world.put_definition(lambda definition: None)
    world.settle()
    world.put_definition(lambda definition: None)
    world.settle()
    assert world.cloud.keys(BUCKET, "pipelines/") == [f"pipelines/{NAME}.json"]
    assert world.cloud.names().count("DeleteObject") == 1  # a second one would leave a delete marker for nothing


def test_an_upload_under_a_bad_definition_runs_with_the_last_good_one(world: UploadWorld) -> None:
    world.put_definition(lambda definition: None)
    world.settle()
    world.put_definition(changed("0.Name", "${headrace:Nothing}"))
    world.upload("datasets/birds/1.jpg")
    world.settle()
    assert "Preprocess" in world.executions()[0].definition


def test_an_upload_without_any_good_definition_is_kept_for_a_redrive(world: UploadWorld) -> None:
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", b"no json")
    world.upload("datasets/birds/1.jpg")
    world.deliver(world.cloud.queue[0])
    world.cloud.now = world.cloud.queue[0].due
    world.deliver(world.cloud.queue[0])
    assert not world.cloud.queue
    assert "is refused and no pipeline exists" in world.cloud.dead_letters[0].reason
    world.cloud.put(BUCKET, f"pipelines/{NAME}.json", DEFINITION)
    world.redrive()
    world.settle()
    assert len(world.executions()) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_an_error_of_aws_is_not_taken_for_a_bad_definition(world: UploadWorld, code: str) -> None:
    def refuse(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation == "CreatePipeline":
            raise Refused(code, "no")

    world.put_definition(lambda definition: None)
    world.cloud.interrupt = refuse
    world.deliver(world.cloud.queue[0])
    assert len(world.cloud.queue + world.cloud.dead_letters) == 1
    assert f"pipelines/{NAME}.error.json" not in world.cloud.keys(BUCKET)


def test_the_written_error_is_no_definition(world: UploadWorld) -> None:
    world.upload(f"pipelines/{NAME}.error.json", "{}")
    world.settle()
    assert world.cloud.names() == []
