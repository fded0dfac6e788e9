"""A function's settings: each wrong variable is named, all at once, with what it has to be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from deploy_model.environment import Environment as DeployEnvironment
from deploy_model.environment import Instances
from notify.environment import Environment as NotifyEnvironment
from shared.env_vars import NOT_READ, Variables
from shared.errors import SettingError
from start_pipeline.environment import Environment as StartEnvironment


@dataclass(frozen=True, slots=True)
class Inner(Variables):
    price: Annotated[float, "USD"]
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outer(Variables):
    text: str
    count: Annotated[int, "NUMBER", range(1, 11)]
    maybe: Annotated[int, range(1, 3)] | None = None
    inner: Inner | None = None
    kinds: frozenset[str] = frozenset({"PNG"})
    names: tuple[str, ...] = ()
    named: Mapping[str, str | list[str]] = field(default_factory=dict)
    endpoints: Mapping[str, Instances] = field(default_factory=dict)
    line: Annotated[str, NOT_READ] = ""


LEAST = {"TEXT": "t", "NUMBER": "3"}


def test_what_may_be_left_out_has_its_default_and_the_rest_is_not_read() -> None:
    assert Outer.from_variables(LEAST | {"COUNT": "4", "LINE": "pets", "PRICES": "{}"}) == Outer("t", 3)


def test_every_type_is_read() -> None:
    given = {
        "MAYBE": "2",
        "USD": "0.5",
        "PRICES": '{"a": 1, "b": 0.25}',
        "KINDS": '["GIF"]',
        "NAMES": '["a", "b"]',
        "NAMED": '{"x": "y", "z": ["1", "2"]}',
        "ENDPOINTS": '{"pets": {"count": 2, "type": "t"}}',
    }
    assert Outer.from_variables(LEAST | given) == Outer(
        text="t",
        count=3,
        maybe=2,
        inner=Inner(0.5, {"a": 1, "b": 0.25}),
        kinds=frozenset({"GIF"}),
        names=("a", "b"),
        named={"x": "y", "z": ["1", "2"]},
        endpoints={"pets": Instances("t", 2)},
    )


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        ("TEXT", "", "is not set", "deploy the stack again: it sets every variable"),
        ("NUMBER", "", "is not set", "deploy the stack again: it sets every variable"),
        ("NUMBER", "0", "is '0'", "give a whole number from 1 to 10"),
        ("NUMBER", "11", "is '11'", "give a whole number from 1 to 10"),
        ("NUMBER", "1.0", "is '1.0'", "give a whole number from 1 to 10"),
        ("NUMBER", "true", "is 'true'", "give a whole number from 1 to 10"),
        ("NUMBER", "many", "is 'many'", "give a whole number from 1 to 10"),
        ("MAYBE", "3", "is '3'", "give a whole number from 1 to 2"),
        ("MAYBE", "", "is not set", "deploy the stack again: it sets every variable"),
        ("USD", "Infinity", "is 'Infinity'", "give a number above 0"),
        ("USD", "NaN", "is 'NaN'", "give a number above 0"),
        ("USD", "", "is not set", "deploy the stack again: it sets every variable"),
        ("PRICES", '{"a": 0}', "holds '{\"a\": 0}'", "give a JSON object of numbers above 0"),
        ("PRICES", '{"a": true}', "holds '{\"a\": true}'", "give a JSON object of numbers above 0"),
        ("PRICES", "[1]", "holds '[1]'", "give a JSON object of numbers above 0"),
        ("KINDS", "{}", "holds '{}'", "give a JSON list of strings"),
        ("NAMES", "pets", "is not valid JSON: Expecting value", "give a JSON list of strings"),
        ("NAMES", '"pets"', "holds '\"pets\"'", "give a JSON list of strings"),
        ("NAMES", '["a", 1]', "holds '[\"a\", 1]'", "give a JSON list of strings"),
        ("NAMED", '{"a": [1]}', "holds '{\"a\": [1]}'", "give a JSON object of strings and lists of strings"),
        ("NAMED", '{"a": 1}', "holds '{\"a\": 1}'", "give a JSON object of strings and lists of strings"),
        (
            "ENDPOINTS",
            '{"a": {"type": "t", "count": 0}}',
            "holds",
            "give a JSON object of objects with type (a string) and count (a whole number from 1 to 100)",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_what_it_has_to_be(name: str, value: str, message: str, hint: str) -> None:
    given = LEAST | {"USD": "1", "PRICES": "{}", name: value}
    with pytest.raises(SettingError) as caught:
        Outer.from_variables(given)
    assert caught.value.what.startswith(f"the environment variable {name} {message}")
    assert caught.value.hint == hint


def test_all_wrong_variables_are_named_at_once_and_each_hint_once() -> None:
    with pytest.raises(SettingError) as caught:
        Outer.from_variables({"NUMBER": "x", "USD": "x", "NAMES": "{}", "KINDS": "{}"})
    assert caught.value.what.split("; ") == [
        "the environment variable TEXT is not set",
        "the environment variable NUMBER is 'x'",
        "the environment variable USD is 'x'",
        "the environment variable PRICES is not set",
        "the environment variable KINDS holds '{}'",
        "the environment variable NAMES holds '{}'",
    ]
    assert caught.value.hint.count("give a JSON list of strings") == 1


@pytest.mark.parametrize(
    ("environment", "needed"),
    [
        (
            StartEnvironment,
            "DATA_BUCKET PIPELINE_NAME PIPELINE_ROLE_ARN QUEUE_URL DEAD_LETTER_QUEUE_URL NOTICES_QUEUE_URL "
            "QUIET_SECONDS BINDINGS",
        ),
        (
            DeployEnvironment,
            "ENDPOINT_NAME ENDPOINT_ROLE_ARN MODEL_PACKAGE_GROUP_NAME MODEL_PACKAGE_GROUP_ARN ENDPOINT_INSTANCE_TYPE "
            "ENDPOINT_INSTANCE_COUNT QUEUE_URL DEAD_LETTER_QUEUE_URL NOTICES_QUEUE_URL",
        ),
        (
            NotifyEnvironment,
            "ENVIRONMENT QUEUE_URL DEAD_LETTER_QUEUE_URL TOPIC_ARN DATA_BUCKET PIPELINE_NAME MODEL_PACKAGE_GROUP_NAME "
            "ENDPOINT_NAME COMMAND REGISTRY_COMMAND",
        ),
    ],
)
def test_what_each_function_needs(environment: Any, needed: str) -> None:
    with pytest.raises(SettingError) as caught:
        environment.from_variables({})
    assert caught.value.what.split("; ") == [f"the environment variable {name} is not set" for name in needed.split()]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("QUIET_SECONDS", "901", "QUIET_SECONDS is '901'"),
        ("QUIET_SECONDS", "-1", "QUIET_SECONDS is '-1'"),
        ("BINDINGS", '{"DataBucket": 1}', "BINDINGS holds"),
        ("IMAGE_KINDS", '{"a": 1}', "IMAGE_KINDS holds"),
        ("LINES", '{"pets": "pets*"}', "LINES holds"),
        ("PARAMETER_DEFAULTS", '{"Epochs": 1}', "PARAMETER_DEFAULTS holds"),
        ("MAX_RUNS_PER_DAY", "0", "MAX_RUNS_PER_DAY is '0'"),
        ("MAX_RUN_COST", "3", "PRICES is not set"),
    ],
)
def test_a_wrong_variable_of_the_trigger_is_named(name: str, value: str, message: str) -> None:
    urls = ("QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "NOTICES_QUEUE_URL")
    right = dict.fromkeys(("DATA_BUCKET", "PIPELINE_NAME", "PIPELINE_ROLE_ARN", *urls), "x")
    right |= {"QUIET_SECONDS": "0", "BINDINGS": "{}"}
    assert StartEnvironment.from_variables(right).budget is None
    with pytest.raises(SettingError, match=message):
        StartEnvironment.from_variables(right | {name: value})
