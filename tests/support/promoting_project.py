"""environments.toml as it is with its example of promotion, which is a comment in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from suite import PROJECT

ROOT = Path(__file__).parents[2]
EXAMPLE = "live"


def with_example(text: str) -> str:
    """The example is the paragraph of comments that begins with its table's name."""
    before, marker, rest = text.partition(f"# [{EXAMPLE}]\n")
    assert marker, f"environments.toml has no example [{EXAMPLE}]"
    example, gap, after = rest.partition("\n\n")
    lines = [line.removeprefix("# ") for line in (marker + example).splitlines()]
    return before + "\n".join(lines) + gap + after


def promoting_project(folder: Path) -> Path:
    """The file, written into the folder beside the prices that it goes with."""
    shutil.copy(PROJECT / "prices.toml", folder)
    file = folder / "environments.toml"
    file.write_text(with_example((PROJECT / "environments.toml").read_text()))
    return file
