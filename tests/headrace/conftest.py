"""The command line run against a scripted AWS, and against a ministack for S3, SQS and CloudFormation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from followed_hints import Follower
from hints_table import record
from local_cloud_in_use import real
from scripted_aws import ACCOUNT, OUTPUTS, REGION, FakeAws
from scripted_cloud import FakeCloud, FakeRunning, Result
from scripted_sagemaker import FakeSageMaker
from started_processes import starts_process

from headrace.cli.main import main
from headrace.client.environment import Environment, open_environment
from headrace.project.session import isolated_session

__all__ = ["real"]  # a fixture, beside those below

PASSED = pytest.StashKey[bool]()


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A separate project, without any of the developer's AWS configuration."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "HEADRACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cdk.json").write_text("{}")
    prices = '"ml.m5.large" = 0.1\n"ml.m5.xlarge" = 0.36\n'
    (tmp_path / "prices.toml").write_text(f"[{REGION}.usd_per_hour]\n{prices}")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    server = FakeAws()
    yield server
    server.close()


@pytest.fixture
def sagemaker(aws: FakeAws) -> FakeSageMaker:
    service = FakeSageMaker()
    aws.answers.update(service.answers())
    return service


@pytest.fixture
def cloud(aws: FakeAws, tmp_path: Path) -> FakeCloud:
    return FakeCloud(FakeRunning(aws.endpoint, tmp_path / "localhost.crt"))


@pytest.fixture
def environment(cloud: FakeCloud) -> Environment:
    return open_environment("local", cloud)


@pytest.fixture
def headrace(
    cloud: FakeCloud, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Result]]:
    """Runs a command in this process. What it suggests is followed when the test has passed."""

    def run(*arguments: str, on: FakeCloud | None = None) -> Result:
        capsys.readouterr()
        status = main(arguments, cloud=on or cloud)
        said = capsys.readouterr()
        return Result(status, said.out, said.err)

    follower = Follower(run, tmp_path)

    def noted(*arguments: str, on: FakeCloud | None = None) -> Result:
        result = run(*arguments, on=on)
        follower.note(result, on)
        return result

    yield noted
    if request.node.stash.get(PASSED, False):
        follower.follow_all()
        if request.config.getoption("write_hints"):  # to find the source of a hint takes longer than the test
            record(request.node.nodeid, follower.given, "headrace/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
@starts_process
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3, SQS, Logs and CloudFormation in a separate process; yields its endpoint."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("ministack")
    settings = {"USE_SSL": "0", "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "TMPDIR": str(folder)}
    settings |= {"IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env=settings,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    endpoint = f"http://localhost:{port}"
    client = isolated_session(ACCOUNT, "test", REGION).client("cloudformation", endpoint_url=endpoint)
    _deploy(client, time.monotonic() + 30)
    yield endpoint
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _deploy(client: Any, deadline: float) -> None:
    queues = {name: {"Ref": name[:-3]} for name in OUTPUTS if name.endswith("QueueUrl")}
    values: dict[str, Any] = (
        OUTPUTS | {"DataBucketName": {"Ref": "Data"}, "NoticeTopicArn": {"Ref": "Notices"}} | queues
    )
    template = {
        "Resources": {
            "Data": {"Type": "AWS::S3::Bucket"},
            "Notices": {"Type": "AWS::SNS::Topic"},
            **{name[:-3]: {"Type": "AWS::SQS::Queue"} for name in queues},
        },
        "Outputs": {name: {"Value": value} for name, value in values.items()},
    }
    while True:
        try:
            client.create_stack(StackName="headrace-local", TemplateBody=json.dumps(template))
            break
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    while client.describe_stacks(StackName="headrace-local")["Stacks"][0]["StackStatus"] != "CREATE_COMPLETE":
        assert time.monotonic() < deadline, "the stack was not created"
        time.sleep(0.05)
    client.close()


@pytest.fixture
def storage(ministack: str, tmp_path: Path) -> Iterator[tuple[FakeCloud, Environment]]:
    """The deployed stack in ministack, its bucket empty."""
    running = FakeRunning(ministack, tmp_path / "localhost.crt")
    cloud = FakeCloud(running)
    environment = open_environment("local", cloud)
    _empty(environment)  # the hints of the test before were followed after its end, `headrace upload` among them
    yield cloud, environment
    _empty(environment)


def _empty(environment: Environment) -> None:
    client, bucket = environment.client("s3"), environment.stack.data_bucket
    for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
        client.delete_object(Bucket=bucket, Key=item["Key"])
