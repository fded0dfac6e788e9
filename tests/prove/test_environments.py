"""An environment of environments.toml, rehearsed with the real commands: in its account and region, and in a VPC.

Its jobs have no network here, as they have none on AWS: one that asked for anything would fail.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed_app import Images, processes_of, project_with
from pipeline_runs import free_port
from wheels import make_wheels

from headrace.client import endpoint
from headrace.client import model_packages as registry
from headrace.client.environment import Environment, open_environment
from headrace.client.executions import list_executions, list_steps
from headrace.project.local_cloud import ProcessCloud

pytestmark = pytest.mark.timeout(300)

Run = Callable[..., str]
ACCOUNT, REGION = "444444444444", "eu-central-1"
SMALL = 'network_access = "vpc"\n\n[staging.pipeline]\nepochs = 4\nbatch_size = 32\nlearning_rate = 0.003\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources, with [staging] in a VPC and less to train, and the wheels that its jobs install."""
    folder = project_with(tmp_path_factory.mktemp("project"))
    make_wheels(folder / "training")
    settings = (folder / "environments.toml").read_text().replace("[staging.pipeline]\n", SMALL)
    (folder / "environments.toml").write_text(settings.replace("quiet_seconds = 60", "quiet_seconds = 2"))
    return folder


@pytest.fixture(scope="module")
def run(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`headrace --local --env staging …`; a local cloud is up while the module is tested."""
    state = tmp_path_factory.mktemp("staging") / "state"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEADRACE_"))}

    def headrace(*words: object) -> str:
        command = [Path(sys.executable).with_name("headrace"), "--local", "--env", "staging", *map(str, words)]
        done = subprocess.run(
            command, cwd=project, env=kept | {"HEADRACE_STATE": str(state)}, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout + done.stderr

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_STATE", str(state))
        patch.chdir(project)
        ProcessCloud().start(state, port=free_port())
        try:
            yield headrace
        finally:
            ProcessCloud().stop(state)
    assert processes_of(state) == []


@pytest.fixture
def staging(run: Run) -> Environment:
    return open_environment("staging", ProcessCloud(), rehearsed=True)


def network_of(environment: Environment) -> dict[str, list[str]]:
    """The account's EC2 resources in the region, without the defaults of every account."""
    ec2 = environment.client("ec2")
    vpcs = [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]

    def of_vpcs(items: list[dict[str, Any]], key: str) -> list[str]:
        return [item[key] for item in items if item["VpcId"] in vpcs]

    return {
        "vpcs": vpcs,
        "subnets": of_vpcs(ec2.describe_subnets()["Subnets"], "SubnetId"),
        "groups": of_vpcs(ec2.describe_security_groups()["SecurityGroups"], "GroupName"),
        "interfaces": [item["SubnetId"] for item in ec2.describe_network_interfaces()["NetworkInterfaces"]],
        "endpoints": [item["ServiceName"] for item in ec2.describe_vpc_endpoints()["VpcEndpoints"]],
        "flow logs": [item["ResourceId"] for item in ec2.describe_flow_logs()["FlowLogs"]],
    }


def test_it_is_deployed_with_a_network_that_leads_to_s3_alone(run: Run, staging: Environment) -> None:
    run("deploy")
    found = network_of(staging)
    assert (len(found["vpcs"]), len(found["subnets"])) == (1, 2)
    assert found["endpoints"] == [f"com.amazonaws.{REGION}.s3"]
    assert found["flow logs"] == found["vpcs"]
    assert found["interfaces"] == []
    budgets = staging.client("budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert [budget["BudgetLimit"] for budget in budgets] == [{"Amount": "100", "Unit": "USD"}]


def test_an_upload_becomes_a_model_without_any_network(run: Run, staging: Environment, images: Images) -> None:
    run("upload", images.seen, "--name", "digits")
    run("watch")
    (execution,) = list_executions(staging)
    assert execution.arn.split(":")[3:5] == [REGION, ACCOUNT]
    sagemaker, subnets = staging.client("sagemaker"), network_of(staging)["subnets"]
    for step in list_steps(staging, execution):
        if step.name.startswith("Train"):
            job = sagemaker.describe_training_job(TrainingJobName=str(step.job))
            assert (job["EnableNetworkIsolation"], job["VpcConfig"]["Subnets"]) == (True, subnets)
    (model,) = registry.list_models(staging)
    assert model.approval == "PendingManualApproval"
    assert network_of(staging)["interfaces"] == []


def test_the_approved_model_is_served_in_the_network(run: Run, staging: Environment, images: Images) -> None:
    run("approve", "latest")
    endpoint.wait_for_endpoint(staging, seconds=60, interval=0.3)
    held_out = sorted(images.held_out.rglob("*.jpg"))
    answers = endpoint.ask(staging, held_out)
    assert sum(answer.label == file.parent.name for answer, file in zip(answers, held_out, strict=True)) > 20
    (model,) = staging.client("sagemaker").list_models()["Models"]
    described = staging.client("sagemaker").describe_model(ModelName=model["ModelName"])
    found = network_of(staging)
    assert (described["EnableNetworkIsolation"], described["VpcConfig"]["Subnets"]) == (True, found["subnets"])
    assert found["interfaces"] == found["subnets"][:1]


def test_destroyed_it_leaves_nothing(run: Run, staging: Environment) -> None:
    run("destroy")
    assert not any(network_of(staging).values()), network_of(staging)
    assert staging.client("budgets").describe_budgets(AccountId=ACCOUNT).get("Budgets", []) == []
    sagemaker = staging.client("sagemaker")
    assert sagemaker.list_models()["Models"] == []
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert not [item for item in staging.client("s3").list_buckets()["Buckets"] if "headrace" in item["Name"]]
