"""What each setting of environments.toml is and means: for `headrace config` and docs/settings.md.

The meaning of a setting is the text below its field in the dataclass.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from environments.catalog import CatalogSettings
from environments.delivery import DeliverySettings
from environments.lines import LineSettings
from environments.local_images import ImageSettings
from environments.projects import ProjectSettings
from environments.settings import Settings
from environments.typed_table import type_name
from pipeline_definition import PipelineSettings
from pipeline_definition.variants import Variant

# Fields that are not settings: separate tables, and what is derived from other settings.
APART = {"environment", "pipeline", "lines", "prices", "source", "consumers", "references"}
DERIVED: dict[type, set[str]] = {CatalogSettings: {"model_approval_status", "images"}}
TABLES: dict[str, tuple[str, type]] = {
    "": ("The environment", Settings),
    "pipeline": ("Its pipeline", PipelineSettings),
    "pipeline.variants": (
        "A variant to train, in double brackets; what it leaves out is as the pipeline has it",
        Variant,
    ),
    "lines.NAME": ("A further model line, which may have its own table .pipeline", LineSettings),
    "catalog": ("The project template that it offers", CatalogSettings),
    "delivery": ("Its delivery by GitHub", DeliverySettings),
    "images.PATTERN": ("What stands for a container image, in [local] alone", ImageSettings),
}
PROJECTS = ("Projects that were started from the template, beside the settings of an environment", ProjectSettings)


@dataclass(frozen=True, slots=True)
class DescribedSetting:
    """`default` is as TOML has it: lists and tables; None where there is none."""

    name: str
    type: str
    required: bool
    default: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """`table` is its name below the environment's, empty for that itself."""

    table: str
    heading: str
    title: str
    settings: tuple[DescribedSetting, ...]


@cache
def described_tables() -> tuple[DescribedTable, ...]:
    """Every table, the environment's first and [projects] last."""
    tables = [
        _table(f"[ENVIRONMENT.{key}]" if key else "[ENVIRONMENT]", key, title, kind)
        for key, (title, kind) in TABLES.items()
    ]
    return (*tables, _table("[projects]", "projects", *PROJECTS, known=Settings))


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


def _table(heading: str, key: str, title: str, kind: type, known: type | None = None) -> DescribedTable:
    left_out = APART | DERIVED.get(kind, set()) | ({field.name for field in fields(known)} if known else set())
    texts, hints = meanings(kind), get_type_hints(kind)
    settings = (
        DescribedSetting(
            name=field.name,
            type=type_name(hints[field.name]),
            required=field.default is MISSING and field.default_factory is MISSING,
            default=_default(field),
            meaning=texts.get(field.name, ""),
        )
        for field in fields(kind)
        if field.name not in left_out
    )
    return DescribedTable(key, heading, title, tuple(settings))


def _default(field: Field[Any]) -> Any:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING:
        return None
    return dict(value) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else value
