"""AWS's own SDK, asked for the same pipeline, compiles the same definition; and it drives the local cloud."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from local_cloud.process import Running
from pipeline_definition import BINDING_NAMES, CAPACITIES, PipelineSettings, build_pipeline, render
from start_pipeline.definition.binding import bound_definition

ACCOUNT, REGION = "222222222222", "eu-central-1"
IMAGES = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
BINDINGS = {
    "Account": ACCOUNT,
    "CodeHash": "c0de" * 16,
    "CodeUri": f"s3://data-bucket/code/{'c0de' * 16}/source.tar.gz",
    **{f"CodeHash/{name}.py": name[0] * 64 for name in ("preprocess", "train", "evaluate")},
    **{
        f"CodeUri/{name}.py": f"s3://data-bucket/code/{name[0] * 64}/source.tar.gz"
        for name in ("preprocess", "train", "evaluate")
    },
    "DataBucket": "data-bucket",
    "DataKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data",
    "FindChampionFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:find-champion",
    "StoreModelFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:store-model",
    "InferenceImage": f"{IMAGES}/pytorch-inference:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
    "JobRoleArn": f"arn:aws:iam::{ACCOUNT}:role/job",
    "ModelApprovalStatus": "PendingManualApproval",
    "ModelPackageGroupName": "headrace-prod",
    "PipelineName": "headrace-prod",
    "PipelineRoleArn": f"arn:aws:iam::{ACCOUNT}:role/pipeline",
    "ProcessingImage": f"{IMAGES}/pytorch:2.13-cpu-amzn2023-sagemaker",
    "Region": REGION,
    "TrainingImage": f"{IMAGES}/pytorch:2.13-cu133-amzn2023-sagemaker",
}
ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """What stands at a path of our definition and of the SDK's, and why both are right."""

    path: str
    ours: Any
    theirs: Any
    because: str


def code_delivery(train: str) -> list[Difference]:
    because = (
        "ModelTrainer starts code in one way only: it uploads it while compiling, to an address with the time in it, "
        "and adds its own driver. Ours is an archive addressed by its content, which the container unpacks."
    )
    unpack = "mkdir -p /opt/ml/code && tar -xzf /opt/ml/input/data/code/source.tar.gz -C /opt/ml/code"
    entry = ["/bin/sh", "-c", unpack + ' && exec python3 /opt/ml/code/entry.py "$@"', "entry"]
    path = f"Steps.{train}.Arguments.AlgorithmSpecification"
    return [
        Difference(f"{path}.ContainerEntrypoint", entry, ABSENT, because),
        Difference(f"{path}.ContainerArguments", ["train.py"], ABSENT, because),
    ]


COMPARED = "Steps.CheckQuality.Arguments.IfSteps.CheckComparison.Arguments"
REGISTERED = (f"{COMPARED}.IfSteps.RegisterModel.Arguments", f"{COMPARED}.ElseSteps.RegisterForReview.Arguments")
MLFLOW = Difference("MlflowConfig", ABSENT, None, "SDK 3 writes that it has none; a definition need not.")


def registration(register: str) -> list[Difference]:
    container = f"{register}.InferenceSpecification.Containers.0"
    return [
        Difference(
            f"{container}.Framework",
            "PYTORCH",
            ABSENT,
            "SDK 3.27 leaves an enum in the request when a framework is named, and then cannot write its JSON; "
            "CreateModelPackage takes it, and what recommends instance types reads it.",
        ),
        Difference(
            f"{container}.Environment.SAGEMAKER_CONTAINER_LOG_LEVEL",
            ABSENT,
            "20",
            "INFO, which is the toolkit's default.",
        ),
        Difference(
            f"{container}.Environment.SAGEMAKER_REGION",
            ABSENT,
            REGION,
            "Inference makes no AWS call and needs no region.",
        ),
        Difference(f"{register}.ModelMetrics.Bias", ABSENT, {}, "An empty report is none."),
        Difference(f"{register}.ModelMetrics.Explainability", ABSENT, {}, "An empty report is none."),
        Difference(f"{register}.SkipModelValidation", ABSENT, "None", "To skip none is the API's default."),
    ]


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each deepest place where two definitions differ; a list's elements go by name where they have one."""
    match ours, theirs:
        case dict(), dict():
            for key in sorted({*ours, *theirs}):
                one, other = ours.get(key, ABSENT), theirs.get(key, ABSENT)
                yield from differences(one, other, f"{path}.{key}".removeprefix("."))
        case list(), list() if len(ours) == len(theirs):
            for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                name = one.get("Name", number) if isinstance(one, dict) else number
                yield from differences(one, other, f"{path}.{name}")
        case _ if (type(ours), ours) != (type(theirs), theirs):
            yield path, ours, theirs


def test_bindings_are_all_there_are() -> None:
    assert {name for name in BINDINGS if "/" not in name} == BINDING_NAMES


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_sdk_compiles_the_same_definition(sdk: Callable[..., Any], capacity: Any) -> None:
    """With settings other than our defaults; except for the differences above, each of which must still exist."""
    settings = PipelineSettings(capacity=capacity, epochs=3, learning_rate=0.5, accuracy_threshold=0.25, seed=7)
    ours = bound_definition(render(build_pipeline(settings)), BINDINGS)
    trained = [step["Name"] for step in ours["Steps"] if step["Type"] == "Training"]
    registered = [item for register in REGISTERED for item in registration(register)]
    expected = [MLFLOW, *registered, *(item for train in trained for item in code_delivery(train))]
    found = list(differences(ours, sdk("author.py", settings, BINDINGS)))
    assert sorted(found, key=str) == sorted(((item.path, item.ours, item.theirs) for item in expected), key=str)


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"a": {"b": [1, 2]}}, "a.b"),
        ({"a": {"b": [1.0]}}, "a.b.0"),
        ({"a": {"b": [True]}}, "a.b.0"),
        ({"a": {}}, "a.b"),
        ({"a": {"b": [1]}, "c": None}, "c"),
    ],
)
def test_the_comparison_itself_sees_every_change(changed: Any, path: str) -> None:
    """A longer list, another type of the same value, a key that is gone, a key that is new."""
    assert [place for place, _, _ in differences({"a": {"b": [1]}}, changed)] == [path]


def test_sdk_puts_starts_and_reads_pipelines_of_the_local_cloud(
    sdk: Callable[..., Any], cloud: Running, role: str
) -> None:
    """Its own create-or-update, parameters, waiter and lists, over TLS."""
    bindings = BINDINGS | {"Region": cloud.region}
    answer = sdk(
        "client.py",
        PipelineSettings(),
        bindings,
        role=role,
        AWS_ENDPOINT_URL=cloud.endpoint,
        AWS_ACCESS_KEY_ID=cloud.account,
        AWS_SECRET_ACCESS_KEY=cloud.secret_key(cloud.account),
        AWS_CA_BUNDLE=str(cloud.certificate),
    )
    assert answer["arns"] == [f"arn:aws:sagemaker:{cloud.region}:{cloud.account}:pipeline/headrace-prod"] * 2
    assert answer["described"] == answer["authored"]
    assert answer["execution"]["PipelineExecutionStatus"] == "Failed"
    assert "Waiter PipelineExecutionComplete failed" in answer["waited"]
    steps = {step["StepName"]: step for step in answer["steps"]}
    assert steps["Check"]["Metadata"]["Condition"]["Outcome"] == "False"
    assert "accuracy is 0.5" in steps["Refuse"]["FailureReason"]
    assert [item["PipelineExecutionStatus"] for item in answer["listed"]] == ["Failed"]
