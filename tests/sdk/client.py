"""The SDK as a client: puts, starts and reads pipelines of whatever AWS its environment variables point to.

`.venv/sagemaker/bin/python client.py < request.json`; the request is author.py's, with a role. It puts the authored
pipeline twice, and runs a small one whose condition decides for Fail; what AWS answered goes to stdout as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from author import Author, pipeline_session
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterFloat
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.pipeline import Pipeline


def refusing_pipeline(session: PipelineSession) -> Pipeline:
    accuracy = ParameterFloat("Accuracy", 1.0)
    refuse = FailStep("Refuse", error_message=Join(on=" ", values=["accuracy is", accuracy]))
    check = ConditionStep(
        "Check", conditions=[ConditionGreaterThanOrEqualTo(left=accuracy, right=0.8)], if_steps=[], else_steps=[refuse]
    )
    return Pipeline(name="refusing", parameters=[accuracy], steps=[check], sagemaker_session=session)


def main() -> None:
    request: dict[str, Any] = json.load(sys.stdin)
    role = request["role"]
    session = pipeline_session(request["bindings"])
    pipeline = Author(request["settings"], request["bindings"], session).pipeline()
    arns = [pipeline.upsert(role_arn=role)["PipelineArn"] for _ in range(2)]
    described = pipeline.describe()

    small = refusing_pipeline(session)
    small.create(role_arn=role)
    execution = small.start(parameters={"Accuracy": 0.5})
    waited = "succeeded"
    try:
        execution.wait(delay=1, max_attempts=60)
    except Exception as error:  # botocore's WaiterError: the execution failed, as it should
        waited = str(error)
    answer = {
        "arns": arns,
        "authored": json.loads(pipeline.definition()),
        "described": json.loads(described["PipelineDefinition"]),
        "waited": waited,
        "execution": execution.describe(),
        "steps": execution.list_steps(),
        "listed": small.list_executions()["PipelineExecutionSummaries"],
    }
    print(json.dumps(answer, default=str))


if __name__ == "__main__":
    main()
