"""Runs in money: what they may cost at most, what they did cost, and what spot capacity saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_aws import FakeAws
from scripted_cloud import Result
from scripted_sagemaker import ARN, FakeSageMaker

Headrace = Callable[..., Result]

# conftest.py writes prices.toml: 0.36 USD an hour, so 0.0001 a second, for the training jobs' ml.m5.xlarge.


def run_with(sagemaker: FakeSageMaker, *, at_most: str = "", cached: bool = False, **training: Any) -> None:
    """A run that trained once, on spot capacity: 1,000 s long, of which 300 were billed."""
    arn = sagemaker.add_run("run1", "Succeeded", at_most=at_most)
    job = {"EnableManagedSpotTraining": True, "TrainingTimeInSeconds": 1000, "BillableTimeInSeconds": 300}
    sagemaker.jobs["job1"] = job | training
    source = {"SourcePipelineExecutionArn": f"{ARN}:pipeline/headrace-local/execution/before"} if cached else {}
    sagemaker.add_step(
        arn, "TrainSpot", "Succeeded", Metadata={"TrainingJob": {"Arn": f"{ARN}:training-job/job1"}},
        CacheHitResult=source,
    )  # fmt: skip


def resources(*groups: tuple[str, int]) -> dict[str, Any]:
    kinds = [{"InstanceGroupName": f"g{n}", "InstanceType": kind, "InstanceCount": count}
             for n, (kind, count) in enumerate(groups)]  # fmt: skip
    return {"InstanceGroups": kinds, "VolumeSizeInGB": 1}


def money_of(result: Result) -> tuple[Any, ...]:
    (run,) = result.data
    return run["cost_usd"], run["spot_saved_usd"], run["estimated_cost_usd"]


def test_a_run_costs_its_billed_seconds_and_spot_saves_the_others(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    run_with(sagemaker, at_most="8.844")
    header, row = headrace("runs").out.splitlines()
    assert re.search(r"spot saves +cost +at most +reason$", header)
    assert re.search(r"  70%, \$0\.0700 +\$0\.0300 +\$8\.84$", row)
    assert money_of(headrace("runs", "--json")) == (0.03, 0.07, 8.844)


def test_each_instance_of_a_job_costs(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    run_with(sagemaker, ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 4, "VolumeSizeInGB": 1})
    assert money_of(headrace("runs", "--json")) == (0.12, 0.28, None)


def test_each_group_of_a_mixed_cluster_costs(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    run_with(sagemaker, ResourceConfig=resources(("ml.m5.xlarge", 2), ("ml.m5.large", 1)), BillableTimeInSeconds=360)
    assert money_of(headrace("runs", "--json"))[0] == round(360 * (2 * 0.36 + 0.1) / 3600, 6)


def test_a_processing_job_costs_from_its_start_to_its_end(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    """30 s, as the scripted SageMaker reports them, at 0.1 USD an hour."""
    arn = sagemaker.add_run("run1", "Succeeded")
    sagemaker.add_step(
        arn, "Preprocess", "Succeeded", Metadata={"ProcessingJob": {"Arn": f"{ARN}:processing-job/job1"}}
    )
    (run,) = headrace("runs", "--json").data
    assert run["processing"] == [
        {"step": "Preprocess", "job": "job1", "billable_seconds": 30, "cost_usd": 0.000833}
    ]  # fmt: skip
    assert run["cost_usd"] == 0.000833


def test_a_cached_job_costs_nothing(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    run_with(sagemaker, cached=True)
    assert money_of(headrace("runs", "--json")) == (0, 0, None)
    assert re.search(r"  -  +\$0\.00  +-$", headrace("runs").out.splitlines()[1])


@pytest.mark.parametrize("remove", [True, False])
def test_a_type_without_a_price_is_a_question_mark_and_one_warning(
    headrace: Headrace, sagemaker: FakeSageMaker, tmp_path: Path, remove: bool
) -> None:
    """Whether its price is missing or the whole file is: never a wrong sum."""
    kind = "ml.m5.xlarge" if remove else "ml.p9.huge"
    if remove:
        (tmp_path / "prices.toml").unlink()
    run_with(sagemaker, ResourceConfig=resources((kind, 1), (kind, 2)))
    listed = headrace("runs")
    assert re.search(r"  70%, \? +\? +-$", listed.out.splitlines()[1])
    warning = f"warning: no price for {kind}: add it under [us-east-1.usd_per_hour] in prices.toml\n"
    assert listed.err.count("warning") == 1
    assert warning in listed.err
    as_json = headrace("runs", "--json")
    assert money_of(as_json) == (None, None, None)
    assert as_json.err == warning
    watched = headrace("watch", "run1")
    assert watched.out.endswith("on AWS it would have cost ?\n")
    assert warning in watched.err


@pytest.mark.parametrize("text", ["[", "us-east-1 = 3", '[us-east-1.usd_per_hour]\n"ml.m5.xlarge" = "cheap"'])
def test_a_price_table_that_is_none_is_said(
    headrace: Headrace, sagemaker: FakeSageMaker, tmp_path: Path, text: str
) -> None:
    (tmp_path / "prices.toml").write_text(text)
    run_with(sagemaker)
    result = headrace("runs")
    assert result.status == 1
    assert f"error: {tmp_path / 'prices.toml'} is not a valid table of prices: " in result.err
    assert "hint: git diff " in result.err


def test_watch_ends_with_the_cost_and_the_most_that_it_might_have_been(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    run_with(sagemaker, at_most="8.844")
    result = headrace("watch", "run1")
    assert result.out.endswith("on AWS it would have cost $0.0300 of at most $8.84\n")


def test_watch_on_aws_says_what_it_did_cost(
    headrace: Headrace, sagemaker: FakeSageMaker, aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "environments.toml").write_text(f'[prod]\nregion = "us-east-1"\naccount = "{aws.account}"\n')
    for name, value in {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    run_with(sagemaker)
    result = headrace("--env", "prod", "watch", "run1")
    assert result.out.endswith("it cost $0.0300\n")
    assert "on AWS" not in result.out
