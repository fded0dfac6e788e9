"""Every statement of every policy of a stack, as text: who, may or may not, what, on what, under which condition.

A changed resource, condition or principal shows as a line of a diff. References are written by the path of the resource
in the stack, without the hash of its logical ID.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

DOCUMENTS = ("PolicyDocument", "AssumeRolePolicyDocument", "KeyPolicy", "Policy")
MEMBERS = ("Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
_FUNCTION_POLICY = "AWS::Lambda::Permission"
_ASSET = re.compile(r"[0-9a-f]{64}")


def statements(resources: Mapping[str, Mapping[str, Any]], ids: Mapping[str, str]) -> str:
    """`resources` by their paths, and `ids`: the path of each logical ID."""
    parts = []
    for path, resource in sorted(resources.items()):
        lines = [*_lines(resource, ids)]
        if lines:
            parts.append("\n".join([f"## {path} ({resource['Type']})", *lines]))
    return "\n\n".join(parts) + "\n"


def _lines(resource: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[str]:
    properties = resource.get("Properties", {})
    if resource["Type"] == _FUNCTION_POLICY:
        yield from _statement({name: properties[name] for name in sorted(properties)}, ids, tuple(sorted(properties)))
    for name in DOCUMENTS:
        if isinstance(document := properties.get(name), dict) and "Statement" in document:
            yield f"{name}:"
            for statement in document["Statement"]:
                yield from _statement(statement, ids, MEMBERS)
    for policy in properties.get("Policies", []):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield from _statement(statement, ids, MEMBERS)
    for name in ("ManagedPolicyArns", "PermissionsBoundary"):
        if name in properties:
            yield f"{name}: {_text(properties[name], ids)}"


def _statement(statement: Mapping[str, Any], ids: Mapping[str, str], members: tuple[str, ...]) -> Iterator[str]:
    unknown = statement.keys() - {*members, "Sid"}
    assert not unknown, f"members of a statement that this file does not write: {unknown}"
    first = "- "
    for member in members:
        if member in statement:
            values = statement[member] if isinstance(statement[member], list) else [statement[member]]
            for value in sorted(_text(value, ids) for value in values):
                yield f"{first}{member}: {value}"
                first = "  "


def _text(value: Any, ids: Mapping[str, str]) -> str:
    written = _ASSET.sub("<hash>", json.dumps(_named(value, ids), sort_keys=True, ensure_ascii=False))
    return written.strip('"') if isinstance(value, str) else written


def _named(value: Any, ids: Mapping[str, str]) -> Any:
    match value:
        case {"Fn::Join": ["", list(parts)]}:
            return "".join(part if isinstance(part, str) else f"<{_named(part, ids)}>" for part in parts)
        case {"Fn::GetAtt": [str(logical_id), str(attribute)]}:
            return f"{ids[logical_id]}.{attribute}"
        case {"Ref": str(logical_id)}:
            return ids.get(logical_id, logical_id)
        case dict():
            return {key: _named(item, ids) for key, item in value.items()}
        case list():
            return [_named(item, ids) for item in value]
    return value
