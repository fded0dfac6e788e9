"""Training code as Headrace ships it, in an archive: training/ is a user's to change, and the suite tests this.

After a change of Headrace's own training code, `make shipped` writes the archive again; `.ci/run` compares the two.

    python tests/support/shipped_training.py            compares; exit status 1 where they differ
    python tests/support/shipped_training.py --write    writes the archive from training/
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ROOT / "training"
ARCHIVE = ROOT / "tests/project/training.tar.xz"
LEFT_OUT = frozenset({"__pycache__", "wheels", ".mypy_cache", ".ruff_cache"})


def read_folder() -> dict[str, bytes]:
    """The files of training/ by their path, without what Python, pip and the linters leave there."""
    files = {path.relative_to(TRAINING): path for path in sorted(TRAINING.rglob("*")) if path.is_file()}
    return {name.as_posix(): path.read_bytes() for name, path in files.items() if LEFT_OUT.isdisjoint(name.parts)}


def read_archive() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry))}


def write_archive() -> None:
    with tarfile.open(ARCHIVE, "w:xz", format=tarfile.PAX_FORMAT) as archive:
        for name, content in read_folder().items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))


def changed_files() -> list[str]:
    """The files of training/ that are not as Headrace ships them, by their path."""
    shipped, here = read_archive(), read_folder()
    return sorted(name for name in shipped.keys() | here.keys() if shipped.get(name) != here.get(name))


def main() -> int:
    if sys.argv[1:] == ["--write"]:
        write_archive()
        return 0
    changed = changed_files()
    if changed:
        print(f"error: {ARCHIVE.relative_to(ROOT)} differs from training/ in {', '.join(changed)}", file=sys.stderr)
        print("\nhint: if you changed Headrace's own training code: make shipped", file=sys.stderr)
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
