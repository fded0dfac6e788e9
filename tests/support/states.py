"""The states of the deployed app that the end-to-end tests ask for, each reached once: a fixture each.

    deployed -> first_run -> served -> refused_run

A record holds what was seen on the way, as a later state may have changed it. Tests leave the state as they found it,
or further: with more runs and versions, and version 1 served.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from deployed_app import Deployed, Images
from eventually import eventually
from received_notices import subscribe

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.executions import Execution, list_executions, list_steps, read_execution, wait_for_execution


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The run that the first upload has started, and what there was at its end."""

    execution: Execution
    reasons: list[tuple[str, str | None]]
    statuses: dict[str, str]
    packages: list[dict[str, Any]]
    endpoint: endpoint.Endpoint | None


@dataclass(frozen=True, slots=True)
class RefusedRun:
    """A run whose model is worse than the champion, of this version; how many versions there were before and after."""

    execution: Execution
    champion: int
    versions_before: int
    versions_after: int


@pytest.fixture(scope="session")
def subscribed(deployed: Deployed) -> str:
    """A queue that is subscribed to the notices from the deployment on; its URL."""
    return subscribe(deployed.environment)


@pytest.fixture(scope="session")
def first_run(deployed: Deployed, images: Images, subscribed: str) -> FirstRun:
    """The AWS CLI uploads the images, and asks what has come of them."""
    began, environment = datetime.now(UTC), deployed.environment
    deployed.aws("s3", "sync", "--only-show-errors", str(images.seen), uri_of(deployed))
    execution = wait_for_end(deployed, wait_for_execution(environment, after=began, seconds=60, interval=0.3))
    reasons = [(step.name, step.reason) for step in list_steps(environment, execution)]
    answer = deployed.aws("sagemaker", "list-pipeline-execution-steps", "--pipeline-execution-arn", execution.arn)
    statuses = {step["StepName"]: step["StepStatus"] for step in answer["PipelineExecutionSteps"]}
    group = environment.stack.model_package_group
    packages = deployed.aws("sagemaker", "list-model-packages", "--model-package-group-name", group)
    found = endpoint.read_endpoint(environment)
    return FirstRun(execution, reasons, statuses, packages["ModelPackageSummaryList"], found)


@pytest.fixture(scope="session")
def served(deployed: Deployed, first_run: FirstRun) -> endpoint.Endpoint:
    """The AWS CLI approves version 1, and its endpoint comes up."""
    assert first_run.execution.status == "Succeeded", first_run.reasons
    arn = registry.find_model(deployed.environment, "1").arn
    deployed.aws("sagemaker", "update-model-package", "--model-package-arn", arn, "--model-approval-status", "Approved")
    return endpoint.wait_for_endpoint(deployed.environment, seconds=60, interval=0.3)


@pytest.fixture(scope="session")
def refused_run(deployed: Deployed, served: endpoint.Endpoint) -> RefusedRun:
    """One epoch with hardly any learning; no threshold refuses it, only the champion stands in its way."""
    changed = {"Epochs": "1", "LearningRate": "0.00001", "AccuracyThreshold": "0.0"}
    before = registry.list_packages(deployed.environment)
    execution = wait_for_end(deployed, start_like(deployed, all_executions(deployed)[0], **changed))
    after = registry.list_packages(deployed.environment)
    champion = max(item["ModelPackageVersion"] for item in after if registry.is_servable(item))
    return RefusedRun(execution, champion, len(before), len(after))


def uri_of(deployed: Deployed) -> str:
    return f"s3://{deployed.environment.stack.data_bucket}/datasets/digits/"


def all_executions(deployed: Deployed) -> list[Execution]:
    return list(list_executions(deployed.environment))


def start_like(deployed: Deployed, last: Execution, **changed: str | None) -> Execution:
    """A run with the parameters of another one, but for those that change; None leaves it to the definition."""
    sagemaker = deployed.environment.client("sagemaker")
    given = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=last.arn)["PipelineParameters"]
    parameters = {item["Name"]: item["Value"] for item in given} | changed
    arn = sagemaker.start_pipeline_execution(
        PipelineName=deployed.environment.stack.pipeline,
        PipelineParameters=[{"Name": name, "Value": value} for name, value in parameters.items() if value is not None],
    )["PipelineExecutionArn"]
    return read_execution(deployed.environment, arn)


def wait_for_end(deployed: Deployed, execution: Execution, seconds: float = 300) -> Execution:
    def look() -> Execution | None:
        found = read_execution(deployed.environment, execution.arn)
        return None if found.going_on else found

    return eventually(f"{execution.id} has ended", look, seconds=seconds, interval=0.3)
