"""What the code of the jobs may unpickle: the writer of a pickle chooses what its reader runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_samples import TRAINING

ROOT = TRAINING.parent

ALLOWED = {
    "training/pretrained.py: torch.load": "a file that a user chose; weights_only, with a torch without a known hole",
    "training/processes.py: dist.all_gather_object": "between the processes of one job, over its own network",
    "training/processes.py: dist.broadcast_object_list": "between the processes of one job, over its own network",
}
"""Module and name, and why it may be there."""

MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = re.compile(
    r"torch\.(load|save|package\..*|jit\.load|hub\..*)|(np|numpy)\.load|pd\.read_pickle|(\w+\.)*(all_gather|broadcast|gather|recv|scatter|send)_object(_list)?"
)


def unpickling(path: Path) -> Iterator[str]:
    """Names in a module that read or write pickles. numpy's load counts unless the call says allow_pickle=False."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            for name in names if isinstance(node, ast.Import) else [f"{node.module}.{name}" for name in names]:
                if name.partition(".")[0] in MODULES or name in ("torch.load", "torch.save", "numpy.load"):
                    yield name
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            without = any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)
            if CALLS.fullmatch(name) and not without:
                yield name


def sources() -> list[Path]:
    folders = ("training", "lambda", "headrace", "infra", "data_sets", "source_code", "pipeline_definition")
    return [path for folder in (*folders, "local_cloud") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_nothing_reads_or_writes_a_pickle_but_what_is_listed_with_its_reason() -> None:
    found = {f"{path.relative_to(ROOT)}: {name}" for path in sources() for name in unpickling(path)}
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from pickle import loads", "from torch import load", "torch.load(path)", "torch.jit.load(path)",
     "np.load(path)", "np.load(path, allow_pickle=True)", "dist.gather_object(value, found)"],
)  # fmt: skip
def test_the_search_finds(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert list(unpickling(tmp_path / "module.py"))


def test_what_is_unpickled_is_weights_alone() -> None:
    calls = [
        node
        for node in ast.walk(ast.parse((TRAINING / "pretrained.py").read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert calls
    for call in calls:
        assert ("weights_only", "True") in [(word.arg, ast.unparse(word.value)) for word in call.keywords]
