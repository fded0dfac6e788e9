"""Training and processing jobs, and endpoints, in a real local cloud: each parameter's effect."""

from __future__ import annotations

import io
import json
import secrets
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_runs import BUCKET, IMAGE, client, make_role, read
from tried import tries

from local_cloud.process import Running

Connect = Callable[[str], Any]
SHOW = """
import json, os, sys
from pathlib import Path
files = [path for path in Path("/opt/ml/input").rglob("*") if path.is_file()]
inputs = {str(path.relative_to("/opt/ml/input")): path.read_text() for path in files}
found = {"arguments": sys.argv[1:], "inputs": inputs, "variable": os.environ.get("GIVEN")}
Path("/opt/ml/model/seen.json").write_text(json.dumps(found))
print("accuracy=0.75")
Path("/opt/ml/checkpoints/kept").write_text("state")
"""
SERVER = (
    "import json\n"
    "def model_fn(folder): return open(folder + '/weights').read()\n"
    "def input_fn(body, kind): return kind\n"
    "def predict_fn(kind, model): import os; return [model, kind, os.environ.get('GIVEN'), os.environ.get('OWN')]\n"
    "def output_fn(answer, accept): return json.dumps([*answer, accept])\n"
)


def name() -> str:
    return f"tried-{secrets.token_hex(5)}"


def put(connect: Connect, prefix: str, **contents: str) -> str:
    for key, text in contents.items():
        connect("s3").put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=text.encode())
    return f"s3://{BUCKET}/{prefix}/"


def key_of(connect: Connect) -> str:
    return str(connect("kms").create_key()["KeyMetadata"]["Arn"])


def encrypted_with(connect: Connect, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return str(connect("s3").head_object(Bucket=bucket, Key=key).get("SSEKMSKeyId"))


def ended(connect: Connect, kind: str, job: str) -> dict[str, Any]:
    """The job's description once it has ended, however it has."""
    describe = getattr(connect("sagemaker"), f"describe_{kind.lower()}_job")
    deadline = time.monotonic() + 60
    while (found := describe(**{f"{kind}JobName": job}))[f"{kind}JobStatus"] in ("InProgress", "Stopping"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return dict(found)


def tags_of(connect: Connect, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in connect("sagemaker").list_tags(ResourceArn=arn)["Tags"]}


@tries("sagemaker.CreateTrainingJob", "TrainingJobName HyperParameters RoleArn Tags Environment CheckpointConfig")
@tries("sagemaker.CreateTrainingJob", "OutputDataConfig.S3OutputPath OutputDataConfig.KmsKeyId")
@tries("sagemaker.CreateTrainingJob", "OutputDataConfig.CompressionType")
@tries("sagemaker.CreateTrainingJob", "ResourceConfig.InstanceType ResourceConfig.InstanceCount")
@tries("sagemaker.CreateTrainingJob", "AlgorithmSpecification.TrainingImage AlgorithmSpecification.TrainingInputMode")
@tries("sagemaker.CreateTrainingJob", "AlgorithmSpecification.ContainerEntrypoint")
@tries("sagemaker.CreateTrainingJob", "AlgorithmSpecification.ContainerArguments")
@tries("sagemaker.CreateTrainingJob", "AlgorithmSpecification.MetricDefinitions InputDataConfig.ChannelName")
@tries("sagemaker.CreateTrainingJob", "InputDataConfig.ContentType InputDataConfig.InputMode")
@tries("sagemaker.CreateTrainingJob", "InputDataConfig.CompressionType InputDataConfig.RecordWrapperType")
@tries("sagemaker.CreateTrainingJob", "InputDataConfig.DataSource.S3DataSource.S3DataType")
@tries("sagemaker.CreateTrainingJob", "InputDataConfig.DataSource.S3DataSource.S3Uri")
@tries("sagemaker.CreateTrainingJob", "InputDataConfig.DataSource.S3DataSource.S3DataDistributionType")
@tries("sagemaker.CreateTrainingJob", "ProfilerConfig.DisableProfiler")
@tries("sagemaker.DescribeTrainingJob", "TrainingJobName")
def test_a_training_jobs_parameters(connect: Connect, bucket: str, role: str) -> None:
    sagemaker, job = connect("sagemaker"), name()
    data = put(connect, f"{job}/data", one="1", two="2", show=SHOW)
    manifest = json.dumps([{"prefix": data}, "two"])
    put(connect, f"{job}/lists", manifest=manifest)
    sources = {
        "whole": {"S3DataType": "S3Prefix", "S3Uri": data, "S3DataDistributionType": "FullyReplicated"},
        "listed": {"S3DataType": "ManifestFile", "S3Uri": f"s3://{bucket}/{job}/lists/manifest",
                   "S3DataDistributionType": "ShardedByS3Key"},
    }  # fmt: skip
    key = key_of(connect)
    arn = sagemaker.create_training_job(
        TrainingJobName=job,
        HyperParameters={"epochs": "3"},
        AlgorithmSpecification={
            "TrainingImage": IMAGE, "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/whole/show"],
            "ContainerArguments": ["an argument"],
            "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}],
        },
        RoleArn=role,
        InputDataConfig=[
            {"ChannelName": channel, "DataSource": {"S3DataSource": source}, "ContentType": "text/plain",
             "InputMode": "FastFile", "CompressionType": "None", "RecordWrapperType": "None"}
            for channel, source in sources.items()
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/{job}/out", "KmsKeyId": key, "CompressionType": "GZIP"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{bucket}/{job}/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
        Environment={"GIVEN": "a value"},
        ProfilerConfig={"DisableProfiler": True},
        DebugHookConfig={"S3OutputPath": f"s3://{bucket}/{job}/debug", "CollectionConfigurations": []},
        Tags=[{"Key": "team", "Value": "birds"}],
    )["TrainingJobArn"]  # fmt: skip
    described = ended(connect, "Training", job)
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{bucket}/{job}/out/{job}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(read(connect("s3"), uri))) as archive:
        seen = json.loads(archive.extractfile("seen.json").read())  # type: ignore[union-attr]
    assert (seen["arguments"], seen["variable"]) == (["an argument"], "a value")
    inputs = seen["inputs"]
    assert {path for path in inputs if path.startswith("data/")} == {
        "data/whole/one",
        "data/whole/two",
        "data/listed/two",
        "data/whole/show",
    }
    assert json.loads(inputs["config/hyperparameters.json"]) == {"epochs": "3"}
    channel = json.loads(inputs["config/inputdataconfig.json"])["whole"]
    assert (channel["TrainingInputMode"], channel["ContentType"]) == ("FastFile", "text/plain")
    resources = json.loads(inputs["config/resourceconfig.json"])
    assert (resources["current_instance_type"], resources["hosts"]) == ("ml.m5.large", ["algo-1"])
    assert [(item["MetricName"], item["Value"]) for item in described["FinalMetricDataList"]] == [("accuracy", 0.75)]
    assert read(connect("s3"), f"s3://{bucket}/{job}/checkpoints/kept") == b"state"
    assert encrypted_with(connect, uri) == key
    assert tags_of(connect, arn) == {"team": "birds"}
    written = connect("s3").list_objects_v2(Bucket=bucket, Prefix=f"{job}/out/")["Contents"]
    assert [item["Key"] for item in written] == [f"{job}/out/{job}/output/model.tar.gz"]  # nothing of a profiler
    assert described["RoleArn"] == role  # as which it has read and written


@tries("sagemaker.CreateProcessingJob", "ProcessingJobName RoleArn Tags Environment AppSpecification.ImageUri")
@tries("sagemaker.CreateProcessingJob", "AppSpecification.ContainerEntrypoint AppSpecification.ContainerArguments")
@tries("sagemaker.CreateProcessingJob", "ProcessingResources.ClusterConfig.InstanceCount")
@tries("sagemaker.CreateProcessingJob", "ProcessingResources.ClusterConfig.InstanceType")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.KmsKeyId ProcessingInputs.InputName")
@tries("sagemaker.CreateProcessingJob", "ProcessingInputs.AppManaged ProcessingInputs.S3Input.S3Uri")
@tries("sagemaker.CreateProcessingJob", "ProcessingInputs.S3Input.LocalPath ProcessingInputs.S3Input.S3DataType")
@tries("sagemaker.CreateProcessingJob", "ProcessingInputs.S3Input.S3InputMode")
@tries("sagemaker.CreateProcessingJob", "ProcessingInputs.S3Input.S3DataDistributionType")
@tries("sagemaker.CreateProcessingJob", "ProcessingInputs.S3Input.S3CompressionType")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.Outputs.OutputName")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.Outputs.AppManaged")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.Outputs.S3Output.S3Uri")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.Outputs.S3Output.LocalPath")
@tries("sagemaker.CreateProcessingJob", "ProcessingOutputConfig.Outputs.S3Output.S3UploadMode")
@tries("sagemaker.DescribeProcessingJob", "ProcessingJobName")
def test_a_processing_jobs_parameters(connect: Connect, bucket: str, role: str) -> None:
    sagemaker, job, key = connect("sagemaker"), name(), key_of(connect)
    data = put(connect, f"{job}/data", one="1", two="2")
    put(connect, f"{job}/lists", manifest=json.dumps([{"prefix": data}, "two"]))
    script = (
        "cd /opt/ml; cat config/resourceconfig.json > processing/out/resources; "
        'ls processing/whole processing/listed > processing/out/files; echo "$GIVEN $0" > processing/out/words'
    )
    arn = sagemaker.create_processing_job(
        ProcessingJobName=job,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["/bin/sh", "-c", script],
                          "ContainerArguments": ["argument"]},
        ProcessingResources={
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
        },
        ProcessingInputs=[
            {"InputName": label, "AppManaged": False, "S3Input": {
                "S3Uri": uri, "LocalPath": f"/opt/ml/processing/{label}", "S3DataType": kind, "S3InputMode": "File",
                "S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}}
            for label, kind, uri in (
                ("whole", "S3Prefix", data), ("listed", "ManifestFile", f"s3://{bucket}/{job}/lists/manifest"))
        ],
        ProcessingOutputConfig={"KmsKeyId": key, "Outputs": [
            {"OutputName": "out", "AppManaged": False, "S3Output": {
                "S3Uri": f"s3://{bucket}/{job}/out", "LocalPath": "/opt/ml/processing/out",
                "S3UploadMode": "EndOfJob"}}
        ]},
        Environment={"GIVEN": "value"},
        RoleArn=role,
        Tags=[{"Key": "team", "Value": "birds"}],
    )["ProcessingJobArn"]  # fmt: skip
    described = ended(connect, "Processing", job)
    assert described["ProcessingJobStatus"] == "Completed", described.get("FailureReason")
    out = {
        part: read(connect("s3"), f"s3://{bucket}/{job}/out/{part}").decode()
        for part in ("resources", "files", "words")
    }
    assert json.loads(out["resources"])["current_instance_type"] == "ml.m5.xlarge"
    assert out["files"].split() == ["processing/listed:", "two", "processing/whole:", "one", "two"]
    assert out["words"] == "value argument\n"
    assert encrypted_with(connect, f"s3://{bucket}/{job}/out/words") == key
    assert tags_of(connect, arn) == {"team": "birds"}
    assert [item["InputName"] for item in described["ProcessingInputs"]] == ["whole", "listed"]
    assert described["ProcessingOutputConfig"]["Outputs"][0]["OutputName"] == "out"


@tries("sagemaker.StopTrainingJob", "TrainingJobName")
@tries("sagemaker.StopProcessingJob", "ProcessingJobName")
def test_a_job_is_stopped_by_its_name(connect: Connect, bucket: str, role: str) -> None:
    sagemaker, job = connect("sagemaker"), name()
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    sleep = ["/bin/sh", "-c", "exec sleep 60"]
    sagemaker.create_training_job(
        TrainingJobName=job, RoleArn=role, OutputDataConfig={"S3OutputPath": f"s3://{bucket}/{job}"},
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": sleep},
        ResourceConfig=cluster, StoppingCondition={"MaxRuntimeInSeconds": 60},
    )  # fmt: skip
    sagemaker.create_processing_job(
        ProcessingJobName=job, RoleArn=role, ProcessingResources={"ClusterConfig": cluster},
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": sleep},
    )  # fmt: skip
    sagemaker.stop_training_job(TrainingJobName=job)
    sagemaker.stop_processing_job(ProcessingJobName=job)
    for kind in ("Training", "Processing"):
        found = ended(connect, kind, job)
        assert found[f"{kind}JobStatus"] == "Stopped", found.get("FailureReason")


@tries("sagemaker.CreatePipeline", "PipelineDefinitionS3Location")
@tries("sagemaker.UpdatePipeline", "PipelineDefinitionS3Location")
def test_a_definition_is_read_from_s3_in_the_version_that_is_named(connect: Connect, bucket: str, role: str) -> None:
    sagemaker, pipeline, versioned = connect("sagemaker"), name(), name()
    connect("s3").create_bucket(Bucket=versioned)
    connect("s3").put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Enabled"})
    texts = [
        json.dumps({"Version": "2020-12-01", "Steps": [
            {"Name": step, "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}]})
        for step in ("First", "Second")
    ]  # fmt: skip
    ids = [connect("s3").put_object(Bucket=versioned, Key="p.json", Body=text)["VersionId"] for text in texts]
    place = {"Bucket": versioned, "ObjectKey": "p.json"}
    sagemaker.create_pipeline(
        PipelineName=pipeline, RoleArn=role, PipelineDefinitionS3Location=place | {"VersionId": ids[0]}
    )
    assert sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineDefinition"] == texts[0]
    sagemaker.update_pipeline(PipelineName=pipeline, PipelineDefinitionS3Location=place)
    assert sagemaker.describe_pipeline(PipelineName=pipeline)["PipelineDefinition"] == texts[1]


@tries("sagemaker.CreateModel", "PrimaryContainer.Environment")
@tries("sagemaker.CreateEndpoint", "EndpointName EndpointConfigName Tags")
@tries("sagemaker.UpdateEndpoint", "EndpointName EndpointConfigName RetainAllVariantProperties RetainDeploymentConfig")
@tries("sagemaker.DescribeEndpoint", "EndpointName")
@tries("sagemaker.DeleteEndpoint", "EndpointName")
@tries("sagemaker-runtime.InvokeEndpoint", "EndpointName Body ContentType Accept")
def test_an_endpoints_parameters(cloud: Running, connect: Connect, bucket: str, role: str) -> None:
    sagemaker, endpoint = connect("sagemaker"), name()
    sagemaker.create_model_package_group(ModelPackageGroupName=endpoint)
    for number, weights in enumerate(("first", "second"), 1):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for path, text in (("weights", weights), ("code/inference.py", SERVER)):
                entry = tarfile.TarInfo(path)
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        connect("s3").put_object(Bucket=bucket, Key=f"{endpoint}/{weights}.tar.gz", Body=archive.getvalue())
        container = {
            "Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{endpoint}/{weights}.tar.gz",
            "Environment": {"GIVEN": "packaged", "SAGEMAKER_PROGRAM": "inference.py",
                            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
        }  # fmt: skip
        version = sagemaker.create_model_package(
            ModelPackageGroupName=endpoint, ModelApprovalStatus="Approved",
            InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/plain"],
                                    "SupportedResponseMIMETypes": ["application/json"]},
        )["ModelPackageArn"]  # fmt: skip
        sagemaker.create_model(
            ModelName=f"{endpoint}-{number}", ExecutionRoleArn=role,
            PrimaryContainer={"ModelPackageName": version, "Environment": {"OWN": "added"}},
        )  # fmt: skip
        sagemaker.create_endpoint_config(EndpointConfigName=f"{endpoint}-{number}", ProductionVariants=[
            {"VariantName": "a", "ModelName": f"{endpoint}-{number}", "InstanceType": "ml.m5.large",
             "InitialInstanceCount": 1}])  # fmt: skip
    arn = sagemaker.create_endpoint(
        EndpointName=endpoint, EndpointConfigName=f"{endpoint}-1", Tags=[{"Key": "team", "Value": "birds"}]
    )["EndpointArn"]
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1})
    assert tags_of(connect, arn) == {"team": "birds"}

    def ask() -> list[str]:
        answer = client(cloud, "sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, Body=b"1", ContentType="text/plain", Accept="application/json"
        )
        found: list[str] = json.loads(answer["Body"].read())
        return found

    assert ask() == ["first", "text/plain", "packaged", "added", "application/json"]
    sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=f"{endpoint}-2", RetainAllVariantProperties=False,
        RetainDeploymentConfig=False,
    )  # fmt: skip
    waiter.wait(EndpointName=endpoint, WaiterConfig={"Delay": 1})
    assert sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"] == f"{endpoint}-2"
    assert ask()[0] == "second"
    sagemaker.delete_endpoint(EndpointName=endpoint)
    with pytest.raises(sagemaker.exceptions.ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=endpoint)


@tries("sagemaker.CreateTrainingJob", "VpcConfig EnableNetworkIsolation")
@tries("sagemaker.CreateProcessingJob", "NetworkConfig.VpcConfig NetworkConfig.EnableNetworkIsolation")
@tries("sagemaker.CreateModel", "VpcConfig")
def test_networks(connect: Connect, bucket: str, role: str) -> None:
    """A subnet that is not there is refused; an isolated job finds no credentials."""
    sagemaker, job, arn = connect("sagemaker"), name(), make_role(connect("iam"), name(), ["*"], ["*"])
    vpc = {"Subnets": ["subnet-0123"], "SecurityGroupIds": ["sg-0123"]}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    script = ["/bin/sh", "-c", '[ -z "$AWS_ACCESS_KEY_ID" ]']
    training: dict[str, Any] = {
        "TrainingJobName": job, "RoleArn": arn, "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{job}"},
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": script},
        "ResourceConfig": cluster, "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }  # fmt: skip
    processing: dict[str, Any] = {
        "ProcessingJobName": job, "RoleArn": arn, "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": script},
    }  # fmt: skip
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/m.tar.gz"}
    for call, request in (
        (sagemaker.create_training_job, training | {"VpcConfig": vpc}),
        (sagemaker.create_processing_job, processing | {"NetworkConfig": {"VpcConfig": vpc}}),
        (
            sagemaker.create_model,
            {"ModelName": job, "ExecutionRoleArn": arn, "PrimaryContainer": container, "VpcConfig": vpc},
        ),
    ):
        with pytest.raises(sagemaker.exceptions.ClientError, match="'subnet-0123' does not exist"):
            call(**request)
    sagemaker.create_training_job(**training, EnableNetworkIsolation=True)
    sagemaker.create_processing_job(**processing, NetworkConfig={"EnableNetworkIsolation": True})
    for kind in ("Training", "Processing"):
        found = ended(connect, kind, job)
        assert found[f"{kind}JobStatus"] == "Completed", found.get("FailureReason")
