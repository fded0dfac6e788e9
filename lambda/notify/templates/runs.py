"""Notices about a run: it failed, was stopped, or its model was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from notify.environment import Environment
from notify.links import JOB_PAGES, job_link, log_link
from notify.notice import Notice
from notify.queries import FailedStep, Run, Version

MAX_STEPS = 5  # failed steps with details; the headline names all


def execution_ended(environment: Environment, status: str, run: Run) -> Notice:
    """The notice of a run that failed or was stopped. `gate_refused` is for a run whose model was refused."""
    data_set = run.parameters.get("DataSet")
    steps = ", ".join(step.name for step in run.failed)
    where = f" in {steps}" if steps else ""
    verb = "failed" if status == "Failed" else "was stopped"
    facts = [*_about(environment, run)]
    if not run.failed and run.reason:
        facts.append(f"reason: {run.reason}")
    for step in run.failed[:MAX_STEPS]:
        facts += ["", *_step(run, step)]
    to_do = []
    if any(step.reason.quota for step in run.failed):
        to_do.append(environment.command("doctor") + "   # every quota that this environment needs")
    to_do += [environment.command(f"logs {run.display_name}{_first(run)}") + "   # the whole log"]
    if data_set is not None:
        to_do.append(environment.command(f"run --again {data_set}") + "   # once the cause is fixed")
    return Notice(
        f"execution-{status.lower()}",
        f"the run {run.display_name} {verb}{where}",
        facts,
        to_do,
        _run_data(run) | {"status": status, "steps": [_step_data(run, step) for step in run.failed[:MAX_STEPS]]},
    )


def gate_refused(environment: Environment, run: Run, step: FailedStep, champion: Version | None) -> Notice:
    """The notice of a refused model: the pipeline worked, and the model did not pass its quality conditions."""
    candidates = _accuracies(run.evaluation.get("candidates"))
    threshold = run.parameters.get("AccuracyThreshold")
    again = _accuracies({"champion": run.evaluation.get("champion", {})}).get("champion")
    if run.champion is None:
        beaten = "none yet"
    elif champion is None:
        beaten = f"{run.champion}, which is gone by now"
    else:
        beaten = f"version {champion.number}, registered with accuracy {champion.accuracy}"
        beaten += "" if again is None else f"; {again} on the images of this run"
    facts = [*_about(environment, run), f"reason: {step.reason.text}", ""]
    facts += [f"candidate {name}: accuracy {accuracy}" for name, accuracy in candidates.items()]
    facts += [f"champion: {beaten}"] + ([] if threshold is None else [f"threshold: accuracy {threshold}"])
    facts += [f"warning: {warning}" for warning in _texts(run.evaluation.get("warnings"))]
    missed = _missed(run.evaluation.get("gates"))
    data_set = run.parameters.get("DataSet", "DATA_SET")
    return Notice(
        "gate-refused",
        f"the model of the run {run.display_name} was refused",
        facts,
        [
            "nothing, if this is right: the endpoint serves what it served before",
            f"upload more or better data as {data_set}, which starts a run; "
            f"or change epochs or {' or '.join(missed or ['accuracy_threshold'])} in environments.toml and deploy",
            environment.command(f"logs {run.display_name}") + "   # what training and evaluation wrote",
        ],
        _run_data(run)
        | {
            "step": step.name,
            "reason": step.reason.text,
            "candidates": candidates,
            "champion": None if run.champion is None else {"model_package": run.champion, "accuracy": again},
            "threshold": None if threshold is None else float(threshold),
            "missed": missed,
            "comparison": run.evaluation.get("comparison"),
        },
    )


def _about(environment: Environment, run: Run) -> list[str]:
    fingerprint = run.parameters.get("Fingerprint", "")
    return [
        f"data set: {run.parameters.get('DataSet', 'not given')}" + (f" ({fingerprint[:8]})" if fingerprint else ""),
        f"execution: {run.arn}",
        f"in Studio: Pipelines > {environment.pipeline} > Executions > {run.display_name}",
    ]


def _run_data(run: Run) -> dict[str, Any]:
    return {
        "execution": run.arn,
        "run": run.display_name,
        "data_set": run.parameters.get("DataSet"),
        "fingerprint": run.parameters.get("Fingerprint"),
    }


def _step(run: Run, step: FailedStep) -> Iterator[str]:
    yield f"step {step.name}: {step.reason.text}"
    if step.reason.exit_code not in (None, 0, 1):
        yield f"exit code: {step.reason.exit_code}"
    if step.reason.hint is not None:
        yield f"hint: {step.reason.hint}"
    if step.job is not None and step.job_kind in JOB_PAGES:
        yield f"job: {job_link(run.arn, step.job_kind, step.job)}"
    if step.log_group is not None and step.log_stream is not None:
        yield f"log: {log_link(run.arn, step.log_group, step.log_stream)}"
        if step.log:
            yield "last lines of the log:"
        yield from (f"  {line}" for line in step.log)


def _step_data(run: Run, step: FailedStep) -> dict[str, Any]:
    log = step.log_group is not None and step.log_stream is not None
    return {
        "name": step.name,
        "reason": step.reason.text,
        "hint": step.reason.hint,
        "exit_code": step.reason.exit_code,
        **({"quota": step.reason.quota} if step.reason.quota else {}),
        "job": step.job,
        "log": log_link(run.arn, str(step.log_group), str(step.log_stream)) if log else None,
    }


def _first(run: Run) -> str:
    """The first failed step that has a log, for a command line."""
    return next((f" {step.name}" for step in run.failed if step.job), "")


def _missed(gates: Any) -> list[str]:
    """The settings of the gates that the model did not pass."""
    found = [gate for gate in gates if isinstance(gate, Mapping)] if isinstance(gates, list) else []
    return [str(gate.get("setting")) for gate in found if gate.get("passed") is False]


def _texts(items: Any) -> list[str]:
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


def _accuracies(figures: Any) -> dict[str, float]:
    """The numbers of {"spot": {"accuracy": 0.97, …}, …}. It skips other values: the report may be a user's."""
    match figures:
        case dict():
            found = {str(name): item.get("accuracy") for name, item in figures.items() if isinstance(item, Mapping)}
            return {name: value for name, value in found.items() if isinstance(value, float | int)}
    return {}
