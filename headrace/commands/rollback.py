"""Serving an earlier approved version: `headrace rollback`.

The newest approved version is served, and each decision brings the endpoint to it. A rollback therefore changes the
registry, not the endpoint: it rejects the approved versions above the wanted one, with a note. So it holds until
somebody approves a newer version, the next run is compared with the version that is really served, and the registry
says why.
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from headrace.client import lines
from headrace.client.environment import Environment
from headrace.client.model_packages import APPROVED, REJECTED, Model, find_model
from headrace.client.serving import Serving, ask_for_deployment, read_serving
from headrace.commands.command import command
from headrace.commands.decision import check_note, refuse_unpinned, warn_of_classes, write_decision
from headrace.errors import NotFound, UsageError
from headrace.formats import share
from headrace.terminal.output import Output


@dataclass(frozen=True, slots=True)
class Plan:
    """`rejected` are the approved versions above the target, oldest first."""

    target: Model
    rejected: tuple[Model, ...]
    note: str

    def lines(self) -> list[str]:
        rejections = [
            f"version {model.version}: {model.approval} -> {REJECTED} ({self.note})" for model in self.rejected
        ]
        return [*rejections, f"version {self.target.version}: served, accuracy {share(self.target.accuracy)}"]


@command(
    "rollback", "Rejects every approved version above it with a note. The endpoint serves the newest approved "
    "version, so it goes back, and stays there until a newer version is approved. Shows what it does before it does "
    "it; `headrace approve` undoes it.", training="rollback",
)  # fmt: skip
@click.argument(
    "version", required=False, metavar="[VERSION]",
    help="its number (default: the approved version before the newest)",
)  # fmt: skip
@click.option("--note", metavar="TEXT", help="why; kept with the rejected versions")
@click.option("--dry-run", is_flag=True, help="only show what would be done")
def rollback(environment: Environment, output: Output, *, version: str | None, note: str | None, dry_run: bool) -> Plan:
    """The command: shows the plan, then carries it out unless it is a dry run."""
    if version is None:
        environment = lines.of_one(environment, "rollback")
    else:
        environment = lines.of_version(environment, version, f"rollback {version}")
    check_note(note)
    serving = read_serving(environment)
    plan = make_plan(environment, serving, version, note)
    refuse_unpinned(environment, plan.target)
    served = "none" if serving.served is None else f"version {serving.served}"
    output.note(f"served now: {served}; {'this would be done' if dry_run else 'this is done'}:")
    for line in plan.lines():
        output.note(f"  {line}")
    if plan.rejected:
        warn_of_classes(environment, output, plan.target, plan.rejected[-1])
    if not dry_run:
        carry_out(environment, plan)
    if output.as_json:
        output.json(
            {
                "served": serving.served,
                "wanted": plan.target.version,
                "rejected": [model.version for model in plan.rejected],
                "note": plan.note,
                "dry_run": dry_run,
            }
        )
    elif not dry_run:
        for line in plan.lines():
            output.line(line)
    if dry_run:
        output.next(environment.command(f"rollback {plan.target.version}"), "does it")
        return plan
    if plan.rejected:
        output.note(f"to undo it: {environment.command(f'approve {plan.rejected[-1].version}')}")
    output.next(environment.command("predict --wait 600 IMAGE"), f"waits until version {plan.target.version} is served")
    return plan


def make_plan(environment: Environment, serving: Serving, version: str | None, note: str | None) -> Plan:
    """
    Raises:
        NotFound: there is no such version, or none that was approved before the newest approved one.
        UsageError: the version is not approved, or cannot be served.
    """
    if version is None:
        if len(serving.approved) < 2:
            there_is = f"version {serving.wanted} is the only approved one" if serving.wanted else "none is approved"
            raise NotFound(f"there is no earlier version to go back to: {there_is}", hint=environment.command("models"))
        version = str(serving.approved[1])
    target = find_model(environment, version)
    if target.approval != APPROVED:
        approve, go_back = (environment.command(f"{name} {target.version}") for name in ("approve", "rollback"))
        raise UsageError(
            f"version {target.version} is {target.approval}, and only an approved version is served",
            hint=f"{approve} && {go_back}",
        )
    if target.status != "Completed":
        raise UsageError(
            f"version {target.version} cannot be served: its model package is {target.status}",
            hint=environment.command("models"),
        )
    above = [number for number in sorted(serving.approved) if number > target.version]
    rejected = tuple(find_model(environment, str(number)) for number in above)
    return Plan(target, rejected, note or f"rolled back to version {target.version}")


def carry_out(environment: Environment, plan: Plan) -> None:
    """Rejects the oldest first, so that the endpoint changes once, and can be called again if it is interrupted."""
    for model in plan.rejected:
        write_decision(environment, model.arn, REJECTED, plan.note)
    ask_for_deployment(environment)  # the target may have been rolled back by SageMaker before, or the endpoint be gone
