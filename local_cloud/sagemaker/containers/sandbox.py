"""What a job may see and change of this machine; `namespace.py` makes it so. The table is in docs/sandbox.md."""

import os
import pwd
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_IMAGES = Path(__file__).with_name("images")  # the inference server
_RESOLVER = Path("/etc/resolv.conf")


def sandbox(
    root: Path, reads: Iterable[Path], environment: Mapping[str, str], *, private: Iterable[Path], isolated: bool
) -> dict[str, Any]:
    """The sandbox of the container whose ``/opt/ml`` is ``root``; it hides ``private`` folders and the user's home.

    What it ``reads`` stays visible, read-only: its image above all.
    """
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    hidden = _outermost(path.resolve() for path in (*private, home, Path("/run")) if path.is_dir())
    certificate = environment.get("AWS_CA_BUNDLE")
    kept = [
        *reads, Path(sys.prefix), Path(sys.base_prefix), _IMAGES,
        *([Path(certificate)] if certificate else []), *([_RESOLVER.resolve()] if _RESOLVER.is_symlink() else []),
    ]  # fmt: skip
    temporary = root.parent / "tmp"
    over = {folder: str(temporary) for folder in ("/tmp", "/var/tmp") if os.path.isdir(folder)}
    return {
        "root": str(root),
        "isolated": isolated,
        "hide": hidden,
        "keep": sorted({str(path) for item in kept for path in (item, item.resolve())}),
        "write": [str(root.parent / name) for name in ("site", "home", "tmp")],
        "over": over,
        "memory": ["/dev/shm"] if os.path.isdir("/dev/shm") else [],
    }


def _outermost(folders: Iterable[Path]) -> list[str]:
    """Without those that lie in another one, and without what cannot be hidden."""
    found = sorted({folder for folder in folders if folder != Path("/")})
    return [str(folder) for folder in found if not any(folder.is_relative_to(it) for it in found if it != folder)]
