"""A step's archive holds what its script needs, and nothing that it does not."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from suite import PROJECT, TRAINING

from infra.training.code_archive import code_files
from source_code.archive import File
from source_code.errors import SourceError
from source_code.imports import needed, refuse_uncompilable

ROOT = Path(__file__).parents[2]


def files(**texts: str) -> dict[str, File]:
    """`a__b` is a/b.py, and `a__init` is a/__init__.py."""
    return {
        "/".join("__init__" if part == "init" else part for part in name.split("__")) + ".py": File(text.encode())
        for name, text in texts.items()
    }


def needs(script: str, **others: str) -> set[str]:
    return set(needed(files(main=script, other="", **others), "main.py")) - {"main.py"}


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("import a", {"a.py"}),
        ("import a as b, c", {"a.py", "c.py"}),
        ("from a import x", {"a.py"}),
        ("def f():\n    import a", {"a.py"}),
        ("if True:\n    try:\n        import a\n    except ImportError:\n        import c", {"a.py", "c.py"}),
        ("import os, numpy.linalg", set()),
        ("import plain.deep.leaf", {"plain/__init__.py", "plain/deep/__init__.py", "plain/deep/leaf.py", "a.py"}),
        ("from plain.deep import leaf", {"plain/__init__.py", "plain/deep/__init__.py", "plain/deep/leaf.py", "a.py"}),
        ("from plain import deep", {"plain/__init__.py", "plain/deep/__init__.py"}),
        ("from plain.deep import *", {"plain/__init__.py", "plain/deep/__init__.py", "plain/deep/leaf.py", "a.py"}),
        ("import spaced.thing", {"spaced/thing.py"}),  # a folder without __init__.py
        ("from spaced import thing", {"spaced/thing.py"}),
        ("import importlib\nimportlib.import_module('a')", {"a.py"}),
        ("__import__('spaced.thing')", {"spaced/thing.py"}),
        ("import runpy\nrunpy.run_module('a')", {"a.py"}),
        ("import runpy\nrunpy.run_path('spaced/thing.py')", {"spaced/thing.py"}),
        ("import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'spaced.thing'])", {"spaced/thing.py"}),
        ("SERVED = ('c.py', 'none.py')", {"c.py"}),
        ("# headrace: imports c.py, spaced/*.py", {"c.py", "spaced/thing.py"}),
        ("import importlib\nimportlib.import_module(name)  # headrace: no", {"everything"}),
        ("import importlib\n# headrace: imports nothing more\nimportlib.import_module(name)", set()),
        ("import importlib\n# headrace: imports a.py\nimportlib.import_module(name)", {"a.py"}),
    ],
)
def test_what_a_script_needs(script: str, found: set[str]) -> None:
    code = {"a": "", "c": "", "plain__init": "", "plain__deep__init": "", "spaced__thing": ""}
    code["plain__deep__leaf"] = "from ... import x\nfrom . import leaf\nimport a"
    every = set(files(other="", **code))
    assert needs(script, **code) == (every if found == {"everything"} else found)


def test_imports_are_followed_at_any_depth_and_in_circles() -> None:
    assert needs("import a", a="import b", b="import c", c="import a", d="") == {"a.py", "b.py", "c.py"}


def test_relative_imports_are_followed_within_their_package() -> None:
    code = {"p__init": "", "p__one": "from . import two\nfrom .three import x", "p__two": "", "p__three": ""}
    assert needs("import p.one", **code, p__no="") == {"p/__init__.py", "p/one.py", "p/two.py", "p/three.py"}


def test_the_entry_point_and_what_is_not_python_belong_to_every_step() -> None:
    code = files(main="", entry="import errors", errors="", other="")
    code |= {"requirements.txt": File(b""), "wheels/a.whl": File(b""), "data/labels.json": File(b"")}
    code |= {name: File(b"") for name in ("__pycache__/main.cpython-311.pyc", ".DS_Store", "data/.git/config", "a.pyc")}
    found = {"entry.py", "errors.py", "main.py", "requirements.txt", "wheels/a.whl", "data/labels.json"}
    assert set(needed(code, "main.py")) == found


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ({"main": "def f(:\n"}, "main.py, line 1 does not compile with Python"),
        ({"main": "import a", "a": "x = 1\nreturn x"}, "a.py, line 2 does not compile with Python"),
        ({"main": "x = '\0'"}, "main.py"),
        ({"main": "# headrace: imports networks/*.py"}, "main.py declares that it imports 'networks/*.py', and no"),
        ({"other": ""}, "there is no file main.py in the code\nhint: its scripts are other.py"),
    ],
)
def test_code_that_cannot_be_followed_is_refused_with_its_place(code: dict[str, str], said: str) -> None:
    with pytest.raises(SourceError) as caught:
        needed(files(**code), "main.py")
    assert str(caught.value).startswith(said)
    assert "\nhint: " in str(caught.value)


def test_each_file_is_compiled_even_one_that_no_script_needs() -> None:
    with pytest.raises(SourceError, match=r"^b\.py, line 1 does not compile"):
        refuse_uncompilable(files(a="", b="class", c="def"))


def test_syntax_that_an_older_python_does_not_have_is_refused() -> None:
    code = files(a="match x:\n    case 1:\n        pass\n")
    refuse_uncompilable(code, 99)
    with pytest.raises(SourceError, match=r"^a\.py, line \d does not compile with Python 3\.9"):
        refuse_uncompilable(code, 9)


STEPS = {"preprocess.py": {"train.py", "model.py", "evaluate.py"}, "train.py": {"preprocess.py", "evaluate.py"},
         "evaluate.py": {"preprocess.py", "train.py", "optimizing.py"}}  # fmt: skip


@pytest.mark.parametrize("script", STEPS)
def test_the_projects_own_steps_do_not_need_each_other(script: str) -> None:
    code = code_files(PROJECT / "training", ROOT / "data_sets")
    assert not set(needed(code, script)) & STEPS[script]


@pytest.mark.parametrize("script", STEPS)
def test_the_projects_own_steps_have_all_that_they_import(script: str, tmp_path: Path) -> None:
    """Python itself imports each step's script from a folder with its archive's files alone."""
    code = code_files(PROJECT / "training", ROOT / "data_sets")
    for name in needed(code, script):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(code[name].content)
    before, path_before = set(sys.modules), list(sys.path)
    own = {Path(name).stem for name in code} | {"data_sets"}
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in own}
    sys.path[:] = [str(tmp_path), *(entry for entry in sys.path if Path(entry or ".").resolve() != TRAINING)]
    try:
        runpy.run_path(str(tmp_path / script), run_name="imported")
    finally:
        sys.path[:] = path_before
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in own:
                del sys.modules[name]
        sys.modules.update(kept)
