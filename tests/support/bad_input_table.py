"""docs/bad-input.md: what a user sees of each bad input, written by the tests that provoke it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "bad-input.md"

OPENING = """\
# What a user sees of bad input

Every message says what is wrong, where, and, after `hint:`, what to do. Each row is provoked for real by a test in
`tests/bad_input`, which fails when the message is another one. What differs from run to run stands in `<…>`.
A step's FailureReason is also in the notice of the failed run and in what `headrace watch` and `headrace runs` print.
`python -m pytest tests/bad_input --write-bad-input` writes this file again.
"""
HEADER = "| what was given | where it is seen | the message |\n| --- | --- | --- |\n"

# What differs from run to run, other than paths: (pattern, replacement).
VARYING = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"localhost:\d+", "localhost:<port>"),
    (r"(\bport |sport = :|--port |on :)\d+", r"\1<port>"),
    (r"process \d+", "process <number>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "<time>"),
    (r"cannot move to \d+", "cannot move to <port>"),
    (r"/tmp[a-z0-9_]{8}/", "/<temporary>/"),
    (r"interrupted after [\d,]+ of", "interrupted after <some> of"),
    (r"bytes from [\d,]+", "bytes from <size>"),
    (r"\bpipelines-[a-z0-9]{12}-[A-Za-z0-9-]+", "<job>"),
    (r"\b(run |logs )[a-z0-9]{12}\b", r"\1<run>"),
    (r"[ \t]+$", ""),
)


@dataclass(frozen=True, slots=True)
class Row:
    section: str
    given: str
    seen: str
    message: str

    @property
    def line(self) -> str:
        """The row in Markdown. A cell is one line: each of the message's becomes code, with <br> between them."""
        message = "<br>".join(_code(line) for line in self.message.splitlines() if line)
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in (self.given, self.seen, message))} |"


def normalised(message: str, places: Mapping[str, str]) -> str:
    """The message with the given places, longest first, and whatever varies replaced by names in <…>."""
    for place in sorted(places, key=len, reverse=True):
        message = message.replace(place, places[place])
    for pattern, name in VARYING:
        message = re.sub(pattern, name, message, flags=re.MULTILINE)
    return message.strip()


def document(rows: Sequence[Row], opening: str = OPENING, header: str = HEADER) -> str:
    text = opening
    for section in dict.fromkeys(row.section for row in rows):
        lines = "\n".join(row.line for row in rows if row.section == section)
        text += f"\n## {section}\n\n{header}{lines}\n"
    return text


def documented() -> dict[str, str]:
    """The lines of the document's tables by what was given."""
    lines = DOCUMENT.read_text("utf-8").splitlines() if DOCUMENT.is_file() else []
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| what was given", "| ---"))]
    return {line.removeprefix("| ").split(" | ")[0]: line for line in rows}


def _code(line: str) -> str:
    fence = "``" if "`" in line else "`"
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
