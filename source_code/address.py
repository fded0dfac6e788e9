"""The address of code: a hash of its files without comments and blank lines.

So a change of a comment keeps a step's archive, and the cache of the step. The archive that lies at an address is the
one that was stored there first: its comments, and the line numbers of a traceback, are those of that time.

Only the places of comments are taken from the tokenizer and never its tokens, which differ between versions of Python.
A coding or shebang line counts, since it changes how the file is read.
"""

from __future__ import annotations

import hashlib
import io
import re
import tokenize

from source_code.archive import Files

_COUNTS = re.compile(r"#!|#.*coding[:=]")  # in the first two lines: PEP 263


def address(files: Files) -> str:
    """64 hexadecimal digits."""
    digest = hashlib.sha256(b"headrace code 1\n")
    for name, file in sorted(files.items()):
        content = without_comments(file.content) if name.endswith(".py") else file.content
        for part in (name.encode(), b"x" if file.executable else b"-", content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def without_comments(source: bytes) -> bytes:
    """The source without comments and blank lines outside of strings; as it is, where it cannot be read as Python."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        lines = io.StringIO(source.decode(encoding)).readlines()
        comments, blank = _places(lines)
    except (SyntaxError, ValueError, LookupError, tokenize.TokenError):
        return source
    kept = []
    for number, line in enumerate(lines, start=1):
        if number in comments:
            line = line[: comments[number]].rstrip() + "\n"
        if not (number in comments or number in blank) or line.strip():
            kept.append(line)
    return "".join(kept).encode()


def _places(lines: list[str]) -> tuple[dict[int, int], set[int]]:
    """The column of each line's comment, and the lines that end nothing: blank ones, outside of any string."""
    comments: dict[int, int] = {}
    blank: set[int] = set()
    for token in tokenize.generate_tokens(iter(lines).__next__):
        line, column = token.start
        if token.type == tokenize.COMMENT and not (line <= 2 and _COUNTS.match(token.string)):
            comments[line] = column
        elif token.type == tokenize.NL:
            blank.add(line)
    return comments, blank
