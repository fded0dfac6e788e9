"""Jobs of a pipeline have its tags, those of their step, and the marks that Pipelines gives them."""

from collections.abc import Callable
from typing import Any

from pipeline_runs import definition, processing_step, wait_for

Connect = Callable[[str], Any]


def test_each_job_has_the_tags_of_the_pipeline_as_they_are_when_it_starts(connect: Connect, role: str) -> None:
    """By these a budget knows its jobs: no step names the environment."""
    sagemaker = connect("sagemaker")
    step = processing_step("Tagged", role, "true")
    step["Arguments"]["Tags"] = [{"Key": "Kind", "Value": "step"}]
    tags = [{"Key": "headrace:environment", "Value": "dev"}, {"Key": "Kind", "Value": "pipeline"}]
    arn = sagemaker.create_pipeline(
        PipelineName="tagged", PipelineDefinition=definition(step), RoleArn=role, Tags=tags
    )["PipelineArn"]

    def run() -> tuple[str, dict[str, str]]:
        execution = sagemaker.start_pipeline_execution(PipelineName="tagged")["PipelineExecutionArn"]
        _, steps = wait_for(sagemaker, execution)
        job = steps["Tagged"]["Metadata"]["ProcessingJob"]["Arn"]
        return execution, {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=job)["Tags"]}

    execution, found = run()
    assert found == {
        "headrace:environment": "dev",
        "Kind": "step",
        "sagemaker:pipeline-execution-arn": execution,
        "sagemaker:pipeline-step-name": "Tagged",
    }
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "CostCenter", "Value": "ml"}])
    _, found = run()
    assert found["CostCenter"] == "ml"
