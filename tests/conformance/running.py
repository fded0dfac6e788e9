"""A run: that an upload starts it, what its jobs and its model package look like, and what a refusal says."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import Any

from headrace.client.executions import (
    Execution,
    Step,
    list_steps,
    read_execution,
    read_parameters,
    wait_for_execution,
)
from headrace.client.model_packages import find_model
from headrace.client.new_lines import last_lines
from headrace.commands import upload
from headrace.terminal.output import Output
from pipeline_definition.train import METRICS
from tests.conformance.checks import Check, DidNotHold, NotChecked
from tests.conformance.preparation import NAME, listen, write_images
from tests.conformance.world import World

START_SECONDS, RUN_SECONDS = 300, 3600
UNREACHABLE = "2"  # an accuracy that no model has


def starts_a_run(world: World) -> str:
    listen(world)
    folder, world.image = write_images(world.scratch)
    began, clock = datetime.now(UTC), time.monotonic()
    bucket = world.environment.stack.data_bucket
    world.cleanup.append(
        ("the data set", lambda: upload.delete_objects(
            world.environment, bucket, list(upload.list_objects(world.environment, bucket, f"datasets/{NAME}/"))
        ))
    )  # fmt: skip
    upload.upload(world.environment, Output(), path=folder, name=NAME, delete=False)
    execution = wait_for_execution(world.environment, after=began, seconds=START_SECONDS, interval=1)
    waited = time.monotonic() - clock
    world.execution = finished(world, execution)
    steps = world.every(
        "sagemaker", "list_pipeline_execution_steps", "PipelineExecutionSteps", PipelineExecutionArn=execution.arn
    )
    if world.execution.status != "Succeeded":
        reasons = {step["StepName"]: step.get("FailureReason") for step in steps if step.get("FailureReason")}
        raise DidNotHold(f"the run is {world.execution.status}: {reasons}")
    return f"started {waited:.0f} s after the first byte; {', '.join(sorted(step['StepName'] for step in steps))}"


def finished(world: World, execution: Execution) -> Execution:
    def look() -> Execution | None:
        now = read_execution(world.environment, execution.arn)
        return None if now.going_on else now

    ended: Execution | None = world.wait(look, seconds=RUN_SECONDS)
    if ended is None:
        raise DidNotHold(f"the run {execution.name} still goes on after {RUN_SECONDS} s")
    return ended


def first_run(world: World) -> tuple[Execution, list[Step]]:
    if world.execution is None or world.execution.status != "Succeeded":
        raise NotChecked("no run has succeeded")
    return world.execution, list_steps(world.environment, world.execution)


def parameters_of(world: World, execution: Execution, **others: str) -> list[dict[str, str]]:
    """Those of that execution, to start another one with."""
    values = read_parameters(world.environment, execution.arn) | others
    return [{"Name": name, "Value": value} for name, value in values.items()]


def training_of(world: World) -> dict[str, Any]:
    _, steps = first_run(world)
    job = next(step.job for step in steps if step.name.startswith("Train") and step.job)
    described: dict[str, Any] = world.ask("sagemaker", "describe_training_job", TrainingJobName=job)
    return described


def writes_numbers(world: World) -> str:
    """D5: numbers in hyperparameters are texts, of a form that float() reads as the parameter's value."""
    texts = training_of(world)["HyperParameters"]
    parameters = read_parameters(world.environment, first_run(world)[0].arn)
    for option, parameter in (("learning-rate", "LearningRate"), ("epochs", "Epochs"), ("batch-size", "BatchSize")):
        text = texts[option].strip('"')
        if float(text) != float(parameters.get(parameter, text)):
            raise DidNotHold(f"{option} is {texts[option]!r} and {parameter} {parameters[parameter]!r}")
        if parameter != "LearningRate" and not text.isdecimal():
            raise DidNotHold(f"{option}, a whole number, came as {text!r}")
    return ", ".join(f"{name} {texts[name]!r}" for name in ("learning-rate", "epochs", "batch-size"))


def reads_metrics(world: World) -> str:
    found = {metric["MetricName"] for metric in training_of(world).get("FinalMetricDataList", [])}
    if found != set(METRICS):
        raise DidNotHold(f"the job has the metrics {sorted(found)}, its definition {sorted(METRICS)}")
    return ", ".join(sorted(found))


def bills_spot(world: World) -> str:
    job = training_of(world)
    billed, trained = job["BillableTimeInSeconds"], job["TrainingTimeInSeconds"]
    if billed > trained:
        raise DidNotHold(f"{billed} s are billed of {trained}")
    return f"{billed} of {trained} s, managed spot: {job.get('EnableManagedSpotTraining', False)}"


def tags_jobs(world: World) -> str:
    """C5: the budget counts jobs by the environment's tag, which the pipeline has to hand on."""
    arn = training_of(world)["TrainingJobArn"]
    tags = {tag["Key"]: tag["Value"] for tag in world.ask("sagemaker", "list_tags", ResourceArn=arn)["Tags"]}
    if tags.get("headrace:environment") != world.environment.name:
        raise DidNotHold(f"the training job has the tags {tags}")
    return f"{tags}"


def registers_model(world: World) -> str:
    """D1, D5: values of parameters, steps and the execution in CustomerMetadataProperties."""
    execution, _ = first_run(world)
    world.model = find_model(world.environment, "latest")
    package = world.ask("sagemaker", "describe_model_package", ModelPackageName=world.model.arn)
    metadata = package["CustomerMetadataProperties"]
    if not world.model.pins_artifact:
        raise DidNotHold(f"the version does not record its artifact: {metadata}")
    if execution.arn not in metadata.values():
        raise DidNotHold(f"the version does not record its run: {metadata}")
    return f"version {world.model.version}, {package['ModelApprovalStatus']}, {len(metadata)} facts"


def repeats_token(world: World) -> str:
    """D6: the same token within a minute is the same run. Hours are to be tried by hand."""
    execution, _ = first_run(world)
    request = {
        "PipelineName": execution.pipeline,
        "PipelineParameters": parameters_of(world, execution),
        "ClientRequestToken": secrets.token_hex(32),
    }
    answers = []
    for wait in (0, 0 if world.is_local else 60):
        time.sleep(wait)
        answers.append(world.ask("sagemaker", "start_pipeline_execution", **request)["PipelineExecutionArn"])
    for arn in set(answers):
        world.ask(
            "sagemaker", "stop_pipeline_execution", PipelineExecutionArn=arn, ClientRequestToken=secrets.token_hex(32)
        )
        finished(world, read_execution(world.environment, arn))
    if len(set(answers)) > 1:
        raise DidNotHold("the second call with the same token started another run")
    return "one execution, which was stopped"


def refuses_model(world: World) -> str:
    """The text of the Fail step, of figures that the run has measured."""
    execution, _ = first_run(world)
    arn = world.ask(
        "sagemaker",
        "start_pipeline_execution",
        PipelineName=execution.pipeline,
        PipelineParameters=parameters_of(world, execution, AccuracyThreshold=UNREACHABLE),
    )["PipelineExecutionArn"]
    ended = finished(world, read_execution(world.environment, arn))
    world.ask("sagemaker", "describe_pipeline_execution", PipelineExecutionArn=arn)
    steps = {step.name: step for step in list_steps(world.environment, ended)}
    refusal = steps.get("RefuseModel")
    if ended.status != "Failed" or refusal is None or not refusal.reason:
        raise DidNotHold(f"the run is {ended.status}, its steps {sorted(steps)}")
    cached = sorted(step.name for step in steps.values() if step.cached_from)
    return f"{' '.join(refusal.reason.split())}; from the cache: {', '.join(cached) or 'nothing'}"


def writes_logs(world: World) -> str:
    """C7: where jobs and functions write."""
    execution, steps = first_run(world)
    lines = {step.name: len(last_lines(world.environment, execution, step, 3)) for step in steps if step.job}
    silent = sorted(name for name, count in lines.items() if not count)
    if silent:
        raise DidNotHold(f"no log was found of {', '.join(silent)}")
    return ", ".join(sorted(lines))


RUN = (
    Check("run", "an upload starts a run, under roles whose trust names the pipeline, and it succeeds", starts_a_run),
    Check("numbers", "numbers in hyperparameters come as texts that train.py reads", writes_numbers),
    Check("metrics", "the job's metrics are those that the definition's expressions find in its log", reads_metrics),
    Check("billing", "a training job is billed for no more seconds than it trained", bills_spot),
    Check("job-tags", "jobs carry the tags of their pipeline", tags_jobs),
    Check("metadata", "a version records its run and its artifact in its metadata", registers_model),
    Check("token-of-start", "StartPipelineExecution with the same token answers with the same run", repeats_token),
    Check("refusal", "a Fail step's text holds the run's own figures", refuses_model),
    Check("logs", "the log of each step is where `headrace logs` looks", writes_logs),
)  # fmt: skip
