"""docs/patches.md: what the local cloud changes in ministack, and why."""

from importlib.metadata import version
from pathlib import Path

from local_cloud.ministack.register import PATCHES

DOCUMENT = Path(__file__).parents[2] / "docs" / "patches.md"
HEAD = f"""# Patches of ministack

What the local cloud changes in ministack {version("ministack")}, in this order. Written by
`python -m pytest tests/local_cloud/test_patches.py --write-patches` from `local_cloud/ministack/register.py`.

Each name is private and may change with any version. When the local cloud starts, every name must exist before its
patch and differ after it; otherwise the start fails and names the patch. To upgrade ministack: change the pin in
`pyproject.toml`, run `make lock` and `python -m pytest tests/local_cloud`, and change the patches that are named. When
ministack behaves like AWS by itself, remove the patch and its row.

| file | names | with the patch | source |
| --- | --- | --- | --- |
"""


def document() -> str:
    lines = []
    for patch in PATCHES:
        names = "<br>".join(f"`{target}`" for target in patch.targets)
        sources = [f"[{name}]({url})" for name, url in (("AWS", patch.aws), ("ministack", patch.upstream)) if url]
        lines.append(f"| `{patch.by.replace('.', '/')}.py` | {names} | {patch.why} | {', '.join(sources)} |\n")
    return HEAD + "".join(lines)
