"""The project that the suite tests: this code, with settings and training code of the suite's own (tests/project/).

environments.toml, prices.toml and training/ are a user's to change, and `make check` looks at theirs.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import shipped_training

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / "tests/project"
SETTINGS = ("environments.toml", "prices.toml")
LINKED = (
    *(".venv", "benchmarks", "cdk.json", "data_sets", "docs", "environments", "headrace", "infra", "lambda"),
    *(
        "local_cloud",
        "node_modules",
        "pipeline_definition",
        "pipeline_language",
        "pyproject.toml",
        "run_costs",
        "source_code",
        "tests",
    ),
)


def write_project(folder: Path) -> None:
    """Write the suite's project into an empty folder: what is a user's is copied, the rest are links."""
    shutil.copy(ROOT / "app.py", folder)  # it looks for environments.toml where it really is
    for name in SETTINGS:
        shutil.copy(OWN / name, folder)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    for name, content in shipped_training.read_archive().items():
        path = folder / "training" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _project() -> Path:
    """The suite's project, made once for its content: the processes of pytest-xdist share it."""
    own = (Path(__file__), ROOT / "app.py", shipped_training.ARCHIVE, *(OWN / name for name in SETTINGS))
    content = hashlib.sha256(b"\0".join([str(ROOT).encode(), *(path.read_bytes() for path in own)])).hexdigest()
    cache = ROOT / ".pytest_cache"
    project = cache / f"project-{content[:16]}"
    if not project.is_dir():
        cache.mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=cache, prefix="new-"))
        write_project(new)
        try:
            new.rename(project)
        except OSError:  # another process was first
            shutil.rmtree(new)
    return project


PROJECT = _project()
TRAINING = PROJECT / "training"
