"""Candidate and champion on the images that both can answer for.

Classes come and go while a model line lives. Equal classes are compared on all test images. Otherwise both models are
compared on the test images of the classes that both know, and both are asked the same question: which of these
classes? An answer outside them gives way to the most probable class among them. To count it as wrong would judge the
model that knows more classes by a harder question: a candidate with one class more would nearly always lose to the
champion, and one with a class fewer would nearly always win. How well the candidate separates the new classes from the
old ones is in its accuracy on the whole test set, which has a separate threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from errors import some_of
from judge import Answers
from originals import Originals

Kind = Literal[
    "no-champion", "same-classes", "shared-classes", "no-shared-classes", "champion-gone", "champion-unusable"
]
COMPARED = ("same-classes", "shared-classes")
NEEDS_PERSON = ("no-shared-classes", "champion-gone", "champion-unusable")
FEWEST_CLASSES = 2  # with one shared class every answer would be right


@dataclass(frozen=True, slots=True)
class Comparison:
    """`only_candidate` counts the images that only the candidate gets right, `only_champion` the others way round."""

    kind: Kind
    reason: str = ""  # why there is no comparison, or on what it rests
    version: int | None = None  # of the champion
    classes: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    images: int = 0
    candidate_right: int = 0
    champion_right: int = 0
    only_candidate: int = 0
    only_champion: int = 0

    @property
    def compared(self) -> bool:
        return self.kind in COMPARED

    @property
    def difference(self) -> float:
        """Accuracy of the candidate less the champion's, on the images that both answered for."""
        return (self.candidate_right - self.champion_right) / self.images if self.images else 0.0

    @property
    def champion(self) -> str:
        return "the champion" if self.version is None else f"champion version {self.version}"

    @property
    def p_value(self) -> float:
        return exact_mcnemar(self.only_candidate, self.only_champion)

    def as_data(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "kind": self.kind,
            "reason": self.reason,
            "champion_version": self.version,
            "classes": list(self.classes),
            "added_classes": list(self.added),
            "removed_classes": list(self.removed),
            "images": self.images,
        }
        if self.compared:
            data |= {
                "candidate_accuracy": self.candidate_right / self.images,
                "champion_accuracy": self.champion_right / self.images,
                "difference": self.difference,
                "only_candidate_right": self.only_candidate,
                "only_champion_right": self.only_champion,
                "p_value": self.p_value,
            }
        return data


def compare(candidate: Answers, champion: Answers, test: Originals, version: int | None) -> Comparison:
    added = tuple(sorted({*candidate.classes} - {*champion.classes}))
    removed = tuple(sorted({*champion.classes} - {*candidate.classes}))
    shared = tuple(name for name in test.classes if name in champion.classes)
    change = changes(added, removed)
    if len(shared) < FEWEST_CLASSES:
        which = f"only {shared[0]!r}" if shared else "none"
        reason = f"the data set has {which} of its classes ({some_of(champion.classes)})"
        if shared:
            reason += ", and one class leaves nothing to tell apart"
        return Comparison("no-shared-classes", reason, version, shared, added, removed)
    rows = [row for row, label in enumerate(test.labels) if test.classes[label] in shared]
    if not change:
        labels = [list(candidate.labels), list(champion.labels)]
    else:
        labels = [among(answers, shared) for answers in (candidate, champion)]
    right = [[given[row] == test.classes[test.labels[row]] for row in rows] for given in labels]
    pairs = list(zip(*right, strict=True))
    reason = f"{change}; compared on the {len(rows)} test images of the {len(shared)} classes that both know"
    return Comparison(
        kind="shared-classes" if change else "same-classes",
        reason=reason if change else "",
        version=version,
        classes=shared,
        added=added,
        removed=removed,
        images=len(rows),
        candidate_right=sum(right[0]),
        champion_right=sum(right[1]),
        only_candidate=pairs.count((True, False)),
        only_champion=pairs.count((False, True)),
    )


def changes(added: Sequence[str], removed: Sequence[str]) -> str:
    parts = [
        f"{len(names)} {'class' if len(names) == 1 else 'classes'} {what} ({some_of(names)})"
        for names, what in ((added, "added"), (removed, "removed"))
        if names
    ]
    return ", ".join(parts)


def among(answers: Answers, classes: Sequence[str]) -> list[str | None]:
    """The answers as a choice among these classes. Without probabilities, an answer outside them stays wrong."""
    if answers.probabilities is None:
        return list(answers.labels)
    columns = [answers.classes.index(name) for name in classes]
    best = answers.probabilities[:, columns].argmax(1)
    return [
        label if label is None or label in classes else classes[choice]
        for label, choice in zip(answers.labels, best.tolist(), strict=True)
    ]


def exact_mcnemar(one: int, other: int) -> float:
    """How probable a split at least so uneven is, if both models were equally good (two-sided, exact binomial).

    Images that both get right, or both wrong, say nothing of which is better: only the others decide.
    """
    count = one + other
    term = total = 1
    for index in range(min(one, other)):
        term = term * (count - index) // (index + 1)
        total += term
    return min(1.0, float(2 * total / 2**count))
