"""A job that is stopped for its time says so: in its status as on AWS, in the step's reason, in the user's words."""

from collections.abc import Callable
from typing import Any

import pytest
from pipeline_runs import definition, processing_step, run, training_step
from tried import tries

from headrace.client.time_limits import limit_of

Connect = Callable[[str], Any]


def job_of(connect: Connect, step: dict[str, Any], kind: str) -> dict[str, Any]:
    name = step["Metadata"][f"{kind}Job"]["Arn"].rsplit("/", 1)[1]
    describe = getattr(connect("sagemaker"), f"describe_{kind.lower()}_job")
    found: dict[str, Any] = describe(**{f"{kind}JobName": name})
    return found


@tries("sagemaker.CreateTrainingJob", "StoppingCondition.MaxRuntimeInSeconds")
def test_a_training_beyond_max_runtime(connect: Connect, role: str) -> None:
    step = training_step(role, "sleep 60", StoppingCondition={"MaxRuntimeInSeconds": 1})
    _, steps = run(connect("sagemaker"), "slow-training", definition(step), role)
    job = job_of(connect, steps["Train"], "Training")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert job["SecondaryStatusTransitions"][-1]["Status"] == "MaxRuntimeExceeded"
    seconds = job["TrainingTimeInSeconds"]
    assert steps["Train"]["FailureReason"].endswith(
        f"ended as Stopped (MaxRuntimeExceeded): it ran {seconds} s, and MaxRuntimeInSeconds is 1."
    )
    limit = limit_of(job, "Training", "local.pipeline")
    assert limit is not None
    assert f"after {seconds} s: max_run_seconds under [local.pipeline] is 1 s" in limit.reason().text


@tries("sagemaker.CreateProcessingJob", "StoppingCondition.MaxRuntimeInSeconds")
def test_a_processing_beyond_max_runtime(connect: Connect, role: str) -> None:
    step = processing_step("Slow", role, "sleep 60")
    step["Arguments"]["StoppingCondition"] = {"MaxRuntimeInSeconds": 1}
    _, steps = run(connect("sagemaker"), "slow-processing", definition(step), role)
    assert steps["Slow"]["FailureReason"].startswith("MaxRuntimeExceeded: the job ran ")
    assert steps["Slow"]["FailureReason"].endswith(" s, and MaxRuntimeInSeconds is 1")
    limit = limit_of(job_of(connect, steps["Slow"], "Processing"), "Processing", "local.pipeline")
    assert limit is not None
    assert "max_run_seconds under [local.pipeline] is 1 s" in limit.reason().text


@pytest.mark.parametrize("kind", ["Training", "Processing"])
def test_a_job_that_failed_by_itself_reached_no_limit(kind: str) -> None:
    job = {f"{kind}JobStatus": "Failed", "SecondaryStatus": "Failed", "StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    assert limit_of(job, kind, "local.pipeline") is None
