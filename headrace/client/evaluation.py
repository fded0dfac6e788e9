"""The evaluation of a run or a model version, as its report has it: figures, classes, confusion matrix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.client.environment import Environment
from headrace.client.executions import find_execution, list_executions, list_steps
from headrace.client.model_packages import find_model, list_packages
from headrace.client.results import read_report, report_uri
from headrace.errors import NotFound

METRICS = "multiclass_classification_metrics"


@dataclass(frozen=True, slots=True)
class ClassFigures:
    name: str
    images: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """So many images of `actual` were taken for `predicted`; `share` is of the images of `actual`."""

    actual: str
    predicted: str
    images: int
    share: float


@dataclass(frozen=True, slots=True)
class Report:
    """evaluation.json of a run or a version; what the report does not hold is None or empty."""

    subject: str  # "run abc" or "version 3"
    content: Mapping[str, Any]

    @property
    def accuracy(self) -> float | None:
        return _number(self.content, METRICS, "accuracy", "value")

    @property
    def loss(self) -> float | None:
        """Of the winner."""
        return _number(self.content, "candidates", self.winner or "", "loss")

    @property
    def winner(self) -> str | None:
        return _text(self.content, "winner", "name")

    @property
    def champion_accuracy(self) -> float | None:
        return _number(self.content, "champion", "accuracy")

    @property
    def improvement(self) -> float | None:
        return _number(self.content, "improvement")

    @property
    def comparison(self) -> str | None:
        """In a few words, what the winner was compared with, or why it was not."""
        return _text(self.content, "summary", "comparison")

    @property
    def test_images(self) -> int | None:
        found = _number(self.content, "test", "images")
        return None if found is None else int(found)

    @property
    def test_set(self) -> tuple[str | None, int | None]:
        """What has to be equal for two accuracies to be comparable."""
        return _text(self.content, "test", "fingerprint"), self.test_images

    @property
    def candidates(self) -> dict[str, float]:
        found = _at(self.content, "candidates")
        names = found if isinstance(found, Mapping) else {}
        accuracies = {name: _number(self.content, "candidates", name, "accuracy") for name in names}
        return {name: value for name, value in accuracies.items() if value is not None}

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """Images by actual class and predicted class."""
        found = _at(self.content, METRICS, "confusion_matrix")
        if not isinstance(found, Mapping):
            return {}
        return {str(actual): {str(name): int(count) for name, count in row.items()} for actual, row in found.items()}

    @property
    def classes(self) -> list[ClassFigures]:
        """In the order of the report. Computed from the confusion matrix, so that they agree with it."""
        confusion = self.confusion
        predicted = {name: sum(row.get(name, 0) for row in confusion.values()) for name in confusion}
        found = []
        for name, row in confusion.items():
            hits, actual = row.get(name, 0), sum(row.values())
            found.append(
                ClassFigures(
                    name=name,
                    images=actual,
                    precision=hits / predicted[name] if predicted[name] else 0.0,
                    recall=hits / actual if actual else 0.0,
                    f1=2 * hits / (actual + predicted[name]) if actual + predicted[name] else 0.0,
                )
            )
        return found

    @property
    def macro_f1(self) -> float | None:
        """The mean of the classes' F1, each class counted alike."""
        classes = self.classes
        return sum(figures.f1 for figures in classes) / len(classes) if classes else None

    @property
    def confusions(self) -> list[Confusion]:
        """The most frequent first."""
        found = [
            Confusion(actual, predicted, count, count / sum(row.values()))
            for actual, row in self.confusion.items()
            for predicted, count in row.items()
            if count and predicted != actual
        ]
        return sorted(found, key=lambda item: (-item.images, -item.share, item.actual, item.predicted))


def find_report(environment: Environment, name: str | None) -> Report:
    """The report of that run or version; of the newest run that was evaluated without a name.

    Raises:
        NotFound: there is no such run or version, or it has no report.
    """
    if name is None:
        return _newest_report(environment)
    if is_version(environment, name):
        model = find_model(environment, name)
        return _report(environment, f"version {model.version}", model.report_uri)
    execution = find_execution(environment, name)
    uri = report_uri(environment, list_steps(environment, execution))
    return _report(environment, f"run {execution.name}", uri)


def is_version(environment: Environment, name: str) -> bool:
    """A number that is a version's, or latest; anything else names a run."""
    if name == "latest":
        return True
    return name.isdecimal() and any(str(item["ModelPackageVersion"]) == name for item in list_packages(environment))


def class_names(environment: Environment, uri: str | None) -> frozenset[str] | None:
    """The classes of the report at `uri`; None where they are not known."""
    content = read_report(environment, uri) if uri else None
    try:
        return frozenset(Report("", json.loads(content or b"{}")).confusion) or None
    except (ValueError, TypeError, AttributeError):
        return None


def _newest_report(environment: Environment) -> Report:
    for execution in list_executions(environment):
        uri = report_uri(environment, list_steps(environment, execution))
        if uri is not None:
            return _report(environment, f"run {execution.name}", uri)
    raise NotFound("no run has been evaluated yet", hint=environment.command("runs"))


def _report(environment: Environment, subject: str, uri: str | None) -> Report:
    hint = environment.command("runs")
    if uri is None:
        raise NotFound(f"{subject} has no evaluation", hint=hint)
    content = read_report(environment, uri)
    if content is None:
        raise NotFound(f"the evaluation of {subject} is gone: there is no {uri}", hint=hint)
    try:
        report = json.loads(content)
    except ValueError as error:
        raise NotFound(f"the evaluation of {subject} is not JSON: {uri}: {error}", hint=hint) from error
    if not isinstance(report, dict):
        raise NotFound(f"the evaluation of {subject} is not a JSON object: {uri}", hint=hint)
    return Report(subject, report)


def _at(content: Any, *path: str) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _number(content: Any, *path: str) -> float | None:
    found = _at(content, *path)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _text(content: Any, *path: str) -> str | None:
    found = _at(content, *path)
    return found if isinstance(found, str) else None
