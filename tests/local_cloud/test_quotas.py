"""Account quotas: what is above one is refused in AWS's words, and an update of an endpoint counts twice meanwhile."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from in_process import ROLE, SCOPE, InProcess, Refused

from local_cloud.sagemaker.core import quotas
from local_cloud.sagemaker.core.clock import Clock
from pipeline_definition import PipelineSettings, build_pipeline
from start_pipeline.definition.binding import bound_definition

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13-cpu"


class SimulatedClock(Clock):
    """Time passes when something waits, and then at once."""

    def __init__(self) -> None:
        self.start = super().now()
        self.ahead = 0.0

    def now(self) -> float:
        return self.start + self.ahead

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.ahead += seconds
        return event.is_set()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def sagemaker(tmp_path: Path, clock: SimulatedClock) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path, clock=clock)
    sagemaker.service.jobs.submit = lambda *parts: None  # type: ignore[method-assign]  # jobs stay InProgress
    sagemaker.service.endpoints.deploy = lambda *parts: None  # type: ignore[method-assign]  # endpoints stay as they are
    yield sagemaker
    sagemaker.service.stop()


def limit(sagemaker: InProcess, quota: str, value: float) -> None:
    file = sagemaker.service.context.directory / "account.toml"
    draft = file.with_suffix(".draft")
    draft.write_text(f"[quotas.sagemaker]\n{json.dumps(quota)} = {value}\n")
    draft.replace(file)


def train(sagemaker: InProcess, name: str, *, spot: bool = False, count: int = 1) -> None:
    stopping = {"MaxRuntimeInSeconds": 60} | ({"MaxWaitTimeInSeconds": 60} if spot else {})
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["true"]}
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1}
    sagemaker.call(
        "CreateTrainingJob", TrainingJobName=name, AlgorithmSpecification=algorithm, RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": "s3://b/o"}, ResourceConfig=resources, StoppingCondition=stopping,
        **({"EnableManagedSpotTraining": True} if spot else {}),
    )  # fmt: skip


def process(sagemaker: InProcess, name: str) -> None:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    sagemaker.call(
        "CreateProcessingJob", ProcessingJobName=name, RoleArn=ROLE, ProcessingResources={"ClusterConfig": cluster},
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
    )  # fmt: skip


def configure(sagemaker: InProcess, name: str, count: int) -> None:
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": count}
    sagemaker.call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[variant])


@pytest.mark.process
def test_a_job_above_its_quota_is_refused_in_awss_words(sagemaker: InProcess) -> None:
    limit(sagemaker, "ml.m5.large for training job usage", 2)
    train(sagemaker, "one")
    with pytest.raises(Refused) as refused:
        train(sagemaker, "two", count=2)
    assert str(refused.value) == (
        "ResourceLimitExceeded: The account-level service limit 'ml.m5.large for training job usage' is 2 Instances, "
        "with current utilization of 1 Instances and a request delta of 2 Instances. Please use AWS Service Quotas to "
        "request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request "
        "an increase for this quota."
    )
    train(sagemaker, "two")
    sagemaker.service.context.store.update(SCOPE, "training-job", "one", TrainingJobStatus="Completed")
    train(sagemaker, "three")


def test_spot_training_on_demand_training_and_processing_have_separate_quotas(sagemaker: InProcess) -> None:
    limit(sagemaker, "ml.m5.large for spot training job usage", 0)
    train(sagemaker, "on-demand")
    with pytest.raises(Refused, match=r"'ml.m5.large for spot training job usage' is 0 Instances"):
        train(sagemaker, "spot", spot=True)
    limit(sagemaker, "ml.m5.large for processing job usage", 1)
    train(sagemaker, "spot", spot=True)
    process(sagemaker, "one")
    with pytest.raises(Refused, match=r"'ml.m5.large for processing job usage' is 1 Instances, with current util"):
        process(sagemaker, "two")


@pytest.mark.process
def test_all_types_together_have_a_quota_as_well(sagemaker: InProcess) -> None:
    limit(sagemaker, "Number of instances across all training jobs", 3)
    train(sagemaker, "one", count=2)
    with pytest.raises(Refused, match="'Number of instances across all training jobs' is 3 Instances"):
        train(sagemaker, "two", count=2)


def test_an_update_of_an_endpoint_needs_the_new_instances_beside_the_old_ones(sagemaker: InProcess) -> None:
    container = {"Image": "pytorch", "ModelDataUrl": "s3://b/m.tar.gz"}
    sagemaker.call("CreateModel", ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    configure(sagemaker, "first", 1)
    configure(sagemaker, "second", 1)
    limit(sagemaker, "ml.m5.large for endpoint usage", 1)
    sagemaker.call("CreateEndpoint", EndpointName="e", EndpointConfigName="first")
    sagemaker.service.context.store.update(SCOPE, "endpoint", "e", EndpointStatus="InService")
    with pytest.raises(Refused, match="current utilization of 1 Instances and a request delta of 1 Instances"):
        sagemaker.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="second")
    assert sagemaker.call("DescribeEndpoint", EndpointName="e")["EndpointStatus"] == "InService"
    limit(sagemaker, "ml.m5.large for endpoint usage", 2)
    sagemaker.call("UpdateEndpoint", EndpointName="e", EndpointConfigName="second")
    with pytest.raises(Refused, match="current utilization of 2 Instances"):
        sagemaker.call("CreateEndpoint", EndpointName="f", EndpointConfigName="first")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[quota.sagemaker]\nx = 0", "'quota' is not one of lambda_concurrency"),
        ("[quotas.sagemaker]\nx = -1", "the quota 'x' is -1, not a number from 0 on"),
        ("quotas = 3", "quotas is 3, not a table"),
        ("lambda_concurrency = 'few'", "lambda_concurrency is 'few'"),
        ("missing_images = 'all'", "missing_images is 'all', not a list of texts"),
        ("[zones]\na = 1", "zones is {'a': 1}, not a table of zone ids"),
    ],
)
def test_a_malformed_account_is_an_error_of_each_call_that_asks_for_it(
    sagemaker: InProcess, text: str, problem: str
) -> None:
    (sagemaker.service.context.directory / "account.toml").write_text(text)
    with pytest.raises(Refused, match="ValidationException") as refused:
        process(sagemaker, "one")
    assert f"account.toml: {problem}" in str(refused.value)
    assert "\nhint: fix it" in str(refused.value)


def test_every_type_of_the_api_has_its_quotas_and_each_quota_its_code() -> None:
    names = quotas.names()
    assert {"ml.g4dn.xlarge for spot training job usage", "ml.m5.large for endpoint usage"} < set(names)
    assert {"ml.m5.xlarge for processing job usage", "ml.m5.xlarge for training warm pool usage"} < set(names)
    assert len({quotas.code(name) for name in names}) == len(names)


class Direct:
    """A client whose calls go straight to the service; its answers and errors are those of boto3."""

    def __init__(self, sagemaker: InProcess) -> None:
        self._sagemaker = sagemaker

    def create_processing_job(self, **request: Any) -> dict[str, Any]:
        try:
            return self._sagemaker.call("CreateProcessingJob", **request)
        except Refused as refused:
            code, _, message = str(refused).partition(": ")
            raise ClientError({"Error": {"Code": code, "Message": message}}, "CreateProcessingJob") from refused


def test_a_quota_of_0_ends_the_run_within_15_minutes(sagemaker: InProcess, clock: SimulatedClock) -> None:
    """No notice is sent before the run has failed: until then the step is Executing, as if it were running."""
    limit(sagemaker, "ml.m5.xlarge for processing job usage", 0)
    sagemaker.service.context.clients.get = lambda *parts: Direct(sagemaker)  # type: ignore[method-assign]
    text = json.dumps(build_pipeline(PipelineSettings()))
    bindings = dict.fromkeys(re.findall(r"\$\{headrace:([^}]+)\}", text), "s3://bucket/x")
    definition = bound_definition(
        text,
        bindings | {"ProcessingImage": "pytorch", "JobRoleArn": ROLE, "Region": SCOPE.region, "Account": SCOPE.account},
    )
    preprocess = next(step for step in definition["Steps"] if step["Name"] == "Preprocess")
    sagemaker.create("birds", preprocess, Parameters=definition["Parameters"])
    given = [{"Name": name, "Value": "birds"} for name in ("DataSet", "Fingerprint")]
    status, steps = sagemaker.end_of(sagemaker.start("birds", PipelineParameters=given))
    assert status == "Failed"
    assert "(ResourceLimitExceeded)" in steps["Preprocess"]["FailureReason"]
    assert 0 < clock.ahead <= 15 * 60
