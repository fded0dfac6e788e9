"""Crashes, faults and other workers at any moment of the function that starts pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fake_aws import Crash, Refused
from worlds import UploadWorld

FAULTS = {
    "throttled": "ThrottlingException",
    "failed": "InternalFailure",
    "unanswered": "InternalFailure",  # it was carried out
    "denied": "AccessDeniedException",  # a fault that waiting does not fix
    "repeated": "PreconditionFailed",  # a conditional write that boto3 has sent again, because its answer was lost
}


def disturb(world: UploadWorld, action: str, *, at: int, intrude: Callable[[UploadWorld], object]) -> None:
    """Let the `at`-th moment, before or after a call, be the one at which it happens; `intrude` is another worker's."""
    moments = iter(range(1_000))

    def interrupt(moment: str, operation: str, parameters: dict[str, Any]) -> None:
        if next(moments) < at:
            return
        if action in ("unanswered", "repeated") and moment == "before":
            return
        if action == "repeated" and (operation != "PutObject" or not {"IfMatch", "IfNoneMatch"} & parameters.keys()):
            return
        world.cloud.interrupt = None
        if action == "crash":
            raise Crash
        if action == "intrude":
            intrude(world)
        else:
            raise Refused(FAULTS[action], "a fault")

    world.cloud.interrupt = interrupt
