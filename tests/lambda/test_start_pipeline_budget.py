"""The cost guard: what a run may cost at most, and that none is started that may cost more than it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import BUCKET, UploadWorld

from run_costs import DEFAULT_SECONDS
from shared.errors import BudgetError, SettingError
from start_pipeline.runs.budget import Budget, estimate

PRICES = {"ml.m5.large": 0.1, "ml.g5.xlarge": 1.5}
HOUR = 3600


def processing(name: str, *, kind: Any = "ml.m5.large", count: Any = 1, seconds: Any = HOUR) -> dict[str, Any]:
    cluster = {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": 30}
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {"ClusterConfig": cluster},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        },
    }


def training(name: str, *, kind: Any = "ml.g5.xlarge", count: Any = 1, seconds: Any = HOUR, **more: Any) -> Any:
    resources = {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": 30} | more
    return {
        "Name": name,
        "Type": "Training",
        "Arguments": {"ResourceConfig": resources, "StoppingCondition": {"MaxRuntimeInSeconds": seconds}},
    }


def definition(*steps: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    parameters = [{"Name": name, "DefaultValue": value} for name, value in defaults.items()]
    return {"Version": "2020-12-01", "Parameters": parameters, "Steps": list(steps)}


def total(*steps: dict[str, Any], **parameters: str) -> float:
    return estimate(definition(*steps), parameters, PRICES).total


def test_each_job_counts_for_as_long_as_it_may_run_on_each_of_its_instances() -> None:
    steps = processing("A"), training("B", count=4, seconds=2 * HOUR)
    assert total(*steps) == pytest.approx(0.1 + 4 * 2 * 1.5)


@pytest.mark.parametrize("step", [processing("A"), training("A", kind="ml.m5.large")])
def test_a_job_without_a_limit_counts_for_a_day(step: dict[str, Any]) -> None:
    del step["Arguments"]["StoppingCondition"]
    assert DEFAULT_SECONDS == 86_400
    assert total(step) == pytest.approx(24 * 0.1)


def test_spot_counts_at_the_price_of_on_demand_capacity_and_without_its_wait() -> None:
    step = training("A")
    step["Arguments"] |= {"EnableManagedSpotTraining": True}
    step["Arguments"]["StoppingCondition"]["MaxWaitTimeInSeconds"] = 9 * HOUR
    assert total(step) == pytest.approx(1.5)


def test_a_warm_pool_counts_for_as_long_as_it_waits() -> None:
    assert total(training("A", KeepAlivePeriodInSeconds=HOUR)) == pytest.approx(2 * 1.5)


def test_every_group_of_a_mixed_cluster_counts() -> None:
    step = training("A")
    groups = [{"InstanceType": "ml.g5.xlarge", "InstanceCount": 2}, {"InstanceType": "ml.m5.large", "InstanceCount": 3}]
    step["Arguments"]["ResourceConfig"] = {"InstanceGroups": groups}
    assert total(step) == pytest.approx(2 * 1.5 + 3 * 0.1)


def test_a_tuning_step_counts_all_its_jobs_at_the_dearest() -> None:
    jobs = [training("x", kind=kind)["Arguments"] for kind in ("ml.m5.large", "ml.g5.xlarge")]
    limits = {"ResourceLimits": {"MaxNumberOfTrainingJobs": 7, "MaxParallelTrainingJobs": 2}}
    step = {"Name": "Tune", "Type": "Tuning", "Arguments": {"HyperParameterTuningJobConfig": limits}}
    step["Arguments"]["TrainingJobDefinition"] = jobs[0]  # type: ignore[index]
    assert total(step) == pytest.approx(7 * 0.1)
    step["Arguments"]["TrainingJobDefinitions"] = jobs  # type: ignore[index]
    assert total(step) == pytest.approx(7 * 1.5)


def test_both_branches_of_a_condition_count() -> None:
    branches = {"IfSteps": [processing("A")], "ElseSteps": [training("B")], "Conditions": []}
    assert total({"Name": "Check", "Type": "Condition", "Arguments": branches}) == pytest.approx(1.6)


@pytest.mark.parametrize("kind", ["Lambda", "Fail", "RegisterModel", "Model"])
def test_a_step_without_instances_costs_nothing(kind: str) -> None:
    assert total({"Name": "A", "Type": kind, "Arguments": {}}) == 0


def test_a_parameter_counts_as_the_run_sets_it_else_by_its_default() -> None:
    step = training("A", kind={"Get": "Parameters.Type"}, count={"Get": "Parameters.Count"})
    known = definition(step, Type="ml.m5.large", Count=2)
    assert estimate(known, {}, PRICES).total == pytest.approx(0.2)
    assert estimate(known, {"Type": "ml.g5.xlarge", "Count": "3"}, PRICES).total == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (training("A", kind="ml.p9.huge"), "step A: there is no price for the instance type ml.p9.huge"),
        (training("A", kind={"Get": "Parameters.Unset"}), "step A: InstanceType is None"),
        (processing("A", kind={"Get": "Steps.B.Type"}), "step A: InstanceType is {'Get': 'Steps.B.Type'}"),
        (training("A", count={"Get": "Parameters.Unset"}), "step A: InstanceCount is None"),
        (training("A", count=-3), "step A: InstanceCount is -3"),
        (training("A", count=True), "step A: InstanceCount is True"),
        (processing("A", seconds="soon"), "step A: MaxRuntimeInSeconds is 'soon'"),
        (training("A", KeepAlivePeriodInSeconds=-1), "step A: KeepAlivePeriodInSeconds is -1"),
        ({"Name": "A", "Type": "Tuning", "Arguments": {}}, "step A: MaxNumberOfTrainingJobs is None"),
        ({"Name": "A", "Type": "Transform", "Arguments": {}}, "step A: nobody knows beforehand what a step of type"),
        ({"Name": "A", "Type": "EMR", "Arguments": {}}, "step A: nobody knows beforehand what a step of type EMR"),
    ],
)
def test_what_cannot_be_known_is_refused_and_never_guessed(step: dict[str, Any], message: str) -> None:
    with pytest.raises(BudgetError) as refusal:
        total(step)
    assert refusal.value.what.startswith(message)
    assert refusal.value.hint


kinds = st.sampled_from(sorted(PRICES))
numbers = st.integers(1, 50)
jobs = st.builds(
    lambda make, kind, count, seconds: make("A", kind=kind, count=count, seconds=seconds),
    st.sampled_from([processing, training]),
    kinds,
    numbers,
    st.integers(1, 500_000),
)


@given(st.lists(jobs, min_size=1, max_size=6), st.data())
def test_the_estimate_grows_with_every_limit_and_is_never_below_one_job(steps: list[Any], data: st.DataObject) -> None:
    """More seconds, more instances or one more step never cost less."""
    before = total(*steps)
    assert before >= max(total(step) for step in steps) > 0
    step = data.draw(st.sampled_from(steps))["Arguments"]
    step["StoppingCondition"]["MaxRuntimeInSeconds"] += data.draw(numbers)
    longer = total(*steps)
    resources = step.get("ResourceConfig") or step["ProcessingResources"]["ClusterConfig"]
    resources["InstanceCount"] += data.draw(numbers)
    wider = total(*steps)
    assert before < longer < wider < total(*steps, data.draw(jobs))


@given(st.lists(jobs, min_size=1, max_size=6), st.floats(0.01, 10_000))
def test_what_is_approved_fits_the_limit_and_what_is_refused_does_not(steps: list[Any], limit: float) -> None:
    try:
        assert Budget(limit, PRICES).approve(definition(*steps), {}).total <= limit
    except BudgetError:
        assert total(*steps) > limit


def test_a_refusal_says_sum_limit_and_the_dearest_steps() -> None:
    steps = [training(f"Train{number}", count=number) for number in range(1, 8)]
    with pytest.raises(BudgetError) as refusal:
        Budget(10, PRICES).approve(definition(*steps), {})
    assert refusal.value.what == (
        "a run may cost 42.00 USD, and max_run_cost is 10.00 USD: Train7: 10.50 USD (7 ml.g5.xlarge for 3,600 s), "
        "Train6: 9.00 USD (6 ml.g5.xlarge for 3,600 s), Train5: 7.50 USD (5 ml.g5.xlarge for 3,600 s), "
        "Train4: 6.00 USD (4 ml.g5.xlarge for 3,600 s), Train3: 4.50 USD (3 ml.g5.xlarge for 3,600 s), …"
    )
    for word in ("max_run_cost", "max_run_seconds", "cheaper instance types", "headrace redrive"):
        assert word in refusal.value.hint


@pytest.mark.parametrize(
    ("limit", "prices"),
    [("much", "{}"), ("0", "{}"), ("nan", "{}"), ("inf", "{}"), ("3", "{"), ("3", '{"a": "b"}'), ("3", '{"a": -1}')],
)
def test_a_limit_or_a_price_that_is_none_is_refused(limit: str, prices: str) -> None:
    with pytest.raises(SettingError):
        Budget.from_variables({"MAX_RUN_COST": limit, "PRICES": prices})


def priced(world: UploadWorld, limit: float) -> None:
    """The pipeline's two jobs may cost 2 USD."""
    world.environment = replace(world.environment, budget=Budget(limit, {"ml.m5.large": 1.0}))

    def limited(definition: dict[str, Any]) -> None:
        for step, make in zip(definition["Steps"], (processing, training), strict=False):
            step["Arguments"] |= make("_", kind="ml.m5.large")["Arguments"]

    world.put_definition(limited)


def deliver_all(world: UploadWorld) -> None:
    """Until the queue is empty, whatever is dead-lettered."""
    while world.cloud.queue:
        message = min(world.cloud.queue, key=lambda message: message.due)
        world.cloud.now = max(world.cloud.now, message.due)
        assert world.deliver(message)


def test_a_run_that_may_cost_too_much_is_set_aside_with_the_reason_and_nothing_is_recorded(
    world: UploadWorld, logged: Callable[[], list[dict[str, Any]]]
) -> None:
    priced(world, limit=1.99)
    world.upload("datasets/birds/1.jpg")
    deliver_all(world)
    (letter,) = world.cloud.dead_letters
    assert letter.reason.startswith(
        "OverBudgetError: a run may cost 2.00 USD, and max_run_cost is 1.99 USD: Preprocess"
    )
    assert "hint: raise max_run_cost" in letter.reason
    assert world.executions() == []
    assert world.cloud.keys(BUCKET, "ledger/") == []
    assert logged()[-1]["type"] == "OverBudgetError"
    (told,) = world.cloud.notices
    assert (told["kind"], told["data_set"], told["estimated_cost"], told["max_run_cost"]) == (
        "budget",
        "birds",
        2.0,
        1.99,
    )
    assert told["breakdown"][0].startswith("Preprocess: 1.00 USD")


def test_it_runs_when_it_is_redriven_after_the_limit_was_raised(world: UploadWorld) -> None:
    priced(world, limit=1.99)
    world.upload("datasets/birds/1.jpg")
    deliver_all(world)
    priced(world, limit=2)
    world.redrive()
    world.settle()
    (execution,) = world.executions()
    assert execution.description.startswith("costs at most 2.0 USD; start ")
    (key,) = [key for key in world.cloud.keys(BUCKET, "ledger/") if not key.startswith("ledger/latest/")]
    assert world.document(key)["estimated_cost"] == 2


def test_a_run_that_has_been_is_not_asked_for_its_cost_again(world: UploadWorld) -> None:
    """A late event of content that ran before the limit was lowered is not dead-lettered."""
    priced(world, limit=2)
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Succeeded")
    world.environment = replace(world.environment, budget=Budget(0.01, {"ml.m5.large": 1.0}))
    world.send({"headrace": "check", "data_set": "birds", "sent": 0})
    world.settle()
    assert len(world.executions()) == 1


@pytest.mark.parametrize("wish", ["run-again", "upload"])
def test_another_attempt_is_asked_for_its_cost(world: UploadWorld, wish: str) -> None:
    priced(world, limit=2)
    world.upload_and_settle("datasets/birds/1.jpg")
    world.finish("Failed")
    world.environment = replace(world.environment, budget=Budget(0.01, {"ml.m5.large": 1.0}))
    if wish == "upload":
        world.upload("datasets/birds/1.jpg")
    else:
        world.send({"headrace": wish, "data_set": "birds"})
    deliver_all(world)
    assert len(world.cloud.dead_letters) == 1
    assert len(world.executions()) == 1
