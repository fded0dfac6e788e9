"""python evaluate.py --test DIR --candidate NAME=DIR [...] --champion DIR --evaluation DIR --winner DIR

Judge the candidates and the champion on one test set, with the code that serves them, and pass on the best candidate.

Each DIR of a candidate or the champion holds a model.tar.gz; for "no champion" it holds a file named NONE. Candidates
are named cheapest first, because equally accurate ones are decided by that order. Of the archives only the weights and
model.json are used: the code that runs is the code beside this file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive import unpack
from dataset import DataSet, read_split
from errors import ComparisonError, some_of
from inference import model_fn, predict

ARTIFACT = "model.tar.gz"
NO_CHAMPION = "NONE"


@dataclass(frozen=True, slots=True)
class Judgement:
    confusion: NDArray[np.int64]  # [actual, predicted], in the order of the test set's classes
    loss: float  # mean cross-entropy

    @property
    def accuracy(self) -> float:
        return float(self.confusion.trace() / self.confusion.sum())


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    test = read_split(arguments.test)

    candidates = {name: judge(name, folder, test) for name, folder in arguments.candidate}
    champion = None
    if not (arguments.champion / NO_CHAMPION).is_file():
        champion = judge("the champion", arguments.champion, test)

    # max() takes the first of equals, which is the cheapest.
    winner = max(candidates, key=lambda name: candidates[name].accuracy)
    report = describe(test, candidates, winner, champion)

    arguments.evaluation.mkdir(parents=True, exist_ok=True)
    (arguments.evaluation / "evaluation.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    arguments.winner.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(dict(arguments.candidate)[winner] / ARTIFACT, arguments.winner / ARTIFACT)
    for name, judgement in candidates.items():
        print(f"{name}: accuracy={judgement.accuracy:.4f} loss={judgement.loss:.4f}")
    print(f"champion: {'none' if champion is None else f'accuracy={champion.accuracy:.4f} loss={champion.loss:.4f}'}")
    print(f"winner: {winner}, improvement={report['improvement']:+.4f}")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--test", type=Path, required=True, help="folder with the arrays to test on, as preprocess.py writes it")
    add("--candidate", type=named_folder, required=True, action="append", metavar="NAME=DIR",
        help="a trained model, cheapest first; repeat for more")  # fmt: skip
    add("--champion", type=Path, required=True, help=f"folder with the approved model, or with a file {NO_CHAMPION}")
    add("--evaluation", type=Path, required=True, help="folder to write evaluation.json to")
    add("--winner", type=Path, required=True, help=f"folder to copy the best candidate's {ARTIFACT} to")
    arguments = parser.parse_args(argv)
    names = [name for name, _ in arguments.candidate]
    if len(set(names)) < len(names):
        parser.error("each --candidate needs a name of its own")
    return arguments


def named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def judge(name: str, folder: Path, test: DataSet) -> Judgement:
    """Classify the whole test set. Raises ComparisonError when the model is not one for these images and classes."""
    if not (folder / ARTIFACT).is_file():
        raise ComparisonError(
            f"{name} has no {ARTIFACT} in {folder}",
            hint=f"name the folder with the output of its training; for no champion, one with a file {NO_CHAMPION}",
        )
    with tempfile.TemporaryDirectory() as unpacked:
        unpack(folder / ARTIFACT, Path(unpacked))
        try:
            model = model_fn(unpacked)
        except ValueError as error:
            raise ComparisonError(
                f"{name} cannot be loaded: {error}",
                hint="it must hold model.json and model.pt for a network that training/model.py knows",
            ) from error
    if set(model.config.classes) != set(test.classes):
        gone, new = sorted({*model.config.classes} - {*test.classes}), sorted({*test.classes} - {*model.config.classes})
        raise ComparisonError(
            f"{name} knows other classes than the test set: only it has [{some_of(gone)}], it lacks [{some_of(new)}]",
            hint="a change of classes needs a fresh start: a new model package group, which has no champion yet",
        )
    if model.config.image_size != test.image_size:
        raise ComparisonError(
            f"{name} was trained on images of {model.config.image_size} pixels; the test set has {test.image_size}",
            hint=f"run with an image size of {model.config.image_size}, or start a new model package group",
        )
    # The model may have its classes in another order than the test set.
    columns = [model.config.classes.index(label) for label in test.classes]
    probabilities = np.concatenate([predict(shard, model).probabilities for shard in test.shards])[:, columns]
    confusion = np.zeros((len(test.classes), len(test.classes)), dtype=np.int64)
    np.add.at(confusion, (test.labels, probabilities.argmax(1)), 1)
    right = probabilities[np.arange(len(test)), test.labels]
    return Judgement(confusion, loss=float(-np.log(np.maximum(right, 1e-12)).mean()))


def describe(
    test: DataSet, candidates: dict[str, Judgement], winner: str, champion: Judgement | None
) -> dict[str, Any]:
    """evaluation.json: the winner's figures in the form of SageMaker's model quality metrics, then the comparison."""
    best = candidates[winner]
    of_class = {label: class_metrics(best.confusion, index) for index, label in enumerate(test.classes)}
    weights = best.confusion.sum(1) / best.confusion.sum()
    weighted = {
        f"weighted_{metric}": metric_value(weights @ [metrics[metric] for metrics in of_class.values()])
        for metric in ("precision", "recall", "f1")
    }
    confusion = {
        actual: dict(zip(test.classes, row.tolist(), strict=True))
        for actual, row in zip(test.classes, best.confusion, strict=True)
    }
    return {
        "multiclass_classification_metrics": {
            "accuracy": metric_value(best.accuracy),
            **weighted,
            "confusion_matrix": confusion,
        },
        "per_class": of_class,
        "winner": {"name": winner, "accuracy": best.accuracy},
        "candidates": {name: {"accuracy": it.accuracy, "loss": it.loss} for name, it in candidates.items()},
        "champion": {"present": False} if champion is None else {"present": True, "accuracy": champion.accuracy},
        "improvement": best.accuracy - (0.0 if champion is None else champion.accuracy),
        "test": {"images": len(test), "data_set": test.name, "fingerprint": test.fingerprint},
    }


def metric_value(value: float) -> dict[str, Any]:
    return {"value": float(value), "standard_deviation": "NaN"}  # one test set: there is no deviation to give


def class_metrics(confusion: NDArray[np.int64], index: int) -> dict[str, Any]:
    """Precision, recall and F1 of one class, 0 where they are undefined, and how many images it has."""
    hits, actual, predicted = int(confusion[index, index]), int(confusion[index].sum()), int(confusion[:, index].sum())
    return {
        "precision": hits / predicted if predicted else 0.0,
        "recall": hits / actual if actual else 0.0,
        "f1": 2 * hits / (actual + predicted) if actual + predicted else 0.0,
        "images": actual,
    }


if __name__ == "__main__":
    sys.exit(main())
