"""From an event to its notice: the function's flow on one page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from notify.environment import Environment
from notify.messages import (
    AlarmRaised,
    ArtifactRefused,
    DefinitionRefused,
    Deployed,
    EndpointDiffers,
    EndpointFailed,
    Event,
    ExecutionEnded,
    ModelWaits,
    OverBudget,
    RolledBack,
    RunLimitReached,
    SetAside,
)
from notify.notice import Notice
from notify.publish import is_sent, marker_key, publish
from notify.queries import Run, read_run, read_version
from notify.templates import models, operations, runs
from shared import log
from shared.champion import find_champion
from shared.lines import DEFAULT, resource_name


def notify(event: Event, environment: Environment, client: Callable[[str], Any]) -> None:
    """Send the event's notice, unless it was sent before. Raises what AWS raises: SQS then delivers it again."""
    environment = environment.of_line(line_of(event, environment))
    log.append_keys(**keys_of(event), **({"line": environment.line} if environment.line else {}))
    key = marker_key(type(event).__name__, event.state)
    if is_sent(client("s3"), environment, key):
        log.info("notice already sent", of=type(event).__name__, state=event.state)
        return
    notice = compose(event, environment, client)
    if notice is not None:
        publish(client("sns"), client("s3"), environment, notice, key)


def keys_of(event: Event) -> dict[str, str]:
    match event:
        case ExecutionEnded(arn, _):
            return {"execution": arn}
        case (
            ModelWaits(arn, _)
            | Deployed(model_package_arn=arn)
            | ArtifactRefused(model_package_arn=arn)
            | RolledBack(model_package_arn=arn)
        ):
            return {"model_package": arn}
        case OverBudget(data_set=data_set) | RunLimitReached(data_set=data_set):
            return {"data_set": data_set}
    return {}


def line_of(event: Event, environment: Environment) -> str:
    """The model line of the event's resource, by the resource's name; the default line for all other events."""
    match event:
        case ExecutionEnded(arn, _):
            name = arn.split("/")[-3]  # …:pipeline/<name>/execution/<id>
        case (
            ModelWaits(arn, _)
            | Deployed(model_package_arn=arn)
            | ArtifactRefused(model_package_arn=arn)
            | RolledBack(model_package_arn=arn)
        ):
            name = arn.split("/")[-2]  # …:model-package/<group>/<version>
        case EndpointFailed(endpoint=name):
            pass
        case DefinitionRefused(definition=key):
            name = key.rpartition("/")[2].removesuffix(".json")
        case _:
            return DEFAULT
    return {resource_name(environment.endpoint, line): line for line in environment.lines}.get(name, DEFAULT)


def compose(event: Event, environment: Environment, client: Callable[[str], Any]) -> Notice | None:
    """The notice of the event; None if the event is out of date."""
    match event:
        case ExecutionEnded(arn, status):
            bucket, table = environment.data_bucket, environment.table
            run = read_run(client("sagemaker"), client("logs"), client("s3"), arn, bucket=bucket, table=table)
            return _ended(status, run, environment, client)
        case ModelWaits(arn, _):
            return _waits(arn, environment, client)
        case AlarmRaised():
            return operations.alarm(environment, event)
        case EndpointFailed():
            return models.endpoint_failed(environment, event)
        case ArtifactRefused():
            version = read_version(client("sagemaker"), event.model_package_arn)
            return models.artifact_refused(environment, event, version)
        case Deployed():
            return models.deployed(environment, event, read_version(client("sagemaker"), event.model_package_arn))
        case RolledBack():
            return models.rolled_back(environment, event, read_version(client("sagemaker"), event.model_package_arn))
        case EndpointDiffers():
            return models.endpoint_differs(environment, event)
        case DefinitionRefused():
            return operations.definition_refused(environment, event)
        case OverBudget():
            return operations.over_budget(environment, event)
        case RunLimitReached():
            return operations.run_limit_reached(environment, event)
        case SetAside():
            return operations.set_aside(environment, event)
    assert_never(event)


def _ended(status: str, run: Run, environment: Environment, client: Callable[[str], Any]) -> Notice:
    refusal = next((step for step in run.failed if step.refuses), None)
    if status != "Failed" or refusal is None or len(run.failed) > 1:
        return runs.execution_ended(environment, status, run)
    champion = None if run.champion is None else read_version(client("sagemaker"), run.champion)
    return runs.gate_refused(environment, run, refusal, champion)


def _waits(arn: str, environment: Environment, client: Callable[[str], Any]) -> Notice | None:
    sagemaker = client("sagemaker")
    version = read_version(sagemaker, arn)
    if version is None or version.approval != "PendingManualApproval":
        log.info("ignored", reason="the version is decided or gone", model_package=arn)
        return None
    champion = find_champion(sagemaker, environment.model_package_group)
    beaten = None if champion is None else read_version(sagemaker, champion.model_package_arn)
    return models.model_waits(environment, version, beaten)
