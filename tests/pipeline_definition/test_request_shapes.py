"""Each step's Arguments are the SageMaker API's request, with references where values are not known yet."""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from pipeline_definition import CAPACITIES, PipelineSettings, build_pipeline

SERVICE = botocore.session.get_session().get_service_model("sagemaker")
OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "Tuning": "CreateHyperParameterTuningJob",
    "RegisterModel": "CreateModelPackage",
}
SUPPLIED = {"ProcessingJobName", "TrainingJobName", "HyperParameterTuningJobName"}  # by SageMaker, when the step starts
REFERENCES = ({"Get"}, {"Std:Join"}, {"Std:JsonGet"})


def steps(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    def walk(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for item in items:
            yield item
            yield from walk(item["Arguments"].get("IfSteps", []))
            yield from walk(item["Arguments"].get("ElseSteps", []))

    return walk(definition["Steps"])


def is_reference(value: Any) -> bool:
    return isinstance(value, dict) and set(value) in REFERENCES


def problems(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Where a value does not fit the shape: members, types, lengths, enumerations and ranges."""
    if is_reference(value):
        return
    kinds: dict[str, type | tuple[type, ...]] = {
        "structure": dict,
        "map": dict,
        "list": list,
        "string": str,
        "integer": int,
        "long": int,
        "float": (int, float),
        "double": (int, float),
        "boolean": bool,
    }
    if not isinstance(value, kinds[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{path}: {value!r} is not of type {shape.type_name}"
        return
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    size = value if isinstance(value, int | float) else len(value)
    if not isinstance(value, bool) and ((low is not None and size < low) or (high is not None and size > high)):
        yield f"{path}: {size} is not in {low}..{high}"
    if isinstance(shape, StructureShape):
        for name in set(shape.required_members) - set(value) - SUPPLIED:
            yield f"{path}.{name} is missing"
        for name, item in value.items():
            if name in shape.members:
                yield from problems(item, shape.members[name], f"{path}.{name}")
            else:
                yield f"{path}.{name} is unknown"
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value):
            yield from problems(item, shape.member, f"{path}[{number}]")
    elif isinstance(shape, MapShape):
        for name, item in value.items():
            yield from problems(name, shape.key, f"{path} key {name}")
            yield from problems(item, shape.value, f"{path}.{name}")
    elif isinstance(value, str) and getattr(shape, "enum", None) and value not in (*shape.enum, STATUS):
        yield f"{path}: {value!r} is none of {shape.enum}"


STATUS = "${headrace:ModelApprovalStatus}"  # one of the enum's values, once it is bound


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_arguments_fit_the_requests(capacity: Any) -> None:
    """Of every step that calls SageMaker, for every kind of capacity."""
    checked = 0
    for step in steps(build_pipeline(PipelineSettings(capacity=capacity))):
        if step["Type"] in OPERATIONS:
            shape = SERVICE.operation_model(OPERATIONS[step["Type"]]).input_shape
            assert shape is not None
            assert not list(problems(step["Arguments"], shape, step["Name"]))
            checked += 1
    assert checked == (6 if capacity == "both" else 5)  # with both registrations


EVERYTHING = PipelineSettings(
    network="timm:resnet50",
    pretrained="resnet50",
    input_mode="FastFile",
    keep_alive_seconds=600,
    tuning_jobs=6,
    crop=0.875,
    flip_probability=0.5,
)


def test_the_optional_step_channel_and_settings_fit_the_requests() -> None:
    """A tuning, pretrained weights, FastFile and a warm pool."""
    by_name = {step["Name"]: step for step in steps(build_pipeline(EVERYTHING))}
    for name in ("Tune", "TrainSpot", "TrainOnDemand"):
        shape = SERVICE.operation_model(OPERATIONS[by_name[name]["Type"]]).input_shape
        assert shape is not None
        assert not list(problems(by_name[name]["Arguments"], shape, name))


def test_in_a_vpc_every_job_is_there_and_isolated() -> None:
    """The requests of its jobs still fit the model. The subnets' names are bound in place of one list item."""
    in_network = 0
    for step in steps(build_pipeline(EVERYTHING, in_vpc=True)):
        if step["Type"] not in OPERATIONS:
            continue
        shape = SERVICE.operation_model(OPERATIONS[step["Type"]]).input_shape
        assert shape is not None
        assert [found for found in problems(step["Arguments"], shape, step["Name"]) if "headrace:" not in found] == []
        if step["Type"] != "RegisterModel":
            inner = {"Processing": "NetworkConfig", "Tuning": "TrainingJobDefinition"}.get(step["Type"])
            job = step["Arguments"][inner] if inner else step["Arguments"]
            assert job["EnableNetworkIsolation"] is True
            assert job["EnableInterContainerTrafficEncryption"] is True
            assert job["VpcConfig"] == {
                "SecurityGroupIds": ["${headrace:SecurityGroupIds}"],
                "Subnets": ["${headrace:SubnetIds}"],
            }
            in_network += 1
    assert in_network == 5


def test_in_a_vpc_aws_toolkits_install_from_the_wheels_that_came_along() -> None:
    by_name = {step["Name"]: step for step in steps(build_pipeline(EVERYTHING, in_vpc=True))}
    tuned = by_name["Tune"]["Arguments"]["TrainingJobDefinition"]["Environment"]
    assert tuned == {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/code/wheels"}
    (container,) = by_name["RegisterModel"]["Arguments"]["InferenceSpecification"]["Containers"]
    served = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/model/code/wheels"}
    assert container["Environment"].items() >= served.items()
    assert container["Environment"]["SAGEMAKER_PROGRAM"] == "inference.py"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"RoleArn": "r" * 30}, "OutputDataConfig is missing"),
        ({"RoleArn": 5}, "is not of type string"),
        ({"Nonsense": 5}, "Nonsense is unknown"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Fast"}}, "is none of"),
        ({"AlgorithmSpecification": {"ContainerEntrypoint": ["x" * 257]}}, "is not in 0..256"),
        ({"ResourceConfig": {"VolumeSizeInGB": True}}, "is not of type integer"),
    ],
)
def test_the_check_itself_finds_mistakes(value: dict[str, Any], problem: str) -> None:
    shape = SERVICE.operation_model("CreateTrainingJob").input_shape
    assert shape is not None
    assert any(problem in found for found in problems(value, shape, "request"))


def gets(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            yield value["Get"]
        for item in value.values():
            yield from gets(item)
    elif isinstance(value, list):
        for item in value:
            yield from gets(item)


@pytest.mark.parametrize("settings", [PipelineSettings(), EVERYTHING], ids=["defaults", "everything"])
def test_references_name_what_there_is(settings: PipelineSettings) -> None:
    """Parameters, steps, property files, Lambda outputs, and paths into the Describe responses."""
    definition = build_pipeline(settings)
    parameters = {parameter["Name"] for parameter in definition["Parameters"]}
    by_name = {step["Name"]: step for step in steps(definition)}
    for text in set(gets(definition["Steps"])):
        root, name, *rest = re.findall(r"[^.\[\]']+", text)
        if root == "Parameters":
            assert name in parameters
        elif root == "Steps":
            assert_known_property(by_name[name], rest)
        else:
            assert (root, name) in {("Execution", "PipelineExecutionId"), ("Execution", "PipelineExecutionArn")}


def assert_known_property(step: dict[str, Any], path: list[str]) -> None:
    if path[0] == "PropertyFiles":
        assert path[1] in {file["PropertyFileName"] for file in step["PropertyFiles"]}
        return
    if path[0] == "OutputParameters":
        assert path[1] in {output["OutputName"] for output in step["OutputParameters"]}
        return
    describe = OPERATIONS[step["Type"]].replace("Create", "Describe")
    shape = SERVICE.operation_model(describe).output_shape
    for number, part in enumerate(path):
        if isinstance(shape, ListShape):  # addressed by the name of its elements
            assert part in {item["OutputName"] for item in step["Arguments"]["ProcessingOutputConfig"]["Outputs"]}
            shape = shape.member
        elif isinstance(shape, MapShape):  # of hyperparameters that are tuned
            ranges = step["Arguments"]["HyperParameterTuningJobConfig"]["ParameterRanges"]
            assert part in {item["Name"] for items in ranges.values() for item in items}
            shape = shape.value
        else:
            assert isinstance(shape, StructureShape)
            assert part in shape.members, f"{describe} answers no {'.'.join(path[: number + 1])}"
            shape = shape.members[part]


def test_every_property_file_is_an_output_of_its_step() -> None:
    for step in steps(build_pipeline(PipelineSettings())):
        outputs = step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", [])
        for file in step.get("PropertyFiles", []):
            assert file["OutputName"] in {output["OutputName"] for output in outputs}
