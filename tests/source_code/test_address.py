"""Code has one address whatever its comments are, and another one for any other change, on every Python."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suite import PROJECT

from infra.training.code_archive import code_files
from source_code.address import address, without_comments
from source_code.archive import File

ROOT = Path(__file__).parents[2]
SOURCE = '''\
"""A docstring # this is not a comment.

# nor is this
"""
import os  # with a comment


# a comment line
def f(x):
    # indented
    text = f"{x!r:>{10}} # in an f-string {'#' + str(x)}"
    more = """

# in a string
"""
    return [
        text,  # the first

        # between
        more,
    ]
'''
BARE = '''\
"""A docstring # this is not a comment.

# nor is this
"""
import os
def f(x):
    text = f"{x!r:>{10}} # in an f-string {'#' + str(x)}"
    more = """

# in a string
"""
    return [
        text,
        more,
    ]
'''
GOLDEN = "27c682cd2eba457ad76500a20dde2d174657687e646fe941acc1d5e7e4004569"


def of(text: str | bytes, **more: bytes) -> str:
    content = text.encode() if isinstance(text, str) else text
    return address({"a.py": File(content), **{name: File(value) for name, value in more.items()}})


def test_comments_and_blank_lines_are_left_out_but_in_strings() -> None:
    assert without_comments(SOURCE.encode()).decode() == BARE
    assert of(SOURCE) == of(BARE)


@pytest.mark.parametrize(
    "other",
    [
        BARE.replace("import os", "import os, sys"),
        BARE.replace("# nor is this", "# nor is that"),
        BARE.replace("# in a string", "# in another string"),
        BARE.replace("# in an f-string", "# in the f-string"),
        BARE.replace('"""\n\n# in', '"""\n# in'),
        BARE.replace("        more,\n", ""),
        BARE.replace("    text = f", "    text =  f"),
    ],
)
def test_any_other_change_is_another_address(other: str) -> None:
    assert other != BARE
    assert of(other) != of(BARE)


def test_names_executable_bits_and_other_files_count() -> None:
    file = File(b"x = 1\n")
    found = [
        address({"a.py": file}),
        address({"b.py": file}),
        address({"a.py": File(b"x = 1\n", executable=True)}),
        address({"a.py": file, "r.txt": File(b"pillow\n")}),
        address({"a.py": file, "r.txt": File(b"pillow\n# comment\n")}),
        address({"a.py": file, "r.txt": File(b""), "s.txt": File(b"pillow\n")}),
    ]
    assert len(set(found)) == len(found)


def test_a_line_that_says_how_the_file_is_read_counts() -> None:
    plain = b"x = '\xc3\xa9'\n"
    assert of(b"# -*- coding: latin-1 -*-\n" + plain) != of(plain)
    assert of(b"#!/usr/bin/python3\n" + plain) != of(plain)
    assert of(b"# a comment\n" + plain) == of(plain)


@pytest.mark.parametrize("broken", [b"def f(:\n  '''", b"\xff\xfe", b"x = (\n", b"# -*- coding: none -*-\n", b"a\0b"])
def test_what_is_not_python_counts_as_it_is(broken: bytes) -> None:
    assert without_comments(broken) == broken


def test_the_code_of_the_project_means_the_same_without_its_comments() -> None:
    for name, file in code_files(PROJECT / "training", ROOT / "data_sets").items():
        if name.endswith(".py"):
            bare = without_comments(file.content)
            assert ast.dump(ast.parse(bare)) == ast.dump(ast.parse(file.content)), name
            assert without_comments(bare) == bare


@given(st.data())
def test_a_comment_that_is_added_anywhere_changes_nothing(data: st.DataObject) -> None:
    lines = BARE.splitlines()
    # A line after which no string is open; those of the docstring and of `more` are not.
    number = data.draw(st.sampled_from([3, 4, 5, 6, 10, 11, 12, 13]))
    comment = data.draw(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20))
    place = data.draw(st.sampled_from(["behind", "below"]))
    if place == "behind":
        lines[number] += f"  # {comment}"
    else:
        lines.insert(number + 1, f"   # {comment}\n")
    assert of("\n".join(lines) + "\n") == of(BARE)


SHOW = "import sys; from source_code.address import address; from source_code.archive import File; " \
       "print(address({'a.py': File(sys.stdin.buffer.read())}))"  # fmt: skip


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.process
def test_every_python_finds_the_same_address(version: str) -> None:
    """The function's, the images' and this machine's differ; 3.12 takes f-strings apart, which 3.11 does not."""
    assert of(SOURCE) == GOLDEN
    found = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
    # pyenv's shims are on PATH for versions that it cannot run.
    python = next(
        (it for it in found if it and not subprocess.run([it, "-c", ""], capture_output=True).returncode), None
    )
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    done = subprocess.run([python, "-c", SHOW], input=SOURCE.encode(), capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.decode().strip() == GOLDEN
