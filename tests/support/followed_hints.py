"""Follows each hint and each suggested command that a test of the command line is given, as it stands.

A hint is followed at the end of its test, in the state that the test has left. It must not be a mistake on the command
line, and must not end in the very same error with the very same hint: that is a dead end. A command that begins to wait
or starts a program (cdk) has been taken; it is not waited for.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hints import Hint, every_hint
from scripted_cloud import FakeCloud, Result

SHELL = ("ls ", "cp -rL ")  # programs that are run as well
MOST_FOLLOWED = 12  # of one test: a test of many cases prints the same few


class Taken(BaseException):
    """The command has begun to wait, or has started a program."""


@dataclass
class Follower:
    run: Callable[..., Result]
    folder: Path
    given: dict[str, FakeCloud | None] = field(default_factory=dict)  # line, and the cloud that it was given on
    errors: dict[str, str] = field(default_factory=dict)  # the error above a hint

    def note(self, result: Result, on: FakeCloud | None) -> None:
        error = ""
        for line in result.err.splitlines():
            kind, _, text = line.partition(": ")
            if kind == "error":
                error = text
            elif kind in ("hint", "next"):
                self.given.setdefault(text, on)
                self.errors.setdefault(text, error if kind == "hint" else "")

    def follow_all(self) -> None:
        for text, on in list(self.given.items())[:MOST_FOLLOWED]:
            for command in commands_of(text):
                self._follow(text, command, on)

    def _follow(self, text: str, command: str, on: FakeCloud | None) -> None:
        if command.startswith(SHELL):
            done = subprocess.run(["sh", "-c", command], cwd=self.folder, capture_output=True, text=True, check=False)
            assert done.returncode in (0, 1, 2), f"{command}: {done.stderr}"
            return
        (self.folder / ".headrace").mkdir(exist_ok=True)  # as a local cloud that is up has it
        words = [self._stand_in(word) for word in shlex.split(command)[1:]]
        try:
            with pytest.MonkeyPatch.context() as patch:
                never_wait(patch)
                result = self.run(*words, on=on)
        except Taken:
            return
        assert "Traceback" not in result.err, f"{command}: {result.err}"
        assert result.status != 2 or "usage:" not in result.err, f"{command} is not a command: {result.err}"
        repeats = f"error: {self.errors[text]}\n" in result.err and f"hint: {text}\n" in result.err
        assert not (self.errors[text] and repeats), f"the hint {command!r} ends in itself: {result.err}"

    def _stand_in(self, word: str) -> str:
        """What a person puts in the place of a word like FOLDER."""
        match word:
            case "FOLDER" | "PATH" | "FOLDER_OF_CLASS_FOLDERS":
                for name in ("cat", "dog"):
                    (self.folder / "pets" / name).mkdir(parents=True, exist_ok=True)
                    (self.folder / "pets" / name / "1.jpg").write_bytes(b"image")
                return str(self.folder / "pets")
            case "IMAGE" | "IMAGE.jpg":
                (self.folder / "image.jpg").write_bytes(b"image")
                return str(self.folder / "image.jpg")
            case "VERSION" | "RUN_OR_VERSION":
                return "1"
        return word


def commands_of(text: str) -> list[str]:
    """The commands of a hint that is commands: separated by && or ;, with a reason behind #."""
    parts = re.split(r" && |; ", text.partition("   # ")[0].strip())
    return parts if all(part.startswith(("headrace ", *SHELL)) for part in parts) else []


def never_wait(patch: pytest.MonkeyPatch) -> None:
    """Makes a command end where it would wait for something, or start a program.

    In this thread only: threads of the services that tests run in their own process go on as they do.
    """
    thread = threading.get_ident()

    def until_taken(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if threading.get_ident() == thread:
                raise Taken
            return original(*arguments, **more)

        return call

    patch.setattr(time, "sleep", until_taken(time.sleep))
    for name in ("run", "Popen"):
        patch.setattr(f"headrace.commands.cdk.subprocess.{name}", until_taken(getattr(subprocess, name)))


@cache
def _patterns(file_folder: str) -> list[tuple[Hint, re.Pattern[str]]]:
    """Only of hints with literal text: a hint that is only {an expression} would match any line."""
    found = []
    for hint in every_hint():
        if hint.file.startswith(file_folder):
            own = re.sub(r"\{.*?\}", "\0", hint.text)
            if len(own.replace("\0", "").replace("headrace", "").strip(" #")) >= 2:
                found.append((hint, re.compile(".+?".join(map(re.escape, own.split("\0"))) + "( +#.*)?")))
    return found


def hints_for(line: str, folder: str = "headrace/") -> set[tuple[str, str]]:
    """File and text of each hint of the sources that may have made this line."""
    plain = re.sub(r"^headrace (--local )?(--env [a-z0-9-]+ )?(--project \S+ )?(--line \S+ )?", "headrace ", line)
    return {
        (hint.file, hint.text)
        for hint, pattern in _patterns(folder)
        if pattern.fullmatch(line) or pattern.fullmatch(plain)
    }
