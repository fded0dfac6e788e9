"""Three readers walk the steps of a definition; they find the same ones.

`pipeline_language` reads it for the engine, strictly. The trigger and the costs read it in a function, which is packed
without `pipeline_language`, so they walk it themselves.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import run_costs
from pipeline_definition import CAPACITIES, PipelineSettings, build_pipeline
from pipeline_language.definition import VERSION, parse
from start_pipeline.definition.binding import every_step


def _condition(branches: tuple[list[Any], list[Any]]) -> dict[str, Any]:
    return {"Type": "Condition", "Arguments": {"Conditions": [], "IfSteps": branches[0], "ElseSteps": branches[1]}}


STEPS = st.recursive(
    st.lists(st.just({"Type": "Fail"}), min_size=1, max_size=3),
    lambda inner: st.lists(st.tuples(inner, inner).map(_condition), min_size=1, max_size=3),
    max_leaves=8,
)


def named(steps: list[Any], prefix: str = "S") -> list[dict[str, Any]]:
    """The steps with names that differ."""
    found = []
    for number, step in enumerate(steps):
        name = f"{prefix}{number}"
        arguments = {
            branch: named(value, f"{name}{branch[0]}") if branch != "Conditions" else value
            for branch, value in step.get("Arguments", {}).items()
        }
        found.append({"Name": name, "Type": step["Type"], "Arguments": arguments})
    return found


def assert_the_same_steps(definition: dict[str, Any]) -> None:
    parsed = sorted(parse(json.dumps(definition)).steps)
    assert sorted(step["Name"] for step in every_step(definition["Steps"])) == parsed
    assert sorted(step["Name"] for step in run_costs._every_step(definition["Steps"])) == parsed


@given(STEPS)
def test_steps_of_branches_however_deep_are_found_by_each_reader(steps: list[Any]) -> None:
    assert_the_same_steps({"Version": VERSION, "Steps": named(steps)})


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_the_steps_of_our_definition_are_found_by_each_reader(capacity: Any) -> None:
    assert_the_same_steps(build_pipeline(PipelineSettings(capacity=capacity)))
