"""What jobs cost, in seconds and in money, from SageMaker's figures and prices.toml."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from headrace.client.environment import Environment
from headrace.client.executions import Step
from headrace.client.prices import Prices
from headrace.formats import duration


@dataclass(frozen=True, slots=True)
class JobCost:
    """A training or processing job's time: what it took, and what is paid for, in seconds and in money."""

    step: str
    job: str
    kind: str  # TrainingJob or ProcessingJob
    spot: bool
    seconds: int
    billable_seconds: int
    instances: tuple[tuple[str, int], ...]  # type and count
    prices: Prices

    @property
    def unpriced(self) -> list[str]:
        """The types of its instances that have no price."""
        return [kind for kind, _ in self.instances if kind not in self.prices.usd_per_hour]

    @property
    def usd(self) -> float | None:
        """What is paid for its instances: the billed seconds of a spot job hold its discount already."""
        return self._usd(self.billable_seconds)

    @property
    def saved_usd(self) -> float | None:
        """What spot capacity saved; 0 for on-demand capacity."""
        return self._usd(self.seconds - self.billable_seconds)

    def _usd(self, seconds: int) -> float | None:
        if self.unpriced:
            return None
        return sum(count * self.prices.usd_per_hour[kind] for kind, count in self.instances) * seconds / 3600

    @property
    def saving(self) -> float | None:
        """The share of the training time that spot capacity does not bill; None for on-demand capacity."""
        if not self.spot or self.seconds <= 0:
            return None
        return 1 - self.billable_seconds / self.seconds

    def __str__(self) -> str:
        if self.kind == "ProcessingJob":
            return f"billed {duration(self.billable_seconds)}"
        billed = f"billed {duration(self.billable_seconds)} of {duration(self.seconds)}"
        return billed if self.saving is None else f"{billed}, spot saves {self.saving:.0%}"

    def as_data(self) -> dict[str, Any]:
        shared = {"step": self.step, "job": self.job, "billable_seconds": self.billable_seconds}
        shared |= {"cost_usd": rounded(self.usd)}
        if self.kind == "ProcessingJob":
            return shared
        return shared | {
            "spot": self.spot,
            "training_seconds": self.seconds,
            "saving_percent": None if self.saving is None else round(100 * self.saving, 1),
            "saved_usd": rounded(self.saved_usd),
        }


def rounded(usd: float | None) -> float | None:
    """To a millionth of a dollar: a second of the cheapest instance costs 30 of them."""
    return None if usd is None else round(usd, 6)


def read_cost(environment: Environment, step: Step) -> JobCost | None:
    """The cost of a step's job that ran in this execution; a cache hit costs nothing and so has none.

    Of a step that was repeated SageMaker names the last job only. A job that never started costs nothing.
    """
    if step.job is None or step.cached_from or step.ended is None:
        return None
    match step.job_kind:
        case "TrainingJob":
            return _training_cost(environment, step, step.job)
        case "ProcessingJob":
            return _processing_cost(environment, step, step.job)
    return None


def _training_cost(environment: Environment, step: Step, name: str) -> JobCost | None:
    with environment.doing(f"reading the training job {name}"):
        job = environment.client("sagemaker").describe_training_job(TrainingJobName=name)
    if "TrainingTimeInSeconds" not in job or "BillableTimeInSeconds" not in job:
        return None
    resources = job["ResourceConfig"]
    return JobCost(
        step=step.name,
        job=name,
        kind="TrainingJob",
        spot=bool(job.get("EnableManagedSpotTraining")),
        seconds=job["TrainingTimeInSeconds"],
        billable_seconds=job["BillableTimeInSeconds"],
        instances=tuple(map(_instances, resources.get("InstanceGroups") or [resources])),
        prices=environment.prices,
    )


def _processing_cost(environment: Environment, step: Step, name: str) -> JobCost | None:
    with environment.doing(f"reading the processing job {name}"):
        job = environment.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    if "ProcessingStartTime" not in job or "ProcessingEndTime" not in job:
        return None
    seconds = ceil((job["ProcessingEndTime"] - job["ProcessingStartTime"]).total_seconds())
    return JobCost(
        step=step.name,
        job=name,
        kind="ProcessingJob",
        spot=False,
        seconds=seconds,
        billable_seconds=seconds,
        instances=(_instances(job["ProcessingResources"]["ClusterConfig"]),),
        prices=environment.prices,
    )


def _instances(group: dict[str, Any]) -> tuple[str, int]:
    return group["InstanceType"], group["InstanceCount"]
