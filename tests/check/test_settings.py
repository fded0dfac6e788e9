"""environments.toml and prices.toml as they are: each is read, and each stack that they describe is synthesized."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from suite import ROOT

# jsii starts the Node.js that is first on PATH: the virtual environment's own, whether it is activated or not.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

from aws_cdk import App

import app
from environments.prices import load_prices
from environments.settings import PROJECTS
from environments.typed_table import load_tables

Explained = Callable[[], AbstractContextManager[None]]
FILE, PRICES = ROOT / "environments.toml", ROOT / "prices.toml"


def tables(path: Path) -> dict[str, object]:
    """What can be read of the file now; test_the_file_is_read says what cannot."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def stacks() -> list[tuple[str, str]]:
    """Contexts of the CDK app, one for each stack that environments.toml describes."""
    found = []
    for name, table in tables(FILE).items():
        if name == PROJECTS:
            found.append(("project", "true"))
            continue
        found.append(("env", name))
        found += [(kind, name) for kind in ("catalog", "delivery") if isinstance(table, dict) and kind in table]
    return found


def test_the_file_is_read(explained: Explained) -> None:
    with explained():
        assert load_tables(FILE)


@pytest.mark.parametrize("region", tables(PRICES))
def test_the_prices_of_a_region_are_read(region: str, explained: Explained) -> None:
    with explained():
        assert load_prices(PRICES, region)


@pytest.mark.parametrize(("kind", "name"), stacks(), ids=["-".join(each) for each in stacks()])
def test_a_stack_is_synthesized(kind: str, name: str, explained: Explained, tmp_path: Path) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    with explained():
        project = App(analytics_reporting=False, context={**context, kind: name}, outdir=str(tmp_path))
        app.add_stack(project)
        project.synth()
    assert list(tmp_path.glob("*.template.json"))
