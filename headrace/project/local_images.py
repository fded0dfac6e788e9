"""[local.images] of environments.toml, as the local cloud takes it: with absolute paths."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from environments.local_images import ENVIRONMENT, KEY, ImageSettings, load_images
from environments.typed_table import SettingsError
from headrace.errors import SetupError
from headrace.project.folder import find_root


def read_images() -> dict[str, dict[str, Any]]:
    """By pattern; empty outside a project. Raises SetupError for a table that is not as it should be."""
    root = find_root()
    path = root / "environments.toml" if root else None
    if root is None or path is None or not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(ENVIRONMENT, {})
        images = load_images(
            table.get(KEY) if isinstance(table, dict) else None, ENVIRONMENT, f"{path} [{ENVIRONMENT}]"
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} is not valid TOML: {error}", hint=f"git diff {path} shows what changed") from error
    except SettingsError as error:
        message, _, hint = str(error).partition("\nhint: ")
        raise SetupError(message, hint=hint) from error
    return {pattern: _absolute(image, root) for pattern, image in images.items()}


def _absolute(image: ImageSettings, root: Path) -> dict[str, Any]:
    """A word of a command is a path if it has a slash and leads to a file."""
    if image.command:
        words = ((root / word, word) for word in image.command)
        return {"command": [str(path) if "/" in word and path.exists() else word for path, word in words]}
    if image.python:
        return {"python": str(root / Path(image.python).expanduser())}
    assert image.requirements is not None
    return {"requirements": str(root / Path(image.requirements).expanduser())}
