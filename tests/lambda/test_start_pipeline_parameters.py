"""Parameters chosen for one run: they reach the execution, belong to its run key, and are checked before it starts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from worlds import UploadWorld

from start_pipeline.runs.budget import Budget

PARAMETERS = [
    {"Name": "Epochs", "Type": "Integer", "DefaultValue": 12},
    {"Name": "LearningRate", "Type": "Float", "DefaultValue": 0.1},
    {"Name": "Mixed", "Type": "Boolean", "DefaultValue": True},
    {"Name": "Approval", "Type": "String", "DefaultValue": "Pending", "EnumValues": ["Pending", "Approved"]},
    {"Name": "InstanceType", "Type": "String", "DefaultValue": "ml.m5.large"},
]


@pytest.fixture
def birds(world: UploadWorld) -> UploadWorld:
    """A world in which birds has been run, with a pipeline that has parameters."""

    def declare(definition: dict[str, Any]) -> None:
        definition["Parameters"] += PARAMETERS

    world.put_definition(declare)
    world.upload_and_settle("datasets/birds/a.jpg")
    world.finish("Succeeded")
    return world


def ask(world: UploadWorld, **parameters: str) -> None:
    more = {"parameters": parameters} if parameters else {}
    world.send({"headrace": "run-again", "data_set": "birds", **more})


def test_chosen_parameters_reach_the_execution(birds: UploadWorld) -> None:
    ask(birds, Epochs="3", LearningRate="1e-3", Mixed="false", Approval="Approved")
    birds.settle()
    first, second = birds.executions()
    assert second.parameters == first.parameters | {
        "Epochs": "3", "LearningRate": "1e-3", "Mixed": "false", "Approval": "Approved",
    }  # fmt: skip
    assert "Epochs" not in first.parameters


def test_a_run_with_other_parameters_is_another_run_of_the_ledger(birds: UploadWorld) -> None:
    ask(birds, Epochs="3")
    birds.settle()
    birds.finish("Succeeded")
    ask(birds, Epochs="3")
    birds.settle()
    birds.finish("Succeeded")
    ask(birds)
    birds.settle()
    names = [execution.display_name for execution in birds.executions()]
    plain, chosen, chosen_again, plain_again = names
    assert chosen_again == f"{chosen}-2"
    assert plain_again == f"{plain}-2"
    assert chosen.startswith(f"{plain}-")
    entries = [key for key in birds.cloud.keys("data-bucket") if key.startswith("ledger/") and "/latest/" not in key]
    assert len(entries) == 2


def test_a_redelivered_message_starts_one_run(birds: UploadWorld) -> None:
    ask(birds, Epochs="3")
    (message,) = birds.cloud.queue
    assert birds.deliver(message, keep=True)
    birds.finish("Failed")
    assert birds.deliver(message)
    birds.settle()
    assert len(birds.executions()) == 2


def test_the_choice_is_kept_while_the_run_has_to_wait(birds: UploadWorld) -> None:
    birds.upload("datasets/birds/b.jpg")
    ask(birds, Epochs="3")
    birds.settle()
    assert [execution.parameters.get("Epochs") for execution in birds.executions()].count("3") == 1


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"Epoch": "3"}, "the pipeline has no parameter 'Epoch' that a run may choose"),
        ({"DataSet": "cats"}, "the pipeline has no parameter 'DataSet' that a run may choose"),
        ({"Fingerprint": "f"}, "the pipeline has no parameter 'Fingerprint' that a run may choose"),
        ({"Epochs": "three"}, "Epochs is 'three', not a whole number"),
        ({"Epochs": "3.0"}, "Epochs is '3.0', not a whole number"),
        ({"LearningRate": "nan"}, "LearningRate is 'nan', not a number"),
        ({"Mixed": "yes"}, "Mixed is 'yes', not true or false"),
        ({"Approval": "Rejected"}, "Approval is 'Rejected', not one of Pending, Approved"),
        ({"InstanceType": "x" * 1025}, "which is longer than 1024 characters"),
    ],
)
def test_a_parameter_that_the_pipeline_does_not_take_is_set_aside_with_the_reason(
    birds: UploadWorld, parameters: dict[str, str], said: str
) -> None:
    ask(birds, **parameters)
    (message,) = birds.cloud.queue
    assert birds.deliver(message)
    (letter,) = birds.cloud.dead_letters
    assert letter.reason.startswith("ParameterError: ")
    assert said in letter.reason
    assert len(birds.executions()) == 1


@pytest.mark.parametrize("parameters", [[], "Epochs=3", {"Epochs": 3}, None])
def test_parameters_that_are_not_texts_are_malformed(birds: UploadWorld, parameters: Any) -> None:
    birds.cloud.send_message("", json.dumps({"headrace": "run-again", "data_set": "birds", "parameters": parameters}))
    (message,) = birds.cloud.queue
    assert birds.deliver(message)
    assert "parameters that are not a JSON object of strings" in birds.cloud.dead_letters[0].reason


def test_the_budget_counts_the_chosen_parameters(birds: UploadWorld) -> None:
    """A dearer instance type chosen for one run is judged like one in the definition."""

    def take_the_type(definition: dict[str, Any]) -> None:
        definition["Parameters"] += PARAMETERS
        cluster = {"InstanceCount": 1, "InstanceType": {"Get": "Parameters.InstanceType"}, "VolumeSizeInGB": 1}
        for step in definition["Steps"]:
            if step["Type"] == "Processing":
                step["Arguments"]["ProcessingResources"] = {"ClusterConfig": cluster}
            if step["Type"] == "Training":
                step["Arguments"]["ResourceConfig"] = cluster

    birds.put_definition(take_the_type)
    birds.settle()
    prices = {"ml.m5.large": 0.1, "ml.p4d.24xlarge": 40.0}
    object.__setattr__(birds.environment, "budget", Budget(limit=50.0, prices=prices))
    ask(birds, InstanceType="ml.p4d.24xlarge")
    (message,) = birds.cloud.queue
    before = len(birds.executions())
    assert birds.deliver(message)
    assert "OverBudgetError" in birds.cloud.dead_letters[0].reason
    assert len(birds.executions()) == before
