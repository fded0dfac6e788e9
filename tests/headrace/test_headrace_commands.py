"""The command line itself: the local cloud, status, help, and errors as people see them."""

from __future__ import annotations

import os
import pkgutil
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from cli_reference import every_command
from scripted_aws import FakeAws, Refusal
from scripted_cloud import FakeCloud, FakeRunning, Result
from scripted_sagemaker import FakeSageMaker

import headrace.commands.command as registry
from headrace.commands.table import COMMANDS
from headrace.formats import counted, duration, size

Headrace = Callable[..., Result]


def test_up_starts_the_local_cloud_once(headrace: Headrace, cloud: FakeCloud, tmp_path: Path) -> None:
    cloud.is_up = False
    first = headrace("up", "--port", "4567")
    assert (first.status, first.out) == (0, f"{cloud.instance.endpoint}\n")
    assert cloud.started == [(tmp_path / ".headrace", 4567)]
    second = headrace("up")
    assert second.out == first.out
    assert "already up (process 4242)" in second.err
    assert len(cloud.started) == 1
    assert headrace("up", "--json").data["endpoint"] == cloud.instance.endpoint


def test_down_stops_it_and_says_so(headrace: Headrace, cloud: FakeCloud) -> None:
    assert "is down; its state stays in" in headrace("down").err
    again = headrace("down")
    assert again.status == 0
    assert "no local cloud was running" in again.err


def test_interrupt_takes_the_capacity_of_the_named_job(headrace: Headrace, cloud: FakeCloud) -> None:
    assert headrace("interrupt", "a-job").status == 0
    assert cloud.interrupted == ["a-job"]
    cloud.is_up = False
    assert "not up, so no job runs" in headrace("interrupt", "a-job").err


def test_state_is_beside_cdk_json_wherever_the_command_is_typed(
    headrace: Headrace, cloud: FakeCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.is_up = False
    (tmp_path / "training" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "training" / "deep")
    headrace("up")
    cloud.is_up = False
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path / "elsewhere"))
    headrace("up")
    assert [state for state, _ in cloud.started] == [tmp_path / ".headrace", tmp_path / "elsewhere"]


def test_outside_a_project_the_local_cloud_is_not_guessed(
    headrace: Headrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cdk.json").unlink()
    result = headrace("up")
    assert result.status == 1
    assert "not inside a Headrace project" in result.err


@pytest.mark.process
def test_env_makes_a_shell_talk_to_the_local_cloud_alone(
    headrace: Headrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "x")
    running = FakeRunning("https://localhost:4566", tmp_path / "it's here" / "localhost.crt")
    lines = headrace("env", on=FakeCloud(running)).out
    names = {
        "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION",
        "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }  # fmt: skip
    before = {
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ENDPOINT_URL_S3": "x",
        "PATH": os.environ["PATH"],
    }
    after = subprocess.run(
        ["sh", "-c", f"{lines}\nenv"], env=before, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = dict(line.split("=", 1) for line in after if "=" in line)
    assert {name for name in found if name.startswith(("AWS_", "NODE_"))} == names
    assert found["AWS_CA_BUNDLE"] == str(running.certificate)
    assert found["AWS_ACCESS_KEY_ID"] == running.account


@pytest.mark.parametrize("command", ["up", "down", "env"])
def test_the_local_clouds_commands_refuse_another_environment(headrace: Headrace, command: str) -> None:
    result = headrace("--env", "prod", command)
    assert result.status == 2
    assert f"hint: headrace --local --env prod {command}" in result.err


def test_an_environment_is_rehearsed_here_in_the_account_and_the_region_that_it_has_on_aws(
    headrace: Headrace, aws: FakeAws, tmp_path: Path
) -> None:
    (tmp_path / "environments.toml").write_text('[prod]\naccount = "222222222222"\nregion = "eu-west-3"\n')
    result = headrace("--local", "--env", "prod", "runs")
    assert "hint: headrace --local --env prod status" in result.err
    assert aws.authorizations
    assert all("Credential=222222222222/" in line and "/eu-west-3/" in line for line in aws.authorizations)


def test_status_shows_everything_in_a_few_lines(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_run("run1", "Succeeded", minutes_ago=3)
    sagemaker.add_package(1, "Approved")
    sagemaker.add_package(2, "PendingManualApproval")
    sagemaker.serve(1)
    result = headrace("status")
    assert result.status == 0, result.err
    lines = dict(re.split(r"  +", line, maxsplit=1) for line in result.out.splitlines())
    assert list(lines) == ["local cloud", "stack", "data bucket", "last runs", "registry", "endpoint"]
    assert lines["last runs"] == "display-run1 Succeeded (3 min ago)"
    assert lines["registry"] == "2 versions: 1 Approved, 1 PendingManualApproval"
    assert lines["endpoint"] == "headrace-local InService, serves version 1"
    assert "next: headrace models" in result.err
    assert headrace("status", "--json").data["endpoint"]["version"] == 1


def test_status_without_a_stack_or_a_local_cloud_is_not_an_error(
    headrace: Headrace, cloud: FakeCloud, aws: FakeAws
) -> None:
    aws.outputs = None
    missing = headrace("status")
    assert missing.status == 0
    assert "there is no stack headrace-local" in missing.out
    assert "next: " in missing.err
    assert "next: headrace deploy" in missing.err
    cloud.is_up = False
    down = headrace("status")
    assert (down.status, down.out) == (0, "local cloud  down\n")
    assert "next: headrace up" in down.err


@pytest.mark.parametrize("arguments", [("runs",), ("models",), ("watch",), ("predict", "a.jpg"), ("logs",)])
def test_without_a_stack_every_command_says_how_to_deploy(
    headrace: Headrace, aws: FakeAws, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    aws.outputs = None
    result = headrace(*arguments)
    assert result.status == 1
    assert result.err.startswith("error: environment local is not deployed")
    assert re.search(r"\n\nhint: .*deploy", result.err)


def test_a_stack_of_another_version_is_named_as_such(headrace: Headrace, aws: FakeAws) -> None:
    aws.outputs = {"DataBucketName": "b"}
    assert "the stack headrace-local has no output PipelineName" in headrace("runs").err


def test_a_refusal_of_aws_says_what_was_being_done(headrace: Headrace, aws: FakeAws) -> None:
    def denied(request: object) -> None:
        raise Refusal("AccessDeniedException", "User me is not authorized to perform: sagemaker:ListPipelineExecutions")

    aws.answers["ListPipelineExecutions"] = denied
    result = headrace("runs")
    assert result.status == 1
    assert result.err.startswith(
        "error: AWS refused ListPipelineExecutions while listing the runs of headrace-local: AccessDeniedException: "
        "User me is not authorized"
    )
    assert "\n\nhint: " in result.err


def test_a_local_cloud_that_went_away_is_an_error_not_a_traceback(headrace: Headrace, tmp_path: Path) -> None:
    gone = FakeCloud(FakeRunning("http://localhost:9", tmp_path / "localhost.crt"))
    result = headrace("runs", on=gone)
    assert result.status == 1
    assert "cannot reach the local cloud while reading the stack headrace-local" in result.err
    assert "hint: headrace up" in result.err


def test_commands_for_a_local_cloud_that_is_down_say_up(headrace: Headrace, cloud: FakeCloud) -> None:
    cloud.is_up = False
    result = headrace("runs")
    assert result.status == 1
    assert result.err.endswith("\n\nhint: headrace up\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("nothing",), ("runs", "--limit", "-1"), ("watch", "--after", "yesterday"), ("up", "--port", "80"),
        ("watch", "--interval", "x"), ("predict",), ("watch", "--wait-for-start", "nan"), ("runs", "--lim", "3"),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line_has_status_2(headrace: Headrace, arguments: tuple[str, ...]) -> None:
    result = headrace(*arguments)
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(r"usage: headrace .*\nerror: .+\n\nhint: \S*headrace[a-z ]* --help\n", result.err)


@pytest.mark.parametrize(
    ("typed", "meant"), [("statsu", "'status'"), ("upload --delet a", "'--delete'"), ("projects creat a", "'create'")]
)
def test_a_misspelt_name_is_answered_with_the_one_that_is_meant(headrace: Headrace, typed: str, meant: str) -> None:
    result = headrace(*typed.split())
    assert result.status == 2
    assert meant in result.err.partition("Did you mean ")[2]


def test_options_of_every_command_are_taken_before_and_after_it(headrace: Headrace) -> None:
    """The one after it counts."""
    for arguments in (("--env", "prod", "up"), ("up", "--env", "prod"), ("--env", "dev", "up", "--env", "prod")):
        assert "up concerns the local cloud, and prod is on AWS" in headrace(*arguments).err
    assert "--line has no meaning for projects" in headrace("projects", "--line", "x", "list").err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_argument_is_explained(command: str) -> None:
    found: Any = dict(every_command())[(command,)]
    assert len(found.help) > 30
    assert all(parameter.help for parameter in found.params)
    assert found.short_help == COMMANDS[command][1]


def test_the_table_has_every_command_and_its_module() -> None:
    """A command that no line of the table names could not be called."""
    for module in pkgutil.walk_packages(import_module("headrace.commands").__path__, "headrace.commands."):
        import_module(module.name)
    modules = {name: f"headrace.commands.{module}" for name, (module, _) in COMMANDS.items()}
    defined = {path[0]: command.callback.__module__ for path, command in every_command() if path and command.callback}
    assert defined == modules
    assert registry._loaded.keys() == COMMANDS.keys()


@pytest.mark.process
def test_help_imports_no_module_of_a_command() -> None:
    code = (
        "import sys\nfrom headrace.cli.main import main\nmain(['--help'])\n"
        "print(*(name for name in sys.modules if name.startswith('headrace.commands.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.splitlines()[-1].split()) == {"headrace.commands.command", "headrace.commands.table"}


@pytest.mark.process
def test_output_into_a_closed_pipe_prints_no_traceback(tmp_path: Path) -> None:
    code = "import sys; from headrace.terminal.output import Output\nfor n in range(99999): Output().line('x' * 99)"
    process = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$1" | head -1', "sh", f"import headrace.cli.main as c\n{code}"],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )  # fmt: skip
    assert process.stdout == "x" * 99 + "\n"


@pytest.mark.process
def test_a_terminal_gets_a_live_table(aws: FakeAws, sagemaker: FakeSageMaker, tmp_path: Path) -> None:
    arn = sagemaker.add_run("run1", "Succeeded")
    sagemaker.add_step(arn, "Preprocess", "Succeeded")
    script = tmp_path / "on_a_terminal.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom headrace.cli.main import main\nfrom scripted_cloud import *\n"
        f"running = FakeRunning({aws.endpoint!r}, Path('localhost.crt'))\n"
        "sys.exit(main(['watch', 'run1'], cloud=FakeCloud(running)))\n"
    )
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(script)], cwd=tmp_path, stdin=far, stdout=far, stderr=far,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(far)
    seen = b""
    while True:
        try:
            seen += os.read(near, 4096)
        except OSError:  # how Linux says that the other end has gone
            break
    os.close(near)
    assert process.wait() == 0, seen.decode()
    assert b"\x1b[32mSucceeded" in seen
    assert b"Preprocess" in seen
    assert b"run1 Succeeded after" in seen


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(None, "-"), (0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (180000, "2 d 2 h")],
)
def test_durations_are_worded_by_their_length(seconds: float | None, expected: str) -> None:
    assert duration(seconds) == expected


def test_counts_and_sizes_are_worded() -> None:
    assert [counted(1, "class"), counted(2, "class"), counted(2, "entry"), counted(1200, "file")] == [
        "1 class", "2 classes", "2 entries", "1,200 files",
    ]  # fmt: skip
    assert [size(999), size(1500), size(2_500_000_000_000)] == ["999 B", "1.5 kB", "2.5 TB"]


@pytest.mark.process
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["nothing"]])
def test_help_and_mistakes_import_nothing_that_takes_long(arguments: list[str]) -> None:
    assert imported(arguments, "boto3", "botocore", "rich", "data_sets", "environments") == set()


@pytest.mark.process
@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_does_not_import_boto3(command: str) -> None:
    """Which takes longer than everything else together."""
    assert imported([command, "--help"], "boto3", "botocore.session", "torch", "aws_cdk") == set()


def imported(arguments: list[str], *modules: str) -> set[str]:
    code = "import sys\nfrom headrace.cli.main import main\nmain(sys.argv[1:])\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return {*modules} & {*ran.stdout.splitlines()[-1].split()}
