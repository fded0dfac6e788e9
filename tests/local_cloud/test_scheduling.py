"""Steps run once, after what they wait for, and not at all when something failed, stopped or was skipped."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from botocore.exceptions import ClientError
from eventually import eventually
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import SCOPE, InProcess, Refused

from local_cloud.sagemaker.pipelines.steps import STEP_TYPES
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed


class Recorder:
    """Stands for the Lambda step type: ``Arguments`` say how a step behaves."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.release = threading.Event()
        self.announced = threading.Event()
        self.functions: list[Any] = []

    def run(self, attempt: Attempt) -> Outcome:
        name, how = attempt.step.name, attempt.arguments.get("how")
        self.log.append(("begin", name))
        self.functions.append(attempt.step.extra.get("FunctionArn"))
        if how == "held":
            if "late" in attempt.arguments:
                self.announced.wait(10)
            attempt.record_metadata({"Lambda": {"Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}"}})
            self.release.wait(10)
            return Outcome("Stopped")
        if how == "lingering":  # longer than the engine takes to ask what runs to stop
            attempt.record_metadata({"Lambda": {"Arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}"}})
            time.sleep(0.8)
        self.log.append(("end", name))
        if how == "throttled":
            return failed("Rate exceeded (ThrottlingException)")
        return failed("it failed") if how == "failing" else Outcome("Succeeded")

    def stop(self, attempt: Attempt, metadata: dict[str, Any]) -> None:
        self.log.append(("stop", attempt.step.name))
        self.release.set()
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Stop")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setitem(STEP_TYPES, "Lambda", StepType(run=recorder.run, stop=recorder.stop))
    return recorder


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path)
    yield sagemaker
    sagemaker.service.stop()


def step(name: str, *depends_on: str | dict[str, str], **arguments: Any) -> dict[str, Any]:
    return {"Name": name, "Type": "Lambda", "Arguments": arguments, "DependsOn": list(depends_on)}


def on(trigger: str, name: str) -> dict[str, str]:
    return {"Step": name, "Trigger": trigger}


def condition(name: str, outcome: bool, yes: list[Any], no: list[Any]) -> dict[str, Any]:
    equals = {"Type": "Equals", "LeftValue": 1, "RightValue": 1 if outcome else 2}
    return {"Name": name, "Type": "Condition", "Arguments": {"Conditions": [equals], "IfSteps": yes, "ElseSteps": no}}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_random_graph_runs_in_order(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 8))
    names = [f"S{index}" for index in range(size)]
    waits = {name: data.draw(st.sets(st.sampled_from(names[:i] or names[:1]))) - {name} for i, name in enumerate(names)}
    failing = data.draw(st.sampled_from([*names, None]))
    limit = data.draw(st.integers(1, 3))
    recorder = Recorder()
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setitem(STEP_TYPES, "Lambda", StepType(run=recorder.run))
        sagemaker = InProcess(Path(directory))
        steps = [step(name, *sorted(waits[name]), how="failing" if name == failing else "") for name in names]
        sagemaker.create("random", *data.draw(st.permutations(steps)))
        arn = sagemaker.start("random", ParallelismConfiguration={"MaxParallelExecutionSteps": limit})
        status, records = sagemaker.end_of(arn)
        sagemaker.service.stop()
    begun = [name for what, name in recorder.log if what == "begin"]
    assert len(begun) == len(set(begun))
    assert set(begun) == set(records)
    for name in begun:
        before = recorder.log[: recorder.log.index(("begin", name))]
        assert all(("end", dependency) in before for dependency in waits[name])
        assert failing not in waits[name]
    if failing is None:
        assert (status, set(begun)) == ("Succeeded", set(names))
    else:
        assert status == "Failed"
        if limit == 1:
            assert begun[-1] == failing


def test_nothing_queued_starts_after_a_failure(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("queue", step("A", how="failing"), step("B"), step("C"))
    arn = sagemaker.start("queue", ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    status, steps = sagemaker.end_of(arn)
    assert (status, set(steps)) == ("Failed", {"A"})


@pytest.mark.parametrize(("how", "trigger", "ran", "status"), [
    ("", "Completed", True, "Succeeded"), ("", "Any", True, "Succeeded"),
    ("", "Failed", False, "Succeeded"), ("", "Stopped", False, "Succeeded"),
    ("failing", "Completed", False, "Failed"), ("failing", "Stopped", False, "Failed"),
    ("failing", "Failed", True, "Succeeded"), ("failing", "Any", True, "Succeeded"),
])  # fmt: skip
def test_a_step_runs_when_its_trigger_is_how_the_other_ended(
    sagemaker: InProcess, recorder: Recorder, how: str, trigger: str, ran: bool, status: str
) -> None:
    sagemaker.create("trigger", step("A", how=how), step("B", on(trigger, "A")))
    ended_as, steps = sagemaker.end_of(sagemaker.start("trigger"))
    assert (ended_as, "B" in steps) == (status, ran)


def test_a_handled_failure_keeps_only_what_waits_for_success_from_starting(
    sagemaker: InProcess, recorder: Recorder
) -> None:
    steps = [step("A", how="failing"), step("Follows", "A"), step("Far", "Follows"), step("B"), step("C", "B")]
    sagemaker.create("handled", *steps, step("Handler", on("Failed", "A")))
    arn = sagemaker.start("handled", ParallelismConfiguration={"MaxParallelExecutionSteps": 1})
    status, records = sagemaker.end_of(arn)
    assert (status, set(records)) == ("Succeeded", {"A", "B", "C", "Handler"})


def test_a_failure_whose_handler_is_skipped_fails_the_execution(sagemaker: InProcess, recorder: Recorder) -> None:
    handler = step("Handler", on("Failed", "A"), on("Failed", "B"))
    sagemaker.create("unhandled", step("A", how="failing"), step("B"), handler)
    status, steps = sagemaker.end_of(sagemaker.start("unhandled"))
    assert (status, set(steps)) == ("Failed", {"A", "B"})


def test_a_handler_that_fails_fails_the_execution(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("both", step("A", how="failing"), step("Handler", on("Any", "A"), how="failing"))
    assert sagemaker.end_of(sagemaker.start("both"))[0] == "Failed"


def test_a_reference_to_a_failed_step_says_that_it_failed(sagemaker: InProcess, recorder: Recorder) -> None:
    handler = step("Handler", on("Any", "A"), x={"Get": "Steps.A.OutputParameters['y']"})
    sagemaker.create("reference", step("A", how="failing") | {"OutputParameters": [{"OutputName": "y"}]}, handler)
    status, steps = sagemaker.end_of(sagemaker.start("reference"))
    assert status == "Failed"
    reason = "ClientError: 'Steps.A.OutputParameters.y' has no value: step 'A' is Failed,"
    assert steps["Handler"]["FailureReason"].startswith(reason)


def test_a_stopped_execution_runs_what_waits_for_the_stop(sagemaker: InProcess, recorder: Recorder) -> None:
    cleanup = step("Cleanup", on("Stopped", "A"), how="lingering")
    sagemaker.create("cleanup", step("A", how="held"), cleanup, step("Always", on("Any", "A")), step("B", "A"))
    arn = sagemaker.start("cleanup")
    eventually("a step has started", lambda: bool(recorder.log), interval=0.01)
    sagemaker.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    status, steps = sagemaker.end_of(arn)
    assert status == "Stopped"
    expected = {"A": "Stopped", "Cleanup": "Succeeded", "Always": "Succeeded"}
    assert {name: item["StepStatus"] for name, item in steps.items()} == expected
    assert ("stop", "Cleanup") not in recorder.log


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_in_a_random_graph_every_trigger_is_heeded(data: st.DataObject) -> None:
    names = [f"S{index}" for index in range(data.draw(st.integers(1, 7)))]
    failing = data.draw(st.sets(st.sampled_from(names)))
    any_trigger = st.sampled_from(["Completed", "Failed", "Any"])
    triggers = {
        name: data.draw(st.dictionaries(st.sampled_from(names[:index]), any_trigger)) if index else {}
        for index, name in enumerate(names)
    }
    recorder = Recorder()
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setitem(STEP_TYPES, "Lambda", StepType(run=recorder.run))
        sagemaker = InProcess(Path(directory))
        steps = [
            step(name, *(on(trigger, other) for other, trigger in triggers[name].items()),
                 how="failing" if name in failing else "")
            for name in names
        ]  # fmt: skip
        sagemaker.create("random", *steps)
        status, records = sagemaker.end_of(sagemaker.start("random"))
        sagemaker.service.stop()
    ends = {name: record["StepStatus"] for name, record in records.items()}
    for name in ends:
        for other, trigger in triggers[name].items():
            assert trigger in ("Any", {"Succeeded": "Completed", "Failed": "Failed"}[ends[other]])
    handled = {other for name in ends for other, trigger in triggers[name].items() if trigger != "Completed"}
    failed_steps = {name for name, end in ends.items() if end == "Failed"}
    assert (status == "Succeeded") == (failed_steps <= handled)


def test_an_untaken_branch_and_what_depends_on_it_leave_no_record(sagemaker: InProcess, recorder: Recorder) -> None:
    inner = condition("Inner", True, [step("Deep")], [step("Never")])
    outer = condition("Outer", True, [inner], [condition("Other", True, [step("Hidden")], [])])
    sagemaker.create(
        "nested", outer, step("AfterHidden", "Hidden"), step("AfterDeep", "Deep"), step("Far", "AfterHidden")
    )
    status, steps = sagemaker.end_of(sagemaker.start("nested"))
    assert (status, set(steps)) == ("Succeeded", {"Outer", "Inner", "Deep", "AfterDeep"})


def test_a_stop_ends_all_branches_although_the_stop_calls_fail(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("branches", step("A", how="held"), step("B", how="held"), step("C", "A"))
    arn = sagemaker.start("branches")
    eventually("two steps have started", lambda: len(recorder.log) == 2, interval=0.01)
    sagemaker.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    status, steps = sagemaker.end_of(arn)
    assert status == "Stopped"
    assert {name: item["StepStatus"] for name, item in steps.items()} == {"A": "Stopped", "B": "Stopped"}
    changes = [
        (detail["previousPipelineExecutionStatus"], detail["currentPipelineExecutionStatus"])
        for kind, detail in sagemaker.cloud.events
        if kind == "SageMaker Model Building Pipeline Execution Status Change" and len(detail) > 5
        if "previousPipelineExecutionStatus" in detail
    ]
    assert changes == [("Executing", "Stopping"), ("Stopping", "Stopped")]


def test_a_step_that_announces_its_job_after_the_stop_is_stopped(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("late", step("A", how="held", late=True))
    arn = sagemaker.start("late")
    eventually("a step has started", lambda: bool(recorder.log), interval=0.01)
    sagemaker.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    recorder.announced.set()
    assert sagemaker.end_of(arn)[0] == "Stopped"
    assert ("stop", "A") in recorder.log


def test_a_stop_does_not_wait_for_a_retry(sagemaker: InProcess, recorder: Recorder) -> None:
    policy = {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 3600}
    sagemaker.create("waiting", step("A", how="throttled") | {"RetryPolicies": [policy]})
    arn = sagemaker.start("waiting")
    eventually("A has ended", lambda: ("end", "A") in recorder.log, interval=0.01)
    sagemaker.call("StopPipelineExecution", PipelineExecutionArn=arn, ClientRequestToken="s" * 32)
    assert sagemaker.end_of(arn)[0] == "Stopped"


def test_a_function_may_be_named_by_a_parameter(sagemaker: InProcess, recorder: Recorder) -> None:
    parameter = {"Name": "F", "Type": "String", "DefaultValue": "arn:f"}
    sagemaker.create("named", step("A") | {"FunctionArn": {"Get": "Parameters.F"}}, Parameters=[parameter])
    assert sagemaker.end_of(sagemaker.start("named"))[0] == "Succeeded"
    assert recorder.functions == ["arn:f"]


def test_concurrent_starts_with_one_token_are_one_execution(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("once", step("A"))
    with ThreadPoolExecutor(8) as pool:
        arns = set(pool.map(lambda _: sagemaker.start("once"), range(16)))
    assert len(arns) == 1
    sagemaker.end_of(arns.pop())
    assert recorder.log.count(("begin", "A")) == 1


def test_a_deleted_pipeline_takes_its_executions_with_it(sagemaker: InProcess, recorder: Recorder) -> None:
    sagemaker.create("gone", step("A"))
    first = sagemaker.start("gone")
    sagemaker.end_of(first)
    time.sleep(0.05)
    sagemaker.call("DeletePipeline", PipelineName="gone", ClientRequestToken="d" * 32)
    sagemaker.create("gone", step("A"))
    assert sagemaker.call("ListPipelineExecutions", PipelineName="gone")["PipelineExecutionSummaries"] == []
    assert sagemaker.start("gone") != first
    with pytest.raises(Refused, match="ResourceNotFound"):
        sagemaker.call("DescribePipelineExecution", PipelineExecutionArn=first)


@pytest.mark.parametrize(("value", "message"), [
    ({"Name": "X", "Value": "1"}, "Unknown parameter 'X'"), ({"Name": "N", "Value": ""}, "empty"),
    ({"Name": "N", "Value": "1.5"}, "not a Integer"), ({"Name": "N", "Value": "3"}, "not one of"), (None, "undefined"),
])  # fmt: skip
def test_a_bad_parameter_is_refused(sagemaker: InProcess, value: Any, message: str) -> None:
    parameter = {"Name": "N", "Type": "Integer", "EnumValues": [1, 2]}
    sagemaker.create("parameters", condition("C", True, [], []), Parameters=[parameter])
    with pytest.raises(Refused, match=f"ValidationException: .*{message}"):
        sagemaker.start("parameters", PipelineParameters=[value] if value else [])


def test_a_recorded_execution_that_cannot_be_read_any_more_does_not_keep_the_cloud_from_starting(
    tmp_path: Path,
) -> None:
    service = InProcess(tmp_path)
    service.create("old", {"Name": "A", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}})
    arn = service.start("old")
    service.end_of(arn)
    service.service.context.store.update(
        SCOPE, "execution", arn, PipelineExecutionStatus="Executing", PipelineDefinition='{"Version": "1999-01-01"}'
    )
    service.service.executions.resume()
    answer = service.call("DescribePipelineExecution", PipelineExecutionArn=arn)
    assert answer["PipelineExecutionStatus"] == "Failed"
    assert answer["FailureReason"].startswith("The definition cannot be run any more.")
