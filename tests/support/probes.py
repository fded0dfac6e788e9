"""What each role tries and must not be able to do: the same actions, on things that are not the deployment's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headrace.client.environment import Stack

Connect = Callable[[str], Any]
Probe = tuple[str, Callable[[Connect], object]]
"""An action, and the call that needs it."""

STRANGER = "somebody-elses"


@dataclass(frozen=True, slots=True)
class Foreign:
    """Things beside the deployment, in the same account; the names begin like the deployment's own where they can."""

    account: str
    region: str
    stack: Stack

    def make(self, connect: Connect) -> None:
        connect("s3").create_bucket(Bucket=STRANGER)
        connect("s3").put_object(Bucket=STRANGER, Key="datasets/a", Body=b"")
        connect("sqs").create_queue(QueueName=STRANGER)
        trust = '{"Version": "2012-10-17", "Statement": []}'
        role = connect("iam").create_role(RoleName=STRANGER, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        sagemaker, container = (
            connect("sagemaker"),
            {"Image": "pytorch", "ModelDataUrl": f"s3://{STRANGER}/model.tar.gz"},
        )
        sagemaker.create_model_package_group(ModelPackageGroupName=STRANGER)
        sagemaker.create_model(ModelName=STRANGER, PrimaryContainer=container, ExecutionRoleArn=role)
        variant = {"VariantName": "a", "ModelName": STRANGER, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName=STRANGER, ProductionVariants=[variant])

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def probes(self) -> Iterator[Probe]:
        yield from self._of_s3()
        yield from self._of_pipelines()
        yield from self._of_registry()
        yield from self._of_serving()
        queue = f"https://localhost/{self.account}/{STRANGER}"
        yield "sqs:SendMessage", lambda c: c("sqs").send_message(QueueUrl=queue, MessageBody="{}")
        yield "lambda:InvokeFunction", lambda c: c("lambda").invoke(FunctionName=STRANGER)
        group = "/aws/somebody/else"
        yield "logs:CreateLogGroup", lambda c: c("logs").create_log_group(logGroupName=group)
        yield (
            "logs:CreateLogStream",
            lambda c: c("logs").create_log_stream(logGroupName="/aws/lambda/else", logStreamName="a"),
        )
        log = {"logGroupName": group, "logStreamName": "a"}
        yield "logs:GetLogEvents", lambda c: c("logs").get_log_events(**log)
        yield "logs:DescribeLogStreams", lambda c: c("logs").describe_log_streams(logGroupName=group)
        topic = self.arn("sns", STRANGER)
        yield "sns:Publish", lambda c: c("sns").publish(TopicArn=topic, Message="a")
        yield (
            "sagemaker:ListTags",
            _call("list_tags", {"ResourceArn": self.arn("sagemaker", f"endpoint-config/{STRANGER}")}),
        )
        parameters = {"PipelineExecutionArn": self.arn("sagemaker", f"pipeline/{STRANGER}/execution/abcdefabcdef")}
        yield (
            "sagemaker:ListPipelineParametersForExecution",
            _call("list_pipeline_parameters_for_execution", parameters),
        )
        yield (
            "sqs:ChangeMessageVisibility",
            lambda c: c("sqs").change_message_visibility(QueueUrl=queue, ReceiptHandle="a", VisibilityTimeout=0),
        )
        yield (
            "cloudwatch:PutMetricData",
            lambda c: c("cloudwatch").put_metric_data(Namespace=STRANGER, MetricData=[{"MetricName": "a", "Value": 1}]),
        )

    def _of_s3(self) -> Iterator[Probe]:
        """Another bucket, and this one outside of every prefix that it knows."""
        mine, elsewhere = self.stack.data_bucket, "elsewhere/a"
        for bucket, key in ((STRANGER, "datasets/a"), (mine, elsewhere)):
            at = {"Bucket": bucket, "Key": key}
            yield "s3:GetObject", lambda c, at=at: c("s3").get_object(**at)
            yield "s3:PutObject", lambda c, at=at: c("s3").put_object(**at, Body=b"")
            yield "s3:DeleteObject", lambda c, at=at: c("s3").delete_object(**at)
            yield "s3:DeleteObjectVersion", lambda c, at=at: c("s3").delete_object(**at, VersionId="null")
        assets = f"cdk-hnb659fds-assets-{self.account}-{self.region}"
        yield "s3:GetObject", lambda c: c("s3").get_object(Bucket=assets, Key="somebody-elses.zip")
        yield "s3:ListBucket", lambda c: c("s3").list_objects_v2(Bucket=STRANGER, Prefix="datasets/")
        for prefix in ("runs/a", "models/a"):  # the conditions of the lists of results and of artifacts hold there
            yield "s3:ListBucket", lambda c, prefix=prefix: c("s3").list_objects_v2(Bucket=STRANGER, Prefix=prefix)
        yield "s3:ListBucket", lambda c: c("s3").list_objects_v2(Bucket=mine, Prefix="elsewhere/")
        yield "s3:ListBucketVersions", lambda c: c("s3").list_object_versions(Bucket=STRANGER)

    def _of_pipelines(self) -> Iterator[Probe]:
        mine, pipeline = self.stack.pipeline, self.arn("sagemaker", f"pipeline/{STRANGER}")
        execution, role = f"{pipeline}/execution/abcdefabcdef", f"arn:aws:iam::{self.account}:role/{STRANGER}"
        given = {"PipelineDefinition": "{}", "RoleArn": role, "ClientRequestToken": "a" * 32}
        tags = [{"Key": "a", "Value": "b"}]
        jobs = {"Processing": "processing-job", "Training": "training-job"}

        def sagemaker(operation: str, **parameters: Any) -> Probe:
            action = "sagemaker:" + "".join(part.title() for part in operation.split("_"))
            return action, lambda c: getattr(c("sagemaker"), operation)(**parameters)

        yield sagemaker("create_pipeline", PipelineName=STRANGER, **given)
        yield sagemaker("update_pipeline", PipelineName=STRANGER)
        yield sagemaker("describe_pipeline", PipelineName=STRANGER)
        yield sagemaker("delete_pipeline", PipelineName=STRANGER)
        yield sagemaker("start_pipeline_execution", PipelineName=STRANGER)
        yield sagemaker("list_pipeline_executions", PipelineName=STRANGER)
        yield sagemaker("describe_pipeline_execution", PipelineExecutionArn=execution)
        yield sagemaker("list_pipeline_execution_steps", PipelineExecutionArn=execution)
        yield sagemaker("stop_pipeline_execution", PipelineExecutionArn=execution)
        yield "iam:PassRole", lambda c: c("sagemaker").update_pipeline(PipelineName=mine, RoleArn=role)
        yield (
            "iam:PassRole",
            lambda c: c("sagemaker").create_model(
                ModelName=f"{self.stack.endpoint}-v0",
                ExecutionRoleArn=role,
                PrimaryContainer={"Image": "pytorch", "ModelDataUrl": f"s3://{STRANGER}/model.tar.gz"},
            ),
        )
        yield "iam:PassRole", lambda c: self._process(c, "pipelines-abc-Preprocess-x", role)
        for kind, resource in jobs.items():
            name = {f"{kind}JobName": STRANGER}
            yield f"sagemaker:Describe{kind}Job", _call(f"describe_{kind.lower()}_job", name)
            yield f"sagemaker:Stop{kind}Job", _call(f"stop_{kind.lower()}_job", name)
            arn = self.arn("sagemaker", f"{resource}/{STRANGER}")
            yield "sagemaker:AddTags", _call("add_tags", {"ResourceArn": arn, "Tags": tags})
        yield "sagemaker:CreateProcessingJob", lambda c: self._process(c, STRANGER, role)
        yield "sagemaker:CreateTrainingJob", lambda c: self._train(c, role)
        yield "sagemaker:AddTags", _call("add_tags", {"ResourceArn": pipeline, "Tags": tags})
        for arn in (pipeline, self.arn("sagemaker", f"endpoint/{STRANGER}")):
            yield "sagemaker:ListTags", _call("list_tags", {"ResourceArn": arn})
            yield "sagemaker:DeleteTags", _call("delete_tags", {"ResourceArn": arn, "TagKeys": ["a"]})

    def _process(self, connect: Connect, name: str, role: str) -> object:
        cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        return connect("sagemaker").create_processing_job(
            ProcessingJobName=name,
            ProcessingResources={"ClusterConfig": cluster},
            AppSpecification={"ImageUri": "pytorch", "ContainerEntrypoint": ["true"]},
            RoleArn=role,
        )

    def _train(self, connect: Connect, role: str) -> object:
        return connect("sagemaker").create_training_job(
            TrainingJobName=STRANGER,
            AlgorithmSpecification={"TrainingImage": "pytorch", "TrainingInputMode": "File"},
            RoleArn=role,
            OutputDataConfig={"S3OutputPath": f"s3://{STRANGER}/"},
            ResourceConfig={"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )

    def _of_registry(self) -> Iterator[Probe]:
        package = self.arn("sagemaker", f"model-package/{STRANGER}/1")
        group, tags = {"ModelPackageGroupName": STRANGER}, [{"Key": "a", "Value": "b"}]
        yield "sagemaker:ListModelPackages", _call("list_model_packages", group)
        yield "sagemaker:DescribeModelPackage", _call("describe_model_package", {"ModelPackageName": package})
        yield "sagemaker:DeleteModelPackage", _call("delete_model_package", {"ModelPackageName": package})
        yield "sagemaker:CreateModelPackageGroup", _call("create_model_package_group", group)
        yield "sagemaker:DescribeModelPackageGroup", _call("describe_model_package_group", group)
        pending, approved = ({"ModelApprovalStatus": status} for status in ("PendingManualApproval", "Approved"))
        mine = {"ModelPackageGroupName": self.stack.model_package_group}
        yield "sagemaker:CreateModelPackage", _call("create_model_package", group | pending)
        yield "sagemaker:CreateModelPackage", _call("create_model_package", mine | approved)
        own = {"ModelPackageArn": self.arn("sagemaker", f"model-package/{self.stack.model_package_group}/1")}
        yield "sagemaker:UpdateModelPackage", _call("update_model_package", {"ModelPackageArn": package} | approved)
        yield "sagemaker:UpdateModelPackage", _call("update_model_package", own | pending)
        for arn in (package, self.arn("sagemaker", f"model-package-group/{STRANGER}")):
            yield "sagemaker:AddTags", _call("add_tags", {"ResourceArn": arn, "Tags": tags})

    def _of_serving(self) -> Iterator[Probe]:
        endpoint, config = {"EndpointName": STRANGER}, {"EndpointConfigName": STRANGER}
        variant = {"VariantName": "a", "ModelName": STRANGER, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        yield "sagemaker:CreateModel", _call("create_model", {"ModelName": STRANGER})
        yield "sagemaker:DeleteModel", _call("delete_model", {"ModelName": STRANGER})
        yield (
            "sagemaker:CreateEndpointConfig",
            _call("create_endpoint_config", config | {"ProductionVariants": [variant]}),
        )
        yield "sagemaker:DeleteEndpointConfig", _call("delete_endpoint_config", config)
        yield "sagemaker:DescribeEndpointConfig", _call("describe_endpoint_config", config)
        mine = {"EndpointConfigName": f"{self.stack.endpoint}-v1-0"}
        for name in (
            "create_endpoint",
            "update_endpoint",
        ):  # both need a right to the endpoint and to the configuration
            action = "sagemaker:" + name.title().replace("_", "")
            yield action, _call(name, endpoint | mine)
            yield action, _call(name, {"EndpointName": self.stack.endpoint} | config)
        yield "sagemaker:DeleteEndpoint", _call("delete_endpoint", endpoint)
        yield "sagemaker:DescribeEndpoint", _call("describe_endpoint", endpoint)
        for kind in ("model", "endpoint", "endpoint-config"):
            tags = {"ResourceArn": self.arn("sagemaker", f"{kind}/{STRANGER}"), "Tags": [{"Key": "a", "Value": "b"}]}
            yield "sagemaker:AddTags", _call("add_tags", tags)


def _call(operation: str, parameters: dict[str, Any]) -> Callable[[Connect], object]:
    return lambda connect: getattr(connect("sagemaker"), operation)(**parameters)
