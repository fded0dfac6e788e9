"""Definitions put into the bucket: the real function, against a real local cloud, says why and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import BUCKET, IMAGE, definition, processing_step, read, run

from start_pipeline.environment import Environment
from start_pipeline.pipeline import publish

SECTION = "Pipeline definitions"
SEEN = "log of start_pipeline; `pipelines/<name>.error.json` in the bucket; the pipeline stays as it was"
NAME = "bad-definitions"
GOOD = definition(processing_step("Write", "${headrace:JobRoleArn}", "true"))

Connect = Callable[[str], Any]


@pytest.fixture
def refused(connect: Connect, role: str, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Puts a definition after a good one; the message, which the log and the object have alike."""
    bindings = {"DataBucket": BUCKET, "JobRoleArn": role, "TrainingImage": IMAGE}
    environment = Environment.from_variables({
        "DATA_BUCKET": BUCKET, "PIPELINE_NAME": NAME, "PIPELINE_ROLE_ARN": role, "QUEUE_URL": "unused",
        "DEAD_LETTER_QUEUE_URL": "unused",
        "QUIET_SECONDS": "1", "BINDINGS": json.dumps(bindings),
    })  # fmt: skip
    s3, sagemaker = connect("s3"), connect("sagemaker")

    def put(text: str) -> None:
        s3.put_object(Bucket=BUCKET, Key=environment.definition_key, Body=text.encode())
        publish(s3, sagemaker, environment)

    def put_bad(text: str) -> str:
        put(GOOD)
        before = sagemaker.describe_pipeline(PipelineName=NAME)["PipelineDefinition"]
        capsys.readouterr()
        put(text)
        assert sagemaker.describe_pipeline(PipelineName=NAME)["PipelineDefinition"] == before
        (logged,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        written = json.loads(read(s3, f"s3://{BUCKET}/{environment.refusal_key}"))
        assert (logged["level"], logged["error"], logged["hint"]) == ("ERROR", written["error"], written["hint"])
        return f"{written['error']}\nhint: {written['hint']}"

    return put_bad


def changed(**arguments: object) -> str:
    bad = json.loads(GOOD)
    bad["Steps"][0] |= arguments
    return json.dumps(bad)


def test_a_definition_that_is_no_json(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a definition that is no JSON", SEEN, refused(GOOD[:-1]))


def test_a_definition_without_steps(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("JSON that is no definition", SEEN, refused('{"Version": "2020-12-01"}'))


def test_an_unknown_placeholder(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("an unknown placeholder", SEEN, refused(GOOD.replace("JobRoleArn", "JobRole")))


def test_a_foreign_role(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    foreign = "arn:aws:iam::999988887777:role/job"
    row("a role of another account", SEEN, refused(GOOD.replace("${headrace:JobRoleArn}", foreign)))


def test_an_unsupported_step_type(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a step type that the local cloud does not run", SEEN, refused(changed(Type="Transform")))


def test_a_step_that_waits_for_none(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a dependency on a step that is not there", SEEN, refused(changed(DependsOn=["Nowhere"])))


def test_the_aws_cli_and_a_bad_definition(row: Callable[..., None], connect: Connect, role: str) -> None:
    with pytest.raises(ClientError) as refusal:
        connect("sagemaker").create_pipeline(
            PipelineName="refused", PipelineDefinition=changed(Type="Transform"), RoleArn=role
        )
    row("the same, by create-pipeline", "answer of the API", str(refusal.value))


def test_an_image_without_a_counterpart(row: Callable[..., None], connect: Connect, role: str) -> None:
    step = processing_step("Odd", role, "true")
    step["Arguments"]["AppSpecification"]["ImageUri"] = "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7"
    _, steps = run(connect("sagemaker"), "odd-image", definition(step), role)
    row("an image that has no local counterpart", "FailureReason of the step", steps["Odd"]["FailureReason"])
