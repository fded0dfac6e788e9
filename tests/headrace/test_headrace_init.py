"""`headrace init` writes an environment into environments.toml, and leaves the rest of the file as it is."""

from __future__ import annotations

import builtins
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from data_set_samples import images, write
from scripted_cloud import Result

from headrace.errors import SetupError
from headrace.project.toml_edit import set_values, with_values

Headrace = Callable[..., Result]
FILE = """\
#:schema ./environments/environments.schema.json
# ours
[dev]
account = "111111111111"  # put your account number here
region = "eu-central-1"
max_run_cost = 10.0       # USD

[dev.pipeline]
capacity = "spot"

# about the projects
[projects]
removal = "destroy"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "environments.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person types at a terminal, in this order."""
    typed: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(builtins, "input", lambda: typed.pop(0))
    return typed


def test_the_options_change_the_environment_and_nothing_else(headrace: Headrace, file: Path) -> None:
    done = headrace("--env", "dev", "init", "--account", "123456789012", "--network", "vpc")
    assert done.status == 0, done.err
    expected = FILE.replace("111111111111", "123456789012").replace("# USD\n", '# USD\nnetwork_access = "vpc"\n')
    assert file.read_text() == expected
    assert done.out.split() == [
        "account",
        "123456789012",
        "region",
        "eu-central-1",
        "capacity",
        "spot",
        "network",
        "vpc",
    ]
    assert "training/wheels/" in done.err
    assert done.next.startswith("make check ")


def test_questions_take_what_is_in_brackets_and_are_asked_again(
    headrace: Headrace, file: Path, answers: list[str]
) -> None:
    answers += ["12", "555555555555", "eu-west-1", "", "vpn", "public"]
    done = headrace("--env", "qa", "init")
    assert done.status == 0, done.err
    assert answers == []
    assert "'12' is not 12 digits" in done.err
    assert "'vpn' is not public or vpc" in done.err
    assert file.read_text().startswith(FILE)
    assert tomllib.loads(file.read_text())["qa"] == {
        "account": "555555555555",
        "region": "eu-west-1",
        "network_access": "public",
        "pipeline": {"capacity": "spot"},
    }


def test_the_file_says_what_is_proposed(headrace: Headrace, file: Path, answers: list[str]) -> None:
    answers += ["", "", "on-demand", ""]
    assert headrace("--env", "dev", "init").status == 0
    table = tomllib.loads(file.read_text())["dev"]
    assert (table["account"], table["pipeline"]["capacity"]) == ("111111111111", "on-demand")


def test_a_data_set_is_inspected_first(headrace: Headrace, file: Path, tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good", images({"cat": 12, "dog": 12})), write(tmp_path / "bad", images({"cat": 12}))
    refused = headrace("--env", "dev", "init", "--capacity", "both", "--data", str(bad))
    assert refused.status == 2
    assert "cannot be learned from" in refused.err
    assert file.read_text() == FILE
    done = headrace("--env", "dev", "init", "--capacity", "both", "--data", str(good))
    assert done.status == 0, done.err
    assert "24 images of 2 classes" in done.err
    assert done.next.startswith(f"make check DATA={good} ")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["init"], "the environment local needs no account"),
        (["--env", "projects", "init"], "'projects' is not a valid name"),
        (["--env", "Dev", "init"], "'Dev' is not a valid name"),
        (["--env", "qa", "init", "--region", "eu-west-1"], "lacks account"),
        (["--env", "qa", "init", "--account", "1"], "--account is '1', not 12 digits"),
        (["--env", "dev", "init", "--region", "Frankfurt"], "--region is 'Frankfurt', not a region such as"),
        (["--env", "dev", "init", "--capacity", "cheap"], "--capacity is 'cheap', not spot or on-demand or both"),
        (["--env", "dev", "init", "--data", "nowhere"], "nowhere is neither a folder nor a file"),
        (["--project", "birds", "--env", "dev", "init"], "--project has no meaning for init"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    headrace: Headrace, file: Path, arguments: list[str], why: str
) -> None:
    refused = headrace(*arguments)
    assert refused.status == 2
    assert why in refused.err
    assert file.read_text() == FILE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[dev", "is not valid TOML"),
        ("dev = 1\n", "is not a table"),
        ('[dev]\npromotes_from = "prod"\n', "promotes the models of prod"),
    ],
)
def test_a_file_that_cannot_be_changed_stays_as_it_is(headrace: Headrace, file: Path, text: str, why: str) -> None:
    file.write_text(text)
    refused = headrace("--env", "dev", "init", "--account", "123456789012", "--region", "eu-west-1")
    assert refused.status != 0
    assert why in refused.err
    assert file.read_text() == text


def test_without_the_file_there_is_nothing_to_write_to(headrace: Headrace) -> None:
    refused = headrace("--env", "dev", "init", "--account", "123456789012", "--region", "eu-west-1")
    assert refused.status == 1
    assert "there is no environments.toml" in refused.err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[a]\nx = "1"\n[b]\nx = "1"\n', '[a]\nx = "1"\n[b]\nx = "2"\n'),
        ("[b] # it\n'x' = '1' # x = \"1\"\n[c]\nx = 3", '[b] # it\n\'x\' = "2" # x = "1"\n[c]\nx = 3'),
        ("[ b ]\r\ny = 1\r\n\r\n# end\r\n", '[ b ]\r\ny = 1\r\nx = "2"\n\r\n# end\r\n'),
        ("[b]\ny = [\n  1,\n]", '[b]\ny = [\n  1,\n]\nx = "2"\n'),
        ('[b]\n\n[[b.c]]\nx = "1"\n', '[b]\nx = "2"\n\n[[b.c]]\nx = "1"\n'),
        ("[b]\ny = 1  # it\n\n# on c\n[c]\n", '[b]\ny = 1  # it\nx = "2"\n\n# on c\n[c]\n'),
        ('b = { x = "1" }\n', 'b = { x = "2" }\n'),
        ('b.x = "1"\n', 'b.x = "2"\n'),
        ('[b]\ny = """\n[c]\n"""\nx = "1"\n', '[b]\ny = """\n[c]\n"""\nx = "2"\n'),
    ],
)
def test_the_edit_leaves_everything_else_as_it_is(before: str, after: str) -> None:
    assert with_values(before, {"b": {"x": "2"}}) == after


def test_a_file_in_another_form_is_left_alone_and_the_lines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(text := "b = { x = 1 }\n")
    with pytest.raises(SetupError, match="has a form that this command cannot change") as refused:
        set_values(path, {"b": {"x": "2"}, "b.pipeline": {"epochs": 3}})
    assert refused.value.hint == 'write by hand under [b]: x = "2"; under [b.pipeline]: epochs = 3'
    assert path.read_text() == text


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
