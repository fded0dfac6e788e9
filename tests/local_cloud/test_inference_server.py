"""The server of an endpoint under load, and InvokeEndpoint's limits and headers as AWS has them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from odd_images import OddImage, damaged_image, odd_image
from pipeline_runs import BUCKET

import artifact
from local_cloud.sagemaker.containers.images import INFERENCE_SERVER
from local_cloud.sagemaker.hosting import model_server
from local_cloud.sagemaker.hosting.model_connection import SOCKET, ModelConnection
from model import ModelConfig, build

CODE = """
import json

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    if not body:
        error = Exception("no body")
        error.status_code = 400
        raise error
    if body == b"value":
        raise ValueError("of no status")
    if body == b"bug":
        raise KeyError("bug")
    return content_type, len(body)

def predict_fn(data, model):
    return data

def output_fn(prediction, accept):
    return json.dumps({"type": prediction[0], "length": prediction[1]})
"""


def write_model(folder: Path) -> Path:
    (folder / "code").mkdir(parents=True)
    (folder / "code/inference.py").write_text(CODE)
    return folder


@contextmanager
def server_of(model: Path, folder: Path) -> Iterator[Path]:
    """A server in a separate process, as an endpoint runs it."""
    found = folder / SOCKET
    environment = {**os.environ, "SM_MODEL_DIR": str(model), "MODEL_SERVER_SOCKET": str(found)}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, str(INFERENCE_SERVER)], env=environment, stdout=log, stderr=log)
    try:
        while not model_server._answers(found):
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)
        yield found
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def server_socket(tmp_path: Path) -> Iterator[Path]:
    with server_of(write_model(tmp_path / "model"), tmp_path) as found:
        yield found


def invoke(connection: http.client.HTTPConnection, body: bytes = b"x", **headers: str) -> tuple[int, str, bytes]:
    connection.request("POST", "/invocations", body, {name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    return response.status, response.headers["Content-Type"], response.read()


@pytest.mark.process
def test_no_connection_is_reset_when_many_come_at_once(server_socket: Path) -> None:
    """With the standard library's queue of 5 connections, 3 of 200 requests by 40 clients were reset."""

    def one(_: int) -> int:
        connection = ModelConnection(server_socket, timeout=60)
        try:
            return invoke(connection)[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(64) as clients:
        assert set(clients.map(one, range(640))) == {200}


@pytest.mark.process
def test_an_answer_is_one_packet_and_does_not_wait_for_the_last_one(server_socket: Path) -> None:
    """Two packets would wait for each other on a kept connection: 44 ms, where the answer itself takes 1 ms."""
    connection = ModelConnection(server_socket, timeout=60)
    connection.connect()
    with connection.sock as client:
        for _ in range(3):
            client.sendall(b"POST /invocations HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx")
            answer = client.recv(65536)
            assert answer.endswith(b'"length": 1}'), answer


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/json;q=0.9", "image/*"])
@pytest.mark.process
def test_an_answer_has_the_type_of_its_content(server_socket: Path, accept: str) -> None:
    connection = ModelConnection(server_socket, timeout=60)
    status, kind, body = invoke(connection, Accept=accept)
    connection.close()
    assert (status, kind) == (200, "application/json")
    assert body == b'{"type": "application/octet-stream", "length": 1}'


@pytest.mark.process
def test_a_model_that_cannot_be_loaded_passes_the_ping_and_answers_503(tmp_path: Path) -> None:
    """As TorchServe: SageMaker takes it for healthy, and the endpoint is InService."""
    model = write_model(tmp_path / "model")
    (model / "code/inference.py").write_text(CODE.replace("return None", "raise OSError('no weights')"))
    with server_of(model, tmp_path) as found:
        connection = ModelConnection(found, timeout=60)
        status, _, body = invoke(connection)
        assert (status, json.loads(body)) == (
            503, {"message": 'Model "model" has no worker to serve inference request.'}
        )  # fmt: skip
        connection.close()
        assert model_server._answers(found)


@pytest.mark.process
def test_requests_wait_for_a_model_that_is_being_loaded_and_the_ping_does_not(tmp_path: Path) -> None:
    model, gate = write_model(tmp_path / "model"), tmp_path / "gate"
    waiting = f"import os, time\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return None"
    (model / "code/inference.py").write_text(CODE.replace("return None", waiting))
    with server_of(model, tmp_path) as found, ThreadPoolExecutor(1) as client:
        connection = ModelConnection(found, timeout=60)
        asked = client.submit(invoke, connection)
        assert model_server._answers(found)
        assert not asked.done()
        gate.touch()
        assert asked.result()[0] == 200
        connection.close()


def serve(connect: Any, role: str, name: str, model: Path) -> str:
    """An endpoint of the local cloud that serves the folder `model`."""
    with tarfile.open(model.with_suffix(".tar.gz"), "w:gz") as archive:
        archive.add(model, arcname=".")
    connect("s3").upload_file(str(model.with_suffix(".tar.gz")), BUCKET, f"{name}/model.tar.gz")
    sagemaker = connect("sagemaker")
    container = {"Image": "pytorch-inference", "ModelDataUrl": f"s3://{BUCKET}/{name}/model.tar.gz"}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {"VariantName": "v", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    return name


@pytest.fixture(scope="session")
def endpoint(connect: Any, bucket: str, role: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(connect, role, "echo", write_model(tmp_path_factory.mktemp("endpoint") / "model"))


@pytest.fixture(scope="session")
def classifier(connect: Any, bucket: str, role: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The artifact that training writes, with untrained weights."""
    folder = tmp_path_factory.mktemp("classifier") / "model"
    config = ModelConfig("small-cnn", ("a", "b"), 16, (0.5,) * 3, (0.5,) * 3)
    artifact.write_model(folder, build(config), config, {})
    return serve(connect, role, "classifier", folder)


def test_an_endpoint_answers_with_the_type_that_the_model_gives(connect: Any, endpoint: str) -> None:
    answer = connect("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"x", ContentType="image/webp")
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "v"
    assert answer["Body"].read() == b'{"type": "image/webp", "length": 1}'


def test_a_request_larger_than_sagemaker_takes_is_refused_as_there(connect: Any, endpoint: str) -> None:
    runtime = connect("sagemaker-runtime")
    largest = runtime.invoke_endpoint(EndpointName=endpoint, Body=bytes(6_291_456))["Body"].read()
    assert b'"length": 6291456' in largest
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=bytes(6_291_457))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "HTTP content length exceeded 6291456 bytes." in str(refused.value)


@pytest.mark.parametrize(
    ("body", "status", "side"), [(b"", 400, "client"), (b"bug", 500, "server"), (b"value", 500, "server")]
)
def test_a_refusal_says_whose_fault_it_is(connect: Any, endpoint: str, body: bytes, status: int, side: str) -> None:
    with pytest.raises(ClientError, match=rf"Received {side} error \({status}\) from primary with message") as refused:
        connect("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=body)
    assert refused.value.response["Error"]["Code"] == "ModelError"
    assert refused.value.response["OriginalStatusCode"] == status
    assert refused.value.response["OriginalMessage"].startswith('{"message": ')


def test_64_clients_of_an_endpoint_all_get_an_answer(connect: Any, endpoint: str) -> None:
    runtime = connect("sagemaker-runtime")
    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(lambda _: runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x"), range(256)))
    assert {answer["ResponseMetadata"]["HTTPStatusCode"] for answer in answers} == {200}
    assert {answer["ResponseMetadata"]["RetryAttempts"] for answer in answers} == {0}


def test_odd_files_are_answered_with_200_or_400_and_a_reason(connect: Any, classifier: str) -> None:
    runtime = connect("sagemaker-runtime")
    images = [make(number) for number in range(60) for make in (odd_image, damaged_image)]
    images += [
        OddImage("empty", b"", False),
        OddImage("text", b"dear diary", False),
        OddImage("page", b"<html>", False),
    ]

    def ask(image: OddImage) -> str:
        """What is wrong with the answer, or nothing."""
        try:
            answer = runtime.invoke_endpoint(EndpointName=classifier, Body=image.content, ContentType="image/jpeg")
            return "" if json.loads(answer["Body"].read())["predictions"][0]["label"] in "ab" else "another label"
        except ClientError as error:
            status, text = error.response["OriginalStatusCode"], error.response["OriginalMessage"]
            good = status == 400 and json.loads(text)["message"] and not image.sound
            return "" if good else f"{image.name}: {status} {text}"

    with ThreadPoolExecutor(4) as clients:
        assert [wrong for wrong in clients.map(ask, images) if wrong] == []
    batch = {"instances": [{"b64": base64.b64encode(image.content).decode()} for image in images]}
    answer = runtime.invoke_endpoint(
        EndpointName=classifier, Body=json.dumps(batch), ContentType="application/json", Accept="application/json"
    )
    predictions = json.loads(answer["Body"].read())["predictions"]
    assert len(predictions) == len(images)
    assert all(prediction.get("label") or prediction.get("error") for prediction in predictions)
    assert all("label" in prediction for prediction, image in zip(predictions, images, strict=True) if image.sound)
