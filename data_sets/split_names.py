"""Names of folders and values that stand for a split: `train`, `training_set`, `val2017`, `birds-test`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

SPLITS = ("train", "validation", "test")

_TRAIN = "train training trn trainset trainingset traindata trainval trainimages"
_VALIDATION = "val valid validation validate validating dev valset validset validationset valdata"
_TEST = "test testing tst testset testdata testimages holdout heldout eval evaluation"
_WORDS = {
    **dict.fromkeys(_TRAIN.split(), "train"),
    **dict.fromkeys(_VALIDATION.split(), "validation"),
    **dict.fromkeys(_TEST.split(), "test"),
}
_FILLER = """
    set sets data dataset split splits images image imgs img pictures photos folder dir files samples part small
    full all new final clean cleaned original orig resized augmented aug subset v px x
"""
_FILLERS = frozenset(_FILLER.split())
_WORD = re.compile(r"[^\W\d_]+|\d+")


def split_of(name: str) -> str | None:
    """The split that a name stands for by itself; None for another name, as `test tubes` or `trains`."""
    split, rest = _parts(name)
    return split if split and all(word in _FILLERS or word.isdigit() for word in rest) else None


def splits_of(names: Sequence[str]) -> Mapping[str, str]:
    """The names among these that stand for splits.

    A name with other words in it does if several names differ in nothing else: `birds_train` and `birds_test`.
    """
    found = {name: split for name in names if (split := split_of(name))}
    rest: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        split, words = _parts(name)
        if split and name not in found:
            rest.setdefault(tuple(words), {})[name] = split
    for alike in rest.values():
        if len(set(alike.values())) > 1:
            found |= alike
    # An evaluation set beside a test set is there to validate on.
    evaluating = [name for name in found if {"eval", "evaluation"} & set(_words(name))]
    if len(evaluating) == 1 and list(found.values()).count("test") == 2 and "validation" not in found.values():
        found[evaluating[0]] = "validation"
    return found


def _parts(name: str) -> tuple[str | None, list[str]]:
    words = _words(name)
    splits = [word for word in words if word in _WORDS]
    if len(splits) != 1:
        return None, words
    return _WORDS[splits[0]], [word for word in words if word != splits[0]]


def _words(name: str) -> list[str]:
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    text = re.sub(r"\b(hold|held)[\W_]+out\b", r"\1out", text)
    return _WORD.findall(text)
