"""A reading as text and as data: what would be learned, what is left out, what is odd."""

from __future__ import annotations

from collections import Counter
from typing import Any

from data_sets.names import escaped
from data_sets.reading import Reading
from data_sets.wording import counted, some_of

MOST_CLASSES = 30  # lines; the others are counted


def report(reading: Reading) -> list[str]:
    """The same lines for `headrace inspect` and before an upload; problems are not among them."""
    classes = reading.classes
    within = f" in {reading.root}" if reading.root else ""
    lines = [
        f"{escaped(reading.name)}: {reading.layout}{within}, {counted(len(reading.samples), 'image')} of "
        f"{counted(len(classes), 'class', 'classes')}"
    ]
    if reading.documents:
        lines.append(f"read as well: {some_of(reading.documents, 6)}")
    counts = Counter((sample.label, sample.split) for sample in reading.samples)
    columns = _columns(reading)
    rows = [["class", *(split or "images" for split in columns)]]
    rows += [[escaped(label), *(f"{counts[label, split]:,}" for split in columns)] for label in classes[:MOST_CLASSES]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if classes else []:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells))
    if len(classes) > MOST_CLASSES:
        lines.append(f"  and {len(classes) - MOST_CLASSES:,} more classes")
    lines += [
        f"left out, {reason}{', counted' if counts_too else ''}: {counted(len(paths), 'file')}: {some_of(paths)}"
        for (reason, counts_too), paths in _left_out(reading).items()
    ]
    if reading.junk:
        lines.append(f"junk, never part of a data set: {counted(len(reading.junk), 'file')}: {some_of(reading.junk)}")
    return lines


def as_data(reading: Reading) -> dict[str, Any]:
    counts = Counter((sample.label, sample.split) for sample in reading.samples)
    return {
        "name": reading.name,
        "layout": str(reading.layout),
        "root": reading.root,
        "images": len(reading.samples),
        "classes": {
            label: {str(split or "all"): counts[label, split] for split in _columns(reading)}
            for label in reading.classes
        },
        "groups": len({sample.group for sample in reading.samples if sample.group}),
        "documents": list(reading.documents),
        "left_out": [
            {"reason": reason, "counted": counts_too, "files": paths}
            for (reason, counts_too), paths in _left_out(reading).items()
        ],
        "junk": list(reading.junk),
        "warnings": list(reading.warnings),
        "problems": [
            {"message": problem.message, "hint": problem.hint, "accept": problem.accept} for problem in reading.problems
        ],
    }


def _columns(reading: Reading) -> list[str | None]:
    """The splits that the data set gives, or None for all images in one column."""
    return [*reading.splits] or [None]


def _left_out(reading: Reading) -> dict[tuple[str, bool], list[str]]:
    found: dict[tuple[str, bool], list[str]] = {}
    for left in reading.left_out:
        found.setdefault((left.reason, left.counts), []).append(left.path)
    return found
