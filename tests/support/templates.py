"""Reading a synthesized stack: its values as CloudFormation would hand them over, and what its roles may do."""

import json
from collections.abc import Iterator
from typing import Any

KNOWN = {
    "Data/Bucket": "data-bucket",
    "JobRole/Role": "arn:aws:iam::222222222222:role/job",
    "PipelineRole/Role": "arn:aws:iam::222222222222:role/pipeline",
    "EndpointRole/Role": "arn:aws:iam::222222222222:role/endpoint",
}


def resolved(stack: Any, value: Any) -> Any:
    """The value as CloudFormation would hand it over; resources are known by name or ARN."""
    paths = {stack.logical_id(path): path for path in stack.resources}
    match value:
        case {"Fn::Join": [str(separator), list(parts)]}:
            return separator.join(resolved(stack, part) for part in parts)
        case {"Fn::GetAtt": [str(name), str()]} | {"Ref": str(name)}:
            path = paths.get(name, name)
            return KNOWN.get(path, path)
        case {"Fn::Sub": str(text)}:
            return text
        case dict():
            return {key: resolved(stack, item) for key, item in value.items()}
        case list():
            return [resolved(stack, item) for item in value]
    return value


def variables(stack: Any, function: str) -> dict[str, str]:
    found: dict[str, str] = resolved(stack, stack.properties(f"{function}/Function")["Environment"]["Variables"])
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def actions(statements: list[dict[str, Any]]) -> set[str]:
    return {action for statement in statements for action in listed(statement["Action"])}


def on(statements: list[dict[str, Any]], action: str) -> Iterator[str]:
    """The resources of an action, as text that ends as the ARN does."""
    for statement in statements:
        if action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                parts = resource["Fn::Join"][1] if isinstance(resource, dict) and "Fn::Join" in resource else [resource]
                yield "".join(part if isinstance(part, str) else json.dumps(part) for part in parts)
