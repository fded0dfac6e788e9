"""S3, SQS and SageMaker in memory: as much of them as the functions use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from fake_s3 import PAGE, Buckets, Refused

REGION, ACCOUNT = "eu-central-1", "111122223333"
NOTICES_QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/notices"
LONGEST_MESSAGE = 2**20  # bytes, attributes included


DEAD = "dead-letters"
RUNNING = frozenset({"Executing", "Stopping"})
NOT_IN_A_MESSAGE = "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"  # SQS's API reference, SendMessage


class Crash(BaseException):
    """The function's process is gone."""


@dataclass
class Execution:
    arn: str
    pipeline: str
    token: str
    display_name: str
    parameters: dict[str, str]
    definition: str
    status: str = "Executing"
    started: float = 0.0
    description: str = ""


@dataclass
class Cloud(Buckets):
    """The state; `interrupt` is called before and after each call and may raise or act in between."""

    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    interrupt: Callable[[str, str, dict[str, Any]], None] | None = None
    queue: list[SimpleNamespace] = field(default_factory=list)
    dead_letters: list[SimpleNamespace] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)  # what was sent to the notices queue
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    token_seconds: float = float("inf")  # for how long the token of a start is remembered
    broken: dict[str, int] = field(default_factory=dict)  # status of a model's answer, by endpoint configuration
    probabilities: dict[str, float] = field(default_factory=dict)  # of each model's answer; empty for a label alone
    tags: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)  # network interfaces, by name, and their subnets

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    # SQS

    def send_message(
        self, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, MessageAttributes: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        assert 0 <= DelaySeconds <= 900
        texts = [MessageBody, *(item["StringValue"] for item in (MessageAttributes or {}).values())]
        if any(re.search(NOT_IN_A_MESSAGE, text) for text in texts):
            raise Refused("InvalidMessageContents", "Invalid characters were found in the message body or attributes.")
        if sum(len(text.encode()) for text in texts) > LONGEST_MESSAGE:
            raise Refused("InvalidParameterValue", "One or more parameters are invalid. Reason: Message is too long.")
        if QueueUrl == NOTICES_QUEUE:
            self.notices.append(json.loads(MessageBody))
            return {"MessageId": "notice", "MD5OfMessageBody": "-"}
        message = SimpleNamespace(
            id=f"m{next(self.numbers)}", body=MessageBody, due=self.now + DelaySeconds, receives=0
        )
        if QueueUrl.endswith(DEAD):
            assert MessageAttributes
            message.reason = MessageAttributes["Reason"]["StringValue"]
            self.dead_letters.append(message)
        else:
            self.queue.append(message)
        return {"MessageId": message.id, "MD5OfMessageBody": "-"}

    def change_message_visibility(self, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> dict[str, Any]:
        for message in self.queue:
            if message.id == ReceiptHandle:
                message.due = self.now + VisibilityTimeout
        return {}

    # SageMaker: pipelines

    def create_pipeline(self, PipelineName: str, **more: Any) -> dict[str, Any]:
        if PipelineName in self.pipelines:
            raise Refused("ValidationException", "Pipeline names must be unique within an AWS account and region.")
        self.pipelines[PipelineName] = more
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PipelineName}"
        self.tags[arn] = list(more.get("Tags", []))
        return {"PipelineArn": arn}

    def update_pipeline(self, PipelineName: str, **more: Any) -> dict[str, Any]:
        self.describe_pipeline(PipelineName)
        self.pipelines[PipelineName] |= more
        return {"PipelineArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PipelineName}"}

    def describe_pipeline(self, PipelineName: str) -> dict[str, Any]:
        if PipelineName not in self.pipelines:
            raise Refused("ResourceNotFound", f"Pipeline {PipelineName} does not exist.")
        held = self.pipelines[PipelineName]
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PipelineName}"
        content = {name: held[name] for name in ("PipelineDefinition", "RoleArn")}
        return {"PipelineName": PipelineName, "PipelineArn": arn, **content}

    def delete_pipeline(self, PipelineName: str, ClientRequestToken: str) -> dict[str, Any]:
        self.describe_pipeline(PipelineName)
        running = {execution.pipeline for execution in self.executions.values() if execution.status in RUNNING}
        if PipelineName in running:
            raise Refused("ConflictException", "The pipeline has running executions")
        del self.pipelines[PipelineName]
        return {"PipelineArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PipelineName}"}

    def start_pipeline_execution(
        self,
        PipelineName: str,
        PipelineExecutionDisplayName: str,
        PipelineExecutionDescription: str,
        PipelineParameters: list[dict[str, str]],
        ClientRequestToken: str,
    ) -> dict[str, Any]:
        self.describe_pipeline(PipelineName)
        for execution in self.executions.values():
            if execution.token == ClientRequestToken and self.now - execution.started < self.token_seconds:
                return {"PipelineExecutionArn": execution.arn}
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/{PipelineName}/execution/{next(self.numbers):012}"
        parameters = {item["Name"]: item["Value"] for item in PipelineParameters}
        definition = self.pipelines[PipelineName]["PipelineDefinition"]
        self.executions[arn] = Execution(
            arn,
            PipelineName,
            ClientRequestToken,
            PipelineExecutionDisplayName,
            parameters,
            definition,
            started=self.now,
            description=PipelineExecutionDescription,
        )
        return {"PipelineExecutionArn": arn}

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, Any]:
        if PipelineExecutionArn not in self.executions:
            raise Refused("ResourceNotFound", f"{PipelineExecutionArn} does not exist.")
        return {"PipelineExecutionStatus": self.executions[PipelineExecutionArn].status}

    def list_pipeline_executions(
        self, PipelineName: str, CreatedAfter: datetime | None = None, **more: Any
    ) -> dict[str, Any]:
        self.describe_pipeline(PipelineName)
        after = 0.0 if CreatedAfter is None else CreatedAfter.timestamp()
        summaries = [
            {
                "PipelineExecutionArn": execution.arn,
                "PipelineExecutionStatus": execution.status,
                "PipelineExecutionDisplayName": execution.display_name,
                "PipelineExecutionDescription": execution.description,
                "StartTime": datetime.fromtimestamp(execution.started, UTC),
            }
            for execution in self.executions.values()
            if execution.pipeline == PipelineName and execution.started >= after
        ]
        return _page("PipelineExecutionSummaries", summaries, more)

    def stop_pipeline_execution(self, PipelineExecutionArn: str, ClientRequestToken: str) -> dict[str, Any]:
        self.executions[PipelineExecutionArn].status = "Stopping"
        return {"PipelineExecutionArn": PipelineExecutionArn}

    # SageMaker: the registry

    def register(
        self, group: str, version: int, approval: str, *, status: str = "Completed", url: str = "",
        account: str = ACCOUNT, recorded: Mapping[str, str] | None = None, container: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """A version of that group, or the same one with another approval."""
        arn = f"arn:aws:sagemaker:{REGION}:{account}:model-package/{group}/{version}"
        known = self.packages.setdefault(arn, {"registered": datetime.fromtimestamp(self.now, UTC)})
        known |= {"group": group, "version": version, "approval": approval, "status": status, "url": url}
        known |= {"recorded": dict(recorded or {}), "container": dict(container or {})}
        return arn

    def list_model_packages(self, ModelPackageGroupName: str, **more: Any) -> dict[str, Any]:
        summaries = [
            {
                "ModelPackageArn": arn,
                "ModelPackageVersion": package["version"],
                "ModelPackageStatus": package["status"],
                "ModelApprovalStatus": package["approval"],
                "CreationTime": package["registered"],
            }
            for arn, package in self.packages.items()
            if ModelPackageGroupName in (package["group"], _group_arn(arn))
            and package["approval"] == more.get("ModelApprovalStatus", package["approval"])
        ]
        if not more.get("NextToken"):
            for arn in [arn for arn, package in self.packages.items() if package["status"] == "Deleting"]:
                del self.packages[arn]
        return _page("ModelPackageSummaryList", summaries, more)

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        package = self.packages[ModelPackageName]
        container = {"Image": "image"} | ({"ModelDataUrl": package["url"]} if package["url"] else {})
        container |= package["container"]
        return {
            "ModelPackageName": package["group"],
            "ModelPackageArn": ModelPackageName,
            "CreationTime": package["registered"],
            "ModelPackageStatus": package["status"],
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "InferenceSpecification": {"Containers": [container]},
            "CustomerMetadataProperties": package["recorded"],
        }

    def delete_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        """It is gone a while later: `list_model_packages` shows it as Deleting once."""
        if self.packages[ModelPackageName]["status"] == "Deleting":
            raise Refused("ConflictException", f"ModelPackage {ModelPackageName} is being deleted.")
        self.packages[ModelPackageName]["status"] = "Deleting"
        return {}

    # SageMaker: serving

    def add_tags(self, ResourceArn: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        given = {tag["Key"] for tag in Tags}
        self.tags[ResourceArn] = [tag for tag in self.tags.get(ResourceArn, []) if tag["Key"] not in given] + Tags
        return {"Tags": self.tags[ResourceArn]}

    def delete_tags(self, ResourceArn: str, TagKeys: list[str]) -> dict[str, Any]:
        self.tags[ResourceArn] = [tag for tag in self.tags[ResourceArn] if tag["Key"] not in TagKeys]
        return {}

    def list_tags(self, ResourceArn: str, **more: Any) -> dict[str, Any]:
        return _page("Tags", self.tags.get(ResourceArn, []), more)

    def create_model(self, ModelName: str, **more: Any) -> dict[str, Any]:
        if ModelName in self.models:
            raise Refused("ValidationException", f'Cannot create already existing model "{ModelName}".')
        self.models[ModelName] = more
        return {"ModelArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/{ModelName}"}

    def create_endpoint_config(self, EndpointConfigName: str, **more: Any) -> dict[str, Any]:
        if EndpointConfigName in self.configurations:
            raise Refused("ValidationException", "Cannot create already existing endpoint configuration")
        self.configurations[EndpointConfigName] = more
        return {"EndpointConfigArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint-config/{EndpointConfigName}"}

    def create_endpoint(self, EndpointName: str, EndpointConfigName: str, **more: Any) -> dict[str, Any]:
        if EndpointName in self.endpoints:
            raise Refused("ValidationException", "Cannot create already existing endpoint")
        self.endpoints[EndpointName] = {"EndpointConfigName": EndpointConfigName, "EndpointStatus": "Creating"} | more
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{EndpointName}"
        self.tags[arn] = list(more.get("Tags", []))
        return {"EndpointArn": arn}

    def update_endpoint(self, EndpointName: str, EndpointConfigName: str) -> dict[str, Any]:
        endpoint = self.endpoints[EndpointName]
        if endpoint["EndpointStatus"] in {"Creating", "Updating"}:
            raise Refused("ValidationException", "Cannot update in-progress endpoint")
        endpoint |= {
            "EndpointStatus": "Updating",
            "PendingDeploymentSummary": {"EndpointConfigName": EndpointConfigName},
        }
        return {"EndpointArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{EndpointName}"}

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{EndpointName}".')
        moment = datetime.fromtimestamp(self.now, UTC)
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{EndpointName}"
        names = (
            "EndpointConfigName",
            "EndpointStatus",
            "PendingDeploymentSummary",
            "FailureReason",
            "LastModifiedTime",
        )
        held = {name: value for name, value in self.endpoints[EndpointName].items() if name in names}
        return {
            "EndpointName": EndpointName,
            "EndpointArn": arn,
            "CreationTime": moment,
            "LastModifiedTime": moment,
            **held,
        }

    def invoke_endpoint(self, EndpointName: str, Body: bytes, **more: Any) -> dict[str, Any]:
        """A model answers unless `broken` says with which status its configuration's does not."""
        configuration = self.endpoints[EndpointName]["EndpointConfigName"]
        if status := self.broken.get(configuration):
            refused = Refused("ModelError", f"Received server error ({status}) from primary")
            refused.members = {"OriginalStatusCode": status, "OriginalMessage": "no worker"}
            raise refused
        prediction = {"label": "owl"} | ({"probabilities": self.probabilities} if self.probabilities else {})
        return {"Body": BytesIO(json.dumps({"predictions": [prediction]}).encode())}

    def delete_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName not in self.endpoints:
            raise Refused("ValidationException", f'Could not find endpoint "{EndpointName}".')
        if self.endpoints[EndpointName]["EndpointStatus"] in {"Creating", "Updating"}:
            raise Refused("ValidationException", "Cannot update in-progress endpoint")
        self.endpoints[EndpointName]["EndpointStatus"] = "Deleting"
        return {}

    def list_endpoint_configs(self, NameContains: str, **more: Any) -> dict[str, Any]:
        moment = datetime.fromtimestamp(self.now, UTC)
        found = [
            {
                "EndpointConfigName": name,
                "EndpointConfigArn": f"arn:aws:sagemaker:x:y:{name:20}",
                "CreationTime": moment,
            }
            for name in self.configurations
            if NameContains in name
        ]
        return _page("EndpointConfigs", found, more)

    def list_models(self, NameContains: str, **more: Any) -> dict[str, Any]:
        moment = datetime.fromtimestamp(self.now, UTC)
        found = [
            {"ModelName": name, "ModelArn": f"arn:aws:sagemaker:x:y:{name:20}", "CreationTime": moment}
            for name in self.models
            if NameContains in name
        ]
        return _page("Models", found, more)

    def delete_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        del self.configurations[EndpointConfigName]
        return {}

    def describe_network_interfaces(self, Filters: list[dict[str, Any]]) -> dict[str, Any]:
        (subnets,) = [asked["Values"] for asked in Filters if asked["Name"] == "subnet-id"]
        found = [name for name, subnet in self.interfaces.items() if subnet in subnets]
        return {"NetworkInterfaces": [{"NetworkInterfaceId": name} for name in found]}

    def delete_model(self, ModelName: str) -> dict[str, Any]:
        del self.models[ModelName]
        return {}


def _group_arn(version_arn: str) -> str:
    return version_arn.replace(":model-package/", ":model-package-group/").rpartition("/")[0]


def _page(name: str, items: list[Any], asked: dict[str, Any]) -> dict[str, Any]:
    start = int(asked.get("NextToken", 0))
    more = {"NextToken": str(start + PAGE)} if start + PAGE < len(items) else {}
    return {name: items[start : start + PAGE], **more}
