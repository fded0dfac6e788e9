"""How good a model's answers are: accuracy, per-class figures, macro-F1, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_sets.plausibility import FEW, IMBALANCE
from judge import Answers
from originals import Originals

LEAST_PROBABILITY = 1e-6  # answers are rounded to 6 digits


@dataclass(frozen=True, slots=True)
class Figures:
    """`confusion` is [actual, answered] in the order of the classes; its last column counts images without an answer
    among them: those that the model's code refused."""

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    loss: float | None  # mean cross-entropy of the answered images; None without probabilities
    refused: int

    @property
    def accuracy(self) -> float:
        """A refused image counts as a wrong answer, as it would be at the endpoint."""
        return float(self.confusion.trace() / self.confusion.sum())

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1: each class counts alike, however many images it has."""
        return float(np.mean([self.of_class(index)["f1"] for index in range(len(self.classes))]))

    @property
    def lowest_recall(self) -> tuple[str, float]:
        recalls = [(self.of_class(index)["recall"], name) for index, name in enumerate(self.classes)]
        recall, name = min(recalls)
        return name, recall

    @property
    def majority(self) -> tuple[str, float]:
        """The class with the most test images, and the accuracy of always answering with it."""
        counts = self.confusion.sum(1)
        index = int(counts.argmax())
        return self.classes[index], float(counts[index] / counts.sum())

    def of_class(self, index: int) -> dict[str, Any]:
        """Precision, recall and F1 of one class, 0 where they are undefined, and how many images it has."""
        hits, actual = int(self.confusion[index, index]), int(self.confusion[index].sum())
        answered = int(self.confusion[:, index].sum())
        return {
            "precision": hits / answered if answered else 0.0,
            "recall": hits / actual if actual else 0.0,
            "f1": 2 * hits / (actual + answered) if actual + answered else 0.0,
            "images": actual,
        }


def figures_of(answers: Answers, test: Originals) -> Figures:
    place = {name: index for index, name in enumerate(test.classes)}
    confusion = np.zeros((len(test.classes), len(test.classes) + 1), dtype=np.int64)
    for label, answer in zip(test.labels, answers.labels, strict=True):
        confusion[label, place.get(answer, len(place)) if answer is not None else len(place)] += 1
    return Figures(test.classes, confusion, mean_loss(answers, test), len(answers.refused))


def mean_loss(answers: Answers, test: Originals) -> float | None:
    if answers.probabilities is None:
        return None
    columns = np.array([answers.classes.index(name) for name in test.classes])
    answered = np.array([label is not None for label in answers.labels])
    right = answers.probabilities[np.arange(len(test)), columns[np.array(test.labels)]][answered]
    return float(-np.log(np.maximum(right, LEAST_PROBABILITY)).mean())


def warnings_of(figures: Figures) -> list[str]:
    """What makes the accuracy say less than it seems to."""
    found = []
    counts = dict(zip(figures.classes, figures.confusion.sum(1).tolist(), strict=True))
    (large, most), (small, least) = max_and_min(counts.items())
    majority, share = figures.majority
    if figures.accuracy <= share:
        found.append(
            f"the model is not better than always answering {majority!r}: accuracy {figures.accuracy:.4f}, and "
            f"{share:.4f} of the test images are of that class"
        )
    if most >= IMBALANCE * least:
        found.append(
            f"the classes are imbalanced: {most} test images of {large!r}, {least} of {small!r}; read the per-class "
            "figures and macro-F1 instead of the accuracy"
        )
    if least < FEW:
        few = sum(count < FEW for count in counts.values())
        found.append(
            f"{few} of {len(counts)} classes have fewer than {FEW} test images ({small!r} has {least}): their "
            "figures rest on few images"
        )
    if figures.refused:
        found.append(f"the model's code refused {figures.refused} test images; they count as wrong answers")
    return found


def max_and_min(items: Any) -> tuple[tuple[str, int], tuple[str, int]]:
    ordered: Sequence[tuple[str, int]] = sorted(items, key=lambda item: item[1])
    return ordered[-1], ordered[0]
