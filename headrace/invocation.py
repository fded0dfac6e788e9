"""How `headrace` is called in this shell: by its name where PATH has it, else by its path.

`make demo` installs it into .venv/bin, which a newcomer's PATH does not have. What a `next:` or `hint:` line says can
be typed as it stands.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

_COMMAND = re.compile(r"(?<![\w./-])headrace(?= (?:-|[a-z]))")


def with_path(text: str) -> str:
    """The text with each `headrace COMMAND` as it has to be typed here."""
    name = program()
    return text if name == "headrace" else _COMMAND.sub(lambda _: name, text)


def program() -> str:
    """`headrace`, or the path of this installation's, relative to the current folder where it lies below it."""
    own = Path(sys.prefix, "bin", "headrace")
    found = shutil.which("headrace")
    if not own.exists() or (found is not None and os.path.samefile(found, own)):
        return "headrace"
    here = Path.cwd()
    below = own.relative_to(here) if own.is_relative_to(here) else own
    return shlex.quote(str(below) if "/" in str(below) else f"./{below}")
