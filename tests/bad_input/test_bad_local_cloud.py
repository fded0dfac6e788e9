"""Starting and finding the local cloud where something is in its way: real processes, ports, directories, disks."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input_disk import run_on_small_disk
from eventually import eventually
from pipeline_runs import free_port

from local_cloud import process

SECTION = "The local cloud"
OUTPUT = "command output of "

Row = Callable[..., None]
Headrace = Callable[..., str]


def essence(output: str) -> str:
    """What `up` says besides its progress and what to type next."""
    usual = ("starting the local cloud", "for the AWS CLI", "next: ")
    return "\n".join(line for line in output.splitlines() if not line.startswith(usual))


def test_a_port_in_use(row: Row, headrace: Headrace, state: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = headrace(state, "up", "--port", other.getsockname()[1])
    row("a port that another process has", f"{OUTPUT}`up --port`", essence(said), state=state)


def test_a_kept_port_in_use(row: Row, headrace: Headrace, state: Path) -> None:
    port = free_port()
    process.start(state, port=port)
    process.stop(state)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        said = headrace(state, "up")
    row("the port of this state, which another process has taken since", f"{OUTPUT}`up`", essence(said), state=state)
    said = headrace(state, "up", "--port", free_port())
    row("another port than that of this state", f"{OUTPUT}`up --port`", essence(said), state=state)


def test_foreign_files(row: Row, headrace: Headrace, state: Path) -> None:
    state.mkdir()
    (state / "thesis.txt").write_text("mine")
    row("a state directory with foreign files", f"{OUTPUT}`up`", essence(headrace(state, "up")), state=state)
    assert [path.name for path in state.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(("given", "text"), [
    ("a state directory of another format", '{"format": 0}'),
    ("a state directory whose format.json is damaged", '{"for'),
])  # fmt: skip
def test_another_format(row: Row, headrace: Headrace, state: Path, given: str, text: str) -> None:
    state.mkdir()
    (state / "format.json").write_text(text)
    row(given, f"{OUTPUT}`up`", essence(headrace(state, "up")), state=state)


def test_a_file_for_a_directory(row: Row, headrace: Headrace, state: Path) -> None:
    state.write_text("mine")
    row("a state directory that is a file", f"{OUTPUT}`up`", essence(headrace(state, "up")), state=state)


def test_a_second_up(row: Row, headrace: Headrace, state: Path) -> None:
    process.start(state, port=free_port())
    row("a second `up`", f"{OUTPUT}`up`; status 0", essence(headrace(state, "up", status=0)), state=state)
    said = headrace(state, "up", "--port", free_port(), status=0)
    row("a second `up` on another port", f"{OUTPUT}`up --port`; status 0", essence(said), state=state)


def test_a_killed_server(row: Row, headrace: Headrace, state: Path) -> None:
    running = process.start(state, port=free_port())
    os.kill(running.pid, signal.SIGKILL)
    eventually("the local cloud has ended", lambda: process.running(state) is None)
    row("a local cloud that was killed (kill -9)", f"{OUTPUT}`runs` and others", headrace(state, "runs"), state=state)
    said = essence(headrace(state, "up", status=0))
    row("the same, its lock and its state still there", f"{OUTPUT}`up`; status 0", said, state=state)
    again = process.running(state)
    assert again is not None
    assert again.endpoint == running.endpoint


def test_a_deleted_root_secret(row: Row, headrace: Headrace, state: Path) -> None:
    process.start(state, port=free_port())
    (state / "root-secret").unlink()
    said = headrace(state, "runs")
    row("a root secret deleted under a running server", f"{OUTPUT}`runs` and others", said, state=state)


def test_a_deleted_state_directory(row: Row, headrace: Headrace, state: Path) -> None:
    running = process.start(state, port=free_port())
    state.rename(state.with_name("gone"))  # for the server as if deleted, and in an instant
    said = headrace(state, "runs")
    row("a state directory deleted under a running server", f"{OUTPUT}`runs` and others", said, state=state)
    eventually("the port is closed", lambda: not is_open(running.endpoint))  # it ends by itself
    said = essence(headrace(state, "up", status=0))
    row("the same, started again: afresh", f"{OUTPUT}`up`; status 0", said, state=state)


@pytest.mark.parametrize(("given", "size"), [
    ("a disk that is full when the state directory is made: a tmpfs of 8 KiB", "8k"),
    ("a disk that is full when the server starts: a tmpfs of 24 KiB", "24k"),
])  # fmt: skip
def test_a_full_disk_for_the_state(row: Row, tmp_path: Path, given: str, size: str) -> None:
    command = Path(sys.executable).with_name("headrace")
    said = run_on_small_disk(tmp_path / "disk", size, '"$1" up', command, HEADRACE_STATE=f"{tmp_path}/disk/state")
    row(given, f"{OUTPUT}`up`", essence(said), disk=tmp_path / "disk")


def test_an_import_in_a_function(row: Row, connect: Callable[[str], Any], role: str, tmp_path: Path) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("app.py", "import boto3\nimport numpy\n\n\ndef handle(event, context):\n    return 1\n")
    functions = connect("lambda")
    functions.create_function(
        FunctionName="importing", Runtime="python3.14", Role=role, Handler="app.handle",
        Code={"ZipFile": package.getvalue()},
    )  # fmt: skip
    functions.get_waiter("function_active_v2").wait(FunctionName="importing", WaiterConfig={"Delay": 1})
    answer = functions.invoke(FunctionName="importing")
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"]
    assert "No module named 'numpy'" in error["errorMessage"]
    row("a function that imports what neither its package nor Lambda has", "answer of Invoke, in AWS's form",
        f"{error['errorType']}: {error['errorMessage']}")  # fmt: skip


def is_open(endpoint: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))) == 0
