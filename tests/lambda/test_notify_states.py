"""What makes two events the same: a notice is sent once for each state, and a state is texts of the event's members."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest

from notify import messages

# The members by which an event is another one than before. The others may differ, and nothing is sent again.
IDENTITY = {
    messages.ExecutionEnded: {"arn", "status"},
    messages.ModelWaits: {"model_package_arn"},
    messages.AlarmRaised: {"name", "changed"},
    messages.EndpointFailed: {"endpoint", "changed"},
    messages.Deployed: {"endpoint", "configuration", "changed"},
    messages.ArtifactRefused: {"model_package_arn", "reason"},
    messages.RolledBack: {"endpoint", "configuration", "changed"},
    messages.EndpointDiffers: {"endpoint", "what", "serving", "wanted"},
    messages.DefinitionRefused: {"definition", "version", "error"},
    messages.OverBudget: {"data_set", "fingerprint", "estimated_cost", "max_run_cost"},
    messages.RunLimitReached: {"setting", "limit", "day"},
    messages.SetAside: {"message_id"},
}
VALUES = {"str": ("one", "two"), "int": (1, 2), "float": (1.5, 2.5), "bool": (True, False), "list[str]": (["a"], ["b"])}


def test_every_kind_of_event_is_here() -> None:
    assert set(IDENTITY) == set(typing.get_args(messages.Event))


@pytest.mark.parametrize("kind", IDENTITY, ids=lambda kind: kind.__name__)
def test_a_state_has_the_identity_of_its_event_and_nothing_else(kind: Any) -> None:
    members = {field.name: VALUES[field.type] for field in dataclasses.fields(kind)}
    event = kind(**{name: values[0] for name, values in members.items()})
    assert all(isinstance(text, str) for text in event.state)
    other = {name for name, values in members.items()
             if dataclasses.replace(event, **{name: values[1]}).state != event.state}  # fmt: skip
    assert other == IDENTITY[kind]
