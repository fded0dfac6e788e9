"""How far a training job is: epochs, its metric and the time left, read from the metric lines in its log.

SageMaker itself finds metrics in the log by the job's `MetricDefinitions`; the same expressions are used here, so that
this works for any training code, on AWS and in the local cloud. The epoch is what a line calls `epoch=3` or `epoch 3`.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.client.environment import Environment
from headrace.client.executions import Execution, Step
from headrace.client.log_events import Line
from headrace.client.new_lines import NewLines
from headrace.errors import HeadraceError
from headrace.formats import duration

EPOCH = re.compile(r"\bepoch\s*[=: ]\s*(\d+)", re.IGNORECASE)
TOTALS = ("epochs", "num-epochs", "num_epochs", "max-epochs", "max_epochs", "num_train_epochs")
RECENT = 5  # epochs whose pace says how long the rest will take


@dataclass
class Progress:
    """Of one training job. `total` is 0 where no hyperparameter says how many epochs there are."""

    total: int
    metrics: list[tuple[str, re.Pattern[str]]]
    epoch: int = 0
    values: dict[str, float] = field(default_factory=dict)
    _ends: deque[tuple[int, datetime]] = field(default_factory=lambda: deque(maxlen=RECENT + 1))

    @classmethod
    def of_job(cls, job: dict[str, Any]) -> Progress:
        given = {name: str(value).strip('"') for name, value in job.get("HyperParameters", {}).items()}
        total = next((int(given[name]) for name in TOTALS if given.get(name, "").isdigit()), 0)
        definitions = job.get("AlgorithmSpecification", {}).get("MetricDefinitions", [])
        return cls(total, [(item["Name"], re.compile(item["Regex"])) for item in definitions])

    def read(self, lines: list[Line]) -> None:
        for line in lines:
            found = EPOCH.search(line.text)
            if found:
                self.epoch = int(found[1])
                self._ends.append((self.epoch, line.moment))
            for name, pattern in self.metrics:
                match = pattern.search(line.text)
                if match and match.groups():
                    try:
                        self.values[name] = float(match[1])
                    except ValueError:
                        continue  # the expression caught something that is not a number

    def seconds_left(self, now: datetime) -> float | None:
        """By the pace of the last epochs; None before the second."""
        if not self.total or len(self._ends) < 2:
            return None
        (first, began), (last, ended) = self._ends[0], self._ends[-1]
        if last <= first:  # an interruption has set it back
            return None
        pace = (ended - began).total_seconds() / (last - first)
        return max(0.0, pace * (self.total - last) - (now - ended).total_seconds())

    def words(self, now: datetime) -> str:
        """`epoch 3 of 10, validation:accuracy 0.9123, about 40 s left`; empty before the first epoch has ended."""
        if not self.epoch and not self.values:
            return ""
        words = []
        if self.epoch:
            words.append(f"epoch {self.epoch}" + (f" of {self.total}" if self.total else ""))
        name = self._telling()
        if name:
            words.append(f"{name} {self.values[name]:.4g}")
        left = self.seconds_left(now)
        if left is not None and self.epoch < self.total:
            words.append(f"about {duration(left)} left")
        return ", ".join(words)

    def _telling(self) -> str | None:
        """An accuracy before all others, of the validation before that of the training; else the last defined."""
        known = [name for name, _ in self.metrics if name in self.values]
        good = [name for name in known if "acc" in name.lower()] or known
        return next((name for name in good if "val" in name.lower()), good[-1] if good else None)


class TrainingWatch:
    """The progress of the training steps of one run; what cannot be read is left out."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._known: dict[str, tuple[Progress, NewLines]] = {}

    def look(self, execution: Execution, steps: list[Step]) -> dict[str, Progress]:
        """By step; only those that train now."""
        running = [step for step in steps if step.job_kind == "TrainingJob" and step.job and step.ended is None]
        found = {}
        for step in running:
            try:
                found[step.name] = self._progress(execution, step)
            except HeadraceError:  # for example without permission to read logs: the run is watched all the same
                continue
        return found

    def _progress(self, execution: Execution, step: Step) -> Progress:
        assert step.job is not None
        if step.job not in self._known:
            with self._environment.doing(f"reading the job {step.job}"):
                job = self._environment.client("sagemaker").describe_training_job(TrainingJobName=step.job)
            self._known[step.job] = (Progress.of_job(job), NewLines())
        progress, lines = self._known[step.job]
        progress.read(lines.read(self._environment, execution, step))
        return progress
