"""The decision about a version: `headrace approve` and `headrace reject`."""

from __future__ import annotations

import click

from headrace.client import lines
from headrace.client.environment import Environment
from headrace.client.evaluation import class_names
from headrace.client.model_packages import APPROVED, REJECTED, Model, find_model, read_model
from headrace.client.serving import Serving, after_rejecting, ask_for_deployment, read_serving
from headrace.commands.command import command
from headrace.errors import SetupError, UsageError
from headrace.formats import counted, share
from headrace.terminal.output import Output

MAX_NOTE = 1024  # characters, SageMaker's limit
CLASSES_SHOWN = 5


VERSION = click.argument("version", metavar="VERSION", help="its number, or latest")
NOTE = click.option("--note", metavar="TEXT", help=f"why; kept with the version, at most {MAX_NOTE} characters")


@command("approve", "Shows its accuracy beside that of the version in use.", training="approve VERSION")
@VERSION
@NOTE
def approve(environment: Environment, output: Output, *, version: str, note: str | None) -> None:
    environment = lines.of_version(environment, version, f"approve {version}")
    decide(environment, output, version=version, approval=APPROVED, note=note)


@command(
    "reject", "A version in use that is rejected gives way to the newest approved one; without any, it goes on.",
    training="reject VERSION",
)  # fmt: skip
@VERSION
@NOTE
def reject(environment: Environment, output: Output, *, version: str, note: str | None) -> None:
    environment = lines.of_version(environment, version, f"reject {version}")
    decide(environment, output, version=version, approval=REJECTED, note=note)


def decide(environment: Environment, output: Output, *, version: str, approval: str, note: str | None) -> Model:
    """Shows the version beside the served one, writes the decision, and says what follows from it."""
    check_note(note)
    model = find_model(environment, version)
    serving = read_serving(environment)
    beside = _beside(environment, serving, model)
    if approval == APPROVED:
        refuse_unpinned(environment, model)
    output.note(f"version {model.version} of {environment.stack.model_package_group}")
    output.note(f"  accuracy {share(model.accuracy)}, data set {model.data_set or '-'}, run {model.run or '-'}")
    output.note(f"  artifact {model.sha256 or '-'}")
    output.note(f"  {_served_now(serving, model, beside)}")
    if approval == APPROVED and beside and serving.served != model.version:
        warn_of_classes(environment, output, model, beside)
    if model.approval == approval and note is None:
        output.note(f"it is {approval} already")
    else:
        write_decision(environment, model.arn, approval, note)
    wanted = _wanted_after(serving, model, approval)
    change = {"version": model.version, "from": model.approval, "to": approval, "note": note}
    if output.as_json:
        output.json(change | {"served": serving.served, "wanted": wanted})
    else:
        output.line(f"version {model.version}: {model.approval} -> {approval}")
    if approval == APPROVED:
        _after_approval(environment, output, serving, model, wanted)
    else:
        _after_rejection(environment, output, serving, model, wanted)
    return model


def refuse_unpinned(environment: Environment, model: Model) -> None:
    """Raises SetupError for a version without the SHA-256 of its artifact: deploy_model would not deploy it."""
    if not model.pins_artifact:
        again = environment.registry_command(f"run {model.data_set or 'DATA_SET'} --again")
        raise SetupError(
            f"version {model.version} does not record the SHA-256 of its artifact, so it would not be deployed: it was "
            "registered by an earlier version of Headrace, or by hand",
            hint=f"{again}   # registers it again, with its SHA-256",
        )


def check_note(note: str | None) -> None:
    if note is not None and len(note) > MAX_NOTE:
        raise UsageError(f"the note has {len(note)} characters, SageMaker takes {MAX_NOTE}", hint="shorten --note")


def write_decision(environment: Environment, arn: str, approval: str, note: str | None) -> None:
    request = {"ModelPackageArn": arn, "ModelApprovalStatus": approval}
    if note is not None:
        request["ApprovalDescription"] = note
    with environment.doing(f"writing the decision on version {arn.rsplit('/', 1)[-1]}"):
        environment.client("sagemaker").update_model_package(**request)


def warn_of_classes(environment: Environment, output: Output, model: Model, served: Model) -> None:
    """Clients of the endpoint notice when it answers with other classes than before."""
    new, old = class_names(environment, model.report_uri), class_names(environment, served.report_uri)
    if new is None or old is None or new == old:
        return
    parts = [
        f"{what} {_some(names)}" for what, names in (("new:", sorted(new - old)), ("gone:", sorted(old - new))) if names
    ]
    output.warn(f"version {model.version} has other classes than version {served.version}: {'; '.join(parts)}")


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:CLASSES_SHOWN])
    return shown + (f" and {counted(len(names) - CLASSES_SHOWN, 'other')}" if len(names) > CLASSES_SHOWN else "")


def _beside(environment: Environment, serving: Serving, model: Model) -> Model | None:
    """The served version; without one the newest approved version. None if that is the version in question."""
    number = serving.served if serving.approval(serving.served or 0) else serving.wanted
    if number is None or number == model.version:
        number = next((version for version in serving.approved if version != model.version), None)
    arn = next((item["ModelPackageArn"] for item in serving.packages if item["ModelPackageVersion"] == number), None)
    return read_model(environment, arn) if arn else None


def _served_now(serving: Serving, model: Model, beside: Model | None) -> str:
    if serving.served is None:
        newest = f"; newest approved: version {beside.version}, accuracy {share(beside.accuracy)}" if beside else ""
        return f"served now: none{newest}"
    if serving.served == model.version:
        before = f"; approved before it: version {beside.version}, accuracy {share(beside.accuracy)}" if beside else ""
        return f"served now: this version{before}"
    accuracy = f", accuracy {share(beside.accuracy)}" if beside and beside.version == serving.served else ""
    return f"served now: version {serving.served}{accuracy}"


def _wanted_after(serving: Serving, model: Model, approval: str) -> int | None:
    if approval != APPROVED:
        return after_rejecting(serving, [model.version])
    servable = [*serving.approved, *([model.version] if model.status == "Completed" else [])]
    return max(servable, default=None)


def _after_approval(
    environment: Environment, output: Output, serving: Serving, model: Model, wanted: int | None
) -> None:
    if model.status != "Completed":
        output.warn(f"version {model.version} cannot be served: its model package is {model.status}")
        output.next(environment.command("models"))
    elif wanted != model.version:
        stays = "stays served" if serving.served == wanted else "is the one to be served"
        output.note(f"version {wanted} {stays}: it is approved and newer, so version {model.version} is not deployed")
        output.next(
            environment.command(f"rollback {model.version}"),
            f"serves version {model.version}: rejects the approved versions above it",
        )
    elif serving.is_as_wanted and serving.served == model.version:
        output.note(f"version {model.version} is served already")
        output.next(environment.command("predict IMAGE"))
    else:
        if model.approval == APPROVED:  # no event follows from it, so the deployment is asked for
            ask_for_deployment(environment)
            output.note(f"version {model.version} is not served: asked for its deployment")
        output.next(environment.command("predict --wait 600 IMAGE"), "approval deploys it; this waits for the endpoint")


def _after_rejection(
    environment: Environment, output: Output, serving: Serving, model: Model, wanted: int | None
) -> None:
    if serving.served == model.version:
        if wanted is None:
            output.warn("no other version is approved: the endpoint goes on with this one until another is")
            output.next(environment.command("models"))
        else:
            output.note(f"version {wanted}, the newest one that is still approved, is served next")
            output.next(environment.command("predict --wait 600 IMAGE"), f"waits until version {wanted} is served")
        return
    if serving.served is not None:
        output.note(f"version {serving.served} stays served")
    output.next(environment.command("models"))
