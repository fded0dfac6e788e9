"""The register of ministack's patches: complete, applied in order, and loud when ministack is another one."""

import ast
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from patches_document import DOCUMENT, document
from suite import ROOT

from local_cloud.errors import MinistackChanged
from local_cloud.ministack import patches
from local_cloud.ministack.patches import Patch
from local_cloud.ministack.register import PATCHES


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of ministack's, for the time of a test."""
    planted = types.ModuleType("ministack.planted")
    planted.name, planted.table = object(), {"key": {"inner": object()}}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ministack.planted", planted)
    return planted


@pytest.mark.process
def test_the_register_lists_what_is_patched_and_nothing_else(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "tests/support/ministack_names.py", tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests/support")))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    changed = [line.split() for line in ran.stdout.splitlines()]
    registered = [target for patch in PATCHES for target in patch.targets]
    patterns = [re.compile(re.escape(target).replace(r"\*", r"[^]]+")) for target in registered]
    assert [names for names in changed if not any(pattern.match(name) for pattern in patterns for name in names)] == []
    assert [
        target
        for target, pattern in zip(registered, patterns, strict=True)
        if not any(pattern.fullmatch(name) for names in changed for name in names)
    ] == []


@pytest.mark.parametrize(
    "target", ["planted:gone", "planted:name.gone", "planted:table[gone]", "planted:table[key][gone]", "gone:name"]
)
def test_a_name_that_ministack_does_not_have_is_an_error(target: str, module: types.ModuleType) -> None:
    ran: list[str] = []
    with pytest.raises(MinistackChanged, match=re.escape(f"has no {target}: a reason")) as refusal:
        patches.apply([Patch("s3.buckets", (target,), "a reason")], {"s3.buckets": lambda: ran.append("installed")})
    assert str(refusal.value).startswith("local_cloud/ministack/s3/buckets.py: ministack ")
    assert "\nhint: " in str(refusal.value)
    assert ran == []  # nothing is half patched


@pytest.mark.parametrize("target", ["planted:name", "planted:table[key][inner]", "planted:table[*]"])
def test_a_patch_without_effect_is_an_error(target: str, module: types.ModuleType) -> None:
    with pytest.raises(MinistackChanged, match=re.escape(f"has the same {target}")):
        patches.apply([Patch("queues", (target,), "a reason")], {"queues": lambda: None})


def test_a_name_that_ministack_has_got_itself_is_an_error(module: types.ModuleType) -> None:
    with pytest.raises(MinistackChanged, match="has planted:name already"):
        patches.apply([Patch("queues", ("planted:name",), "a reason", adds=True)], {"queues": lambda: None})


def test_installers_run_in_the_order_of_the_register(module: types.ModuleType) -> None:
    order: list[str] = []

    def installer(name: str) -> None:
        order.append(name)
        module.name = object()  # type: ignore[attr-defined]

    rows = [Patch(name, ("planted:name",), "a reason") for name in ("b", "a")]
    patches.apply(rows, {name: lambda name=name: installer(name) for name in ("a", "b")})
    assert order == ["b", "a"]


def test_every_private_name_that_is_used_is_there() -> None:
    """The names that are read or called and not replaced: an upgrade may take each of them away as well."""
    missing = []
    for path in sorted((ROOT / "local_cloud/ministack").rglob("*.py")):
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ministack")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                place = modules[node.value.id].removeprefix("ministack.")
                is_ours = node.attr.startswith("_headrace")
                if not is_ours and patches._look_up(f"{place}:{node.attr}") is patches._MISSING:
                    missing.append(f"{path.relative_to(ROOT)}:{node.lineno}: {place}.{node.attr}")
    assert missing == []


def test_the_document_is_as_the_register_has_it(request: pytest.FixtureRequest) -> None:
    text = document()
    if request.config.getoption("write_patches"):
        DOCUMENT.write_text(text, "utf-8")
    assert DOCUMENT.read_text("utf-8") == text, f"{DOCUMENT} differs; python -m pytest {__file__} --write-patches"
