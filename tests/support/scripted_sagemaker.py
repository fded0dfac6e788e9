"""SageMaker's memory, as a test fills it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from scripted_aws import ACCOUNT, REGION, Refusal

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
LISTED = {
    "ModelPackageArn", "ModelPackageGroupName", "ModelPackageVersion",
    "ModelPackageStatus", "ModelApprovalStatus", "CreationTime",
}  # fmt: skip


def artifact_url(version: int) -> str:
    return f"s3://data-bucket/models/{version:064x}/model.tar.gz"


@dataclass
class FakeSageMaker:
    """Enough of SageMaker's memory for the commands to read; a test changes it while they run."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    executions: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=lambda: {"DataSet": "birds", "Fingerprint": "f00"})
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: list[dict[str, Any]] = field(default_factory=list)
    endpoint: dict[str, Any] | None = None
    log: dict[str, list[str]] = field(default_factory=dict)
    seconds_between_lines: float = 0.001  # of one stream; the last line was written just now
    rolled_back: set[int] = field(default_factory=set)  # versions whose configuration has the tag
    model_of: dict[str, str] = field(default_factory=dict)  # the package of a model, where its name does not say
    definition: dict[str, Any] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)  # messages to queues

    def add_run(
        self, name: str, status: str, *, minutes_ago: float = 5, reason: str | None = None, at_most: str = ""
    ) -> str:
        arn = f"{ARN}:pipeline/headrace-local/execution/{name}"
        run = {
            "PipelineExecutionArn": arn,
            "PipelineExecutionDisplayName": f"display-{name}",
            "PipelineExecutionStatus": status,
            "StartTime": self.now - timedelta(minutes=minutes_ago),
            "PipelineExecutionDescription": f"costs at most {at_most} USD" if at_most else "no limit on its cost",
        }
        self.executions.append(run | ({"PipelineExecutionFailureReason": reason} if reason else {}))
        self.steps[arn] = []
        return arn

    def add_step(
        self, arn: str, name: str, status: str, *, started: float = 300, took: float = 60, **more: Any
    ) -> None:
        start = self.now - timedelta(seconds=started)
        ended = {} if status == "Executing" else {"EndTime": start + timedelta(seconds=took)}
        self.steps[arn].append({"StepName": name, "StepStatus": status, "StartTime": start} | ended | more)

    def add_package(self, version: int, approval: str, **more: Any) -> None:
        self.packages.append(
            {
                "ModelPackageArn": f"{ARN}:model-package/headrace-local-models/{version}",
                "ModelPackageGroupName": "headrace-local-models",
                "ModelPackageVersion": version,
                "ModelPackageName": f"headrace-local-models/{version}",
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "ModelApprovalStatus": approval,
                "CreationTime": self.now - timedelta(days=10 - version),
                "MetadataProperties": {"GeneratedBy": f"{ARN}:pipeline/headrace-local/execution/run{version}"},
                "InferenceSpecification": {"Containers": [{"Image": "image", "ModelDataUrl": artifact_url(version)}]},
                "CustomerMetadataProperties": {
                    "DataSet": "birds",
                    "Accuracy": f"0.9{version}",
                    "ArtifactSha256": f"{version:064x}",
                },
            }
            | more
        )

    def serve(self, version: int, status: str = "InService", **more: Any) -> None:
        self.endpoint = {
            "EndpointName": "headrace-local",
            "EndpointArn": f"{ARN}:endpoint/headrace-local",
            "EndpointConfigName": f"config-v{version}",
            "EndpointStatus": status,
            "CreationTime": self.now,
            "LastModifiedTime": self.now,
        } | more

    def answers(self) -> dict[str, Any]:
        return {
            "ListPipelineExecutions": self._list_executions,
            "DescribePipelineExecution": lambda request: self._describe_execution(request["PipelineExecutionArn"]),
            "ListPipelineExecutionSteps": lambda request: {
                "PipelineExecutionSteps": self.steps[request["PipelineExecutionArn"]]
            },
            "ListPipelineParametersForExecution": lambda request: {
                "PipelineParameters": [{"Name": name, "Value": value} for name, value in self.parameters.items()]
            },
            "DescribeTrainingJob": lambda request: self._job(request["TrainingJobName"], "Training"),
            "DescribeProcessingJob": lambda request: self._job(request["ProcessingJobName"], "Processing"),
            "ListModelPackages": lambda request: {
                "ModelPackageSummaryList": [
                    {key: value for key, value in package.items() if key in LISTED} for package in self.packages
                ]
            },
            "DescribeModelPackage": lambda request: self._package(request["ModelPackageName"]),
            "UpdateModelPackage": self._update_package,
            "DescribeEndpoint": self._describe_endpoint,
            "DescribeEndpointConfig": lambda request: {
                "EndpointConfigName": request["EndpointConfigName"],
                "EndpointConfigArn": f"{ARN}:endpoint-config/{request['EndpointConfigName']}",
                "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": request["EndpointConfigName"]}],
                "CreationTime": self.now,
            },
            "DescribeModel": lambda request: {
                "ModelName": request["ModelName"],
                "ModelArn": f"{ARN}:model/{request['ModelName']}",
                "CreationTime": self.now,
                "PrimaryContainer": {
                    "ModelPackageName": self.model_of.get(request["ModelName"])
                    or f"{ARN}:model-package/headrace-local-models/{request['ModelName'].split('-v')[1]}"
                },
            },
            "FilterLogEvents": self._filter_log,
            "ListEndpointConfigs": lambda request: {
                "EndpointConfigs": [
                    {
                        "EndpointConfigName": name,
                        "EndpointConfigArn": f"{ARN}:endpoint-config/{name}",
                        "CreationTime": self.now,
                    }
                    for name in (f"headrace-local-v{version}-0123abcd" for version in sorted(self.rolled_back))
                    if request["NameContains"] in name
                ]
            },
            "ListTags": lambda request: {"Tags": [{"Key": "headrace:rolled-back", "Value": "2026"}]},
            "StopPipelineExecution": self._stop,
            "DescribePipelineDefinitionForExecution": lambda request: {
                "PipelineDefinition": json.dumps(self.definition)
            },
            "DescribePipeline": lambda request: {
                "PipelineName": request["PipelineName"],
                "PipelineDefinition": json.dumps(self.definition),
            },
            "SendMessage": self._send,
        }

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """At once, with the steps that are executing."""
        arn = request["PipelineExecutionArn"]
        run = next(run for run in self.executions if run["PipelineExecutionArn"] == arn)
        run["PipelineExecutionStatus"] = "Stopped"
        for step in self.steps[arn]:
            if step["StepStatus"] == "Executing":
                step |= {"StepStatus": "Stopped", "EndTime": self.now}
        return {"PipelineExecutionArn": arn}

    def _send(self, request: dict[str, Any]) -> dict[str, Any]:
        body = json.loads(request["MessageBody"])
        self.sent.append(body)
        return {"MessageId": "m", "MD5OfMessageBody": hashlib.md5(request["MessageBody"].encode()).hexdigest()}

    def _list_executions(self, request: dict[str, Any]) -> dict[str, Any]:
        """Two a page, newest first, so that paging is always part of a test."""
        newest_first = sorted(self.executions, key=lambda run: run["StartTime"], reverse=True)
        start = int(request.get("NextToken", 0))
        more = {"NextToken": str(start + 2)} if start + 2 < len(newest_first) else {}
        return {"PipelineExecutionSummaries": newest_first[start : start + 2]} | more

    def _describe_execution(self, arn: str) -> dict[str, Any]:
        run = next(run for run in self.executions if run["PipelineExecutionArn"] == arn)
        reason = run.get("PipelineExecutionFailureReason")
        return {
            "PipelineExecutionArn": arn,
            "PipelineExecutionDisplayName": run["PipelineExecutionDisplayName"],
            "PipelineExecutionStatus": run["PipelineExecutionStatus"],
            "PipelineExecutionDescription": run["PipelineExecutionDescription"],
            "CreationTime": run["StartTime"],
        } | ({"FailureReason": reason} if reason else {})

    def _job(self, name: str, kind: str) -> dict[str, Any]:
        base = {f"{kind}JobName": name, f"{kind}JobArn": f"{ARN}:{kind.lower()}-job/{name}", "CreationTime": self.now}
        required: dict[str, Any] = {f"{kind}JobStatus": "Completed"}
        if kind == "Training":
            required |= {
                "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m.tar.gz"},
                "SecondaryStatus": "Completed",
                "AlgorithmSpecification": {"TrainingInputMode": "File"},
                "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {},
            }
        else:
            required |= {
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
                },
                "AppSpecification": {"ImageUri": "i"},
                "ProcessingStartTime": self.now - timedelta(seconds=30),
                "ProcessingEndTime": self.now,
            }
        return base | required | self.jobs.get(name, {})

    def _package(self, arn: str) -> dict[str, Any]:
        return next(package for package in self.packages if package["ModelPackageArn"] == arn)

    def _update_package(self, request: dict[str, Any]) -> dict[str, Any]:
        package = self._package(request["ModelPackageArn"])
        package.update({key: value for key, value in request.items() if key != "ModelPackageArn"})
        return {"ModelPackageArn": request["ModelPackageArn"]}

    def _describe_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.endpoint is None:
            raise Refusal("ValidationException", f'Could not find endpoint "{request["EndpointName"]}".')
        return self.endpoint

    def _filter_log(self, request: dict[str, Any]) -> dict[str, Any]:
        if not self.log:
            raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
        prefix = request.get("logStreamNamePrefix", "")
        now, gap = int(self.now.timestamp() * 1000), int(self.seconds_between_lines * 1000)
        events = [
            {
                "logStreamName": stream,
                "timestamp": now - (len(lines) - 1 - number) * gap,
                "message": line,
                "eventId": f"{stream}:{number}",
            }
            for stream, lines in self.log.items()
            for number, line in enumerate(lines)
            if stream.startswith(prefix)
        ]
        return {"events": [event for event in events if event["timestamp"] >= request.get("startTime", 0)]}
