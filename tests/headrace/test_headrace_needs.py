"""The quotas that an environment's settings need."""

from __future__ import annotations

from pathlib import Path

from headrace.commands.doctor.needs import needs
from headrace.project.settings import settings_of

PLENTY = """\
[dev]
account = "111111111111"
region = "us-east-1"
endpoint_instance_count = 2
[dev.pipeline]
capacity = "on-demand"
train_instance_count = 2
keep_alive_seconds = 600
[[dev.pipeline.variants]]
name = "a"
[[dev.pipeline.variants]]
name = "b"
[dev.lines.pets]
data_sets = ["pets"]
[dev.lines.pets.pipeline]
capacity = "both"
train_instance_type = "ml.m5.xlarge"
variants = []
tuning_jobs = 9
tuning_jobs_at_once = 3
"""


def test_what_runs_side_by_side_is_added_up(tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(PLENTY)
    found = {need.quota: need.count for need in needs(settings_of("dev"))}
    assert found == {
        "ml.g4dn.xlarge for training job usage": 4,  # two variants on two instances
        "Number of instances across all training jobs": 6,
        "ml.g4dn.xlarge for training warm pool usage": 4,
        "ml.m5.xlarge for training warm pool usage": 3 * 2,
        "ml.m5.xlarge for training job usage": 3 * 2,  # the search is wider than the one training after it
        "ml.m5.xlarge for spot training job usage": 2,
        "Number of instances across all spot training jobs": 2,
        "ml.m5.xlarge for processing job usage": 1,
        "Number of instances across all processing jobs": 1,
        "ml.m5.large for endpoint usage": 6,  # two endpoints of two, and an update of one of them
    }


def test_an_environment_that_promotes_needs_its_endpoint_alone(tmp_path: Path) -> None:
    live = '[live]\naccount = "333333333333"\nregion = "us-east-1"\npromotes_from = "dev"\n'
    (tmp_path / "environments.toml").write_text(PLENTY + live)
    assert [need.quota for need in needs(settings_of("live"))] == ["ml.m5.large for endpoint usage"]
