"""benchmarks/gpu.sh: all of it in miniature, and what it does where something is missing or fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import torch
from suite import PROJECT

from benchmarks.gpu.data import encode_photograph
from benchmarks.gpu.machine import prepare_interpreter
from benchmarks.gpu.parts import PARTS, Part, run, run_all

pytestmark = pytest.mark.process

WITHOUT_GPU = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


def gpu_sh(*words: object, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [str(PROJECT / "benchmarks/gpu.sh"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**WITHOUT_GPU, "PYTHON": python}, check=False)


@pytest.mark.timeout(1200)
def test_every_part_runs_in_miniature_on_a_cpu(tmp_path: Path) -> None:
    done = gpu_sh("--small", "--seconds", "1100", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["small"]
    assert document["machine"]["torch"] == torch.__version__
    assert {name: part["status"] for name, part in document["parts"].items()} == {part.name: "done" for part in PARTS}
    assert all(part["rows"] for part in document["parts"].values())
    resumed, shared = (document["parts"][name]["rows"] for name in ("resumed", "shared"))
    assert resumed[0]["what"].endswith(("SIGKILL and SIGTERM", "SIGKILL", "SIGTERM", "it was faster"))
    assert resumed[0]["value"] == shared[-1]["value"] == "equal, bit for bit"
    table = (tmp_path / "gpu.md").read_text()
    assert "In miniature: the figures mean nothing." in table
    rows = sum(len(part["rows"]) for part in document["parts"].values())
    assert table.count("\n| ") == 2 + rows


def test_a_part_that_fails_is_named_with_its_reason_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (PROJECT, PROJECT / "training"))))
    parts = [Part("absent", "no such part", 60), Part("serving", "answers", 60)]
    failed, done = run_all(parts, tmp_path, sys.executable, True, 300, ())
    assert (failed.status, failed.reason) == ("failed", "ModuleNotFoundError: No module named 'benchmarks.gpu.absent'")
    assert (done.status, done.reason) == ("done", "")
    assert done.rows


def test_a_part_that_takes_too_long_is_ended_and_keeps_what_it_measured(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    script = f"""
import time
open({str(rows)!r}, "w").write('{{"what": "a", "value": 1, "unit": ""}}')
time.sleep(600)
"""
    result = run(PARTS[0], [sys.executable, "-c", script], rows, 3)
    assert (result.status, result.reason, len(result.rows)) == ("timed out", "after 3 s", 1)


def test_a_part_whose_packages_are_missing_is_not_run_and_says_which(tmp_path: Path) -> None:
    (result,) = run_all([Part("serving", "answers", 60, ("safetensors",))], tmp_path, sys.executable, True, 300,
                        ("xdist", "safetensors"))  # fmt: skip
    assert (result.status, result.reason) == ("not run", "this Python lacks safetensors")


def test_without_simplejpeg_pillow_decodes(tmp_path: Path) -> None:
    python = prepare_interpreter(tmp_path, ("simplejpeg",))
    (tmp_path / "photograph.jpg").write_bytes(encode_photograph(0))
    script = """
import sys, simplejpeg
from images import fit_image, open_image
opened = open_image(open(sys.argv[1], "rb").read())
print("Stands in" in simplejpeg.__doc__, opened.picture is not None, fit_image(opened, 32).shape)
"""
    command = [python, "-B", "-c", script, str(tmp_path / "photograph.jpg")]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "training")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "True True (32, 32, 3)\n", done.stderr


def test_without_torch_or_a_gpu_it_says_so(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    bare = gpu_sh(tmp_path, python=str(tmp_path / "bare/bin/python"))
    assert bare.returncode == 2
    assert "has no torch\nhint: PYTHON=/path/to/python benchmarks/gpu.sh" in bare.stderr
    on_cpu = gpu_sh(tmp_path)
    assert on_cpu.returncode == 2
    assert "finds no GPU\nhint: benchmarks/gpu.sh --small" in on_cpu.stderr
