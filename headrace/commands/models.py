"""The versions in the model registry: `headrace models`."""

from __future__ import annotations

from datetime import UTC, datetime

from headrace.client.environment import Environment
from headrace.client.model_packages import APPROVED, PENDING, Model, list_models
from headrace.commands.command import command
from headrace.formats import share, when
from headrace.terminal.output import Output

COLUMNS = ("version", "created", "status", "approval", "accuracy", "data set", "run", "sha256", "note")
SHA256_SHOWN = 12  # digits of it in the table; --json has all 64


@command("models", "With approval, accuracy, data set, the run that registered each, and the note of its decision.")
def show_models(environment: Environment, output: Output) -> None:
    """The command `models`."""
    every = environment.every_line
    if len(every) > 1:
        return _show_models_of_lines(environment, every, output)
    now = datetime.now(UTC)
    models = list_models(environment)
    if not models and not output.as_json:
        output.note("no model has been registered yet: a run registers one if it is accurate enough")
        output.next(environment.registry_command("runs"))
        return
    output.table(COLUMNS, [_row(model, now) for model in models], [model.as_data() for model in models])
    waiting = next((model for model in models if model.approval == PENDING), None)
    if waiting and waiting.comparison:
        output.note(f"version {waiting.version}: {waiting.comparison}")
    if waiting and waiting.warnings:
        output.warn(f"version {waiting.version}: {waiting.warnings}")
    if waiting:
        output.next(environment.registry_command(f"approve {waiting.version}"), "or reject it; approval deploys it")
    elif any(model.approval == APPROVED for model in models):
        output.next(environment.command("predict IMAGE"))


def _show_models_of_lines(environment: Environment, every: list[Environment], output: Output) -> None:
    """One table, line after line; a version's number says which only together with its line."""
    now = datetime.now(UTC)
    found = [(line, model) for line in every for model in list_models(line)]
    if not found and not output.as_json:
        output.note("no model has been registered yet: a run registers one if it is accurate enough")
        output.next(environment.command("runs"))
        return
    output.table(
        ("line", *COLUMNS),
        [[str(line.line), *_row(model, now)] for line, model in found],
        [{"line": line.line, **model.as_data()} for line, model in found],
    )
    waiting = next(((line, model) for line, model in found if model.approval == PENDING), None)
    approved = next((line for line, model in found if model.approval == APPROVED), None)
    if waiting:
        line, model = waiting
        output.next(line.command(f"approve {model.version}"), "or reject it; approval deploys it")
    elif approved:
        output.next(approved.command("predict IMAGE"))


def _row(model: Model, now: datetime) -> list[str]:
    return [
        str(model.version),
        when(model.created, now),
        model.status,
        model.approval,
        share(model.accuracy),
        model.data_set or "-",
        model.run or "-",
        (model.sha256 or "-")[:SHA256_SHOWN],
        model.note or "",
    ]
