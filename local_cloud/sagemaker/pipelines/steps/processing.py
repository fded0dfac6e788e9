"""Processing step: a processing job."""

from collections.abc import Iterator
from dataclasses import replace

from local_cloud.sagemaker.pipelines.steps import job
from pipeline_language.definition import Step
from pipeline_language.members import suggestion


def _problems(step: Step) -> Iterator[str]:
    """A property file lies in an output of the job; names that are references are known later."""
    config = step.arguments.get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, dict) else []
    items = outputs if isinstance(outputs, list) else []
    names = [item.get("OutputName") for item in items if isinstance(item, dict)]
    for name, file in step.property_files.items():
        if file.output not in names and all(isinstance(known, str) for known in names):
            known = suggestion(file.output, [str(each) for each in names])
            yield f"the property file '{name}' is in the output '{file.output}', which the step does not have; {known}"


TYPE = replace(
    job.step_type("Processing", cache_key=("AppSpecification", "Environment", "ProcessingInputs")), check=_problems
)
