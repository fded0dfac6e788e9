"""The schemas for editors: environments/*.schema.json are those of the sources, and agree with the reader."""

from __future__ import annotations

import importlib.util
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache, reduce
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from jsonschema import Draft7Validator
from promoting_project import with_example
from settings_schema import WRITE, environments_schema, prices_schema, schemas
from suite import PROJECT

from environments.catalog import load_catalog_settings
from environments.delivery import load_delivery_settings
from environments.description import described_tables
from environments.prices import load_prices
from environments.projects import load_project_settings
from environments.settings import PROJECTS, load_settings
from environments.typed_table import SettingsError

TESTS = Path(__file__).parents[1]
GOOD = 'account = "123456789012"\nregion = "eu-central-1"\n'
SCHEMA = environments_schema()
VALIDATOR = Draft7Validator(SCHEMA)
PRICES = Draft7Validator(prices_schema())

# One mistake each, beside those of the other tests.
MORE = {
    "a batch that instances cannot share": "[dev.pipeline]\ntrain_instance_count = 3",
    "nothing to train on": "[dev.pipeline]\nvalidation_share = 0.5\ntest_share = 0.5",
    "a pattern of Python": "[dev.pipeline]\ngroup_pattern = '('",
    "a long pattern": f"[dev.pipeline]\ngroup_pattern = '{'x' * 201}'",
    "a whole number with a point": "quiet_seconds = 60.0",
    "zones elsewhere": 'network_access = "vpc"\navailability_zones = ["eu-west-1a", "eu-west-1b"]',
    "zones without a VPC": 'availability_zones = ["eu-central-1a", "eu-central-1b"]',
    "an environment named like a project": "[p]\naccount = '123456789012'\nregion = 'eu-central-1'",
    "an environment named like a version": "[dev-v2]\naccount = '123456789012'\nregion = 'eu-central-1'",
    "an instance type without a price": "max_run_cost = 1\n[dev.pipeline]\ntrain_instance_type = 'ml.p9.large'",
}

# What the reader says of a file that the schema cannot find fault with.
BEYOND_A_SCHEMA = {
    "two keys of one table": (
        "availability_zones has no effect with network_access",
        "batch_size is .* instances cannot share equally",
        "keep_alive_seconds has no effect with capacity",
        r"spot_wait_seconds is .*, with capacity",
        r"validation_share \+ test_share is",
        "capacity is 'both', and there are variants",
        "tuning_jobs is .*, and there are variants",
    ),
    "a place in the region or the account of the environment": (
        "availability_zones holds .*, which is not a zone of",
        "data_key is 'arn:aws:kms:",
        "launched_by holds 'arn:aws:iam::",
    ),
    "the items of a list or of a table compared": (
        "the variants .* are the same",
        "the variants .* would both be trained by a step",
        "the lines .* both take data sets like",
        "the lines and their data_sets have .* characters",
        "its resources would be called",
    ),
    "two tables": (
        "model_approval_status of the line",
        "for which no model is registered",
        "with capacity .*, which a project may choose",
        "promotes_from is",
        "promotes from it|which it promotes from|promotes from this one",
    ),
    "a name in parts": ("holds -v", "makes -p-", "looks like a version", "would be called headrace-.*-p"),
    "a regular expression": ("group_pattern (is|has) ",),
    "a whole number with a point": (r" is \d+\.0\n",),
    "another file": ("prices.toml",),
    "the service model of the installed botocore": ("does not take for endpoints and batch transforms alike",),
}


def test_the_schemas_are_those_of_the_sources(request: pytest.FixtureRequest) -> None:
    for path, text in schemas().items():
        if request.config.getoption("write_schemas", default=False):
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text, WRITE


def documents() -> dict[str, str]:
    """Every environments.toml that a test of settings gives to the reader, but for those that are not valid TOML."""
    found = {
        "the project's own": (PROJECT / "environments.toml").read_text(),
        "with the example of promotion": with_example((PROJECT / "environments.toml").read_text()),
    }
    for test, heads in {
        "infra/test_environment_settings.py::test_mistake_is_refused": "",
        "infra/test_environment_settings.py::test_a_mistake_about_money_is_refused": f"[dev]\n{GOOD}",
        "bad_input/test_bad_configurations.py::test_a_mistake_in_a_table": "[dev]\n",
        "infra/test_project_template.py::test_what_is_wrong_in_the_table_of_projects_is_said": "",
        "infra/test_catalog.py::test_what_is_wrong_in_a_catalogs_table_is_said": f"[dev]\n{GOOD}[dev.catalog]\n",
        "infra/test_delivery.py::test_what_is_wrong_in_a_table_of_delivery_is_said": f"[dev]\n{GOOD}[dev.delivery]\n",
    }.items():
        file, _, name = test.partition("::")
        (mark,) = getattr(module(file), name).pytestmark
        names, rows = mark.args
        column = 1 if "bad_input" in file or "prices" in names else 0
        found |= {f"{name} {number}": heads + row[column] for number, row in enumerate(rows)}
    found |= {name: f"[dev]\n{GOOD}{text}" for name, text in MORE.items()}
    found |= {name: text for name, (text, _) in module("infra/test_line_settings.py").REFUSED.items()}
    (mark,) = module("infra/test_promotion.py").test_a_promotion_that_cannot_be_is_one_clear_error.pytestmark
    before, marker, example = found["with the example of promotion"].partition("[live]")
    found |= {new: before + marker + example.replace(old, new, 1) for old, new, _ in mark.args[1]}
    return {name: text for name, text in found.items() if is_toml(text)}


@cache
def module(file: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"given_{Path(file).stem}", TESTS / file)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def is_toml(text: str) -> bool:
    try:
        return bool(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return False


def refusals(path: Path, text: str) -> list[str]:
    """What the readers say of the file."""
    path.write_text(text, "utf-8")
    said = []
    for name, table in tomllib.loads(text).items():
        readers: list[Callable[[], object]] = [lambda name=name: load_settings(path, name)]
        if name == PROJECTS:
            readers = [lambda: load_project_settings(path)]
        elif isinstance(table, dict) and "catalog" in table:
            readers.append(lambda name=name: load_catalog_settings(path, name))
        if isinstance(table, dict) and "delivery" in table:
            readers.append(lambda name=name: load_delivery_settings(path, name))
        for read in readers:
            try:
                read()
            except SettingsError as error:
                said.append(str(error))
    return said


def is_underlined(text: str) -> bool:
    """Whether an editor finds fault with it. Taplo has no numbers for inf and nan."""
    return not VALIDATOR.is_valid(as_json(tomllib.loads(text)))


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def beyond_a_schema(said: str) -> set[str]:
    return {pattern for patterns in BEYOND_A_SCHEMA.values() for pattern in patterns if re.search(pattern, said)}


def test_schema_and_reader_agree_on_the_documents_of_the_tests(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "prices.toml", tmp_path)
    met: set[str] = set()
    disagreed = {}
    for name, text in documents().items():
        said = refusals(tmp_path / "environments.toml", text)
        if is_underlined(text):
            agreed = bool(said)
        else:
            met |= {pattern for each in said for pattern in beyond_a_schema(each)}
            agreed = all(map(beyond_a_schema, said))
        if not agreed:
            disagreed[name] = (said, [error.message for error in VALIDATOR.iter_errors(as_json(tomllib.loads(text)))])
    assert disagreed == {}
    assert sorted({pattern for patterns in BEYOND_A_SCHEMA.values() for pattern in patterns} - met) == []


VARIANT = {"capacity": "spot", "variants": [{"name": "a"}]}
DELIVERY = {"repository": "team/headrace", "owner_id": 1, "repository_id": 2}
TABLES: dict[str, tuple[Sequence[str | int], dict[str, Any]]] = {
    "": (["dev"], {}),
    "pipeline": (["dev", "pipeline"], {"pipeline": {}}),
    "pipeline.variants": (["dev", "pipeline", "variants", 0], {"pipeline": VARIANT}),
    "lines.NAME": (["dev", "lines", "pets"], {"lines": {"pets": {"data_sets": ["pets*"]}}}),
    "catalog": (["dev", "catalog"], {"catalog": {}}),
    "delivery": (["dev", "delivery"], {"delivery": DELIVERY}),
    "images.PATTERN": (["local", "images", "custom*"], {"images": {"custom*": {}}}),
    "projects": (["projects"], {}),
}
DEFINITIONS = {"": "environment", "pipeline.variants": "variant", "lines.NAME": "line", "images.PATTERN": "image"}
NO_TEXT = "aws:/ "
"""Matches no pattern of a setting."""


def wrong_values(schema: dict[str, Any]) -> Iterator[Any]:
    """Of another type, and just beyond each limit."""
    match schema.get("type"):
        case "string":
            yield 3
            if "pattern" in schema or "enum" in schema:
                yield NO_TEXT
        case "integer" | "number":
            yield from ("1", True, inf, nan)
            ends = {"minimum": -1, "maximum": 1, "exclusiveMinimum": 0, "exclusiveMaximum": 0}
            yield from (schema[end] + beyond for end, beyond in ends.items() if end in schema)
            if schema["type"] == "integer":
                yield 1.5
            if "enum" in schema:
                yield max(schema["enum"]) + 1
        case "boolean":
            yield from ("true", 1)
        case "array":
            yield "text"
            yield from ([wrong] for wrong in wrong_values(schema["items"]))
            if schema.get("minItems"):
                yield []
        case "object":
            yield "text"
            yield from ({"1.0": wrong} for wrong in wrong_values(schema["additionalProperties"]))
            if "propertyNames" in schema:
                yield {NO_TEXT: "0" * 64}


def wrong_documents() -> Iterator[Any]:
    for table in described_tables():
        path, content = TABLES[table.table]
        properties = SCHEMA["definitions"][DEFINITIONS.get(table.table, table.table)]["properties"]
        wrong = [(item.name, value) for item in table.settings for value in wrong_values(properties[item.name])]
        for name, value in [("unheard_of", 1), *wrong]:
            place = {"account": "123456789012", "region": "eu-central-1"}
            document = deepcopy({path[0]: {**place, **content}} | {"projects": {}})
            reduce(lambda found, key: found[key], path, document)[name] = value  # type: ignore[call-overload]
            yield pytest.param(name, document, id=f"{table.table} {name} {value!r}")


@pytest.mark.parametrize(("name", "document"), list(wrong_documents()))
def test_schema_and_reader_refuse_what_is_of_another_type_or_beyond_a_limit(
    tmp_path: Path, name: str, document: dict[str, Any]
) -> None:
    shutil.copy(PROJECT / "prices.toml", tmp_path)
    text = tomlkit.dumps(document)
    said = refusals(tmp_path / "environments.toml", text)
    assert any(name in each for each in said), text
    assert is_underlined(text), text


@pytest.mark.parametrize(
    "table",
    ["usd_per_hour = 3", "usd_per_hour = {a = 0}", "usd_per_hour = {a = nan}", "usd_per_hour = {a = '1'}",
     "currency = 'EUR'"],
)  # fmt: skip
def test_schema_and_reader_agree_on_prices(tmp_path: Path, table: str) -> None:
    path = tmp_path / "prices.toml"
    assert PRICES.is_valid(tomllib.loads((PROJECT / "prices.toml").read_text()))
    path.write_text(f"[eu-central-1]\n{table}\n")
    with pytest.raises(SettingsError):
        load_prices(path, "eu-central-1")
    assert not PRICES.is_valid(as_json(tomllib.loads(path.read_text())))
