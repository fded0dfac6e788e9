"""docs/settings.md, written from environments/description.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from environments.description import described_tables

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "settings.md"
WRITE = "python -m pytest tests/infra/test_settings_document.py --write-settings"


def document() -> str:
    lines = [
        "# Settings",
        "",
        "Every setting of `environments.toml`. `headrace config` shows those of an environment: value, default, and",
        "where it is set. This page is written from the sources: `" + WRITE + "`.",
        "",
        "The first line of the file names a JSON schema. Editors with Taplo, such as VS Code with Even Better TOML,",
        "complete the keys, show their meaning, and underline an unknown key or a wrong value.",
    ]
    for table in described_tables():
        lines += ["", f"## {table.title}: `{table.heading}`", ""]
        lines += ["| setting | type | default | meaning |", "| --- | --- | --- | --- |"]
        for item in table.settings:
            default = "required" if item.required else f"`{toml(item.default)}`" if item.default is not None else "-"
            lines.append(f"| `{item.name}` | {item.type} | {default} | {item.meaning} |")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """As it is written in environments.toml."""
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False)
