"""A definition may register only what StoreModel has stored: anything else can be exchanged after its approval."""

from __future__ import annotations

import json
from typing import Any

import pytest
from worlds import BINDINGS, BUCKET

from shared.errors import DefinitionError
from start_pipeline.definition.binding import bound_definition


def branched(step: dict[str, Any], branch: str) -> dict[str, Any]:
    return {"Name": "Decide", "Type": "Condition", "Arguments": {"Conditions": [], branch: [step]}}


STORED = {"Get": "Steps.Store.OutputParameters['ModelDataUrl']"}
STORE = {
    "Name": "Store",
    "Type": "Lambda",
    "FunctionArn": "${headrace:StoreModelFunctionArn}",
    "Arguments": {},
    "OutputParameters": [{"OutputName": "ModelDataUrl", "OutputType": "String"}],
}


def registering_artifact(**container: object) -> dict[str, Any]:
    arguments = {"InferenceSpecification": {"Containers": [{"Image": "${headrace:InferenceImage}", **container}]}}
    return {"Name": "Register", "Type": "RegisterModel", "Arguments": arguments}


EXCHANGEABLE = {
    "literal": [registering_artifact(ModelDataUrl=f"s3://{BUCKET}/models/{'0' * 64}/model.tar.gz")],
    "output of a job": [
        registering_artifact(ModelDataUrl={"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}),
    ],
    "parameter": [registering_artifact(ModelDataUrl={"Get": "Parameters.Url"})],
    "output of another function": [
        STORE | {"FunctionArn": "${headrace:FindChampionFunctionArn}"},
        registering_artifact(ModelDataUrl=STORED),
    ],
    "another output": [
        STORE,
        registering_artifact(ModelDataUrl={"Get": "Steps.Store.OutputParameters['VersionId']"}),
    ],
    "joined": [STORE, registering_artifact(ModelDataUrl={"Std:Join": {"On": "", "Values": [STORED]}})],
    "a step that is not there": [registering_artifact(ModelDataUrl=STORED)],
    "a step of another type": [
        STORE | {"Type": "Callback"},
        registering_artifact(ModelDataUrl=STORED),
    ],
    "second container": [
        STORE,
        registering_artifact(ModelDataUrl=STORED),
        registering_artifact(ModelDataUrl=f"s3://{BUCKET}/runs/1/model.tar.gz") | {"Name": "Again"},
    ],
    "folder": [
        STORE,
        registering_artifact(ModelDataSource={"S3DataSource": {"S3Uri": f"s3://{BUCKET}/runs/1/"}}),
    ],
    "a model that is not registered": [
        {
            "Name": "Make",
            "Type": "Model",
            "Arguments": {"PrimaryContainer": {"ModelDataUrl": f"s3://{BUCKET}/runs/1/model.tar.gz"}},
        },
    ],
    "below the arguments": [
        {
            "Name": "Each",
            "Type": "ForEach",
            "Arguments": {"Steps": [registering_artifact(ModelDataUrl=f"s3://{BUCKET}/runs/1/model.tar.gz")]},
        },
    ],
    "branch": [branched(registering_artifact(ModelDataUrl=f"s3://{BUCKET}/runs/1/model.tar.gz"), "IfSteps")],
}


@pytest.mark.parametrize("steps", EXCHANGEABLE.values(), ids=EXCHANGEABLE)
def test_no_definition_registers_an_artifact_that_can_be_exchanged(steps: list[dict[str, Any]]) -> None:
    text = json.dumps({"Version": "2020-12-01", "Steps": steps})
    with pytest.raises(DefinitionError, match="can be replaced after the model's approval") as refusal:
        bound_definition(text, BINDINGS)
    assert "StoreModel" in refusal.value.hint


@pytest.mark.parametrize("branches", [(), ("IfSteps",), ("IfSteps", "ElseSteps")])
def test_a_definition_registers_what_the_function_has_stored(branches: tuple[str, ...]) -> None:
    steps = [STORE, registering_artifact(ModelDataUrl=STORED)]
    for branch in branches:
        steps = [steps[0], branched(steps[1], branch)]
    bound_definition(json.dumps({"Version": "2020-12-01", "Steps": steps}), BINDINGS)
