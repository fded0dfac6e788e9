"""torch.compile against the figures by which train.py decides on it (training/compiling.py)."""

from __future__ import annotations

import compiling
from benchmarks.gpu.part import Bench
from benchmarks.gpu.steps import Steps

WARM = 3


def measure(bench: Bench) -> None:
    steps = Steps(bench, bf16=True)
    steps.take(WARM)
    eager = steps.median(0.1 if bench.small else 6)
    bench.add("a step, not compiled", eager * 1e3, "ms")
    reason = compiling.find_refusal(steps.device)
    if reason:
        bench.add("torch.compile", f"does not work here: {reason}")
        return
    # In miniature by torch's own graph capture alone: the C++ compiler would take minutes.
    steps.model.compile(backend="eager" if bench.small else "inductor")
    first = steps.take(WARM)
    compiled = steps.median(0.1 if bench.small else 6)
    cost, saves = first - WARM * compiled, 1 - compiled / eager
    bench.add("a step, compiled", compiled * 1e3, "ms")
    bench.add(f"compiling takes (the rule says {compiling.COMPILE_SECONDS:.0f} s)", cost, "s")
    bench.add(f"compiling saves of a step (the rule says {compiling.COMPILE_SAVES:.1%})", saves, "%")
    by_rule = compiling.COMPILE_SECONDS / (compiling.COMPILE_SAVES * eager)
    bench.add("it pays after, by the rule", by_rule, "steps")
    bench.add("it pays after, as measured", cost / (eager - compiled) if saves > 0 else "never", "steps")
