"""The machine that is measured: its card, its versions, and which packages of the project it lacks."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "PIL", "safetensors", "simplejpeg", "sklearn", "pytest", "xdist", "hypothesis", "triton")
ROOT = Path(__file__).absolute().parents[2]
# Its functions refuse every image, and training/images.py then decodes with Pillow.
STAND_IN = '''"""Stands in for simplejpeg, which this machine has not."""

def decode_jpeg_header(*words, **options):
    raise ValueError("simplejpeg is missing")

decode_jpeg = decode_jpeg_header
'''


def find_missing() -> tuple[str, ...]:
    return tuple(name for name in PACKAGES if importlib.util.find_spec(name) is None)


def describe_machine(missing: Sequence[str]) -> dict[str, Any]:
    import torch  # here, so that its absence can be reported

    gpu = torch.cuda.is_available()
    return {
        "gpu": torch.cuda.get_device_name(0) if gpu else None,
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory if gpu else None,
        "driver": driver_version() if gpu else None,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if gpu else None,  # type: ignore[no-untyped-call]
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cpu_cores": os.cpu_count(),
        "missing_packages": list(missing),
    }


def driver_version() -> str | None:
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None  # a container need not have the tool


def prepare_interpreter(scratch: Path, missing: Sequence[str]) -> str:
    """The Python that the parts run with: this one, or one that has a stand-in for simplejpeg beside all that this has.

    The tests start processes with their own PYTHONPATH, so the stand-in has to be part of the installation.
    """
    if "simplejpeg" not in missing:
        return sys.executable
    folder = scratch / "python"
    venv.create(folder, symlinks=True)
    here = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    here.mkdir(parents=True, exist_ok=True)
    (here / "simplejpeg.py").write_text(STAND_IN, "utf-8")
    own = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    given = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    project = {str(ROOT), str(ROOT / "training")}  # which gpu.sh names, and a test must not find by itself
    others = [path for path in (*own, *given) if path not in project]
    (here / "machine.pth").write_text("".join(f"{path}\n" for path in others), "utf-8")
    return str(folder / "bin/python")
