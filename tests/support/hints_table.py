"""tests/hints.toml: which test follows each hint of the sources, or why none does.

`python -m pytest tests/headrace tests/lambda --write-hints`, in one process, adds what is missing and takes out what is
no longer in the sources; it may be run on a few files only. What it cannot fill stays "" for a person to fill.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable

from followed_hints import hints_for
from hints import TABLE, commands, every_hint

ADVICE = "advice: there is no command in it"
PASSED_ON = "advice: passed on, the text is that of another entry"
OTHER_PROGRAM = "parsed: its program needs AWS, the CDK or an installation"
READ_LATER = "parsed: it is read in a log or a notice, later and elsewhere"
REASONS = ("advice: ", "parsed: ")
HEADER = """\
# Which test follows each hint of the sources and each command they suggest next, or the reason why none does:
# "advice: …" or "parsed: …". A part that is known only at run time is written as {the expression}.
# tests/headrace/conftest.py follows what its tests are given; --write-hints writes what that shows (hints_table.py).
# A hint of a function (lambda/) is read in a log or a notice: the test provokes it, and its commands are parsed.
# `open` names the folders whose entries are still being written: what is missing there fails no test.
"""
Table = dict[str, dict[str, str]]
_followed: dict[tuple[str, str], str] = {}  # file and text: the first test that followed it


def record(test: str, lines: Iterable[str], folder: str) -> None:
    """Takes note of a test, by its node id, that was given these hints of a folder."""
    for line in lines:
        for found in hints_for(line, folder):
            _followed.setdefault(found, test.partition("[")[0])


def read() -> tuple[list[str], Table]:
    """The open folders, and the table by file and text."""
    content = tomllib.loads(TABLE.read_text("utf-8"))
    return content.pop("open"), content


def wanted() -> dict[str, list[str]]:
    """The texts of the sources by file, each once."""
    found: dict[str, list[str]] = {}
    for hint in every_hint():
        if hint.text not in found.setdefault(hint.file, []):
            found[hint.file].append(hint.text)
    return found


def write() -> None:
    """A hint that has moved to another file keeps its entry."""
    folders, table = read()
    lines = [HEADER, f"open = {json.dumps(folders)}"]
    present = wanted()
    known_texts = ((file, text, why) for file, entries in table.items() for text, why in entries.items())
    gone = {text: why for file, text, why in known_texts if text not in present.get(file, ())}
    for file, texts in sorted(present.items()):
        lines += ["", f'["{file}"]']
        for text in sorted(texts):
            known = table.get(file, {}).get(text) or gone.get(text, "")
            if not known or known.startswith(REASONS):
                known = _followed.get((file, text)) or known or _by_itself(file, text)
            lines.append(f"{json.dumps(text, ensure_ascii=False)} = {json.dumps(known, ensure_ascii=False)}")
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


def _by_itself(file: str, text: str) -> str:
    """The reason why no test follows a hint, where the text itself shows it."""
    if text.startswith("{") and text.endswith("}"):
        return PASSED_ON
    programs = {words[0] for words in commands(text)}
    if not programs:
        return ADVICE
    if "headrace" not in programs:
        return OTHER_PROGRAM
    return READ_LATER if file.startswith("lambda/") else ""


def missing(folders: Iterable[str] = ()) -> list[str]:
    """What has no entry, or an empty one, outside the open folders."""
    _, table = read()
    return [
        f"{file}: {text}"
        for file, texts in wanted().items()
        if not file.startswith(tuple(f"{folder}/" for folder in folders))
        for text in texts
        if not table.get(file, {}).get(text)
    ]
