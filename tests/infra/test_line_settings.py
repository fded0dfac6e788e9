"""Model lines in environments.toml: what is taken, and each refusal with its place and a hint."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promoting_project import promoting_project

from environments.patterns import common_name
from environments.projects import load_project_settings
from environments.settings import Settings, load_settings
from environments.typed_table import SettingsError

GOOD = 'account = "123456789012"\nregion = "eu-central-1"\n'
DEV = f"[dev]\n{GOOD}"
PETS = '[dev.lines.pets]\ndata_sets = ["pets*"]\n'


def load(tmp_path: Path, text: str, environment: str = "dev") -> Settings:
    path = tmp_path / "environments.toml"
    path.write_text(text)
    return load_settings(path, environment)


def test_a_line_has_the_environments_settings_where_it_says_nothing(tmp_path: Path) -> None:
    text = DEV + 'endpoint_instance_count = 3\n[dev.pipeline]\nepochs = 7\ncapacity = "spot"\n' + PETS
    found = load(tmp_path, text + "[dev.lines.pets.pipeline]\nimage_size = 96\n")
    assert found.names == ["headrace-dev", "headrace-dev-pets"]
    pets = found.lines["pets"].pipeline
    assert (pets.epochs, pets.capacity, pets.image_size) == (7, "spot", 96)
    assert (found.pipeline.epochs, found.pipeline.image_size) == (7, 32)
    assert found.endpoint_instances("pets") == ("ml.m5.large", 3)


def test_a_line_chooses_its_own_endpoint(tmp_path: Path) -> None:
    own = 'endpoint_instance_type = "ml.c5.xlarge"\nendpoint_instance_count = 2\n'
    found = load(tmp_path, DEV + PETS + own)
    assert found.endpoint_instances("pets") == ("ml.c5.xlarge", 2)
    assert (found.endpoint_instance_type, found.endpoint_instance_count) == ("ml.m5.large", 1)


def lines(**patterns: list[str]) -> str:
    return DEV + "".join(
        f"[dev.lines.{name.replace('_', '-')}]\ndata_sets = {names}\n" for name, names in patterns.items()
    )


REFUSED: Mapping[str, tuple[str, list[str]]] = {
    "another approval status": (
        DEV + PETS + '[dev.lines.pets.pipeline]\nmodel_approval_status = "Approved"\n',
        ["model_approval_status of the line pets is 'Approved'", "[dev.pipeline]"],
    ),
    "no table of lines": (DEV + 'lines = ["pets"]', ["[dev]", "lines is ['pets']", "[dev.lines.NAME]"]),
    "no table of a line": (DEV + "[dev.lines]\npets = 1", ["[dev.lines.pets]", "it is 1, not a table"]),
    "no data sets": (DEV + "[dev.lines.pets]", ["[dev.lines.pets]", "data_sets is missing", "a list of text"]),
    "an empty list of data sets": (lines(pets=[]), ["data_sets of the line pets is empty", "pets*"]),
    "data sets as text": (DEV + '[dev.lines.pets]\ndata_sets = "pets*"', ["data_sets is 'pets*'", "a list of text"]),
    "a path as a data set": (lines(pets=["datasets/pets"]), ["holds 'datasets/pets'", "without a slash"]),
    "an empty pattern": (lines(pets=[""]), ["holds ''"]),
    "an unknown key": (DEV + PETS + 'removal = "retain"', ["[dev.lines.pets]", "unknown key 'removal'"]),
    "an unknown key of its pipeline": (
        DEV + PETS + "[dev.lines.pets.pipeline]\nsize = 3", ["[dev.lines.pets.pipeline]", "unknown key 'size'"],
    ),
    "a value that the pipeline does not take": (
        DEV + PETS + "[dev.lines.pets.pipeline]\nepochs = 0", ["[dev.lines.pets.pipeline]", "epochs is 0"],
    ),
    "a name with capitals": (lines(Pets=["p"]), ["'Pets' cannot be the name of a line", "lower-case"]),
    "a name that is too long": (lines(**{"p" * 17: ["p"]}), ["cannot be the name of a line", "at most 16"]),
    "the default line's name": (lines(default=["p"]), ["'default' cannot be the name of a line"]),
    "a name like a version": (lines(v2=["p"]), ["'v2' looks like a version"]),
    "a name with a version in it": (lines(pets_v2=["p"]), ["'pets-v2' looks like a version"]),
    "a name like a project's": (lines(p_x=["p"]), ["would be called headrace-dev-p-x", "-p-"]),
    "a name whose models are called like a project's": (lines(p=["p"]), ["headrace-dev-p", "-p-"]),
    "a name whose end is like a project's": (lines(x_p=["p"]), ["headrace-dev-x-p", "-p-"]),
    "too many lines": (
        lines(**{f"a{n}": [f"a{n}"] for n in range(6)}), ["declares 6 lines", "room for 5", "another environment"],
    ),
    "too many patterns": (lines(pets=["p" * 801]), ["room for 800", "use patterns"]),
    "overlapping patterns": (
        lines(pets=["pets*"], birds=["b?rds", "*-birds"]),
        ["the lines pets and birds both take data sets like 'pets-birds'", "'pets*' and '*-birds' overlap"],
    ),
    "the same data set in two lines": (lines(pets=["a", "b"], birds=["b"]), ["both take data sets like 'b'"]),
    "an instance type for which no model is registered": (
        DEV + PETS + 'endpoint_instance_type = "ml.p3.2xlarge"',
        ["endpoint_instance_type of the line pets is 'ml.p3.2xlarge'", "[dev.lines.pets.pipeline]"],
    ),
    "no instance": (DEV + PETS + "endpoint_instance_count = 0", ["endpoint_instance_count of the line pets is 0"]),
    "an environment with the line's name": (
        lines(pets=["p"]) + f"[dev-pets]\n{GOOD}",
        ["[dev-pets]", "would be called headrace-dev-pets, as those of [dev.lines.pets]"],
    ),
    "an environment whose line has the line's name": (
        lines(pets_x=["p"]) + f"[dev-pets]\n{GOOD}[dev-pets.lines.x]\ndata_sets = ['p']\n",
        ["[dev-pets.lines.x]", "headrace-dev-pets-x"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_refused_with_its_place_and_a_hint(tmp_path: Path, case: str) -> None:
    text, messages = REFUSED[case]
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    for message in messages:
        assert message in str(caught.value)
    assert "\nhint: " in str(caught.value)


def test_a_line_whose_instances_have_no_price_is_refused_where_runs_have_a_limit(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(
        '[eu-central-1]\nas_of = "2026-09-28"\n[eu-central-1.usd_per_hour]\n"ml.m5.xlarge" = 1\n"ml.g4dn.xlarge" = 1\n'
    )
    text = (
        f"[dev]\n{GOOD}max_run_cost = 10\n"
        + PETS
        + '[dev.lines.pets.pipeline]\ntrain_instance_type = "ml.p4d.24xlarge"'
    )
    with pytest.raises(SettingsError, match=r"train_instance_type is 'ml\.p4d\.24xlarge', for which"):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["vans", "vegetables-1"])
def test_an_ordinary_word_is_a_name(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, lines(**{name: ["x"]})).names[1] == f"headrace-dev-{name}"


def test_projects_have_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text('[projects.lines.pets]\ndata_sets = ["pets"]\n')
    with pytest.raises(SettingsError, match=r"\[projects\]: lines is set(.|\n)*leave lines out"):
        load_project_settings(path)


def test_an_environment_with_lines_is_not_promoted_and_one_that_promotes_declares_none(tmp_path: Path) -> None:
    file = promoting_project(tmp_path)
    text = file.read_text()
    file.write_text(text + '\n[dev.lines.pets]\ndata_sets = ["pets"]\n')
    for environment in ("dev", "live"):
        with pytest.raises(SettingsError, match=r"\[dev\]: it declares lines, and headrace-live promotes from it"):
            load_settings(file, environment)
    file.write_text(text + '\n[live.lines.pets]\ndata_sets = ["pets"]\n')
    with pytest.raises(SettingsError, match=r"\[live\]: lines would have no effect"):
        load_settings(file, "live")


patterns = st.text("ab*?[]!-", max_size=6)


@settings(max_examples=400, deadline=None)
@given(one=patterns, other=patterns)
def test_a_common_name_is_found_if_there_is_one(one: str, other: str) -> None:
    """Against a search of all names of up to four letters; what is found is matched by both."""
    found = common_name(one, other)
    names = ("".join(letters) for size in range(5) for letters in product("ab-!", repeat=size))
    exists = next((name for name in names if fnmatchcase(name, one) and fnmatchcase(name, other)), None)
    if found is None:
        assert exists is None
    else:
        assert fnmatchcase(found, one)
        assert fnmatchcase(found, other)
