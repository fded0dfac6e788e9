"""From a PUT to the execution's start, beyond the quiet period, through the deployed app in a separate local cloud.

    python benchmarks/upload_latency.py [--uploads 50]

One object after the other, each a separate data set, when the last one's execution has started. The definition is
one empty condition, so that no jobs run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from headrace.client.environment import Environment, open_environment
from headrace.commands import cdk
from headrace.project.folder import LOCAL, read_target
from headrace.project.local_cloud import ProcessCloud
from headrace.terminal.output import Output

CONDITION = {"Type": "Equals", "LeftValue": 1, "RightValue": 1}
STEP = {"Type": "Condition", "Arguments": {"Conditions": [CONDITION], "IfSteps": [], "ElseSteps": []}}
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [{"Name": "DataSet", "Type": "String"}, {"Name": "Fingerprint", "Type": "String"}],
    "Steps": [{"Name": "Nothing"} | STEP],
}


def latency(environment: Environment, data_set: str) -> float:
    """Seconds from the answer to the PUT to the start of the execution."""
    stack, sagemaker = environment.stack, environment.client("sagemaker")
    environment.client("s3").put_object(Bucket=stack.data_bucket, Key=f"datasets/{data_set}/1.jpg", Body=b"a")
    put = time.time()
    while True:
        started = newest_execution(sagemaker, stack.pipeline)
        if started is not None and started["PipelineExecutionDisplayName"].startswith(f"{data_set}-"):
            moment: float = started["StartTime"].timestamp()
            return moment - put
        time.sleep(0.1)


def newest_execution(sagemaker: Any, pipeline: str) -> dict[str, Any] | None:
    try:
        answer = sagemaker.list_pipeline_executions(PipelineName=pipeline, SortOrder="Descending", MaxResults=1)
    except sagemaker.exceptions.ResourceNotFound:  # the first upload makes it
        return None
    newest: dict[str, Any] | None = next(iter(answer["PipelineExecutionSummaries"]), None)
    return newest


def measure(state: Path, uploads: int) -> list[float]:
    os.environ["HEADRACE_STATE"] = str(state)
    cloud = ProcessCloud()
    cloud.start(state)
    try:
        environment = open_environment(LOCAL, cloud)
        cdk.deploy(environment, Output())
        stack = environment.stack
        environment.client("s3").put_object(
            Bucket=stack.data_bucket, Key=f"pipelines/{stack.pipeline}.json", Body=json.dumps(DEFINITION).encode()
        )
        latency(environment, "warm")
        return [latency(environment, f"measured{number}") for number in range(uploads)]
    finally:
        cloud.stop(state)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=50, help="uploads that are measured (%(default)s)")
    uploads = parser.parse_args().uploads
    quiet = read_target(LOCAL).quiet_seconds
    with tempfile.TemporaryDirectory() as folder:
        beyond = sorted(seconds - quiet for seconds in measure(Path(folder) / "state", uploads))
    print(f"PUT to StartPipelineExecution, beyond the quiet period of {quiet:g} s, {uploads} uploads")
    print(f"median {statistics.median(beyond):.2f} s   least {beyond[0]:.2f} s   most {beyond[-1]:.2f} s")


if __name__ == "__main__":
    main()
