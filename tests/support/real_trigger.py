"""The deployed trigger as a test plays with it: uploads, its queue, its processes, faults, and what it has started."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from deployed_app import Deployed
from eventually import eventually

from headrace.commands import redrive
from headrace.terminal.output import Output

PUTS_AT_ONCE = 16
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
PARAMETERS = [{"Name": "DataSet", "Type": "String"}, {"Name": "Fingerprint", "Type": "String"}]


@dataclass(frozen=True, slots=True)
class RealTrigger:
    deployed: Deployed

    @property
    def bucket(self) -> str:
        return self.deployed.environment.stack.data_bucket

    @property
    def queue_url(self) -> str:
        return self.deployed.environment.stack.upload_queue_url

    def client(self, service: str) -> Any:
        return self.deployed.environment.client(service)

    def define(self, name: str, *, ends_well: bool = True) -> None:
        """A pipeline of one step of this name that costs nothing: it is the start of an execution that matters."""
        condition = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
        nothing = {"Type": "Condition", "Arguments": {"Conditions": [condition], "IfSteps": [], "ElseSteps": []}}
        failure = {"Type": "Fail", "Arguments": {"ErrorMessage": "on purpose"}}
        step = {"Name": name} | (nothing if ends_well else failure)
        definition = {"Version": "2020-12-01", "Parameters": PARAMETERS, "Steps": [step]}
        key = f"pipelines/{self.deployed.environment.stack.pipeline}.json"
        self._maintainer().put_object(Bucket=self.bucket, Key=key, Body=json.dumps(definition).encode())
        self.settle()

    def _maintainer(self) -> Any:
        """S3 as the role that may write definitions; the bucket's policy denies that to everybody else."""
        environment = self.deployed.environment
        found = environment.find_stack(environment.stack_name)
        assert found is not None
        assert environment.running is not None
        outputs = {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}
        answer = self.client("sts").assume_role(RoleArn=outputs["MaintainerRoleArn"], RoleSessionName="test")
        keys, running = answer["Credentials"], environment.running
        session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], environment.region)
        return session.client("s3", endpoint_url=running.endpoint, verify=str(running.certificate))

    def put(self, key: str, content: str = "a") -> None:
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content.encode())

    def put_all(self, keys: Iterable[str]) -> float:
        """Many objects at once, each with its key for content; when the last was there."""
        with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
            list(pool.map(lambda key: self.put(key, key), keys))
        return time.time()

    def notify(self, key: str) -> None:
        """S3's event of an object once more: a late duplicate."""
        s3 = {"bucket": {"name": self.bucket}, "object": {"key": key}}
        body = {"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]}
        self.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=json.dumps(body))

    def waiting(self, queue_url: str) -> int:
        """Messages in a queue: visible, delayed, or being worked on."""
        answer = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(COUNTS))
        return sum(int(answer["Attributes"][name]) for name in COUNTS)

    def settle(self, seconds: float = 240) -> None:
        """Wait until the queue is empty and no execution is going on."""
        time.sleep(0.5)  # S3 sends the notification of an object after its answer
        eventually("the queue is empty", lambda: self.waiting(self.queue_url) == 0, seconds=seconds)
        eventually("every run has ended", self._none_goes_on, seconds=seconds)

    def _none_goes_on(self) -> bool:
        return "Executing" not in {run["PipelineExecutionStatus"] for run in self.runs()}

    def dead_letters(self) -> int:
        return self.waiting(self.deployed.environment.stack.queues[0].dead_letters_url)

    def redrive(self) -> None:
        redrive.redrive(self.deployed.environment, Output(), list_only=False)
        self.settle()

    def runs(self) -> list[dict[str, Any]]:
        sagemaker, name = self.client("sagemaker"), self.deployed.environment.stack.pipeline
        try:
            pages = sagemaker.get_paginator("list_pipeline_executions").paginate(PipelineName=name)
            return [run for page in pages for run in page["PipelineExecutionSummaries"]]
        except sagemaker.exceptions.ResourceNotFound:
            return []

    def count_runs(self, prefix: str) -> Counter[str]:
        """How often each data set whose name begins so was run."""
        names = (re.sub("-[0-9a-f]{8}(-[0-9]+)?$", "", run["PipelineExecutionDisplayName"]) for run in self.runs())
        return Counter(name for name in names if name.startswith(prefix))

    def start_of(self, data_set: str) -> float:
        """When its first execution started, in seconds since the epoch."""
        starts = (run["StartTime"] for run in self.runs() if run["PipelineExecutionDisplayName"].startswith(data_set))
        moment: float = min(starts).timestamp()
        return moment

    def documents(self, prefix: str) -> list[Any]:
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [json.loads(s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()) for key in keys]

    def processes(self) -> list[Path]:
        """The function's processes under /proc; its name is in their environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue  # it has just ended, or is another user's
            if b"StartPipelineFunction" in environment and bytes(self.deployed.state) in environment:
                found.append(entry)
        return found

    def peak_memory(self) -> int:
        """The most that one of the function's processes has ever held, in MB."""
        texts = [(entry / "status").read_text() for entry in self.processes()]
        return max(int(match[1]) for text in texts if (match := re.search(r"VmHWM:\s+(\d+) kB", text))) // 1_000

    def set_faults(self, *rules: str) -> None:
        """What is to go wrong, in the words of local_cloud/sagemaker/core/faults.py; nothing, if none is given."""
        file = self.deployed.state / "sagemaker" / "faults.toml"
        draft = file.with_suffix(".draft")
        draft.write_text("".join(f"[[fault]]\n{rule}\n" for rule in rules))
        draft.rename(file)
        if not rules:
            file.unlink()

    def log(self) -> str:
        return (self.deployed.state / "server.log").read_text(errors="replace")
