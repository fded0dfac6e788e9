"""The table of what CloudFormation needs for a resource, against AWS's own list of actions and their resources."""

import json
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from local_cloud.ministack.cloudformation.permissions import _KINDS, _ON_ANYTHING

# cfn-lint's copy of the service authorization reference: service -> Actions -> action -> Resources, if it knows any.
REFERENCE = json.loads((Path(cfnlint.__file__).parent / "data" / "AdditionalSpecs" / "Policies.json").read_text())


def actions_of(kind: Any) -> set[str]:
    further = {action for pair in kind.properties.values() for action in pair if action}
    return {kind.create, kind.update, kind.delete} | further


@pytest.mark.parametrize("kind", _KINDS)
def test_every_action_is_one_of_awss_and_is_asked_on_a_resource_if_it_has_one(kind: str) -> None:
    for action in actions_of(_KINDS[kind]):
        service, name = action.split(":")
        known = REFERENCE[service]["Actions"]
        assert name.lower() in known, action
        assert ("Resources" in known[name.lower()]) is (action not in _ON_ANYTHING), action
