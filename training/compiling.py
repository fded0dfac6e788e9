"""torch.compile: when it repays its cost, and whether it works on this machine."""

from __future__ import annotations

import torch

from errors import TrainingError

# Compiling a network of ResNet-50's size takes about a minute and saves about an eighth of a step, so it is worth while
# when that share of the steps to come exceeds the minute. benchmarks/gpu.sh measures both figures.
COMPILE_SECONDS, COMPILE_SAVES = 60.0, 0.125
REASON_CHARACTERS = 200


def seconds_saved(step_seconds: float, steps: int) -> float:
    """The time that a compiled network would save in so many steps, before the cost of compiling."""
    return COMPILE_SAVES * step_seconds * steps


def decide(step_seconds: float, steps: int, device: torch.device) -> tuple[bool, str]:
    """Whether to compile before the `steps` to come, and the sentence about it for the log."""
    saved = seconds_saved(step_seconds, steps)
    text = f"torch.compile may save {saved:.0f} s"
    if saved <= COMPILE_SECONDS:
        return False, f"{text}: not compiled"
    reason = find_refusal(device)
    return (False, f"{text}, but does not work here: {reason}") if reason else (True, f"{text}: compiling")


def find_refusal(device: torch.device) -> str | None:
    """Why torch.compile does not work here, or None when it does; compiles a tiny function, which takes seconds.

    It needs a C++ compiler, and for a GPU Triton and a C compiler. Without the trial, a training that compiles after
    its first epoch would fail there.
    """
    try:
        torch.compile(lambda values: (values + 1).sin())(torch.ones(8, device=device))
    except Exception as error:  # the compiler's own errors share no base class
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[0]}"[:REASON_CHARACTERS]
    return None


def refuse_without_compiler(device: torch.device) -> None:
    reason = find_refusal(device)
    if reason:
        raise TrainingError(
            f"torch.compile does not work here: {reason}",
            hint="leave --compile at auto or off, or install gcc and g++ (for a GPU also Triton) in the image",
        )
