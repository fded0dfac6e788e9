"""gpu.json, with everything, and gpu.md, the table for docs/training.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.parts import Result


def write_report(folder: Path, machine: dict[str, Any], results: Sequence[Result], small: bool) -> None:
    document = {"small": small, "machine": machine, "parts": {result.part.name: asdict(result) for result in results}}
    (folder / "gpu.json").write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    (folder / "gpu.md").write_text(table(machine, results, small), "utf-8")


def table(machine: dict[str, Any], results: Sequence[Result], small: bool) -> str:
    """One row a figure; a part without figures has one row that says why."""
    card = machine["gpu"] or f"{machine['cpu_cores']} CPU cores"
    lines = [
        f"{card}, torch {machine['torch']}, CUDA {machine['cuda']}, driver {machine['driver']}, Python "
        f"{machine['python']}; missing: {', '.join(machine['missing_packages']) or 'nothing'}."
        + " In miniature: the figures mean nothing."
        * small,
        "",
        "| part | what | measured |",
        "| --- | --- | --- |",
    ]
    for result in results:
        if result.status != "done":
            lines.append(f"| {result.part.title} | {result.status} | {escaped(result.reason)} |")
        lines += [f"| {result.part.title} | {escaped(row['what'])} | {figure(row)} |" for row in result.rows]
    return "\n".join(lines) + "\n"


def figure(row: dict[str, Any]) -> str:
    value = row["value"]
    if not isinstance(value, float):
        return escaped(f"{value} {row['unit']}".strip())
    if row["unit"] == "%":
        return f"{value:.1%}"
    return f"{value:.4g} {row['unit']}".strip()


def escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
