"""Find words that a reader has to translate: python tests/support/words.py [PATH ...]

It reads the comments and the texts of Python files, and all of every other file. tests/words.toml has the words, and
what to write instead. Without a PATH it reads what Git tracks, but for what words.toml lists as unchecked.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "tests" / "words.toml"
GLOSSARY = ("docs/glossary.md", "tests/words.toml", "LICENSE")
READ = (".py", ".md", ".toml", ".yml", ".yaml", ".in")
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def find(path: Path, words: dict[str, str]) -> Iterator[str]:
    """One line for each word that is found: place, the words around it, and what to write instead."""
    for number, text in _texts(path):
        for pattern, instead in words.items():
            for match in re.finditer(pattern, text, re.IGNORECASE):
                line = number + text.count("\n", 0, match.start())
                around = " ".join(text[max(0, match.start() - 40) : match.end() + 25].split())
                yield f"{path.relative_to(ROOT)}:{line}: {match[0]!r} in '{around}': {instead}"


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in TEXTS and " " in token.string.strip():  # a text of one word is a name or a key
            yield token.start[0], token.string


def tracked(arguments: list[str]) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    files = [ROOT / line for line in listed.stdout.splitlines()]
    wanted = [path for path in files if path.suffix in READ or path.name == "Makefile"]
    return [path for path in wanted if path.exists() and path.relative_to(ROOT).as_posix() not in GLOSSARY]


def main(arguments: list[str]) -> int:
    content = tomllib.loads(LIST.read_text("utf-8"))
    excluded = [] if arguments else content["unchecked"]
    found, counts = [], Counter[str]()
    for path in tracked(arguments):
        relative = path.relative_to(ROOT).as_posix()
        if any(relative == name or relative.startswith(f"{name}/") for name in excluded):
            continue
        lines = list(find(path, content["instead"]))
        counts[relative.partition("/")[0]] += len(lines)
        found += lines
    print("\n".join(found) or "no words to rewrite")
    if found:
        print(f"\n{len(found)} words to rewrite: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
