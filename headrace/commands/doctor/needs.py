"""The quotas that an environment's settings need, by the names of Service Quotas.

Quotas are the account's: what other environments and people use of them comes on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.project.settings import Setting

TOGETHER = "Number of instances across all {}s"  # for training and processing jobs, besides the quota of each type
TRAINING, SPOT, PROCESSING = "training job", "spot training job", "processing job"


@dataclass(frozen=True, slots=True)
class Need:
    """`count` instances are needed at once: by one run if `per_run`, else by all endpoints of the environment."""

    quota: str
    count: int
    why: str
    setting: str  # that chooses the instance type
    per_run: bool = True
    optional: bool = False  # accounts may have no quota of that name


def needs(settings: Mapping[str, Setting]) -> list[Need]:
    """`settings` are those of `headrace config`. An environment that promotes runs nothing but endpoints."""
    return [*([] if settings["promotes_from"].value else _runs(settings)), *_endpoints(settings)]


def _lines(settings: Mapping[str, Setting]) -> list[str]:
    return sorted({name.split(".")[1] for name in settings if name.startswith("lines.")})


def _runs(settings: Mapping[str, Setting]) -> Iterator[Need]:
    """Of the lines' runs the one that needs most."""
    dearest: dict[str, Need] = {}
    for line in ("", *_lines(settings)):
        for need in _run(_Pipeline(settings, line)):
            if need.quota not in dearest or dearest[need.quota].count < need.count:
                dearest[need.quota] = need
    yield from dearest.values()


@dataclass(frozen=True, slots=True)
class _Pipeline:
    settings: Mapping[str, Setting]
    line: str

    def __getitem__(self, name: str) -> Any:
        own = self.settings.get(f"lines.{self.line}.pipeline.{name}")
        return (own or self.settings[f"pipeline.{name}"]).value


def _run(pipeline: _Pipeline) -> Iterator[Need]:
    """Preprocess and Evaluate run one after the other, all trainings side by side, a search before them."""
    kind, count = pipeline["train_instance_type"], pipeline["train_instance_count"]
    variants: Sequence[Any] = pipeline["variants"] or [None]
    capacity = pipeline["capacity"]
    at_once = {
        SPOT: len(variants) if capacity in ("spot", "both") else 0,
        TRAINING: max(
            len(variants) if capacity in ("on-demand", "both") else 0,
            min(pipeline["tuning_jobs"], pipeline["tuning_jobs_at_once"]),
        ),
    }
    for use, jobs in at_once.items():
        if jobs:
            why = f"{jobs} {use}{'s' if jobs > 1 else ''} on {count} {kind}"
            yield Need(f"{kind} for {use} usage", jobs * count, why, "train_instance_type")
            yield Need(TOGETHER.format(use), jobs * count, why, "train_instance_type", optional=True)
    if pipeline["keep_alive_seconds"] and at_once[TRAINING]:
        why = "keep_alive_seconds keeps them for the next job, and has no effect without"
        wanted = at_once[TRAINING] * count
        yield Need(f"{kind} for training warm pool usage", wanted, why, "keep_alive_seconds", per_run=False)
    processing = pipeline["processing_instance_type"]
    why = f"1 processing job on 1 {processing}"
    yield Need(f"{processing} for {PROCESSING} usage", 1, why, "processing_instance_type")
    yield Need(TOGETHER.format(PROCESSING), 1, why, "processing_instance_type", optional=True)


def _endpoints(settings: Mapping[str, Setting]) -> Iterator[Need]:
    """Of each type what all endpoints have, and once more what the largest of them has, for its update."""
    counts: dict[str, Counter[str]] = {}
    for prefix in ("", *(f"lines.{line}." for line in _lines(settings))):
        kind = settings[f"{prefix}endpoint_instance_type"].value or settings["endpoint_instance_type"].value
        count = settings[f"{prefix}endpoint_instance_count"].value or settings["endpoint_instance_count"].value
        counts.setdefault(kind, Counter())[prefix] = count
    for kind, found in counts.items():
        largest = max(found.values())
        why = f"{found.total()} serve, and an update starts {largest} new beside the old"
        wanted = found.total() + largest
        yield Need(f"{kind} for endpoint usage", wanted, why, "endpoint_instance_type", per_run=False)
