"""A function's processes, kept warm between its calls, end with what they run: the function, its version, its code."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from pipeline_runs import client, make_role, outcome

from local_cloud import process
from local_cloud.process import Running

Connect = Callable[[str], Any]

CODE = "def handle(event, context):\n    return {answer!r}\n"
# Waits, in its handler or during its import, until the test lets it finish, at most 20 s.
SLOW = """
import time
from pathlib import Path

def wait():
    Path({folder!r}, "begun").touch()
    for _ in range(1_000):
        if Path({folder!r}, "may-finish").exists():
            return
        time.sleep(0.02)

{imported}

def handle(event, context):
    wait()
    return "old"
"""
# Its first attempt fails; ministack makes the second a second later.
AGAIN = """
from pathlib import Path

def handle(event, context):
    with Path({folder!r}, "attempts").open("a+") as file:
        print(file=file)
        file.seek(0)
        if len(file.readlines()) == 1:
            raise ValueError("not yet")
"""


def deploy(connect: Connect, name: str, resources: dict[str, Any]) -> None:
    cloudformation, template = connect("cloudformation"), json.dumps({"Resources": resources})
    if name in [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]:
        cloudformation.update_stack(StackName=name, TemplateBody=template)
        assert outcome(connect, name, "UPDATE_IN_PROGRESS").startswith("UPDATE_COMPLETE")
    else:
        cloudformation.create_stack(StackName=name, TemplateBody=template)
        assert outcome(connect, name, "CREATE_IN_PROGRESS") == "CREATE_COMPLETE"


def function(name: str, role: str, code: str) -> dict[str, Any]:
    properties = {
        "FunctionName": name, "Runtime": "python3.14", "Handler": "index.handle", "Role": role, "Timeout": 30,
        "Code": {"ZipFile": code},
    }  # fmt: skip
    return {"Type": "AWS::Lambda::Function", "Properties": properties}


def package(code: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    return archive.getvalue()


def by_api(connect: Connect, name: str) -> None:
    connect("lambda").delete_function(FunctionName=name)


def by_stack(connect: Connect, name: str) -> None:
    connect("cloudformation").delete_stack(StackName=f"stack-of-{name}")


def by_new_code(connect: Connect, name: str) -> None:
    connect("lambda").update_function_code(FunctionName=name, ZipFile=package(CODE.format(answer="new")))


def by_new_configuration(connect: Connect, name: str) -> None:
    connect("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"A": "1"}})


def call(connect: Connect, name: str, version: str = "$LATEST") -> Any:
    answer = connect("lambda").invoke(FunctionName=name, Qualifier=version)
    return json.loads(answer["Payload"].read())


def processes(cloud: Running, name: str) -> list[str]:
    """The numbers of this cloud's processes of the function."""
    mark = f"{cloud.state}/tmp/ministack-lambda-{name}-".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if mark in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def name_of(request: pytest.FixtureRequest) -> str:
    return "f-" + "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-50:]


@pytest.mark.parametrize("delete", [by_api, by_stack])
def test_a_functions_processes_end_when_it_is_deleted(
    cloud: Running, connect: Connect, role: str, delete: Callable[[Connect, str], None], request: pytest.FixtureRequest
) -> None:
    name, other = name_of(request), f"other-{name_of(request)}"
    for each in (name, other):
        deploy(connect, f"stack-of-{each}", {"Function": function(each, role, CODE.format(answer=1))})
        call(connect, each)
    assert (len(processes(cloud, name)), len(processes(cloud, other))) == (1, 1)
    delete(connect, name)
    eventually("its processes have ended", lambda: processes(cloud, name) == [])
    assert len(processes(cloud, other)) == 1


def test_a_versions_processes_end_when_its_stack_gives_it_up(cloud: Running, connect: Connect, role: str) -> None:
    latest = function("versions", role, CODE.format(answer=1))
    version = {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}}
    deploy(connect, "versions", {"Function": latest, "Version": version})
    call(connect, "versions")
    (kept,) = processes(cloud, "versions")
    call(connect, "versions", "1")
    assert len(processes(cloud, "versions")) == 2
    deploy(connect, "versions", {"Function": latest})
    eventually("the other versions' processes have ended", lambda: processes(cloud, "versions") == [kept])


@pytest.mark.parametrize("imported", ["", "wait()"], ids=["in its handler", "in its import"])
@pytest.mark.parametrize("change", [by_api, by_stack, by_new_code, by_new_configuration])
def test_an_invocation_under_way_finishes_and_its_process_ends(
    cloud: Running, connect: Connect, role: str, tmp_path: Path, imported: str,
    change: Callable[[Connect, str], None], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    name = name_of(request)
    code = SLOW.format(folder=str(tmp_path), imported=imported)
    deploy(connect, f"stack-of-{name}", {"Function": function(name, role, code)})
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(call, connect, name)
        eventually("the call has begun", (tmp_path / "begun").exists)
        change(connect, name)
        time.sleep(0.5)
        (tmp_path / "may-finish").touch()
        assert answer.result() == "old"
    eventually("its processes have ended", lambda: processes(cloud, name) == [])


@pytest.mark.parametrize("change", [by_api, by_stack, by_new_code, by_new_configuration])
def test_a_second_attempt_leaves_no_process_of_what_was_there_at_the_first(
    cloud: Running, connect: Connect, role: str, tmp_path: Path,
    change: Callable[[Connect, str], None], request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    name, attempts = name_of(request), tmp_path / "attempts"
    resources = {"Function": function(name, role, AGAIN.format(folder=str(tmp_path)))}
    deploy(connect, f"stack-of-{name}", resources)
    connect("lambda").invoke(FunctionName=name, InvocationType="Event")
    eventually("the first attempt is made", attempts.exists)
    change(connect, name)
    eventually("there are two attempts", lambda: len(attempts.read_bytes()) == 2)
    eventually("its processes have ended", lambda: processes(cloud, name) == [])


def test_no_invocation_of_a_deleted_function_outlives_the_local_cloud(mortal: Running, tmp_path: Path) -> None:
    def connect(service: str) -> Any:
        return client(mortal, service)

    role = make_role(connect("iam"), "role", ["logs:*"], ["*"])
    code = SLOW.format(folder=str(tmp_path), imported="")
    deploy(connect, "stack-of-last", {"Function": function("last", role, code)})
    connect("lambda").invoke(FunctionName="last", InvocationType="Event")
    eventually("the call has begun", (tmp_path / "begun").exists)
    by_stack(connect, "last")
    assert outcome(connect, "stack-of-last", "DELETE_IN_PROGRESS") == "DELETE_COMPLETE"
    assert len(processes(mortal, "last")) == 1
    process.stop(mortal.state)
    eventually("its processes have ended", lambda: processes(mortal, "last") == [])
