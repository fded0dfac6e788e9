"""The world of the function that words notices: a run and its jobs' logs, a registry, and a topic."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fake_aws import ACCOUNT, DEAD, NOTICES_QUEUE, REGION, Cloud, Refused
from worlds import BUCKET, CLIENTS, NAME, event, failed_ids, sqs_event

from notify.environment import Environment
from notify.handler import handle_batch

ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
EXECUTION = f"{ARN}:pipeline/{NAME}/execution/abcdefghijkl"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"
MOMENT = datetime(2027, 1, 15, 8, tzinfo=UTC)


@dataclass
class NoticeCloud(Cloud):
    steps: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=lambda: {"DataSet": "birds", "Fingerprint": "0123abcd4567"})
    reason: str | None = None  # of the execution's failure
    recorded: dict[str, dict[str, str]] = field(default_factory=dict)  # CustomerMetadataProperties by version's ARN
    outputs: dict[str, str] = field(default_factory=dict)  # processing outputs by name
    training_job: dict[str, Any] = field(default_factory=dict)  # what DescribeTrainingJob says besides
    streams: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # lines by log group and stream
    published: list[dict[str, Any]] = field(default_factory=list)

    def describe_pipeline_execution(self, PipelineExecutionArn: str) -> dict[str, Any]:
        reason = {} if self.reason is None else {"FailureReason": self.reason}
        return {
            "PipelineExecutionArn": PipelineExecutionArn,
            "PipelineExecutionDisplayName": "birds-0123abcd",
            "PipelineExecutionStatus": "Failed",
            "CreationTime": MOMENT,
        } | reason

    def list_pipeline_execution_steps(self, PipelineExecutionArn: str, **more: Any) -> dict[str, Any]:
        """Two a page, so that paging is part of every test."""
        start = int(more.get("NextToken", 0))
        token = {"NextToken": str(start + 2)} if start + 2 < len(self.steps) else {}
        return {"PipelineExecutionSteps": self.steps[start : start + 2]} | token

    def list_pipeline_parameters_for_execution(self, PipelineExecutionArn: str, MaxResults: int) -> dict[str, Any]:
        return {"PipelineParameters": [{"Name": name, "Value": value} for name, value in self.parameters.items()]}

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, Any]:
        outputs = [
            {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": "/x", "S3UploadMode": "EndOfJob"}}
            for name, uri in self.outputs.items()
        ]
        return {
            "ProcessingJobName": ProcessingJobName,
            "ProcessingJobArn": f"{ARN}:processing-job/{ProcessingJobName}",
            "ProcessingJobStatus": "Completed",
            "ProcessingOutputConfig": {"Outputs": outputs},
            "ProcessingResources": {
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
            "AppSpecification": {"ImageUri": "image"},
            "CreationTime": MOMENT,
        }

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobArn": f"{ARN}:training-job/{TrainingJobName}",
            "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
            "TrainingJobStatus": "Failed",
            "SecondaryStatus": "Failed",
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "ResourceConfig": {"VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "CreationTime": MOMENT,
        } | self.training_job

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        if ModelPackageName not in self.packages:
            raise Refused("ValidationException", f"ModelPackage {ModelPackageName} does not exist.")
        package = self.packages[ModelPackageName]
        return super().describe_model_package(ModelPackageName) | {
            "ModelPackageVersion": package["version"],
            "ModelApprovalStatus": package["approval"],
            "MetadataProperties": {"GeneratedBy": EXECUTION},
            "CustomerMetadataProperties": self.recorded.get(ModelPackageName, {}),
        }

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str) -> dict[str, Any]:
        if not any(group == logGroupName for group, _ in self.streams):
            raise Refused("ResourceNotFoundException", "The specified log group does not exist.")
        names = [stream for group, stream in self.streams if group == logGroupName]
        found = [name for name in names if name.startswith(logStreamNamePrefix)]
        return {"logStreams": [{"logStreamName": name, "lastEventTimestamp": n} for n, name in enumerate(found)]}

    def get_log_events(self, logGroupName: str, logStreamName: str, limit: int, startFromHead: bool) -> dict[str, Any]:
        assert not startFromHead
        lines = self.streams[logGroupName, logStreamName][-limit:]
        return {"events": [{"timestamp": number, "message": f"{line}\n"} for number, line in enumerate(lines)]}

    def publish(self, **request: Any) -> dict[str, Any]:
        self.published.append(request)
        return {"MessageId": f"sns-{len(self.published)}"}


class NoticeWorld:
    def __init__(self) -> None:
        self.cloud = CLIENTS.cloud = NoticeCloud()
        self.environment = Environment.from_variables(
            {
                "ENVIRONMENT": "test",
                "COMMAND": "headrace --env test",
                "REGISTRY_COMMAND": "headrace --env test",
                "QUEUE_URL": NOTICES_QUEUE,
                "DEAD_LETTER_QUEUE_URL": f"{NOTICES_QUEUE}-{DEAD}",
                "TOPIC_ARN": TOPIC,
                "DATA_BUCKET": BUCKET,
                "PIPELINE_NAME": NAME,
                "MODEL_PACKAGE_GROUP_NAME": NAME,
                "ENDPOINT_NAME": NAME,
            }
        )

    def deliver(self, *bodies: Any) -> list[str]:
        """The ids of the messages that failed, which are m0, m1, …"""
        records = sqs_event(*((f"m{number}", json.dumps(body), 1) for number, body in enumerate(bodies)))
        return failed_ids(handle_batch(records, self.environment, CLIENTS))

    def told(self, body: Any) -> tuple[str, dict[str, Any]]:
        """The one notice that a message makes: its readable form and its JSON form."""
        assert self.deliver(body) == []
        (request,) = self.cloud.published
        return forms(request)

    def ended(self, status: str = "Failed") -> dict[str, Any]:
        change = event("pipeline_execution_failed")
        change["detail"]["currentPipelineExecutionStatus"] = status
        return change

    def waits(self, version: int, **recorded: str) -> dict[str, Any]:
        arn = self.cloud.register(NAME, version, "PendingManualApproval")
        self.cloud.recorded[arn] = recorded
        change = event("model_package_state_change")
        change["detail"] |= {
            "ModelPackageArn": arn,
            "ModelPackageVersion": version,
            "ModelApprovalStatus": "PendingManualApproval",
        }
        return change

    def fail_step(self, name: str, reason: str, *, kind: str = "TrainingJob", lines: int = 0) -> None:
        job = f"pipelines-abcdefghijkl-{name}-x"
        resource = "training-job" if kind == "TrainingJob" else "processing-job"
        self.cloud.steps.append(
            {
                "StepName": name,
                "StepStatus": "Failed",
                "StartTime": MOMENT,
                "FailureReason": reason,
                "Metadata": {kind: {"Arn": f"{ARN}:{resource}/{job}"}},
            }
        )
        if lines:
            group = "/aws/sagemaker/TrainingJobs" if kind == "TrainingJob" else "/aws/sagemaker/ProcessingJobs"
            self.cloud.streams[group, f"{job}/algo-1-1800000000"] = [f"line {n}" for n in range(1, lines + 1)]

    def refuse_model(self, *, champion: int | None = None, report: dict[str, Any] | None = None) -> None:
        """The steps of a run whose candidates were evaluated and refused, as SageMaker lists them."""
        arn = "" if champion is None else self.cloud.register(NAME, champion, "Approved")
        outputs = [{"Name": "ModelPackageArn", "Value": arn}, {"Name": "ModelPackageVersion", "Value": "1"}]
        function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:find-champion"
        job = f"{ARN}:processing-job/pipelines-abcdefghijkl-Evaluate-x"
        message = "The model was not registered: 'spot' has accuracy 0.81 on the test set, where 0.9 is asked for."
        done: dict[str, Any] = {"StepStatus": "Succeeded", "StartTime": MOMENT}
        self.cloud.steps += [
            {"StepName": "FindChampion", "Metadata": {"Lambda": {"Arn": function, "OutputParameters": outputs}}} | done,
            {"StepName": "Evaluate", "Metadata": {"ProcessingJob": {"Arn": job}}} | done,
            {"StepName": "CheckQuality", "Metadata": {"Condition": {"Outcome": "False"}}} | done,
            {
                "StepName": "RefuseModel",
                "StepStatus": "Failed",
                "StartTime": MOMENT,
                "FailureReason": message,
                "Metadata": {"Fail": {"ErrorMessage": message}},
            },
        ]
        self.cloud.parameters["AccuracyThreshold"] = "0.9"
        if report is not None:
            self.cloud.outputs["evaluation"] = f"s3://{BUCKET}/runs/abcdefghijkl/evaluate/evaluation"
            self.cloud.put(BUCKET, "runs/abcdefghijkl/evaluate/evaluation/evaluation.json", json.dumps(report).encode())


def forms(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    message = json.loads(request["Message"])
    return message["default"], json.loads(message["sqs"])
