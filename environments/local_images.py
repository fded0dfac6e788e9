"""The user's own counterparts of container images in the local cloud: the table [local.images] of environments.toml.

A key is a pattern (`*` and `?`) of an image's URI, of its repository, or of repository:tag.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from environments.typed_table import SettingsError, typed_values

KEY, ENVIRONMENT = "images", "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSettings:
    """What a pattern stands for: one of these. Paths may be relative to the project's folder."""

    command: tuple[str, ...] | None = None
    """A program and its arguments, in the place of the image's entry point. A job's own entry point goes before it."""
    python: str | None = None
    """Path of a Python interpreter. Jobs run with it and with what is installed beside it."""
    requirements: str | None = None
    """Path of a lock file: name==version with hashes. An environment is made of it once, and kept."""


def load_images(table: Any, environment: str, where: str) -> dict[str, ImageSettings]:
    """The counterparts by pattern. Raises SettingsError for a table of another environment, a key or a value."""
    if table is None:
        return {}
    if environment != ENVIRONMENT:
        raise SettingsError(f"{KEY} is set", where, f"images run on this machine alone: write [{ENVIRONMENT}.{KEY}]")
    inner = f"{where.removesuffix(']')}.{KEY}]"
    if not isinstance(table, dict):
        raise SettingsError(f"it is {table!r}, not a table", inner, 'write "<image>" = { python = "<path>" } below it')
    return {pattern: _image(pattern, value, inner) for pattern, value in table.items()}


def _image(pattern: str, value: Any, where: str) -> ImageSettings:
    forms = ", ".join(field.name for field in fields(ImageSettings))
    if isinstance(value, dict) and "docker" in value:
        raise SettingsError(
            f'"{pattern}" is to run in Docker, which is not supported yet', where, f"use one of {forms}"
        )
    image = ImageSettings(**typed_values(value, ImageSettings, f'{where}, "{pattern}"'))
    if sum(bool(getattr(image, field.name)) for field in fields(ImageSettings)) != 1:
        raise SettingsError(f'"{pattern}" is {value!r}', where, f"give it exactly one of {forms}")
    return image
