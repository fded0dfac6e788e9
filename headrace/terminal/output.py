"""Where words go: data on stdout (a table, or JSON), everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from headrace.errors import HeadraceError
from headrace.invocation import with_path
from headrace.visible import visible, visible_json, visible_lines

GOOD = {"Succeeded", "Approved", "InService", "Completed"}
BAD = {"Failed", "Rejected", "Stopped", "RollingBack", "UpdateRollbackFailed", "OutOfService"}


class SafeConsole(Console):
    """A console that sends no control character but those that rich makes itself.

    All of rich's output passes here, that of tables and of live displays too.
    """

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        safe = (part if part.control else part._replace(text=visible_lines(part.text)) for part in buffer)
        return super()._render_buffer(safe)


class Output:
    """A terminal gets colours and folded cells; a pipe gets whole values, aligned with two spaces between columns.

    Whatever a command prints passes `visible`: it may be a name that somebody chose in order to fool a terminal.
    """

    def __init__(self, *, as_json: bool = False, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.as_json = as_json
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self.progress = SafeConsole(file=self._stderr, highlight=False, markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], data: object) -> None:
        """`rows` for people, or `data` as JSON."""
        if self.as_json:
            self.json(data)
        elif self._stdout.isatty():
            table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
            for column in columns:
                table.add_column(column, overflow="fold")
            for row in rows:
                table.add_row(*(Text(visible(cell), style=status_style(cell)) for cell in row))
            SafeConsole(file=self._stdout, highlight=False, markup=False).print(table)
        else:
            self._aligned([list(columns), *[list(row) for row in rows]])

    def facts(self, lines: Mapping[str, str], data: object) -> None:
        """A few `name  value` lines, or `data` as JSON."""
        if self.as_json:
            self.json(data)
        else:
            self._aligned([[name, value] for name, value in lines.items()])

    def line(self, text: str) -> None:
        print(visible_lines(text), file=self._stdout, flush=True)

    def json(self, data: object) -> None:
        print(visible_json(json.dumps(data, indent=2, ensure_ascii=False)), file=self._stdout, flush=True)

    def note(self, text: str) -> None:
        self._say(Text(visible_lines(text)))

    def prompt(self, text: str) -> None:
        """A question on stderr; the answer is typed behind it."""
        self.progress.print(Text(visible_lines(text), style="bold"), end="", soft_wrap=True)

    def warn(self, text: str) -> None:
        self._say(Text("warning: ", style="yellow") + Text(visible_lines(with_path(text))))

    def next(self, command: str, why: str = "") -> None:
        """One suggested next command, apart from the rest; a program that reads JSON needs none."""
        if not self.as_json:
            reason = Text(f"   # {visible(why)}", style="dim") if why else Text("")
            self._say(Text("\nnext: ", style="bold") + Text(visible(with_path(command)), style="cyan") + reason)

    def error(self, error: HeadraceError) -> None:
        self._say(Text("error: ", style="bold red") + Text(visible_lines(str(error))))
        if error.hint:
            self._say(Text("\nhint: ", style="bold") + Text(visible_lines(with_path(error.hint))))

    def _say(self, text: Text) -> None:
        self.progress.print(text, soft_wrap=True)  # no line breaks of ours: a command has to be copied whole

    def _aligned(self, rows: Sequence[Sequence[str]]) -> None:
        rows = [[visible(cell) for cell in row] for row in rows]
        widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print("  ".join(cells).rstrip(), file=self._stdout)
        self._stdout.flush()


def status_style(cell: str) -> str:
    """Colour is a help, never the only sign: the word itself stays."""
    if cell in GOOD:
        return "green"
    if cell in BAD:
        return "red"
    return "yellow" if cell in {"Executing", "Stopping", "Starting", "PendingManualApproval"} else ""
