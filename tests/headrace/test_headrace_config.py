"""`headrace config`: each setting with value, default, meaning and the place where it is set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_cloud import FakeCloud, Result, follow

Headrace = Callable[..., Result]
TOML = """\
[local]
account = "000000000000"
region = "us-east-1"      # the region
quiet_seconds = 3
quite_seconds = 4

[local.pipeline]
epochs = 12

[local.lines.pets]
data_sets = ["pets*"]
[local.lines.pets.pipeline]
image_size = 96

[prod]
account = "222222222222"
region = "eu-central-1"
inference_image = "mine:1"
[prod.pipeline]
network = "timm:resnet18"

[live]
account = "333333333333"
region = "eu-central-1"
promotes_from = "prod"
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(TOML)


def read(headrace: Headrace, *arguments: str) -> dict[str, dict[str, Any]]:
    result = headrace(*arguments, "config", "--json")
    assert result.status == 0, result.err
    return {item["name"]: item for item in result.data}


def test_a_setting_shows_where_it_is_set(headrace: Headrace) -> None:
    settings = read(headrace)
    assert settings["quiet_seconds"] | {"meaning": ""} == {
        "name": "quiet_seconds", "value": 3, "default": 60, "where": "environments.toml [local], line 4",
        "type": "a whole number", "meaning": "",
    }  # fmt: skip
    assert "counts as complete" in settings["quiet_seconds"]["meaning"]
    assert settings["pipeline.epochs"]["where"] == "environments.toml [local.pipeline], line 8"
    assert (settings["log_retention_days"]["value"], settings["log_retention_days"]["where"]) == (30, "default")
    assert "catalog.owner" not in settings


def test_a_misspelled_setting_is_warned_of(headrace: Headrace) -> None:
    assert "warning: quite_seconds in [local] is not a setting" in headrace("config").err


def test_a_line_has_its_own_settings_and_the_environments(headrace: Headrace) -> None:
    settings = read(headrace)
    assert settings["lines.pets.data_sets"]["value"] == ["pets*"]
    assert (
        settings["lines.pets.pipeline.image_size"]["where"] == "environments.toml [local.lines.pets.pipeline], line 13"
    )


def test_an_environment_that_promotes_takes_model_settings_from_its_source(headrace: Headrace) -> None:
    settings = read(headrace, "--env", "live")
    assert settings["inference_image"]["where"] == "environments.toml [prod], line 18"
    assert settings["pipeline.network"]["value"] == "timm:resnet18"
    assert settings["promotes_from"]["value"] == "prod"


def test_one_setting_is_shown_by_its_name(headrace: Headrace) -> None:
    for name in ("epochs", "pipeline.epochs"):
        rows = headrace("config", name).out.splitlines()
        assert len(rows) == 2
        assert rows[1].split()[:3] == ["pipeline.epochs", "12", "20"]
    unknown = headrace("config", "epoch")
    assert unknown.status == 1
    assert "local has no setting 'epoch'" in unknown.err
    assert follow(headrace, unknown.hint).status == 0


def test_it_needs_no_local_cloud_and_no_aws(headrace: Headrace, cloud: FakeCloud) -> None:
    cloud.is_up = False
    assert headrace("--env", "prod", "config").status == 0


def test_without_the_file_or_the_environment_it_says_so(headrace: Headrace, tmp_path: Path) -> None:
    assert "there is no environment 'qa'" in headrace("--env", "qa", "config").err
    (tmp_path / "environments.toml").unlink()
    result = headrace("config")
    assert (result.status, "there is no environments.toml here" in result.err) == (1, True)
