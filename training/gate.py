"""What a model has to reach, and which of it a candidate misses, in the words of the settings.

The pipeline's condition decides, on the same figures; this says all that is missed, at once, and by how much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compare import Comparison
from figures import Figures

SLACK = 1e-9  # of adding a tolerance to a quotient


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Settings of [<environment>.pipeline] in environments.toml, or parameters of one run; shares from 0 to 1."""

    accuracy_threshold: float = 0.0
    champion_tolerance: float = 0.0
    macro_f1_threshold: float = 0.0
    class_recall_floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Gate:
    setting: str
    figure: float
    required: float
    missed: str  # what is missed; empty when nothing is

    def as_data(self) -> dict[str, Any]:
        return {
            "setting": self.setting,
            "figure": self.figure,
            "required": self.required,
            "passed": not self.missed,
            "missed": self.missed,
        }


def champion_margin(comparison: Comparison, thresholds: Thresholds) -> float:
    """0 or more passes. Where nothing is compared, nothing is missed."""
    if not comparison.compared:
        return 0.0
    margin = comparison.difference + thresholds.champion_tolerance
    return 0.0 if abs(margin) < SLACK else margin


def gates(figures: Figures, comparison: Comparison, thresholds: Thresholds) -> list[Gate]:
    images = int(figures.confusion.sum())
    name, recall = figures.lowest_recall
    return [
        at_least("accuracy_threshold", figures.accuracy, thresholds.accuracy_threshold,
                 f"accuracy {figures.accuracy:.4f} on {images} test images"),
        against_champion(comparison, thresholds),
        at_least("macro_f1_threshold", figures.macro_f1, thresholds.macro_f1_threshold,
                 f"macro-F1 {figures.macro_f1:.4f} on {images} test images"),
        at_least("class_recall_floor", recall, thresholds.class_recall_floor,
                 f"recall {recall:.4f} of class {name!r} on {figures.of_class(figures.classes.index(name))['images']} "
                 "test images"),
    ]  # fmt: skip


def at_least(setting: str, figure: float, required: float, what: str) -> Gate:
    return Gate(setting, figure, required, "" if figure >= required else f"{what} is below {setting} = {required:g}")


def against_champion(comparison: Comparison, thresholds: Thresholds) -> Gate:
    tolerance = thresholds.champion_tolerance
    missed = ""
    if champion_margin(comparison, thresholds) < 0:
        missed = (
            f"accuracy {comparison.candidate_right / comparison.images:.4f} against "
            f"{comparison.champion_right / comparison.images:.4f} of {comparison.champion} on the same "
            f"{comparison.images} test images, worse by {-comparison.difference:.4f}, where champion_tolerance = "
            f"{tolerance:g} ({comparison.only_champion} images only the champion gets right, "
            f"{comparison.only_candidate} only the candidate; if they were equally good, a split at least so uneven "
            f"would come about with probability {comparison.p_value:.2g})"
        )
        if comparison.reason:
            missed += f"; {comparison.reason}"
    return Gate("champion_tolerance", comparison.difference, -tolerance, missed)


def refusal(found: list[Gate]) -> str:
    return "; ".join(gate.missed for gate in found if gate.missed) or "no gate was missed"
