"""What the evaluation leaves to read: the winner and its metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.client.executions import Step
from headrace.errors import DENIED, error_code, is_missing

# The processing output that holds evaluation.json.
EVALUATION_OUTPUT = "evaluation"


@dataclass(frozen=True, slots=True)
class Evaluation:
    accuracy: float | None  # of the winner, on the test set
    winner: str | None  # the candidate's name: spot or on-demand
    candidates: dict[str, float] = field(default_factory=dict)  # accuracy by candidate
    comparison: str | None = None  # what the winner was compared with, or why it was not


def evaluation_of(environment: Environment, steps: list[Step]) -> Evaluation | None:
    """The evaluation of a run; None if it has none."""
    uri = report_uri(environment, steps)
    return read_evaluation(environment, uri) if uri else None


def report_uri(environment: Environment, steps: list[Step]) -> str | None:
    """evaluation.json in the output of that name of the newest succeeded step that has one."""
    for step in reversed(steps):
        if step.job_kind != "ProcessingJob" or step.job is None or step.status != "Succeeded":
            continue
        with environment.doing(f"reading the processing job {step.job}"):
            job = environment.client("sagemaker").describe_processing_job(ProcessingJobName=step.job)
        for output in job.get("ProcessingOutputConfig", {}).get("Outputs", []):
            if output["OutputName"] == EVALUATION_OUTPUT:
                return str(output["S3Output"]["S3Uri"]).rstrip("/") + "/evaluation.json"
    return None


def read_evaluation(environment: Environment, uri: str) -> Evaluation | None:
    """None where the object is gone or may not be read: a list stays useful without its accuracy column."""
    content = read_report(environment, uri)
    if content is None:
        return None
    try:
        report = json.loads(content)
        accuracy = report["multiclass_classification_metrics"]["accuracy"]["value"]
        candidates = {name: float(figures["accuracy"]) for name, figures in report.get("candidates", {}).items()}
        comparison = report.get("summary", {}).get("comparison")
        return Evaluation(float(accuracy), report.get("winner", {}).get("name"), candidates, comparison)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Evaluation(accuracy=None, winner=None)


def read_report(environment: Environment, uri: str) -> bytes | None:
    """The report as it was written; None where it is gone or may not be read."""
    place = urlsplit(uri)
    with environment.doing(f"reading {uri}"):
        try:
            answer = environment.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
        except ClientError as error:
            if is_missing(error) or error_code(error) in DENIED | {"NoSuchBucket"}:
                return None
            raise
        return bytes(answer["Body"].read())
