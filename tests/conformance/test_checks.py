"""How the checks of `make conformance` are run and recorded; tests/prove/test_conformance.py runs them themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from environments.settings import Settings
from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem, unknown
from headrace.errors import UsageError
from tests.conformance import cost
from tests.conformance.__main__ import agreed, refuse_deployed
from tests.conformance.account import doctor
from tests.conformance.checks import HELD, NOT_CHECKED, NOT_HELD, Check, DidNotHold, NotChecked, run
from tests.conformance.recording import Recorder
from tests.conformance.world import World

ACCOUNT = "444455556666"


def world_in(folder: Path, *, local: bool = True) -> World:
    environment = SimpleNamespace(running=object() if local else None, name="dev", account=ACCOUNT)
    return World(cast(Environment, environment), cast(Settings, None), Recorder(folder, ACCOUNT), folder)


def raising(error: Exception) -> Any:
    def act(world: World) -> str:
        raise error

    return act


def test_each_check_has_an_outcome_and_the_next_one_is_run(tmp_path: Path) -> None:
    refused = ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": "0 instances"}}, "CreateTrainingJob")
    checks = [
        Check("a", "…", lambda world: "seen"),
        Check("b", "…", raising(DidNotHold("otherwise"))),
        Check("c", "…", raising(NotChecked("no run"))),
        Check("d", "…", raising(refused)),
        Check("e", "…", raising(KeyError("Tags"))),
        Check("f", "…", raising(AssertionError("not asked here")), aws_only="it has no quotas"),
        Check("g", "…", by_hand="look a day later"),
    ]
    outcomes = {outcome.check.name: (outcome.status, outcome.seen) for outcome in run(checks, world_in(tmp_path))}
    assert outcomes["a"] == (HELD, "seen")
    assert outcomes["b"] == (NOT_HELD, "otherwise")
    assert outcomes["c"] == (NOT_CHECKED, "no run")
    assert outcomes["d"][0] == NOT_HELD
    assert "ResourceLimitExceeded" in outcomes["d"][1]
    assert outcomes["e"] == (NOT_HELD, "the answer has another form: KeyError: 'Tags'")
    assert outcomes["f"] == (NOT_CHECKED, "not here: it has no quotas")
    assert outcomes["g"] == (NOT_CHECKED, "look a day later")


def test_what_the_local_cloud_cannot_answer_is_asked_on_aws(tmp_path: Path) -> None:
    (outcome,) = run([Check("a", "…", lambda world: "seen", aws_only="not here")], world_in(tmp_path, local=False))
    assert outcome.status == HELD


def test_a_fixture_names_neither_the_account_nor_the_caller(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ACCOUNT)
    recorder.check = "account"
    recorder.record(
        "sts.get_caller_identity",
        {
            "Account": ACCOUNT,
            "Arn": f"arn:aws:iam::{ACCOUNT}:user/somebody",
            "ResponseMetadata": {},
            "JobArn": f"arn:aws:sagemaker:eu-central-1:{ACCOUNT}:training-job/a",
            "When": datetime(2026, 11, 1, tzinfo=UTC),
        },
    )
    (path,) = tmp_path.iterdir()
    assert path.name == "001-account-sts-get-caller-identity.json"
    assert json.loads(path.read_text()) == {
        "Account": "111122223333",
        "JobArn": "arn:aws:sagemaker:eu-central-1:111122223333:training-job/a",
        "When": "2026-11-01T00:00:00+00:00",
    }


def test_what_was_made_is_taken_away_the_last_first_and_what_stays_is_named(tmp_path: Path) -> None:
    world, gone = world_in(tmp_path), []
    world.cleanup += [
        ("the queue", lambda: gone.append("queue")),
        ("the rule", raising_now),
        ("a", lambda: gone.append("a")),
    ]
    assert world.clean_up() == ["the rule: it has targets"]
    assert gone == ["a", "queue"]
    assert world.clean_up() == []


def raising_now() -> None:
    raise RuntimeError("it has\ntargets")


def test_a_deployed_environment_is_refused() -> None:
    environment = SimpleNamespace(name="dev", stack_name="headrace-dev", find_stack=lambda name: {"StackName": name})
    with pytest.raises(UsageError, match="dev is deployed") as refused:
        refuse_deployed(cast(Environment, environment))
    assert "[conformance]" in str(refused.value.hint)


def test_the_cost_is_said_first_and_nothing_is_made_without_consent_or_above_the_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = SimpleNamespace(
        capacity="spot", processing_instance_type="ml.p", train_instance_type="ml.t", train_instance_count=1
    )
    settings = cast(
        Settings, SimpleNamespace(pipeline=pipeline, endpoint_instance_type="ml.e", endpoint_instance_count=1)
    )

    def environment(**prices: float) -> Environment:
        usd = {f"ml.{name}": price for name, price in prices.items()}
        found = SimpleNamespace(
            name="dev", account=ACCOUNT, region="us-east-1", prices=SimpleNamespace(usd_per_hour=usd)
        )
        return cast(Environment, found)

    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert not agreed(environment(p=1, t=1, e=1), settings, yes=False)
    assert "together at most 4.20 USD" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert agreed(environment(p=1, t=1, e=1), settings, yes=False)
    assert agreed(environment(p=1, t=1, e=1), settings, yes=True)
    assert not agreed(environment(p=9, t=1, e=1), settings, yes=True)
    assert not agreed(environment(p=1, t=1), settings, yes=True)  # no price for the endpoint
    assert f"more than {cost.MOST_USD:.2f} USD, or not known\nhint: " in capsys.readouterr().err


def test_a_problem_of_the_doctors_does_not_hold_and_its_cure_is_named(tmp_path: Path) -> None:
    def finds(*findings: Finding) -> Any:
        return doctor(lambda environment: findings)

    world = world_in(tmp_path)
    assert finds(ok("quota", "plenty"), unknown("quota", "no answer", hint=None))(world) == "plenty"
    with pytest.raises(DidNotHold, match=r"it is 0 \(ask AWS for more\)"):
        finds(ok("quota", "plenty"), problem("quota", "it is 0", hint="ask AWS for more"))(world)
    with pytest.raises(NotChecked, match="it has no effect with these settings"):
        finds()(world)
    assert len(list(tmp_path.glob("*-doctor.json"))) == 3
