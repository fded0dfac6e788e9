"""Runs of the pipeline: an execution with its steps, costs and figures."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.client.costs import JobCost, read_cost, rounded
from headrace.client.environment import Environment
from headrace.client.executions import Execution, Step, list_executions, list_steps, read_parameters
from headrace.client.reasons import read_reason
from headrace.client.results import Evaluation, evaluation_of
from headrace.formats import iso

AT_MOST = re.compile(r"costs at most ([0-9.]+) USD")  # the cost guard's words, in lambda/start_pipeline/runs/ledger.py


@dataclass(frozen=True, slots=True)
class Run:
    execution: Execution
    steps: tuple[Step, ...]
    parameters: dict[str, str]
    evaluation: Evaluation | None
    costs: tuple[JobCost, ...]

    @property
    def failed_step(self) -> Step | None:
        return next((step for step in self.steps if step.status == "Failed"), None)

    @property
    def reason(self) -> str | None:
        step = self.failed_step
        if step:
            return f"{step.name}: {read_reason(step.reason).line()}"
        return None if self.execution.status == "Succeeded" else self.execution.reason

    @property
    def ended(self) -> datetime | None:
        """The end of the last step: ListPipelineExecutions has no end time."""
        ends = [step.ended for step in self.steps if step.ended]
        return None if self.execution.going_on or not ends else max(ends)

    def seconds(self, now: datetime) -> float | None:
        end = now if self.execution.going_on else self.ended
        return (end - self.execution.started).total_seconds() if end else None

    @property
    def saving(self) -> float | None:
        """What spot capacity saved of this run's spot training time, as a share; None if it trained none."""
        spot = [cost for cost in self.costs if cost.spot]
        total = sum(cost.seconds for cost in spot)
        return 1 - sum(cost.billable_seconds for cost in spot) / total if total else None

    @property
    def cost(self) -> float | None:
        """What its jobs have cost so far, in USD; None if the type of an instance has no price."""
        amounts = [cost.usd for cost in self.costs]
        return None if None in amounts else sum(filter(None, amounts))

    @property
    def saved(self) -> float | None:
        """What spot capacity saved, in USD; None if the type of an instance has no price."""
        amounts = [cost.saved_usd for cost in self.costs]
        return None if None in amounts else sum(filter(None, amounts))

    @property
    def estimated_cost(self) -> float | None:
        """The most in USD that it may cost, as the cost guard reckoned before it started; None if nothing asked it."""
        found = AT_MOST.search(self.execution.description)
        return float(found[1]) if found else None

    def as_data(self, now: datetime) -> dict[str, Any]:
        return {
            "id": self.execution.id,
            "arn": self.execution.arn,
            "name": self.execution.display_name,
            "status": self.execution.status,
            "started": iso(self.execution.started),
            "ended": iso(self.ended),
            "duration_seconds": self.seconds(now),
            "data_set": self.parameters.get("DataSet"),
            "fingerprint": self.parameters.get("Fingerprint"),
            "accuracy": self.evaluation.accuracy if self.evaluation else None,
            "winner": self.evaluation.winner if self.evaluation else None,
            "reason": self.reason,
            "parameters": self.parameters,
            "cost_usd": rounded(self.cost),
            "estimated_cost_usd": self.estimated_cost,
            "spot_saved_usd": rounded(self.saved),
            "training": [cost.as_data() for cost in self.costs if cost.kind == "TrainingJob"],
            "processing": [cost.as_data() for cost in self.costs if cost.kind == "ProcessingJob"],
            "steps": [
                {
                    "name": step.name,
                    "status": step.status,
                    "duration_seconds": step.seconds(now),
                    "cached_from": step.cached_from,
                    "reason": step.reason,
                    "job": step.job,
                }
                for step in self.steps
            ],
        }


def read_run(environment: Environment, execution: Execution) -> Run:
    steps = list_steps(environment, execution)
    costs = (read_cost(environment, step) for step in steps)
    return Run(
        execution=execution,
        steps=tuple(steps),
        parameters=read_parameters(environment, execution.arn),
        evaluation=evaluation_of(environment, steps),
        costs=tuple(cost for cost in costs if cost),
    )


def read_runs(environment: Environment, limit: int) -> tuple[list[Run], bool]:
    """The newest `limit` runs (0: all of them), newest first, and whether there are older ones."""
    executions = list_executions(environment)
    taken = list(itertools.islice(executions, limit or None))
    with ThreadPoolExecutor(8, thread_name_prefix="runs") as pool:
        runs = list(pool.map(lambda execution: read_run(environment, execution), taken))
    return runs, next(executions, None) is not None
