"""The data set of an object key, and whether a key can become a file of a job."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from data_sets.names import ARCHIVE_SUFFIXES, LONGEST_NAME, UNPRINTABLE, is_archive

__all__ = [
    "ARCHIVES",
    "LONGEST_NAME",
    "data_set_of",
    "first_invalid_path",
    "first_unrecordable",
    "is_archive",
    "is_name",
]

ARCHIVES = ARCHIVE_SUFFIXES
# Besides letters, digits and spaces, the characters that SageMaker accepts in CustomerMetadataProperties, where a
# model's data set is recorded: ([\p{L}\p{Z}\p{N}_.:\/=+\-@]*), at most 256 characters.
RECORDABLE = "_.:=+-@"


def data_set_of(key: str) -> str | None:
    """The data set that an object belongs to; None if it belongs to none.

    datasets/birds/a/1.jpg → birds; datasets/birds.zip → birds.zip. A folder named like an archive is not a data set:
    its name would be ambiguous.
    """
    area, _, rest = key.partition("/")
    name, slash, _ = rest.partition("/")
    if area != "datasets" or not is_name(name) or is_archive(name) == bool(slash):
        return None
    return name


def is_name(name: str) -> bool:
    """Whether this is a valid name of a file, a folder or a data set."""
    return (
        name not in ("", ".", "..")
        and "/" not in name
        and not UNPRINTABLE.search(name)
        and len(name.encode()) <= LONGEST_NAME
    )


def first_unrecordable(data_set: str) -> str | None:
    """The first character of a data set's name that the model registry would reject.

    Among them are combining accents, which macOS writes in file names: they are marks, not letters.
    """
    return next(
        (sign for sign in data_set if unicodedata.category(sign)[0] not in "LNZ" and sign not in RECORDABLE), None
    )


def first_invalid_path(keys: Sequence[str]) -> str | None:
    """The first of the relative keys that cannot be a file beside the others in a job's input folder.

    S3 accepts any text as a key: "a//b", "../b", and "a" beside "a/b".
    """
    folders = {folder for key in keys for folder in accumulate(key.split("/")[:-1], "{}/{}".format)}
    return next((key for key in keys if key in folders or not all(map(is_name, key.split("/")))), None)
