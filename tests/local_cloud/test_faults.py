"""Calls go wrong as faults.toml says, as often as it says, and for the client as they would on AWS."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from in_process import InProcess, Refused
from pipeline_runs import client, definition, processing_step, run

from local_cloud.process import Running

Connect = Callable[[str], Any]
Ask = Callable[..., None]


@pytest.fixture
def ask(cloud: Running) -> Iterator[Ask]:
    """Writes the file, whole, with one rule for each mapping."""
    file = cloud.state / "sagemaker" / "faults.toml"

    def write(*rules: dict[str, Any]) -> None:
        write_rules(file, *rules)

    yield write
    file.unlink(missing_ok=True)


def write_rules(file: Path, *rules: dict[str, Any]) -> None:
    lines = (f"{name} = {value!r}" for rule in rules for name, value in [("[[fault]]", None), *rule.items()])
    draft = file.with_suffix(".draft")
    draft.write_text("\n".join(line.removesuffix(" = None") for line in lines))
    draft.replace(file)


@pytest.fixture
def once(cloud: Running) -> Any:
    """A client that does not try again."""
    return client(cloud, "sagemaker", Config(retries={"total_max_attempts": 1}, max_pool_connections=16))


def outcome(call: Callable[[], Any]) -> tuple[int, str]:
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return 200, ""


def test_concurrent_calls_are_throttled_exactly_as_often_as_asked(once: Any, ask: Ask) -> None:
    ask({"operation": "ListPipelines", "kind": "throttle", "times": 5})
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda _: outcome(once.list_pipelines), range(40)))
    assert outcomes.count((400, "ThrottlingException")) == 5
    assert outcomes.count((200, "")) == 35


@pytest.mark.parametrize(("code", "status"), [("InternalFailure", 500), ("ServiceUnavailable", 503)])
def test_an_error_spoils_its_operation_only(once: Any, ask: Ask, code: str, status: int) -> None:
    ask({"operation": "ListPipelines", "kind": "error", "code": code})
    assert outcome(once.list_pipelines) == (status, code)
    assert outcome(once.list_training_jobs) == (200, "")


def test_a_client_that_tries_again_does_not_notice(connect: Connect, ask: Ask) -> None:
    ask({"operation": "*", "kind": "throttle", "times": 1}, {"operation": "*", "kind": "error", "times": 1})
    answer = connect("sagemaker").list_pipelines()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_a_slow_answer_comes_too_late_for_an_impatient_client(cloud: Running, once: Any, ask: Ask) -> None:
    ask({"operation": "ListPipelines", "kind": "slow", "seconds": 5, "times": 1})
    impatient = client(cloud, "sagemaker", Config(retries={"total_max_attempts": 1}, read_timeout=1))
    with pytest.raises(ReadTimeoutError):
        impatient.list_pipelines()
    assert outcome(once.list_pipelines) == (200, "")


def test_a_lost_answer_leaves_what_the_call_did(once: Any, ask: Ask, role: str) -> None:
    text = definition({"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "end"}})
    once.create_pipeline(PipelineName="lost", PipelineDefinition=text, RoleArn=role)
    ask({"operation": "StartPipelineExecution", "kind": "lost-answer", "times": 1})

    def start() -> str:
        answer = once.start_pipeline_execution(PipelineName="lost", ClientRequestToken="l" * 32)
        return str(answer["PipelineExecutionArn"])

    assert outcome(start) == (500, "InternalFailure")
    (execution,) = once.list_pipeline_executions(PipelineName="lost")["PipelineExecutionSummaries"]
    assert start() == execution["PipelineExecutionArn"]
    assert len(once.list_pipeline_executions(PipelineName="lost")["PipelineExecutionSummaries"]) == 1


def test_an_invocation_can_also_fail(cloud: Running, ask: Ask) -> None:
    ask({"operation": "InvokeEndpoint", "kind": "error", "code": "ServiceUnavailable"})
    runtime = client(cloud, "sagemaker-runtime", Config(retries={"total_max_attempts": 1}))
    assert outcome(lambda: runtime.invoke_endpoint(EndpointName="none", Body=b"")) == (503, "ServiceUnavailable")


def test_a_throttled_step_is_tried_again_until_its_job_runs(connect: Connect, ask: Ask, role: str) -> None:
    ask({"operation": "CreateProcessingJob", "kind": "throttle", "times": 4})  # the engine's client asks three times
    execution, steps = run(connect("sagemaker"), "busy", definition(processing_step("Busy", role, "true")), role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    assert steps["Busy"]["AttemptCount"] == 1


def test_a_malformed_file_is_an_error_until_it_is_corrected(once: Any, cloud: Running, ask: Ask) -> None:
    ask({"operation": "ListPipelines", "kind": "flood"})
    with pytest.raises(ClientError, match=r"faults.toml: fault 1: kind is 'flood', not one of throttle.*\nhint: ") as e:
        once.list_training_jobs()
    assert e.value.response["Error"]["Code"] == "ValidationException"
    assert "kind is 'flood'" in (cloud.state / "server.log").read_text()
    ask({"operation": "ListPipelines", "kind": "throttle"})
    assert outcome(once.list_training_jobs) == (200, "")


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path)
    yield sagemaker
    sagemaker.service.stop()


def test_every_second_call_can_be_struck(sagemaker: InProcess) -> None:
    file = sagemaker.service.context.directory / "faults.toml"
    write_rules(file, {"operation": "ListPipelines", "kind": "throttle", "every": 2, "times": 2})
    struck = []
    for _ in range(6):
        try:
            sagemaker.call("ListPipelines")
        except Refused as error:
            struck.append("ThrottlingException" in str(error))
        else:
            struck.append(False)
    assert struck == [False, True, False, True, False, False]


@pytest.mark.parametrize(("text", "message"), [
    ("[[fault]", "Expected"),
    ("x = 1", r"must hold \[\[fault\]\] tables"),
    ("fault = [1]", "must hold"),
    ('[[fault]]\nkind = "error"', "operation is None"),
    ('[[fault]]\noperation = "Fly"\nkind = "error"', "operation is 'Fly', not '\\*' or one of"),
    ('[[fault]]\noperation = "*"\nkind = "slow"', "seconds is 0, not between"),
    ('[[fault]]\noperation = "*"\nkind = "slow"\nseconds = true', "seconds is True"),
    ('[[fault]]\noperation = "*"\nkind = "error"\nseconds = 1', "seconds goes with the kind slow"),
    ('[[fault]]\noperation = "*"\nkind = "error"\ncode = "Odd"', "code is 'Odd'"),
    ('[[fault]]\noperation = "*"\nkind = "error"\ntimes = 0', "times is 0"),
    ('[[fault]]\noperation = "*"\nkind = "error"\nevery = 1.5', "every is 1.5"),
    ('[[fault]]\noperation = "*"\nkind = "error"\ntime = 3', "'time' is none of operation"),
    ('[[fault]]\noperation = ["*"]\nkind = "error"', "operation is"),
])  # fmt: skip
def test_what_is_not_a_rule_is_named(sagemaker: InProcess, text: str, message: str) -> None:
    (sagemaker.service.context.directory / "faults.toml").write_text(text)
    with pytest.raises(Refused, match=rf"ValidationException: .*faults.toml: .*({message})"):
        sagemaker.call("ListPipelines")
