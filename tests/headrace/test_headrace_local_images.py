"""[local.images] of environments.toml: what is taken, how paths are read, and what is refused with a hint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from environments.settings import load_settings
from environments.typed_table import SettingsError
from headrace.errors import SetupError
from headrace.project.local_cloud import ProcessCloud
from headrace.project.local_images import read_images
from local_cloud import process
from local_cloud.sagemaker.core import configured_images

LOCAL = '[local]\naccount = "000000000000"\nregion = "us-east-1"\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cdk.json").write_text("{}")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/report.sh").touch()
    monkeypatch.chdir(tmp_path / "scripts")
    return tmp_path


def write(project: Path, images: str, more: str = "") -> Path:
    path = project / "environments.toml"
    path.write_text(f"{LOCAL}[local.images]\n{images}\n{more}")
    return path


def test_paths_are_those_of_the_projects_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    path = write(project, (
        '"churn:*" = { requirements = "images/locked.txt" }\nlegacy = { python = "~/legacy/bin/python" }\n'
        'report = { command = ["scripts/report.sh", "a/b", "sh"] }'
    ))  # fmt: skip
    assert read_images() == {
        "churn:*": {"requirements": f"{project}/images/locked.txt"},
        "legacy": {"python": "/home/somebody/legacy/bin/python"},
        "report": {"command": [f"{project}/scripts/report.sh", "a/b", "sh"]},
    }
    assert load_settings(path, "local").environment == "local", "the CDK app takes the table"


def test_without_the_table_or_the_file_there_are_none(project: Path) -> None:
    assert read_images() == {}
    (project / "environments.toml").write_text(LOCAL)
    assert read_images() == {}


@pytest.mark.parametrize(
    ("images", "what", "hint"),
    [
        ('churn = { docker = "x" }', '"churn" is to run in Docker, which is not supported yet', "use one of command, "),
        ('churn = { pyhton = "x" }', "unknown key 'pyhton'", "known are command, python, requirements"),
        ("churn = {}", '"churn" is {}', "give it exactly one of command, python, requirements"),
        ('churn = { python = "x", command = ["y"] }', '"churn" is {', "give it exactly one of command, python, "),
        ('churn = { command = "x" }', "command is 'x'", "use a list of text in quotes"),
        ('churn = "x"', "it is 'x', not a table", "write it as a [table]"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_a_hint(project: Path, images: str, what: str, hint: str) -> None:
    path = write(project, images)
    with pytest.raises(SetupError) as refused:
        ProcessCloud().start(project / "state")
    assert what in str(refused.value)
    assert "[local.images" in str(refused.value)
    assert refused.value.hint is not None
    assert hint in refused.value.hint
    with pytest.raises(SettingsError, match=r"environments.toml \[local.images"):
        load_settings(path, "local")


def test_images_of_an_environment_on_aws_are_refused(project: Path) -> None:
    dev = '[dev]\naccount = "111111111111"\nregion = "eu-central-1"\n[dev.images]\nchurn = { python = "x" }\n'
    path = write(project, "", dev)
    with pytest.raises(SettingsError, match="images is set") as refused:
        load_settings(path, "dev")
    assert "write [local.images]" in str(refused.value)


def test_the_local_cloud_reads_what_is_written_for_it(tmp_path: Path) -> None:
    images = {'a "quoted" *': {"command": ["/bin/sh", "-c", 'echo "ü\\n"']}, "b": {"python": "/c d/python"}}
    process.write_images(tmp_path, images)
    read = configured_images.configured_images_file(tmp_path).read()
    assert [(image.pattern, image.command, image.python) for image in read] == [
        ('a "quoted" *', ("/bin/sh", "-c", 'echo "ü\\n"'), None),
        ("b", (), Path("/c d/python")),
    ]
    process.write_images(tmp_path, None)
    assert json.dumps(images["b"]["python"]) in (tmp_path / "images.toml").read_text()
    process.write_images(tmp_path, {})
    assert configured_images.configured_images_file(tmp_path).read() == ()
