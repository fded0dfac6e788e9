"""The real app, deployed once by the real CDK into a separate local cloud; and the real AWS CLI as a client."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pipeline_runs import free_port
from started_processes import starts_process
from suite import PROJECT, ROOT, write_project

from headrace.client import model_packages as registry
from headrace.client.environment import Environment, open_environment
from headrace.commands import cdk
from headrace.demo.digits import write_digits
from headrace.project.folder import LOCAL
from headrace.project.local_cloud import ProcessCloud, exports
from headrace.terminal.output import Output

AWS_CLI = ROOT / ".venv" / "awscli" / "bin" / "aws"


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployed stack in a local cloud that runs."""

    state: Path
    environment: Environment

    def aws(self, *arguments: str) -> Any:
        """One call of the AWS CLI, with the variables that `headrace env` prints; its answer, if that is JSON."""
        assert self.environment.running is not None
        here = exports(self.environment.running, account=str(self.environment.account), region=self.environment.region)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
        done = subprocess.run([AWS_CLI, *arguments], env=kept | here, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    def reopened(self) -> "Deployed":
        return Deployed(self.state, open_environment(LOCAL, ProcessCloud()))


@contextmanager
def deployment(state: Path, *, project: Path = PROJECT, recorded: bool = False) -> Iterator[Deployed]:
    """The project, deployed into a new local cloud. With `recorded`, it records who made which request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_STATE", str(state))
        patch.chdir(project)
        cloud = ProcessCloud()
        cloud.start(state, port=free_port())
        try:
            if recorded:
                (state / "authorizations.jsonl").touch()
            environment = open_environment(LOCAL, cloud)
            cdk.deploy(environment, Output())
            yield Deployed(state, environment)
        finally:
            cloud.stop(state)


@pytest.fixture(scope="session")
@starts_process
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with deployment(tmp_path_factory.mktemp("deployed") / "state") as app:
        yield app


def stored_twice(state: Path) -> list[set[Path]]:
    """Files of objects, of 64 KiB or more, that hold the same content and take room for it more than once."""
    found: dict[str, dict[int, Path]] = {}
    for file in (state / "s3").rglob("*"):
        if file.is_file() and file.stat().st_size >= 2**16:
            found.setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), {})[file.stat().st_ino] = file
    return [set(files.values()) for files in found.values() if len(files) > 1]


def project_with(folder: Path, *, table: str = "local", **settings: str) -> Path:
    """A project of the suite, in which a table of environments.toml says otherwise, as `removal = "retain"`."""
    write_project(folder)
    lines = (folder / "environments.toml").read_text().splitlines()
    start = lines.index(f"[{table}]")
    for key, value in settings.items():
        said = (index for index in range(start, len(lines)) if lines[index].startswith(f"{key} = "))
        number = next(said, None)
        if number is None:
            lines.insert(start + 1, f"{key} = {value}")
        else:
            lines[number] = f"{key} = {value}"
    (folder / "environments.toml").write_text("\n".join(lines))
    return folder


@dataclass(frozen=True, slots=True)
class Images:
    seen: Path
    held_out: Path


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """600 of the digits to train on, and 30 that no training sees."""
    seen, held_out = write_digits(tmp_path_factory.mktemp("images"))
    for index, file in enumerate(sorted(seen.rglob("*.jpg"), key=lambda file: file.name)):
        if index >= 600:
            file.unlink()
    return Images(seen, held_out)


def function_of(environment: Environment, construct: str) -> str:
    """The name of the function that the construct of the stack has made."""
    pages = environment.client("cloudformation").get_paginator("list_stack_resources")
    (name,) = [
        item["PhysicalResourceId"]
        for page in pages.paginate(StackName=environment.stack.name)
        for item in page["StackResourceSummaries"]
        if item["ResourceType"] == "AWS::Lambda::Function" and item["LogicalResourceId"].startswith(construct)
    ]
    return str(name)


def store_artifact(environment: Environment, content: bytes) -> tuple[str, dict[str, str]]:
    """Its URL and what a version records of it. It is stored as a run stores it: no other principal may write there."""
    bucket, sha256 = environment.stack.data_bucket, hashlib.sha256(content).hexdigest()
    key = f"runs/{sha256[:12]}/evaluate/winner/model.tar.gz"
    environment.client("s3").put_object(Bucket=bucket, Key=key, Body=content)
    judged = {"ModelDataUrl": f"s3://{bucket}/{key}", "Sha256": sha256, "Bytes": len(content)}
    answer = environment.client("lambda").invoke(
        FunctionName=function_of(environment, "StoreModel"), Payload=json.dumps(judged)
    )
    stored = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, stored
    recorded = {"ArtifactSha256": sha256, "ArtifactBytes": str(len(content)), "ArtifactVersionId": stored["VersionId"]}
    return stored["ModelDataUrl"], recorded


def register_broken(environment: Environment) -> int:
    """A version whose artifact is not an archive, so that its endpoint never answers."""
    sagemaker = environment.client("sagemaker")
    url, recorded = store_artifact(environment, b"no archive")
    good = sagemaker.describe_model_package(ModelPackageName=registry.find_model(environment, "latest").arn)
    specification = good["InferenceSpecification"]
    specification["Containers"][0]["ModelDataUrl"] = url
    sagemaker.create_model_package(
        ModelPackageGroupName=environment.stack.model_package_group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification=specification,
        CustomerMetadataProperties=recorded,
    )
    return int(registry.find_model(environment, "latest").version)


def processes_of(state: Path) -> list[str]:
    """Command lines of the processes that belong to a state directory."""
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if str(state) in command:
            found.append(command)
    return found


def weights(deployed: Deployed, job: str) -> str:
    """SHA-256 of the state dict in a training job's artifact."""
    description = deployed.environment.client("sagemaker").describe_training_job(TrainingJobName=job)
    bucket, _, key = description["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    content = deployed.environment.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("model.safetensors")
        assert member is not None
        return hashlib.sha256(member.read()).hexdigest()
