"""Lambda step: invokes a function as the pipeline's role; its answer's members become ``OutputParameters``."""

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker.core.aws_errors import error_message
from local_cloud.sagemaker.core.statuses import StepStatus
from local_cloud.sagemaker.pipelines.steps.outputs import output_problems
from local_cloud.sagemaker.pipelines.steps.step_type import Attempt, Outcome, StepType, failed
from pipeline_language.definition import Step


def _run(attempt: Attempt) -> Outcome:
    function = str(attempt.step.extra.get("FunctionArn", ""))
    metadata = {"Lambda": {"Arn": function}}
    try:
        response = attempt.client("lambda").invoke(FunctionName=function, Payload=json.dumps(attempt.arguments))
    except ClientError as error:
        reason = f"ClientError: Failed to invoke {function}. Error Details: {error_message(error)}"
        return failed(reason, metadata=metadata)
    answer = json.loads(response["Payload"].read() or b"null")
    if "FunctionError" in response:
        message = answer.get("errorMessage") if isinstance(answer, dict) else answer
        return failed(f"ClientError: The function {function} failed: {message}", metadata=metadata)
    outputs = answer if isinstance(answer, dict) else {}
    declared = [output["OutputName"] for output in attempt.step.extra.get("OutputParameters", [])]
    missing = [name for name in declared if name not in outputs]
    if missing:
        return failed(
            f"ClientError: The function {function} did not answer the output parameters {', '.join(missing)}.",
            metadata=metadata,
        )
    parameters = {name: _primitive(outputs[name]) for name in declared}
    shown = [{"Name": name, "Value": str(value)} for name, value in parameters.items()]
    return Outcome(
        StepStatus.SUCCEEDED,
        properties={"OutputParameters": parameters},
        metadata={"Lambda": metadata["Lambda"] | {"OutputParameters": shown}},
    )


def _primitive(value: Any) -> Any:
    """Nested answers become one JSON string, as on AWS."""
    return json.dumps(value) if isinstance(value, dict | list) else value


def _problems(step: Step) -> Iterator[str]:
    if "FunctionArn" not in step.extra:
        yield "it has no FunctionArn."
    yield from output_problems(step)


TYPE = StepType(run=_run, check=_problems, properties=("OutputParameters",))
