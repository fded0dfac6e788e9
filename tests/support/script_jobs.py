"""Jobs in script mode, as the SageMaker SDK sends them: the code as sourcedir.tar.gz, hyperparameters as JSON."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventually import eventually
from pipeline_runs import BUCKET, read

REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
PYTORCH = f"{REGISTRY}/pytorch-training:2.1.0-cpu-py310-ubuntu20.04-sagemaker"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
Connect = Callable[[str], Any]


@dataclass(frozen=True)
class Jobs:
    connect: Connect
    role: str

    def put(self, key: str, content: bytes | str) -> str:
        body = content.encode() if isinstance(content, str) else content
        self.connect("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def request(
        self, image: str, files: Mapping[str, str], hyperparameters: Mapping[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        """Of CreateTrainingJob. The first of the files is the script; `more` replaces parts of the request."""
        name = f"script-{secrets.token_hex(5)}"
        source = self.put(f"{name}/source/sourcedir.tar.gz", packed(files))
        own = {"sagemaker_program": next(iter(files)), "sagemaker_submit_directory": source}
        given = own | dict(hyperparameters or {})
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "HyperParameters": {key: json.dumps(value) for key, value in given.items() if value is not None},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/{name}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 120},
            "RoleArn": self.role,
        } | more

    def train(self, request: dict[str, Any], seconds: float = 90) -> dict[str, Any]:
        """The description of the job once it has ended, however it has."""
        self.connect("sagemaker").create_training_job(**request)
        return self.trained(request["TrainingJobName"], seconds)

    def trained(self, name: str, seconds: float = 90) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.connect("sagemaker").describe_training_job(TrainingJobName=name)
            return None if found["TrainingJobStatus"] in ("InProgress", "Stopping") else found

        return eventually(f"{name} has ended", look, seconds=seconds)

    def process(self, request: dict[str, Any], seconds: float = 90) -> dict[str, Any]:
        name = request["ProcessingJobName"]
        self.connect("sagemaker").create_processing_job(**request)

        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.connect("sagemaker").describe_processing_job(ProcessingJobName=name)
            return None if found["ProcessingJobStatus"] in ("InProgress", "Stopping") else found

        return eventually(f"{name} has ended", look, seconds=seconds)

    def model(self, job: dict[str, Any], archive: str = "model.tar.gz") -> dict[str, bytes]:
        """The files of its model.tar.gz, or of its output.tar.gz."""
        uri = job["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", archive)
        with tarfile.open(fileobj=io.BytesIO(read(self.connect("s3"), uri))) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}  # type: ignore[union-attr]

    def log(self, job: str, group: str = "TrainingJobs") -> list[str]:
        pages = self.connect("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=f"/aws/sagemaker/{group}", logStreamNamePrefix=f"{job}/")
        return [event["message"] for answer in found for event in answer["events"]]


def packed(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()
