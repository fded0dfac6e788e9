"""What a check is, how the checks run one after the other, and the outcome of each."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from headrace.errors import HeadraceError
from tests.conformance.world import World

HELD, NOT_HELD, NOT_CHECKED = "held", "did not hold", "not checked"


class DidNotHold(Exception):
    """The service answered otherwise than the code assumes; the text says how."""


class NotChecked(Exception):
    """Something that the check needs is missing; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One assumption on AWS. `act` returns what was seen; it raises DidNotHold or NotChecked."""

    name: str
    assumes: str
    act: Callable[[World], str] | None = None
    aws_only: str = ""  # why the local cloud cannot answer
    by_hand: str = ""  # why this script does not ask, and what to do instead


@dataclass(frozen=True, slots=True)
class Outcome:
    check: Check
    status: str
    seen: str

    def line(self) -> str:
        return f"{self.status:<13} {self.check.name}: {self.check.assumes}\n{'':14}{self.seen}"


def run(checks: Sequence[Check], world: World) -> Iterator[Outcome]:
    """An outcome for each check. One that breaks down has not held, and the next one is run."""
    for check in checks:
        world.recorder.check = check.name
        if check.act is None:
            yield Outcome(check, NOT_CHECKED, check.by_hand)
        elif check.aws_only and world.is_local:
            yield Outcome(check, NOT_CHECKED, f"not here: {check.aws_only}")
        else:
            yield ask(check, check.act, world)


def ask(check: Check, act: Callable[[World], str], world: World) -> Outcome:
    try:
        return Outcome(check, HELD, act(world))
    except DidNotHold as error:
        return Outcome(check, NOT_HELD, str(error))
    except NotChecked as error:
        return Outcome(check, NOT_CHECKED, str(error))
    except (BotoCoreError, ClientError, HeadraceError) as error:
        return Outcome(check, NOT_HELD, f"{type(error).__name__}: {' '.join(str(error).split())}")
    except Exception as error:  # an answer of another form than expected: KeyError and the like
        traceback.print_exc()
        return Outcome(check, NOT_HELD, f"the answer has another form: {type(error).__name__}: {error}")
