"""The worlds that the functions' tests play in: a data bucket with its queue, and a registry with its endpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from fake_aws import ACCOUNT, DEAD, NOTICES_QUEUE, REGION, Cloud, Crash, Execution
from validated_clients import Clients

from deploy_model.environment import Environment as DeployEnvironment
from deploy_model.handler import handle_batch as deploy
from start_pipeline.environment import Environment as StartEnvironment
from start_pipeline.handler import handle_batch as start

HERE = Path(__file__).parents[1] / "lambda"
BUCKET = "data-bucket"
NAME = "headrace-test"
QUIET = 60
RUN_SECONDS = 1_200
RECEIVES = 5  # after which SQS itself sets a message aside
DEFINITION = (HERE / "portable_definition.json").read_bytes()
CLIENTS = Clients()

BINDINGS = {
    "DataBucket": BUCKET,
    "PipelineName": NAME,
    "PipelineRoleArn": f"arn:aws:iam::{ACCOUNT}:role/pipeline",
    "JobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/job",
    "ModelPackageGroupName": NAME,
    "FindChampionFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:find-champion",
    "StoreModelFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:store-model",
    "CodeUri": f"s3://{BUCKET}/code/aaa/source.tar.gz",
    "TrainingImage": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-training:2.9",
    "InferenceImage": f"763104351884.dkr.ecr.{REGION}.amazonaws.com/pytorch-inference:2.6",
    "ModelApprovalStatus": "PendingManualApproval",
    "Region": REGION,
    "Account": ACCOUNT,
}


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((HERE / "events" / f"{name}.json").read_text())
    return loaded


def sqs_event(*messages: tuple[str, str, int]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": message_id,
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for message_id, body, receives in messages
        ]
    }


def failed_ids(response: Any) -> list[str]:
    return [item["itemIdentifier"] for item in response["batchItemFailures"]]


class UploadWorld:
    """A bucket whose changes put S3's notifications into a queue, and the function that is given them."""

    def __init__(self, quiet_seconds: int = QUIET, **variables: str) -> None:
        self.cloud = CLIENTS.cloud = Cloud()
        self.cloud.put(BUCKET, f"pipelines/{NAME}.json", DEFINITION)
        self.environment = StartEnvironment.from_variables(
            {
                "DATA_BUCKET": BUCKET,
                "PIPELINE_NAME": NAME,
                "PIPELINE_ROLE_ARN": BINDINGS["PipelineRoleArn"],
                "QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/uploads",
                "DEAD_LETTER_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/upload-{DEAD}",
                "NOTICES_QUEUE_URL": NOTICES_QUEUE,
                "QUIET_SECONDS": str(quiet_seconds),
                "BINDINGS": json.dumps(BINDINGS),
                "PIPELINE_TAGS": '{"headrace:project": "headrace"}',
                **variables,
            }
        )
        self.seconds_left = 900.0

    def upload(self, key: str, content: str = "a", *, checksum: bool = True) -> None:
        self.cloud.put(BUCKET, key, content.encode(), checksum=checksum)
        self._notify("s3_object_created", key)

    def remove(self, key: str) -> None:
        self.cloud.put(BUCKET, key, None)
        self._notify("s3_object_removed", key)

    def send(self, body: dict[str, Any]) -> None:
        self.cloud.send_message("", json.dumps(body))

    def deliver(self, message: Any, *, keep: bool = False) -> bool:
        """Hand one message to the function; it leaves the queue when it is done, unless it is kept for a redelivery."""
        try:
            response = self.start(message)
        except Crash:
            return False
        done = not failed_ids(response)
        if done and not keep:
            self.cloud.queue.remove(message)
        elif not done and message.receives >= RECEIVES:
            self.cloud.queue.remove(message)
            self.cloud.dead_letters.append(message)
        return done

    def start(self, *messages: Any) -> Any:
        for message in messages:
            message.receives += 1
        records = sqs_event(*((message.id, message.body, message.receives) for message in messages))
        return start(
            records, self.environment, CLIENTS, clock=lambda: self.cloud.now, seconds_left=lambda: self.seconds_left
        )

    def settle(self) -> None:
        """Deliver what is due, letting time pass, until the queue is empty."""
        for _ in range(1_000):
            if not self.cloud.queue:
                return
            message = min(self.cloud.queue, key=lambda message: message.due)
            self.cloud.now = max(self.cloud.now, message.due)
            self._end_executions()
            assert self.deliver(message), f"failed: {message.body}"
            assert not self.cloud.dead_letters
        raise AssertionError(f"the queue never empties: {self.cloud.queue[:3]}")

    def redrive(self) -> None:
        """As `headrace redrive` and SQS itself do it: with new message ids."""
        letters, self.cloud.dead_letters = self.cloud.dead_letters, []
        for letter in letters:
            self.cloud.send_message("", letter.body)

    def _end_executions(self) -> None:
        for execution in self.executions():
            if execution.status == "Executing" and self.cloud.now - execution.started >= RUN_SECONDS:
                execution.status = "Succeeded"

    def upload_and_settle(self, key: str, content: str = "a") -> None:
        self.upload(key, content)
        self.settle()

    def fingerprints(self) -> list[str]:
        return [execution.parameters["Fingerprint"] for execution in self.executions()]

    def executions(self) -> list[Execution]:
        return list(self.cloud.executions.values())

    def finish(self, status: str) -> None:
        self.executions()[-1].status = status

    def document(self, key: str) -> Any:
        text = self.cloud.text(BUCKET, key)
        assert text is not None, f"no object {key}; there are {self.cloud.keys(BUCKET)}"
        return json.loads(text)

    def put_definition(self, change: Callable[[dict[str, Any]], None]) -> None:
        definition = json.loads(DEFINITION)
        change(definition)
        self.upload(f"pipelines/{NAME}.json", json.dumps(definition))

    def _notify(self, name: str, key: str) -> None:
        notification = event(name)
        s3 = notification["Records"][0]["s3"]
        s3["bucket"]["name"], s3["object"]["key"] = BUCKET, quote_plus(key, safe="/")
        self.send(notification)


class DeployWorld:
    """A model package group, an endpoint, and the function that receives decisions.

    The group is named `group` and belongs to `account`. In another account's requests, it is named by its ARN.
    """

    def __init__(self, *, account: str = ACCOUNT, group: str = NAME) -> None:
        self.cloud = CLIENTS.cloud = Cloud()
        self.account, self.group = account, group
        arn = f"arn:aws:sagemaker:{REGION}:{account}:model-package-group/{group}"
        self.environment = DeployEnvironment.from_variables(
            {
                "ENDPOINT_NAME": NAME,
                "ENDPOINT_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/endpoint",
                "MODEL_PACKAGE_GROUP_NAME": group if account == ACCOUNT else arn,
                "MODEL_PACKAGE_GROUP_ARN": arn,
                "ENDPOINT_INSTANCE_TYPE": "ml.m5.large",
                "ENDPOINT_INSTANCE_COUNT": "1",
                "QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/decisions",
                "DEAD_LETTER_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/decision-{DEAD}",
                "NOTICES_QUEUE_URL": NOTICES_QUEUE,
                "TAGS": '{"headrace:project": "headrace"}',
                **({"DATA_BUCKET": BUCKET} if account == ACCOUNT else {}),
            }
        )

    def decide(self, version: int, approval: str, **changed: Any) -> dict[str, Any]:
        """Record a decision in the registry, on a version with a stored artifact; the event that EventBridge sends."""
        content = f"artifact of version {version}".encode()
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"models/{sha256}/model.tar.gz"
        if not self.cloud.buckets.get(BUCKET, {}).get(key):
            self.cloud.put(BUCKET, key, content).algorithm = "SHA256"
        recorded = {"ArtifactSha256": sha256, "ArtifactBytes": str(len(content))}
        registered = {"url": f"s3://{BUCKET}/{key}", "recorded": recorded, **changed}
        arn = self.cloud.register(self.group, version, approval, account=self.account, **registered)
        change = event("model_package_state_change")
        change["detail"] |= {
            "ModelPackageGroupName": self.group,
            "ModelPackageArn": arn,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": approval,
        }
        return change

    def deliver(self, *bodies: dict[str, Any]) -> list[str]:
        """The ids of the messages that failed, which are m0, m1, …"""
        records = sqs_event(*((f"m{number}", json.dumps(body), 1) for number, body in enumerate(bodies)))
        return failed_ids(deploy(records, self.environment, CLIENTS))

    def come_to_rest(self) -> None:
        """Let SageMaker finish what it is doing with the endpoint."""
        for name, endpoint in list(self.cloud.endpoints.items()):
            if endpoint["EndpointStatus"] == "Deleting":
                del self.cloud.endpoints[name]
            elif endpoint["EndpointStatus"] in {"Creating", "Updating", "SystemUpdating", "RollingBack"}:
                pending = endpoint.pop("PendingDeploymentSummary", {})
                endpoint |= {"EndpointStatus": "InService", "LastModifiedTime": self.moment(), **pending}

    def settle(self) -> None:
        while self.cloud.queue:
            self.come_to_rest()
            self.look()
        self.come_to_rest()

    def look(self) -> None:
        """Deliver the next message that the function has sent itself."""
        message = self.cloud.queue.pop(0)
        self.cloud.now = max(self.cloud.now, message.due)
        assert self.deliver(json.loads(message.body)) == []

    def roll_back(self) -> None:
        """What SageMaker does with an update that does not come up: InService again, as it was, with a reason."""
        endpoint = self.cloud.endpoints[NAME]
        del endpoint["PendingDeploymentSummary"]
        endpoint |= {"EndpointStatus": "InService", "LastModifiedTime": self.moment()}
        endpoint["FailureReason"] = "the container did not answer /ping"

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.cloud.now, UTC)

    def served(self) -> str:
        """The ARN of the model package behind the endpoint."""
        configuration = self.cloud.configurations[self.cloud.endpoints[NAME]["EndpointConfigName"]]
        model = self.cloud.models[configuration["ProductionVariants"][0]["ModelName"]]
        return str(model["PrimaryContainer"]["ModelPackageName"])
