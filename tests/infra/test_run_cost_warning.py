"""A max_run_cost that no run could keep is said when the app is synthesized, not by the first upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import App, Stack
from aws_cdk.assertions import Annotations, Match

from environments.settings import load_settings
from infra.stacks.run_cost_warning import warn_of_run_cost

ENVIRONMENT = """\
[dev]
account = "111111111111"
region = "us-east-1"
max_run_cost = {limit}
[dev.pipeline]
capacity = "spot"
train_instance_type = "ml.m5.xlarge"
max_run_seconds = 3600
[dev.lines.pets]
data_sets = ["pets"]
[dev.lines.pets.pipeline]
max_run_seconds = {seconds}
"""
PRICES = '[us-east-1.usd_per_hour]\n"ml.m5.xlarge" = 1.0\n'


def warnings(folder: Path, limit: float, seconds: int = 3600) -> Any:
    (folder / "environments.toml").write_text(ENVIRONMENT.format(limit=limit, seconds=seconds))
    (folder / "prices.toml").write_text(PRICES)
    settings = load_settings(folder / "environments.toml", "dev")
    stack = Stack(App(), "Test")
    warn_of_run_cost(stack, settings)
    return Annotations.from_stack(stack).find_warning("*", Match.any_value())


def test_a_limit_that_a_run_may_exceed_is_said_with_the_sum_and_the_cure(tmp_path: Path) -> None:
    (found, _) = warnings(tmp_path, limit=2.5)
    said = found.entry.data
    assert "environments.toml [dev]: max_run_cost is 2.50 USD, and a run may cost 3.00 USD" in said
    assert "hint: raise max_run_cost to 3.00, or lower max_run_seconds" in said
    assert "under [dev.pipeline]" in said


def test_each_line_is_judged_on_its_own(tmp_path: Path) -> None:
    (found,) = warnings(tmp_path, limit=3.0, seconds=7200)
    assert "a run may cost 6.00 USD" in found.entry.data
    assert "under [dev.lines.pets.pipeline]" in found.entry.data


def test_a_limit_that_is_enough_gives_no_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, limit=3.0) == []
