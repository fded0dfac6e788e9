"""The enums of statuses: the values are SageMaker's own, and no other file writes one out."""

import ast
from enum import StrEnum

import pytest
from suite import ROOT

from local_cloud.sagemaker.core import shapes, statuses

MODELS = {
    statuses.ExecutionStatus: ("PipelineExecutionStatus",),
    statuses.StepStatus: ("StepStatus",),
    statuses.JobStatus: ("TrainingJobStatus", "ProcessingJobStatus"),
    statuses.SecondaryStatus: ("SecondaryStatus",),
    statuses.EndpointStatus: ("EndpointStatus",),
    statuses.ModelPackageStatus: ("ModelPackageStatus", "ModelPackageGroupStatus"),
    statuses.ApprovalStatus: ("ModelApprovalStatus",),
    statuses.ProjectStatus: ("ProjectStatus",),
}
TYPE_OF_JOB = "Training"  # a type of job and of step, and a secondary status


@pytest.mark.parametrize("enum", MODELS, ids=lambda enum: enum.__name__)
def test_the_values_are_those_of_the_api(enum: type[StrEnum]) -> None:
    for shape in MODELS[enum]:
        assert {str(status) for status in enum} <= set(shapes.enumeration(shape))


def test_a_status_is_written_out_in_one_file() -> None:
    every = {str(status) for enum in MODELS for status in enum} - {TYPE_OF_JOB}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for path in sorted((ROOT / "local_cloud/sagemaker").rglob("*.py"))
        if path.name != "statuses.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in every
    ]
    assert found == []
