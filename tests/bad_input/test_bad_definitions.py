"""Definitions put into the bucket: the real function, against a real local cloud, says why and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import BUCKET, IMAGE, definition, processing_step, read, run

from start_pipeline.definition.pipeline import publish
from start_pipeline.definition.rejection import reject_misnamed
from start_pipeline.environment import Environment, refusal_key_of

SECTION = "Pipeline definitions"
SEEN = "notice; log of start_pipeline; `pipelines/<name>.error.json` in the bucket; the pipeline stays as it was"
NAME = "bad-definitions"
GOOD = definition(processing_step("Write", "${headrace:JobRoleArn}", "true"))

Connect = Callable[[str], Any]


@pytest.fixture
def refused(connect: Connect, role: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Puts a definition after a good one; the message, which the log, the object and the notice have alike."""
    region, account = role_place(connect)
    bindings = {"DataBucket": BUCKET, "JobRoleArn": role, "TrainingImage": IMAGE, "Region": region, "Account": account}
    s3, sqs, sagemaker = connect("s3"), connect("sqs"), connect("sagemaker")
    notices = sqs.create_queue(QueueName="refusals")["QueueUrl"]
    environment = Environment.from_variables({
        "DATA_BUCKET": BUCKET, "PIPELINE_NAME": NAME, "PIPELINE_ROLE_ARN": role, "QUEUE_URL": "unused",
        "DEAD_LETTER_QUEUE_URL": "unused", "NOTICES_QUEUE_URL": notices,
        "QUIET_SECONDS": "1", "BINDINGS": json.dumps(bindings),
    })  # fmt: skip

    def put(text: str, key: str) -> None:
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        if key == environment.definition_key:
            publish(s3, sqs, sagemaker, environment)
        else:
            reject_misnamed(s3, sqs, environment, key, removed=False)

    def put_bad(text: str, key: str = environment.definition_key) -> str:
        put(GOOD, environment.definition_key)
        before = sagemaker.describe_pipeline(PipelineName=NAME)["PipelineDefinition"]
        capsys.readouterr()
        put(text, key)
        assert sagemaker.describe_pipeline(PipelineName=NAME)["PipelineDefinition"] == before
        (logged,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        written = json.loads(read(s3, f"s3://{BUCKET}/{refusal_key_of(key)}"))
        assert (logged["level"], logged["error"], logged["hint"]) == ("ERROR", written["error"], written["hint"])
        (message,) = sqs.receive_message(QueueUrl=notices)["Messages"]
        sqs.delete_message(QueueUrl=notices, ReceiptHandle=message["ReceiptHandle"])
        assert json.loads(message["Body"]) == {"headrace": "notice", "kind": "definition-refused"} | written
        return f"{written['error']}\nhint: {written['hint']}"

    return put_bad


def role_place(connect: Connect) -> tuple[str, str]:
    return connect("sts").meta.region_name, connect("sts").get_caller_identity()["Account"]


def changed(**arguments: object) -> str:
    bad = json.loads(GOOD)
    bad["Steps"][0] |= arguments
    return json.dumps(bad)


def test_a_definition_that_is_not_valid_json(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a definition that is not valid JSON", SEEN, refused(GOOD[:-1]))


def test_a_definition_without_steps(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("JSON that is not a definition", SEEN, refused('{"Version": "2020-12-01"}'))


def test_an_unknown_placeholder(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("an unknown placeholder", SEEN, refused(GOOD.replace("JobRoleArn", "JobRole")))


def test_a_foreign_role(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    foreign = "arn:aws:iam::999988887777:role/job"
    row("a role of another account", SEEN, refused(GOOD.replace("${headrace:JobRoleArn}", foreign)))


def test_an_arn_of_another_account(row: Callable[..., None], refused: Callable[[str], str], connect: Connect) -> None:
    region, _ = role_place(connect)
    function = f"arn:aws:lambda:{region}:999988887777:function:find-champion"
    row("a function of another account", SEEN, refused(changed(Type="Lambda", FunctionArn=function)))


def test_an_arn_of_another_region(row: Callable[..., None], refused: Callable[[str], str], connect: Connect) -> None:
    _, account = role_place(connect)
    key = f"arn:aws:kms:ap-south-1:{account}:key/1234abcd"
    row("a key of another region, in a job's variables", SEEN, refused(changed(Environment={"KEY": key})))


def test_a_definition_that_is_too_large(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a file of 5 MB", SEEN, refused(" " * 5_000_000))


def test_a_renamed_definition(row: Callable[..., None], refused: Callable[..., str]) -> None:
    row("a definition under another name", SEEN, refused(GOOD, "pipelines/birds.json"))


def test_an_unknown_step_type(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a step type that SageMaker does not have", SEEN, refused(changed(Type="Proccessing")))


def test_an_unknown_member(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a member that a step does not have", SEEN, refused(changed(DependOn=[])))


def test_a_step_that_runs_on_aws_only(row: Callable[..., None], connect: Connect, role: str) -> None:
    step = {"Name": "Sort", "Type": "EMR", "Arguments": {"ClusterId": "j-1", "StepConfig": {}}}
    sagemaker = connect("sagemaker")
    sagemaker.create_pipeline(PipelineName="on-aws", PipelineDefinition=definition(step), RoleArn=role)
    with pytest.raises(ClientError) as refusal:
        sagemaker.start_pipeline_execution(PipelineName="on-aws")
    row("a step type that runs on AWS only", "answer of StartPipelineExecution", str(refusal.value))


def test_a_step_that_waits_for_none(row: Callable[..., None], refused: Callable[[str], str]) -> None:
    row("a dependency on a step that is not there", SEEN, refused(changed(DependsOn=["Nowhere"])))


def test_the_aws_cli_and_a_bad_definition(row: Callable[..., None], connect: Connect, role: str) -> None:
    with pytest.raises(ClientError) as refusal:
        connect("sagemaker").create_pipeline(
            PipelineName="refused", PipelineDefinition=changed(DependsOn=["Nowhere"]), RoleArn=role
        )
    row("the same, by create-pipeline", "answer of the API", str(refusal.value))


def test_an_image_without_a_counterpart(row: Callable[..., None], connect: Connect, role: str) -> None:
    step = processing_step("Odd", role, "true")
    step["Arguments"]["AppSpecification"]["ImageUri"] = "1.dkr.ecr.us-east-1.amazonaws.com/churn:1.7"
    with pytest.raises(ClientError) as refusal:
        run(connect("sagemaker"), "odd-image", definition(step), role)
    row("an image that has no local counterpart", "answer of StartPipelineExecution", str(refusal.value))
