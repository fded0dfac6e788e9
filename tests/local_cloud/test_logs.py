"""Logs of the local cloud: a step's own, however many run at once; and FilterLogEvents with each of its parameters."""

import io
import json
import secrets
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pipeline_runs import IMAGE, definition, make_role, processing_step, training_step, wait_for

from headrace.client.environment import Environment, Stack, Training
from headrace.client.executions import Execution, list_steps, read_execution
from headrace.client.log_events import read_lines
from headrace.errors import NotFound
from headrace.project.session import isolated_config, isolated_session
from local_cloud.process import Running

Connect = Callable[[str], Any]
JOBS = [f"Step{number}" for number in range(1, 7)]
FINDER = """import json
def handle(event, context):
    print(json.dumps({"execution": event["PipelineExecutionArn"], "message": "asked"}))
    print("answered " + event["PipelineExecutionArn"].rsplit("/", 1)[-1])
    return {}
"""


@pytest.fixture
def group(connect: Connect) -> str:
    """A log group with three streams, whose names are prefixes of each other."""
    logs, name = connect("logs"), f"/tests/{secrets.token_hex(4)}"
    logs.create_log_group(logGroupName=name)
    now = int(time.time() * 1000)
    for number, stream in enumerate(("job-a/algo-1", "job-ab/algo-1", "job-b/algo-1")):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        events = [{"timestamp": now + number + 10 * line, "message": f"{stream} line {line}"} for line in range(3)]
        logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=events)
    return name


@pytest.mark.parametrize(
    ("prefix", "streams"),
    [
        ("job-a/", {"job-a/algo-1"}),
        ("job-a", {"job-a/algo-1", "job-ab/algo-1"}),
        ("a-job-that-never-wrote/", set()),
    ],
)
def test_a_prefix_gives_the_events_of_its_streams_alone(
    connect: Connect, group: str, prefix: str, streams: set[str]
) -> None:
    found = connect("logs").filter_log_events(logGroupName=group, logStreamNamePrefix=prefix)["events"]
    assert {event["logStreamName"] for event in found} == streams
    assert len(found) == 3 * len(streams)


def test_each_event_is_on_one_page_of_one_event_or_of_two(connect: Connect, group: str) -> None:
    pages = connect("logs").get_paginator("filter_log_events")
    whole = [event["eventId"] for event in connect("logs").filter_log_events(logGroupName=group)["events"]]
    assert len(set(whole)) == 9
    for size in (1, 2, 9):
        found = pages.paginate(logGroupName=group, PaginationConfig={"PageSize": size})
        assert [event["eventId"] for page in found for event in page["events"]] == whole


def test_events_of_the_same_time_are_on_one_page_each(connect: Connect, group: str) -> None:
    logs, now = connect("logs"), int(time.time() * 1000)
    logs.create_log_stream(logGroupName=group, logStreamName="burst")
    events = [{"timestamp": now, "message": f"line {number}"} for number in range(7)]
    logs.put_log_events(logGroupName=group, logStreamName="burst", logEvents=events)
    found = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, logStreamNames=["burst"], PaginationConfig={"PageSize": 3}
    )
    assert [event["message"] for page in found for event in page["events"]] == [f"line {n}" for n in range(7)]


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"logStreamNames": ["nobody"]}, "The specified log stream does not exist: nobody"),
        ({"logStreamNames": ["job-a/algo-1"], "logStreamNamePrefix": "job"}, "cannot be given together"),
        ({"filterPattern": '{ $.level = "ERROR" }'}, "filterPattern.*hint: "),
        ({"startFromHead": False}, "startFromHead.*hint: "),
        ({"nextToken": "yesterday"}, "nextToken is invalid"),
    ],
)
def test_what_filter_log_events_cannot_do_is_refused(
    connect: Connect, group: str, parameters: dict[str, Any], refusal: str
) -> None:
    with pytest.raises(ClientError, match=refusal):
        connect("logs").filter_log_events(logGroupName=group, **parameters)


def environment_of(cloud: Running, pipeline: str) -> Environment:
    session = isolated_session(cloud.account, cloud.secret_key(cloud.account), cloud.region)
    found = Environment("local", session, isolated_config(), account=cloud.account, running=cloud)
    found._stack = Stack("tests", "CREATE_COMPLETE", None, Training("bucket", pipeline), "models", "endpoint", ())
    return found


def finder(connect: Connect) -> str:
    """A function that logs to a group of another name than its own; gives its ARN."""
    buffer, name = io.BytesIO(), f"finder-{secrets.token_hex(4)}"
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", FINDER)
    connect("logs").create_log_group(logGroupName=f"/elsewhere/{name}")
    arn: str = connect("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handle", Code={"ZipFile": buffer.getvalue()},
        Role=make_role(connect("iam"), name, ["logs:*"], ["*"]), Timeout=30,
        LoggingConfig={"LogFormat": "Text", "LogGroup": f"/elsewhere/{name}"},
    )["FunctionArn"]  # fmt: skip
    return arn


def test_logs_of_eight_steps_of_three_runs_at_once_are_each_its_own(
    cloud: Running, connect: Connect, bucket: str, role: str
) -> None:
    sagemaker, pipeline = connect("sagemaker"), f"eight-{secrets.token_hex(4)}"
    run = {"Get": "Execution.PipelineExecutionId"}
    steps = []
    for name in JOBS:
        step = processing_step(name, role, f"echo {name} of $RUN")
        step["Arguments"]["Environment"] = {"RUN": run}
        steps.append(step)
    steps.append(training_step(role, "echo Train of $RUN", Environment={"RUN": run}))
    find = {"Name": "Find", "Type": "Lambda", "FunctionArn": finder(connect), "OutputParameters": []}
    steps.append(find | {"Arguments": {"PipelineExecutionArn": {"Get": "Execution.PipelineExecutionArn"}}})
    sagemaker.create_pipeline(PipelineName=pipeline, PipelineDefinition=definition(*steps), RoleArn=role)
    arns = [sagemaker.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"] for _ in range(3)]
    for arn in arns:
        execution, ended = wait_for(sagemaker, arn, 120)
        assert execution["PipelineExecutionStatus"] == "Succeeded", ended
    environment = environment_of(cloud, pipeline)
    for arn in arns:
        execution = read_execution(environment, arn)
        found = {
            step.name: [line.text for line in read_lines(environment, execution, step)]
            for step in list_steps(environment, execution)
        }
        assert found.keys() == {*JOBS, "Train", "Find"}
        for name in (*JOBS, "Train"):
            image, *lines = found[name]
            assert image.startswith(f"{IMAGE}: runs here with Python ")
            assert lines == [f"{name} of {execution.id}"]
        assert f"answered {execution.id}" in found["Find"]
        others = [other.rsplit("/", 1)[-1] for other in arns if other != arn]
        assert not [line for line in found["Find"] if any(other in line for other in others)]


def test_a_job_that_ends_before_it_writes_has_no_log(cloud: Running, connect: Connect, bucket: str, role: str) -> None:
    """Such a job once had the lines of every earlier job."""
    sagemaker, pipeline = connect("sagemaker"), f"silent-{secrets.token_hex(4)}"
    missing = {
        "InputName": "data",
        "S3Input": {"S3Uri": f"s3://{bucket}/nothing/", "LocalPath": "/opt/ml/processing/in", "S3DataType": "S3Prefix",
                    "S3InputMode": "File"},
    }  # fmt: skip
    talkative = processing_step("Talkative", role, "echo something")
    silent = processing_step("Silent", role, "true", inputs=[missing], DependsOn=["Talkative"])
    sagemaker.create_pipeline(PipelineName=pipeline, PipelineDefinition=definition(talkative, silent), RoleArn=role)
    arn = sagemaker.start_pipeline_execution(PipelineName=pipeline)["PipelineExecutionArn"]
    wait_for(sagemaker, arn)
    environment = environment_of(cloud, pipeline)
    execution = read_execution(environment, arn)
    steps = {step.name: step for step in list_steps(environment, execution)}
    assert steps["Silent"].status == "Failed"
    with pytest.raises(NotFound, match="ended without writing a line"):
        read_lines(environment, execution, steps["Silent"])


def test_each_invocation_has_its_own_lines_however_busy_the_machine_is(connect: Connect) -> None:
    """Lines that came later than 50 ms after the answer were the next invocation's."""
    name = finder(connect).rsplit(":", 1)[1]
    for number in range(10):
        payload = json.dumps({"PipelineExecutionArn": f"execution/{number}"})
        with ThreadPoolExecutor(2) as pool:  # keeps the readers of the functions' output from running
            busy = [pool.submit(sum, range(3_000_000)) for _ in range(2)]
            connect("lambda").invoke(FunctionName=name, Payload=payload)
            assert [work.result() for work in busy]
    events = connect("logs").filter_log_events(logGroupName=f"/elsewhere/{name}")["events"]
    lines: dict[str, list[str]] = {}
    for event in events:
        lines.setdefault(event["logStreamName"], []).append(event["message"])
    for number, found in enumerate(lines.values()):
        own = [json.dumps({"execution": f"execution/{number}", "message": "asked"}), f"answered {number}"]
        assert found[1:-2] == own
    assert len(lines) == 10


def test_invocations_that_nothing_distinguishes_are_not_mixed(
    cloud: Running, connect: Connect, bucket: str, role: str
) -> None:
    logs, group = connect("logs"), f"/aws/lambda/mute-{secrets.token_hex(4)}"
    name = group.rsplit("/", 1)[-1]
    make_function(connect, name)
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="one")
    now = datetime.now(UTC)

    def write(request: str) -> None:
        words = [f"START RequestId: {request} Version: 1", "hello", f"REPORT RequestId: {request}\tDuration: 1 ms"]
        stamp = int(now.timestamp() * 1000)
        events = [{"timestamp": stamp, "message": word} for word in words]
        logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=events)

    environment = environment_of(cloud, "none")
    execution = Execution("arn:none/execution/abc", "mine", "Succeeded", now, "", None)
    function = f"arn:aws:lambda:us-east-1:{cloud.account}:function:{name}"
    step = step_of_function(function, now)
    write("r1")
    assert len(read_lines(environment, execution, step)) == 3
    write("r2")
    with pytest.raises(NotFound, match=r"2 invocations of .* none of them logs the run's ARN") as refused:
        read_lines(environment, execution, step)
    assert json.dumps({"Get": "Execution.PipelineExecutionArn"}) in str(refused.value.hint)


def make_function(connect: Connect, name: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", "def handle(event, context): pass")
    connect("lambda").create_function(
        FunctionName=name, Runtime="python3.13", Handler="index.handle", Code={"ZipFile": buffer.getvalue()},
        Role=make_role(connect("iam"), name, ["logs:*"], ["*"]),
    )  # fmt: skip


def step_of_function(arn: str, moment: datetime) -> Any:
    from headrace.client.executions import Step

    return Step("Find", "Succeeded", moment, moment, None, None, None, 1, "Lambda", arn)
