"""What each setting of environments.toml is and means, read from the dataclasses: for docs/settings.md and `config`.

The meaning of a setting is the text below its field. The command line may not import infra/ or pipeline_definition/,
which need the CDK, so it reads the same as data: headrace/settings.json.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, get_type_hints

from environments.delivery import DeliverySettings
from environments.lines import LineSettings
from environments.settings import Settings
from environments.typed_table import _called
from infra.catalog.catalog_settings import CatalogSettings
from infra.catalog.project_settings import ProjectSettings
from pipeline_definition import PipelineSettings
from pipeline_definition.variants import Variant

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
DATA = ROOT / "headrace" / "settings.json"
WRITE = "python -m pytest tests/infra/test_settings_document.py --write-settings"

# Not for environments.toml to say: tables of their own, and what is found out.
APART = {"environment", "pipeline", "lines", "prices", "source", "consumers"}
DERIVED: dict[type, set[str]] = {CatalogSettings: {"model_approval_status", "images"}}
TABLES = {
    "": ("The environment", Settings),
    "pipeline": ("Its pipeline", PipelineSettings),
    "pipeline.variants": (
        "A variant to train, in double brackets; what it leaves out is as the pipeline has it",
        Variant,
    ),
    "lines.NAME": ("A further model line, which may have a table .pipeline of its own", LineSettings),
    "catalog": ("The project template that it offers", CatalogSettings),
    "delivery": ("Its delivery by GitHub", DeliverySettings),
}
PROJECTS = ("Projects that were started from the template, beside the settings of an environment", ProjectSettings)


def meanings(kind: type) -> dict[str, str]:
    """The text below each field."""
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    found = {}
    for item, following in zip(node.body, [*node.body[1:], None], strict=True):
        match item, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def settings() -> list[dict[str, Any]]:
    tables = [_table(f"[ENVIRONMENT.{key}]" if key else "[ENVIRONMENT]", key, *rest) for key, rest in TABLES.items()]
    return [*tables, _table("[projects]", "projects", *PROJECTS, known=Settings)]


def _table(heading: str, key: str, title: str, kind: type, known: type | None = None) -> dict[str, Any]:
    left_out = APART | DERIVED.get(kind, set()) | ({field.name for field in fields(known)} if known else set())
    texts, hints = meanings(kind), get_type_hints(kind)
    return {
        "table": key,
        "heading": heading,
        "title": title,
        "settings": [
            {
                "name": field.name,
                "type": _called(hints[field.name]),
                "required": field.default is MISSING and field.default_factory is MISSING,
                "default": _default(field),
                "meaning": texts.get(field.name, ""),
            }
            for field in fields(kind)
            if field.name not in left_out
        ],
    }


def _default(field: Field[Any]) -> Any:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING:
        return None
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value


def data() -> str:
    return json.dumps(settings(), indent=1, ensure_ascii=False) + "\n"


def document() -> str:
    lines = [
        "# Settings",
        "",
        "Every setting of `environments.toml`. `headrace config` shows those of an environment: value, default, and",
        "where it is set. This page is written from the sources: `" + WRITE + "`.",
    ]
    for table in settings():
        lines += ["", f"## {table['title']}: `{table['heading']}`", ""]
        lines += ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
        for item in table["settings"]:
            default = (
                "required" if item["required"] else f"`{toml(item['default'])}`" if item["default"] is not None else "-"
            )
            lines.append(f"| `{item['name']}` | {item['type']} | {default} | {item['meaning']} |")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """As it is written in environments.toml."""
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False)
