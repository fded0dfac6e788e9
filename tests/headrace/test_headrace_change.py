"""What an upload changes against the champion is said before anything is sent."""

from __future__ import annotations

import io
import json

import pytest
from scripted_aws import FakeAws, Refusal
from scripted_sagemaker import FakeSageMaker

from headrace.client.environment import Environment
from headrace.commands.change import explain_change
from headrace.terminal.output import Output

REPORT = "s3://data-bucket/runs/r1/evaluation.json"


@pytest.fixture
def champion(sagemaker: FakeSageMaker, aws: FakeAws) -> FakeSageMaker:
    statistics = {"ContentType": "application/json", "S3Uri": REPORT}
    sagemaker.add_package(3, "Approved", ModelMetrics={"ModelQuality": {"Statistics": statistics}})
    sagemaker.add_package(4, "PendingManualApproval")
    row = {"cat": 1, "dog": 0, "emu": 0}
    report = {"multiclass_classification_metrics": {"confusion_matrix": dict.fromkeys(row, row)}}
    aws.objects["data-bucket/runs/r1/evaluation.json"] = json.dumps(report).encode()
    return sagemaker


def said(environment: Environment, *classes: str) -> str:
    stderr = io.StringIO()
    explain_change(environment, Output(stderr=stderr), classes)
    return stderr.getvalue()


@pytest.mark.usefixtures("champion")
def test_the_same_classes_are_nothing_to_say(environment: Environment) -> None:
    assert said(environment, "emu", "dog", "cat") == ""


@pytest.mark.usefixtures("champion")
def test_new_and_gone_classes_are_named_with_what_is_compared(environment: Environment) -> None:
    text = said(environment, "cat", "dog", "fox")
    assert "other classes than champion version 3 knows (new: fox; gone: emu): " in text
    assert "will be compared on the 2 classes that both know" in text


@pytest.mark.usefixtures("champion")
def test_too_few_shared_classes_are_warned_of(environment: Environment) -> None:
    text = said(environment, "cat", "fox")
    assert text.startswith("warning: ")
    assert "the two cannot be compared, and the new version will wait for approval" in text


def test_without_a_champion_there_is_nothing_to_say(environment: Environment, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_package(1, "PendingManualApproval")
    assert said(environment, "cat", "dog") == ""


def test_a_user_who_may_not_read_the_registry_can_still_upload(environment: Environment, aws: FakeAws) -> None:
    def denied(request: object) -> object:
        raise Refusal("AccessDeniedException", "not authorized to perform: sagemaker:ListModelPackages")

    aws.answers["ListModelPackages"] = denied
    assert "what this changes against the champion cannot be said: " in said(environment, "cat", "dog")


def test_unknown_classes_of_the_champion_are_said_to_be_unknown(
    environment: Environment, sagemaker: FakeSageMaker
) -> None:
    sagemaker.add_package(2, "Approved")
    assert "the classes of champion version 2 are not known" in said(environment, "cat", "dog")
