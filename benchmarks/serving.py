"""python -m benchmarks.serving [--requests 2000] [--clients 16] [--json FILE]

An endpoint of a separate local cloud, asked through InvokeEndpoint by many clients at once, and the model's server
asked directly on one kept connection. The handler takes the time of a small network (5 ms) and says in its answer how
long it took, so that what is above it is the way there and back.

Wanted: of 2,000 requests by 16 clients p99 <= 5 x p50; no reset at 64 clients; directly <= 2 ms above the handler.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from botocore.config import Config
from pipeline_runs import BUCKET, client, free_port, make_role

from local_cloud import process
from local_cloud.process import Running
from local_cloud.sagemaker.hosting.model_connection import SOCKET, ModelConnection

ENDPOINT = "measured"
BODY = b"x" * 23_500  # bytes; a JPEG of 224 x 224 pixels
CODE = """
import json, time

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    return time.perf_counter()

def predict_fn(begun, model):
    time.sleep(0.005)
    return begun

def output_fn(begun, accept):
    return json.dumps({"seconds": time.perf_counter() - begun})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000, help="requests by the clients together (%(default)s)")
    parser.add_argument("--clients", type=int, default=16, help="clients at once (%(default)s)")
    parser.add_argument("--json", type=Path, help="where the figures go as JSON, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        cloud = process.start(state, port=free_port())
        try:
            serve(cloud, Path(folder))
            figures = measure(cloud, arguments.requests, arguments.clients)
        finally:
            process.stop(state)
    for name, figure in figures.items():
        print(f"{name:45} {figure:10.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def serve(cloud: Running, folder: Path) -> None:
    """Makes the endpoint, and waits until it is in service."""
    role = make_role(client(cloud, "iam"), "serving", ["s3:*", "logs:*"], ["*"])
    s3, sagemaker = client(cloud, "s3"), client(cloud, "sagemaker")
    s3.create_bucket(Bucket=BUCKET)
    code = folder / "inference.py"
    code.write_text(CODE)
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(code, arcname="code/inference.py")
    s3.upload_file(str(folder / "model.tar.gz"), BUCKET, "model.tar.gz")
    container = {"Image": "pytorch-inference", "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName=ENDPOINT, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": ENDPOINT, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=ENDPOINT, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ENDPOINT)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1})


def measure(cloud: Running, requests: int, clients: int) -> dict[str, float]:
    """Milliseconds, unless the name says otherwise."""
    figures: dict[str, float] = {}
    # As users have it: botocore keeps 10 connections, and opens a new one for each further request at the same time.
    config = Config(retries={"total_max_attempts": 1})
    runtime = client(cloud, "sagemaker-runtime", config)

    def ask() -> None:
        runtime.invoke_endpoint(EndpointName=ENDPOINT, Body=BODY)["Body"].read()

    ask()
    for many in (1, clients, 64):
        seconds, failed = at_once(ask, requests, many)
        ranks = statistics.quantiles(seconds, n=100)
        name = f"InvokeEndpoint, {many} clients"
        figures |= {
            f"{name}: p50": 1000 * statistics.median(seconds),
            f"{name}: p99": 1000 * ranks[98],
            f"{name}: longest": 1000 * max(seconds),
            f"{name}: p99 / p50 (ratio)": ranks[98] / statistics.median(seconds),
            f"{name}: failed (requests)": failed,
        }
    above = directly(cloud, requests)
    figures["direct, kept connection, above handler: p50"] = 1000 * statistics.median(above)
    figures["direct, kept connection, above handler: p99"] = 1000 * statistics.quantiles(above, n=100)[98]
    return figures


def at_once(ask: Callable[[], None], requests: int, clients: int) -> tuple[list[float], int]:
    """Seconds of each request that got an answer, and how many got none."""
    failed = 0

    def one(_: int) -> float | None:
        begun = time.perf_counter()
        try:
            ask()
        except Exception as error:  # of whatever kind: it is counted
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return None
        return time.perf_counter() - begun

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(one, range(requests)))
    failed = answers.count(None)
    return [seconds for seconds in answers if seconds is not None], failed


def directly(cloud: Running, requests: int) -> list[float]:
    """Seconds above what the handler itself took, on one connection to the model's server."""
    (socket,) = (cloud.state / "sagemaker" / "endpoints").glob(f"*/ml/server/{SOCKET}")
    connection = ModelConnection(socket, timeout=60)
    above = []
    for _ in range(requests):
        begun = time.perf_counter()
        connection.request("POST", "/invocations", BODY, {"Content-Type": "image/jpeg"})
        answer: Any = json.loads(connection.getresponse().read())
        above.append(time.perf_counter() - begun - answer["seconds"])
    connection.close()
    return above


if __name__ == "__main__":
    main()
