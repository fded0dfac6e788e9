"""The parts of a reading: samples, what is left out, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Layout(StrEnum):
    CLASSES = "class folders"
    SPLITS = "split folders"
    LISTS = "lists of CUB-200-2011"
    TABLE = "table"


class Accept(StrEnum):
    """What `accept` in dataset.toml may hold: a reading that would be refused is taken as it stands."""

    SPLIT_CLASS = "class-named-like-a-split"
    REPEATED = "repeated-folders"
    SIMILAR = "similar-names"
    TWO_CLASSES = "image-in-two-classes"
    TWO_SPLITS = "image-in-two-splits"


@dataclass(frozen=True, slots=True)
class Sample:
    """An image to learn from; `split` and `group` are None where the data set itself gives none."""

    path: str
    label: str
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not learned from. `counts` says whether it counts against max_skipped_share."""

    path: str
    reason: str
    counts: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a data set is refused; `accept` names what in dataset.toml has it taken all the same."""

    message: str
    hint: str
    accept: Accept | None = None


@dataclass(slots=True)
class Found:
    """What one layout makes of the files, while it is read."""

    layout: Layout
    root: str = ""  # the folder around it all, with a slash at its end
    samples: list[Sample] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # The folder names as they were written, before normalisation, of which the labels were made.
    raw_labels: set[str] = field(default_factory=set)
