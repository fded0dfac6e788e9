"""Unpack the archive of a data set or of a model, with the limits of `data_sets.archives`."""

from __future__ import annotations

from pathlib import Path

from data_sets import archives
from data_sets.archives import SUFFIXES, Limits, is_archive
from data_sets.errors import ArchiveError as Refused
from errors import ArchiveError

__all__ = ["SUFFIXES", "Limits", "is_archive", "unpack"]


def unpack(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack `archive` (zip, tar, tar.gz, tgz) into the folder `target`. Raises ArchiveError."""
    try:
        archives.unpack(archive, target, limits)
    except Refused as refused:
        raise ArchiveError(refused.message, hint=refused.hint) from refused
