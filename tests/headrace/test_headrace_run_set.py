"""`headrace run --set`: parameters of one run, checked against the pipeline's own before anything is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scripted_aws import FakeAws, Refusal
from scripted_cloud import Result, follow
from scripted_sagemaker import FakeSageMaker

Headrace = Callable[..., Result]


@pytest.fixture
def birds(sagemaker: FakeSageMaker, aws: FakeAws) -> FakeSageMaker:
    sagemaker.add_run("run1", "Succeeded")
    aws.objects["data-bucket/datasets/birds/a.jpg"] = b"a"
    sagemaker.definition = {
        "Parameters": [
            {"Name": "DataSet", "Type": "String"},
            {"Name": "Fingerprint", "Type": "String"},
            {"Name": "Epochs", "Type": "Integer", "DefaultValue": 12},
            {"Name": "LearningRate", "Type": "Float", "DefaultValue": 0.1},
            {"Name": "Approval", "Type": "String", "DefaultValue": "No", "EnumValues": ["No", "Yes"]},
        ]
    }
    return sagemaker


def test_parameters_go_with_the_triggers_message(headrace: Headrace, birds: FakeSageMaker) -> None:
    result = headrace("run", "--set", "Epochs=3", "--set", "LearningRate=0.01")
    assert result.status == 0, result.err
    chosen = {"Epochs": "3", "LearningRate": "0.01"}
    assert birds.sent == [{"headrace": "run-again", "data_set": "birds", "parameters": chosen}]
    assert "asked for a new run on birds with Epochs=3, LearningRate=0.01" in result.err
    assert result.next.startswith("headrace watch --after ")


@pytest.mark.parametrize(
    ("assignment", "said", "hint"),
    [
        (
            "Epoch=3",
            "no parameter 'Epoch' that a run may choose; it has Epochs (a whole number, default 12), "
            "LearningRate (a number, default 0.1), Approval (No or Yes, default No)",
            "headrace run --set Epochs=12",
        ),
        ("DataSet=cats", "no parameter 'DataSet' that a run may choose", "headrace run --set Epochs=12"),
        ("Epochs=many", "Epochs is 'many', and the pipeline wants a whole number", "headrace run --set Epochs=12"),
        ("Epochs=3.5", "Epochs is '3.5', and the pipeline wants a whole number", "headrace run --set Epochs=12"),
        ("LearningRate=inf", "the pipeline wants a number", "headrace run --set LearningRate=0.1"),
        ("Approval=Maybe", "the pipeline wants No or Yes", "headrace run --set Approval=No"),
    ],
)
def test_a_parameter_that_the_pipeline_does_not_take_is_refused_with_the_known_ones(
    headrace: Headrace, birds: FakeSageMaker, assignment: str, said: str, hint: str
) -> None:
    result = headrace("run", "--set", assignment)
    assert result.status == 2
    assert said in result.err
    assert birds.sent == []
    assert result.hint == hint
    assert follow(headrace, result.hint).status == 0


def test_without_again_or_set_nothing_is_started(headrace: Headrace, birds: FakeSageMaker) -> None:
    result = headrace("run", "birds")
    assert result.status == 2
    assert birds.sent == []
    assert follow(headrace, result.hint).status == 0
    assert birds.sent == [{"headrace": "run-again", "data_set": "birds"}]


def test_without_a_pipeline_the_first_upload_is_suggested(
    headrace: Headrace, birds: FakeSageMaker, aws: FakeAws
) -> None:
    def missing(request: object) -> None:
        raise Refusal("ResourceNotFound", "Pipeline 'headrace-local' does not exist.")

    aws.answers["DescribePipeline"] = missing
    result = headrace("run", "--set", "Epochs=3", "birds")
    assert result.hint == "headrace upload FOLDER"
