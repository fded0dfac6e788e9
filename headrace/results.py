"""What a finished step leaves to read: the evaluation's metrics and the training jobs' billed seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from headrace.environment import Environment
from headrace.errors import DENIED, error_code, is_missing
from headrace.executions import Step
from headrace.wording import duration

# The processing output that holds evaluation.json.
EVALUATION_OUTPUT = "evaluation"


@dataclass(frozen=True, slots=True)
class Evaluation:
    accuracy: float | None  # of the winner, on the test set
    winner: str | None  # the candidate's name: spot or on-demand
    candidates: dict[str, float] = field(default_factory=dict)  # accuracy by candidate


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """A training job's time: what it took, and what is paid for."""

    step: str
    job: str
    spot: bool
    training_seconds: int
    billable_seconds: int

    @property
    def saving(self) -> float | None:
        """The share of the training time that spot capacity does not bill; None for on-demand capacity."""
        if not self.spot or self.training_seconds <= 0:
            return None
        return 1 - self.billable_seconds / self.training_seconds

    def __str__(self) -> str:
        billed = f"billed {duration(self.billable_seconds)} of {duration(self.training_seconds)}"
        return billed if self.saving is None else f"{billed}, spot saves {self.saving:.0%}"

    def as_data(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "job": self.job,
            "spot": self.spot,
            "training_seconds": self.training_seconds,
            "billable_seconds": self.billable_seconds,
            "saving_percent": None if self.saving is None else round(100 * self.saving, 1),
        }


def read_cost(environment: Environment, step: Step) -> TrainingCost | None:
    """The cost of a training step that ran in this execution; a cache hit costs nothing and so has none."""
    if step.job_kind != "TrainingJob" or step.job is None or step.cached_from or step.ended is None:
        return None
    with environment.doing(f"reading the training job {step.job}"):
        job = environment.client("sagemaker").describe_training_job(TrainingJobName=step.job)
    if "TrainingTimeInSeconds" not in job or "BillableTimeInSeconds" not in job:
        return None
    return TrainingCost(
        step=step.name,
        job=step.job,
        spot=bool(job.get("EnableManagedSpotTraining")),
        training_seconds=job["TrainingTimeInSeconds"],
        billable_seconds=job["BillableTimeInSeconds"],
    )


def evaluation_of(environment: Environment, steps: list[Step]) -> Evaluation | None:
    """The evaluation of a run: evaluation.json from the output of that name of the newest succeeded step with one."""
    for step in reversed(steps):
        if step.job_kind != "ProcessingJob" or step.job is None or step.status != "Succeeded":
            continue
        with environment.doing(f"reading the processing job {step.job}"):
            job = environment.client("sagemaker").describe_processing_job(ProcessingJobName=step.job)
        for output in job.get("ProcessingOutputConfig", {}).get("Outputs", []):
            if output["OutputName"] == EVALUATION_OUTPUT:
                return read_evaluation(environment, output["S3Output"]["S3Uri"].rstrip("/") + "/evaluation.json")
    return None


def read_evaluation(environment: Environment, uri: str) -> Evaluation | None:
    """None where the object is gone or may not be read: a list stays useful without its accuracy column."""
    place = urlsplit(uri)
    with environment.doing(f"reading {uri}"):
        try:
            answer = environment.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
        except ClientError as error:
            if is_missing(error) or error_code(error) in DENIED | {"NoSuchBucket"}:
                return None
            raise
        content = answer["Body"].read()
    try:
        report = json.loads(content)
        accuracy = report["multiclass_classification_metrics"]["accuracy"]["value"]
        candidates = {name: float(figures["accuracy"]) for name, figures in report.get("candidates", {}).items()}
        return Evaluation(float(accuracy), report.get("winner", {}).get("name"), candidates)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Evaluation(accuracy=None, winner=None)
