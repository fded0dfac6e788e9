"""An image, a script or a distribution that cannot run here is refused when the job or the model is created."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_process import ROLE, InProcess, Refused
from script_jobs import PYTORCH, REGISTRY, SKLEARN, XGBOOST

from local_cloud.sagemaker.core import configured_images


@pytest.fixture
def service(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


def training(image: str, entrypoint: list[str] | None = None, **more: Any) -> dict[str, Any]:
    algorithm: dict[str, Any] = {"TrainingImage": image, "TrainingInputMode": "File"}
    if entrypoint:
        algorithm["ContainerEntrypoint"] = entrypoint
    return {
        "TrainingJobName": "refused",
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "RoleArn": ROLE,
    } | more


def processing(image: str, entrypoint: list[str] | None = None) -> dict[str, Any]:
    return {
        "ProcessingJobName": "refused",
        "AppSpecification": {"ImageUri": image} | ({"ContainerEntrypoint": entrypoint} if entrypoint else {}),
        "ProcessingResources": {
            "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
        },
        "RoleArn": ROLE,
    }


def model(image: str) -> dict[str, Any]:
    container = {"Image": image, "ModelDataUrl": "s3://bucket/model.tar.gz"}
    return {"ModelName": "refused", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}


def refusal(service: InProcess, operation: str, request: dict[str, Any]) -> str:
    with pytest.raises(Refused) as refused:
        service.call(operation, **request)
    return str(refused.value)


SCRIPT = {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://bucket/sourcedir.tar.gz"'}
UNKNOWN = f"{REGISTRY}/churn:1.2"


@pytest.mark.parametrize(
    ("operation", "request_of"),
    [
        ("CreateTrainingJob", lambda image: training(image, ["train"])),
        ("CreateTrainingJob", lambda image: training(image, HyperParameters=SCRIPT)),
        ("CreateProcessingJob", lambda image: processing(image, ["python3", "x.py"])),
        ("CreateModel", model),
    ],
    ids=["training", "script mode", "processing", "model"],
)
@pytest.mark.parametrize(
    ("image", "why"),
    [
        (UNKNOWN, f"the image {UNKNOWN} has no local counterpart; these have: pytorch, pytorch-training, "),
        (f"{REGISTRY}/tensorflow-training:2.14-cpu-py310", "has no local counterpart; these have: pytorch, "),
        (
            "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1",
            "built-in algorithm Linear Learner, which AWS",
        ),
        (
            "811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1",
            "built-in algorithm Image Classification",
        ),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "built-in algorithm XGBoost"),
    ],
)
def test_an_image_without_a_runtime_is_refused_with_the_line_that_maps_it(
    service: InProcess, operation: str, request_of: Any, image: str, why: str
) -> None:
    said = refusal(service, operation, request_of(image))
    assert said.startswith(f"ValidationException: the image {image} ")
    assert why in said
    name = image.rpartition("/")[2].partition(":")[0]
    assert f'map it under [local.images] in environments.toml, then headrace up: "{name}" = {{ requirements = ' in said


@pytest.mark.parametrize(
    ("request_of", "why"),
    [
        (training(XGBOOST), f"Without a script the image {XGBOOST} is SageMaker's built-in algorithm XGBoost, which"),
        (training(PYTORCH), "has neither a script (the hyperparameter sagemaker_program) nor a ContainerEntrypoint"),
        (training(SKLEARN), "has neither a script (the hyperparameter sagemaker_program) nor a ContainerEntrypoint"),
        (training("public.ecr.aws/docker/library/python:3.12"), "python:3.12 has no entry point here"),
        (
            training(PYTORCH, HyperParameters=SCRIPT, AlgorithmSpecification={
                "TrainingImage": PYTORCH, "TrainingInputMode": "File", "ContainerArguments": ["--epochs", "2"],
            }),
            "ContainerArguments are for a ContainerEntrypoint; a script gets the hyperparameters",
        ),
        (
            training(PYTORCH, HyperParameters={"sagemaker_program": "train.py"}),
            "sagemaker_submit_directory is '', not an archive in S3",
        ),
        (
            training(PYTORCH, HyperParameters=SCRIPT, EnableNetworkIsolation=True),
            "a job with EnableNetworkIsolation cannot read S3. hint: have the code in a channel",
        ),
    ],
)  # fmt: skip
def test_a_training_that_has_nothing_to_run_is_refused(
    service: InProcess, request_of: dict[str, Any], why: str
) -> None:
    said = refusal(service, "CreateTrainingJob", request_of)
    assert why in said
    assert " hint: " in said


@pytest.mark.parametrize(
    ("name", "value", "way"),
    [
        ("sagemaker_distributed_dataparallel_enabled", "true", "smdistributed.dataparallel"),
        ("mp_parameters", '{"partitions": 2}', "smdistributed.modelparallel"),
        ("sagemaker_mpi_enabled", "true", "mpi"),
        ("sagemaker_parameter_server_enabled", "true", "parameter_server"),
        ("sagemaker_pytorch_ddp_enabled", "true", "pytorchddp"),
        ("sagemaker_pytorch_xla_multi_worker_enabled", "true", "pytorchxla"),
        ("sagemaker_multi_worker_mirrored_strategy_enabled", "true", "multi_worker_mirrored_strategy"),
    ],
)
def test_a_distribution_that_cannot_run_here_is_refused_by_name(
    service: InProcess, name: str, value: str, way: str
) -> None:
    said = refusal(service, "CreateTrainingJob", training(PYTORCH, HyperParameters=SCRIPT | {name: value}))
    assert f"The hyperparameter {name} asks for the distribution {way}, which the local cloud does not run" in said


def test_a_processing_job_without_an_entry_point_is_refused(service: InProcess) -> None:
    said = refusal(service, "CreateProcessingJob", processing(SKLEARN))
    assert f"The image {SKLEARN} has no entry point here" in said
    assert "hint: give the job a ContainerEntrypoint, as ScriptProcessor does, or map the image to a command" in said


@pytest.mark.parametrize(
    ("mapped", "why"),
    [
        (
            {"docker": "churn:1"},
            'the image "churn" is to run in Docker, which is not supported yet; use command, python',
        ),
        ({"python": "bin/python"}, "python of the image \"churn\" is 'bin/python', not an absolute path"),
        (
            {"python": "/usr/bin/python3", "command": ["true"]},
            "not a table with one of command, python or requirements",
        ),
        ({"command": "train"}, "the command of the image \"churn\" is 'train', not a list of texts"),
        ({"pyhton": "/usr/bin/python3"}, "has the key 'pyhton', which is not command, python or requirements"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_with_its_file(
    service: InProcess, tmp_path: Path, mapped: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match="image"):
        configured_images.parse({"churn": mapped})
    items = ", ".join(f"{key} = {json.dumps(value)}" for key, value in mapped.items())
    (tmp_path / "images.toml").write_text(f"churn = {{ {items} }}\n")
    said = refusal(service, "CreateProcessingJob", processing(UNKNOWN, ["true"]))
    assert f"{tmp_path}/images.toml: " in said
    assert why in said


@pytest.mark.parametrize("form", ["python", "requirements"])
def test_a_mapping_to_a_file_that_is_not_there_is_refused(service: InProcess, tmp_path: Path, form: str) -> None:
    (tmp_path / "images.toml").write_text(f'"churn:*" = {{ {form} = "{tmp_path}/nothing" }}\n')
    said = refusal(service, "CreateModel", model(UNKNOWN))
    assert f'the image "churn:*" is mapped to {tmp_path}/nothing, which is not a file' in said


def test_an_image_that_is_mapped_to_a_command_serves_no_model(service: InProcess, tmp_path: Path) -> None:
    (tmp_path / "images.toml").write_text('churn = { command = ["/bin/sh"] }\n')
    said = refusal(service, "CreateModel", model(UNKNOWN))
    assert "is mapped to a command, which the local cloud cannot serve a model with. hint: map it to python" in said


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("churn", True), ("churn:1.*", True), ("*.amazonaws.com/churn:*", True), ("churn:2", False), ("chur", False)],
)
def test_a_pattern_is_of_the_uri_the_repository_or_the_tag(pattern: str, matches: bool) -> None:
    (image,) = configured_images.parse({pattern: {"command": ["true"]}})
    assert image.matches(UNKNOWN) is matches
    assert image.matches(f"{UNKNOWN}@sha256:{'0' * 64}") is matches
