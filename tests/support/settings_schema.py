"""The JSON schemas of environments.toml and prices.toml, for editors: written from the dataclasses that read the files.

Draft 7, which Taplo takes. What a schema cannot say is in tests/infra/test_settings_schema.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from environments.description import TABLES, DescribedTable, described_tables
from environments.lines import DEFAULT, MOST_LINES
from environments.lines import NAME as LINE_NAME
from environments.local_images import ENVIRONMENT as LOCAL
from environments.local_images import KEY as IMAGES
from environments.names import NAME
from environments.projects import NOT_OFFERED, ProjectSettings
from environments.promotion import KEY as PROMOTES_FROM
from environments.promotion import SERVING_KEYS
from pipeline_definition.limits import Items, Pattern, Range, annotated_types
from pipeline_definition.variants import MOST_VARIANTS, Variant

FOLDER = Path(__file__).parents[2] / "environments"
WRITE = "python -m pytest tests/infra/test_settings_schema.py --write-schemas"
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}

Schema = dict[str, Any]


def schemas() -> dict[Path, str]:
    """The text of each file."""
    found = {"environments": environments_schema(), "prices": prices_schema()}
    return {
        FOLDER / f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in found.items()
    }


def environments_schema() -> Schema:
    tables = {table.table: table for table in described_tables()}
    environment = of_table(tables[""])
    properties = environment["properties"]
    offered = {name: item for name, item in properties.items() if name not in NOT_OFFERED | {"account", "region"}}
    variant = of_table(tables["pipeline.variants"])
    # A variant's values are checked where they take the place of the pipeline's.
    limits = of_table(tables["pipeline"])["properties"]
    for name, item in variant["properties"].items():
        variant["properties"][name] = {**limits.get(name, {}), **item}
    line = of_table(tables["lines.NAME"])
    line["properties"]["pipeline"] = ref("pipeline")
    environment["properties"] |= {
        "pipeline": ref("pipeline"),
        "lines": {
            "type": "object",
            "description": "Further model lines, each with its data sets, pipeline and endpoint.",
            "propertyNames": {"pattern": anchored(LINE_NAME), "not": {"const": DEFAULT}},
            "additionalProperties": ref("line"),
            "maxProperties": MOST_LINES,
        },
        "catalog": ref("catalog"),
        "delivery": ref("delivery"),
    }
    environment["properties"][IMAGES] = {
        "type": "object",
        "description": f"What stands for a container image, by a pattern of its name; in [{LOCAL}] alone.",
        "additionalProperties": ref("image"),
    }
    environment["if"] = {"required": [PROMOTES_FROM]}
    environment["then"] = {"propertyNames": {"enum": sorted(SERVING_KEYS)}}
    projects = of_table(tables["projects"], ProjectSettings)
    own = {"allOf": [ref("pipeline")], "properties": {"variants": {"maxItems": 0}}}
    projects["properties"] = {**offered, **projects["properties"], "pipeline": own}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "environments.toml of Headrace",
        "type": "object",
        "properties": {"projects": ref("projects"), LOCAL: ref("environment")},
        "propertyNames": {"pattern": anchored(NAME)},
        "additionalProperties": {"allOf": [ref("environment"), {"not": {"required": [IMAGES]}}]},
        "definitions": {
            "environment": environment,
            "pipeline": of_table(tables["pipeline"]),
            "variant": variant,
            "line": line,
            "catalog": of_table(tables["catalog"]),
            "delivery": of_table(tables["delivery"]),
            "image": {**of_table(tables["images.PATTERN"]), "minProperties": 1, "maxProperties": 1},
            "projects": projects,
        },
    }


def prices_schema() -> Schema:
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "prices.toml of Headrace",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "description": "The prices of one region.",
            "additionalProperties": False,
            "properties": {
                "as_of": {"description": "The day of the newest price."},
                "source": {"description": "Where the prices are from."},
                "usd_per_hour": {
                    "type": "object",
                    "description": "USD an hour, on demand, by instance type.",
                    "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
                },
            },
        },
    }


def of_table(table: DescribedTable, kind: type | None = None) -> Schema:
    types = annotated_types(kind or TABLES[table.table][1])
    properties = {}
    for setting in table.settings:
        default = {} if setting.default is None else {"default": setting.default}
        properties[setting.name] = {**of_type(types[setting.name]), "description": setting.meaning, **default}
    return {
        "type": "object",
        "description": f"{table.title}.",
        "additionalProperties": False,
        "required": [setting.name for setting in table.settings if setting.required],
        "properties": properties,
    }


def of_type(hint: Any) -> Schema:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = of_type(hint.__origin__)
        for limit in hint.__metadata__:
            schema |= of_limit(limit)
        return schema
    if origin is Literal:
        return {"type": TYPES[type(arguments[0])], "enum": list(arguments)}
    if hint == tuple[Variant, ...]:
        return {"type": "array", "items": ref("variant"), "maxItems": MOST_VARIANTS}
    if origin is tuple:
        return {"type": "array", "items": of_type(arguments[0])}
    if origin is Mapping:
        keys = {name: value for name, value in of_type(arguments[0]).items() if name != "type"}
        names = {"propertyNames": keys} if keys else {}
        return {"type": "object", **names, "additionalProperties": of_type(arguments[1])}
    if type(None) in arguments:
        return of_type(arguments[0])
    return {"type": TYPES[hint]}


def of_limit(limit: Range | Pattern | Items) -> Schema:
    match limit:
        case Range():
            ends = {
                "minimum": limit.at_least,
                "maximum": limit.at_most,
                "exclusiveMinimum": limit.above,
                "exclusiveMaximum": limit.below,
            }
            return {name: value for name, value in ends.items() if isfinite(value)}
        case Pattern():
            return {"pattern": anchored(limit.pattern)}
        case Items():
            least = {"minItems": limit.at_least}
            most = {"maxItems": limit.at_most} if isfinite(limit.at_most) else {}
            length = {"anyOf": [{"maxItems": 0}, least | most]} if limit.or_none else least | most
            return ({"uniqueItems": True} if limit.distinct else {}) | length


def anchored(pattern: re.Pattern[str]) -> str:
    """The pattern for the whole text, without Python's names of groups."""
    return f"^(?:{re.sub(r'[(][?]P<[a-z]+>', '(', pattern.pattern)})$"


def ref(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}
