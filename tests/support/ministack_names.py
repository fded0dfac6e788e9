"""python ministack_names.py FOLDER: which names of ministack the local cloud's patches change.

Run in a separate process, because the patches stay. A line has all names of one object: several modules may share it.
"""

import os
import sys
from pathlib import Path
from typing import Any


def names() -> dict[str, Any]:
    """Everything in ministack's modules and classes, and the entries of dictionaries, two levels deep, by its names."""
    found: dict[str, Any] = {}
    dictionaries: dict[int, list[str]] = {}
    for module, content in sorted(sys.modules.items()):
        if not module.startswith("ministack."):
            continue
        for name, value in list(vars(content).items()):
            if name.startswith("__"):
                continue
            full = f"{module.removeprefix('ministack.')}:{name}"
            found[full] = value
            if isinstance(value, type) and value.__module__ == module:
                found |= {f"{full}.{member}": inner for member, inner in vars(value).items()}
            elif isinstance(value, dict):
                dictionaries.setdefault(id(value), []).append(full)
    for holders in dictionaries.values():
        found |= _entries(holders, found[holders[0]], levels=2)
    return found


def _entries(holders: list[str], value: dict[Any, Any], levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, inner in list(value.items()):
        entry = [f"{holder}[{key}]" for holder in holders]
        found[" ".join(entry)] = inner
        if isinstance(inner, dict) and levels > 1:
            found |= _entries(entry, inner, levels - 1)
    return found


def main(folder: Path) -> None:
    settings = {"AUTH": "true", "PERSIST_STATE": "1", "STATE_DIR": "aws", "S3_PERSIST": "1", "S3_DATA_DIR": "s3"}
    os.environ.update(
        {name: str(folder / value) if name.endswith("DIR") else value for name, value in settings.items()}
    )
    from in_process import FakeCloud, NoLauncher

    from local_cloud import ministack
    from local_cloud.sagemaker import api

    sagemaker = api.assemble(FakeCloud(), folder / "sagemaker", NoLauncher())
    before = names()
    ministack.install(sagemaker, folder, lambda account: account)
    after = names()
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after or before[name] is not after[name]:
            print(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
