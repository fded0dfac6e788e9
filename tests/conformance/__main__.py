"""python -m tests.conformance --env NAME [--local] [--yes] [--folder FOLDER]

Ask AWS which of the assumptions of docs/assumptions.md hold, in the account of an environment, for under 5 USD. With
--local, ask the local cloud. Deploys the environment and destroys it again; one that is deployed already is refused.

Each answer and event is written to FOLDER (build/conformance/NAME by default) as a JSON fixture, without the account's
number; outcomes.json and outcomes.md list what held, what did not, and what was not checked and why. The exit status is
1 if an assumption did not hold, or something could not be cleared up.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from environments.settings import Settings, load_settings
from headrace.client.environment import Environment, open_environment
from headrace.errors import HeadraceError, UsageError
from headrace.project.folder import LOCAL
from headrace.project.local_cloud import ProcessCloud
from tests.conformance import cost
from tests.conformance.account import BEFORE, PIPELINE
from tests.conformance.checks import HELD, NOT_HELD, Check, Outcome, run
from tests.conformance.ending import AFTER, BY_HAND, END
from tests.conformance.preparation import destroy
from tests.conformance.recording import Recorder
from tests.conformance.running import RUN
from tests.conformance.serving import SERVE
from tests.conformance.world import World

CHECKS = (*BEFORE, *RUN, *PIPELINE, *SERVE, *END, *AFTER, *BY_HAND)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="make conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default=LOCAL)
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--yes", action="store_true", help="do not ask about the cost")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args(argv)
    folder = arguments.folder or Path("build/conformance") / arguments.env
    try:
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-conformance-")))
            environment = opened(arguments.env, arguments.local or arguments.env == LOCAL, scratch, stack)
            settings = load_settings(Path("environments.toml"), environment.name)
            refuse_deployed(environment)
            if environment.running is None and not agreed(environment, settings, arguments.yes):
                return 1
            world = World(environment, settings, Recorder(folder, environment.account or ""), scratch)
            return check(world, folder)
    except HeadraceError as error:
        print(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return 1


def opened(name: str, local: bool, scratch: Path, stack: ExitStack) -> Environment:
    """On AWS; or in a local cloud that is started for the checks and leaves nothing."""
    cloud = ProcessCloud()
    if not local:
        return open_environment(name, cloud)
    state = scratch / "state"
    os.environ["HEADRACE_STATE"] = str(state)
    cloud.start(state)
    stack.callback(cloud.stop, state)
    return open_environment(name, cloud, rehearsed=True)


def refuse_deployed(environment: Environment) -> None:
    """What it serves and holds is not to be replaced by what the checks train."""
    if environment.find_stack(environment.stack_name):
        raise UsageError(
            f"environment {environment.name} is deployed; the checks deploy, train, serve and destroy",
            hint="add a separate environment to environments.toml, such as [conformance], and name it",
        )


def agreed(environment: Environment, settings: Settings, yes: bool) -> bool:
    """Whether the cost is below the limit, and the caller wants it."""
    items = cost.estimate(environment, settings)
    print(f"In account {environment.account}, {environment.region}, this may cost, at on-demand prices:")
    print(cost.describe(items))
    if cost.total(items) > cost.MOST_USD:
        print(f"error: that is more than {cost.MOST_USD:.2f} USD, or not known\nhint: choose smaller instance types in "
              f"environments.toml for this check, or add their prices to prices.toml", file=sys.stderr)  # fmt: skip
        return False
    return yes or input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def check(world: World, folder: Path) -> int:
    outcomes: list[Outcome] = []
    left: list[str] = []

    def add(checks: Sequence[Check]) -> None:
        for outcome in run(checks, world):
            outcomes.append(outcome)
            print(outcome.line(), flush=True)

    try:
        add((*BEFORE, *RUN, *PIPELINE, *SERVE, *END))
        left = world.clean_up()
        add((*AFTER, *BY_HAND))
    finally:
        left += world.clean_up()
        if world.deployed:  # the checks did not come to their end
            try:
                destroy(world.environment)
            except HeadraceError as error:
                left.append(f"the stack {world.environment.stack_name}: {error}")
        write(folder, world, outcomes, left)
    for line in left:
        print(f"could not be cleared up: {line}", file=sys.stderr)
    failed = [outcome for outcome in outcomes if outcome.status == NOT_HELD]
    held = sum(outcome.status == HELD for outcome in outcomes)
    print(f"\n{held} held, {len(failed)} did not hold, {len(outcomes) - held - len(failed)} were not checked; {folder}")
    return 1 if failed or left else 0


def write(folder: Path, world: World, outcomes: Sequence[Outcome], left: Sequence[str]) -> None:
    rows = [{"check": o.check.name, "assumes": o.check.assumes, "status": o.status, "seen": o.seen} for o in outcomes]
    document = {"environment": world.environment.name, "region": world.environment.region, "local": world.is_local,
                "outcomes": rows, "left_behind": list(left)}  # fmt: skip
    text = json.dumps(document, indent=2)
    (folder / "outcomes.json").write_text(text.replace(world.recorder.account, "111122223333") + "\n", "utf-8")
    lines = ["| check | assumption | status | seen |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {row['check']} | {row['assumes']} | {row['status']} | {row['seen'].replace('|', '/')} |" for row in rows
    ]
    (folder / "outcomes.md").write_text(
        "\n".join(lines).replace(world.recorder.account, "111122223333") + "\n", "utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
