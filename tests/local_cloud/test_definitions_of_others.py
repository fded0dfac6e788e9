"""Small definitions, each with one planted fault (Dnn) or one form that AWS documents or its SDK writes (Fnn).

A fault that can be seen is refused by CreatePipeline, with its place; a form is taken. What the local cloud does not do
is refused by StartPipelineExecution, by name, before any step runs.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from in_process import ROLE, TOKEN, InProcess, Refused

CASES = Path(__file__).parent / "definitions"

REFUSED_AT_CREATE = {
    "D01": "Step 'A': the type 'Trainning' is not one of steps; did you mean 'Training'?",
    "D03": "The steps depend on each other in a cycle: A -> B -> A.",
    "D05": "Arguments.ProcessingInputs[0].S3Input.S3Uri: 'Steps.A.ProcessingOutputConfig.Outputs['o'].S3Output.S3Url': "
    "DescribeProcessingJob returns nothing at 'S3Url'; did you mean 'S3Uri'?",
    "D07": "Parameter 'N': the type 'Int' is not one of parameters; did you mean 'Integer'?",
    "D09": "Step names must be unique; 'A' stands twice.",
    "D11": "Arguments.Conditions[0].LeftValue: 'Steps.Eval.PropertyFiles.Report' names no property file of step 'Eval'",
    "D13": "Value null at 'Arguments.RoleArn' failed to satisfy constraint: Member must not be null.",
    "D15": "RetryPolicies[0]: a retry policy has MaxAttempts or ExpireAfterMin, not both.",
    "D17": "CacheConfig: ExpireAfter '1 day' is not an ISO-8601 duration",
    "D19": "Arguments.Environment.X: 'Parameters.Bukcet' names an unknown parameter; did you mean 'Bucket'?",
    "D21": "Arguments.AppSpecification: unknown member 'ContainerEntryPoint'; did you mean 'ContainerEntrypoint'?",
    "D23": "Parameter 'S': the default 'c' is none of its EnumValues.",
    "D25": "Version is '2021-01-01'; the only one is '2020-12-01'.",
    "D27": "Arguments.Conditions[0].LeftValue: Std:JsonGet needs a Path that is text",
    "D29": "Step 'Lam': OutputParameters[0]: unknown member 'Name'; known are OutputName, OutputType.",
    "D31": "Arguments.Conditions must be a list with at least one condition.",
    "D33": "Step 'A': unknown member 'CacheConf'; did you mean 'CacheConfig'?",
    "D35": "Step 'A': it cannot depend on the Fail step 'Stop'.",
    "D37": "Value 'http://x/y' at 'Arguments.ProcessingInputs[0].S3Input.S3Uri' failed to satisfy constraint",
    "D39": "Arguments.ProcessingResources.ClusterConfig.InstanceCount: Cannot assign property reference [Parameters.N] "
    "to argument of type [Integer]: it is a String.",
    "D41": "Arguments has both ModelPackageName and ModelPackageGroupName",
    "D43": "Arguments.Environment.X: Std:Join needs a list of Values.",
    "D45": "The steps depend on each other in a cycle: A -> A.",
    "D47": "It has no steps.",
    "D49": "Step 'A': it has no Type.",
    "D51": "Step 'A': CacheConfig: must be an object whose Enabled is true or false.",
    "D53": "Arguments.Environment.X: a Get stands alone in its object, without 'Or'.",
    "D55": "Arguments.Conditions[0]: unknown member 'Value'; did you mean 'Values'?",
    "D57": "The definition: unknown member 'Paramters'; did you mean 'Parameters'?",
    "D59": "Arguments.ProcessingInputs: InputNames must be unique; 'i0' stands twice.",
    "F33": "Value 'S3://defs-local-bucket/F33/' at 'Arguments.ProcessingInputs[0].S3Input.S3Uri' failed to satisfy",
    "F35": "It has no steps.",
}
REFUSED_AT_START = {
    "D61": "Step 'T': The training job has neither a script (the hyperparameter sagemaker_program) nor a Container",
    "F23": "Step 'T': the local cloud does not serve ProfilerConfig.S3OutputPath, and does not take",
    "F28": "Step 'T': the local cloud does not serve InputDataConfig.DataSource.S3DataSource.AttributeNames",
    "F29": "Step 'T': the local cloud does not serve InputDataConfig.DataSource.FileSystemDataSource",
    "F30": "Step 'A': The local cloud runs processing jobs on one instance only",
    "F31": "S3Output.S3UploadMode only as EndOfJob, not 'Continuous'.",
    "F32": "Step 'R': the local cloud does not serve Tags",
    "F37": "Step 'A': The local cloud serves S3 inputs and outputs only, with a LocalPath under /opt/ml/processing/.",
}
ALL = sorted(path.stem for path in CASES.glob("*.json"))
PYTHONS_WORDS = re.compile(r"\b(dict|list object|NoneType|None|True|False|str|int|float|bool|KeyError|<class)\b")


@pytest.fixture
def sagemaker(tmp_path: Path) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path)
    yield sagemaker
    sagemaker.service.stop()


def create(sagemaker: InProcess, name: str) -> None:
    text = (CASES / f"{name}.json").read_text("utf-8")
    sagemaker.call("CreatePipeline", PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=TOKEN)


@pytest.mark.parametrize(("name", "problem"), REFUSED_AT_CREATE.items())
def test_a_fault_is_refused_at_create(sagemaker: InProcess, name: str, problem: str) -> None:
    with pytest.raises(Refused) as refusal:
        create(sagemaker, name)
    assert str(refusal.value).startswith("ValidationException: Unable to parse pipeline definition. ")
    assert problem in str(refusal.value)
    assert not PYTHONS_WORDS.search(str(refusal.value))


@pytest.mark.parametrize("name", [name for name in ALL if name not in REFUSED_AT_CREATE])
def test_every_other_is_taken(sagemaker: InProcess, name: str) -> None:
    create(sagemaker, name)
    assert sagemaker.call("DescribePipeline", PipelineName=name)["PipelineStatus"] == "Active"


@pytest.mark.parametrize(("name", "problem"), REFUSED_AT_START.items())
def test_what_the_local_cloud_does_not_do_is_named_at_start(sagemaker: InProcess, name: str, problem: str) -> None:
    create(sagemaker, name)
    with pytest.raises(Refused) as refusal:
        sagemaker.start(name)
    assert problem in str(refusal.value)
    assert str(refusal.value).count("hint: ") == 1
    assert sagemaker.call("ListPipelineExecutions", PipelineName=name)["PipelineExecutionSummaries"] == []


def test_all_that_is_wrong_is_said_in_one_answer(sagemaker: InProcess) -> None:
    """What the parser finds does not hide what the check finds, and the other way round."""
    text = json.dumps({
        "Paramters": [],
        "Parameters": [{"Name": "N", "Type": "Int"}],
        "Steps": [
            {"Name": "A", "Type": "Fail", "Arguments": {"Message": "x"}, "DependOn": []},
            {"Name": "B", "Type": "Processing", "Arguments": {"RoleArn": {"Get": "Parameters.M"}}},
        ],
    })  # fmt: skip
    with pytest.raises(Refused) as refusal:
        sagemaker.call(
            "CreatePipeline", PipelineName="p", PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=TOKEN
        )
    for problem in (
        "unknown member 'Paramters'", "the type 'Int'", "unknown member 'DependOn'; did you mean 'DependsOn'?",
        "Arguments: unknown member 'Message'; did you mean 'ErrorMessage'?", "'Parameters.M' names an unknown",
        "'Arguments.AppSpecification' failed to satisfy constraint",
    ):  # fmt: skip
        assert problem in str(refusal.value)
