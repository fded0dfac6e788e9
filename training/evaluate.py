"""python evaluate.py --test DIR --candidate NAME=DIR [...] --champion DIR --evaluation DIR --winner DIR

Judge the candidates and the champion on the same test images, and pass on the best candidate.

Each DIR of a candidate or the champion holds a model.tar.gz; without a champion it holds a file named NONE. Candidates
are named cheapest first, because equally accurate ones are decided by that order. Every model is asked in a process of
its own, with the code that its artifact carries (judge.py), about the images as the data set has them (originals.py).
What classes and code they have may differ: compare.py says what is compared then. evaluation.json holds it all; its
form is described in docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare import NEEDS_PERSON, Comparison, changes, compare
from errors import ComparisonError
from figures import Figures, figures_of, warnings_of
from gate import Gate, Thresholds, champion_margin, gates, refusal
from judge import ARTIFACT, Answers, JudgeError, judge
from originals import Originals, read_originals
from summary import summary

NO_CHAMPION = "NONE"
FOUND, NONE, GONE = CHAMPION_STATES = ("found", "none", "gone")
REPORT = "evaluation.json"


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    test = read_originals(arguments.test)
    thresholds = Thresholds(**{name: getattr(arguments, name) for name in Thresholds.__slots__})

    answers = {name: ask_candidate(name, folder, test, arguments) for name, folder in arguments.candidate}
    candidates = {name: figures_of(given, test) for name, given in answers.items()}
    # max() takes the first of equals, which is the cheapest.
    winner = max(candidates, key=lambda name: candidates[name].accuracy)
    comparison = compare_with_champion(answers[winner], test, arguments)
    found = gates(candidates[winner], comparison, thresholds)
    warnings = warnings_of(candidates[winner])

    report = describe(test, candidates, winner, comparison)
    report |= decision(found, comparison, thresholds)
    report["warnings"] = warnings
    report["summary"] = summary(test.classes, answers[winner].about, comparison_text(comparison), warnings)
    report["artifact"] = copy_artifact(dict(arguments.candidate)[winner], arguments.winner)
    arguments.evaluation.mkdir(parents=True, exist_ok=True)
    (arguments.evaluation / REPORT).write_text(json.dumps(report, indent=2) + "\n", "utf-8")

    for name, figures in candidates.items():
        loss = "" if figures.loss is None else f" loss={figures.loss:.4f}"
        print(f"{name}: accuracy={figures.accuracy:.4f} macro-F1={figures.macro_f1:.4f}{loss}")
    print(f"winner: {winner}; {comparison_text(comparison)}")
    for warning in warnings:
        print(f"warning: {warning}")
    for gate in found:
        print(f"gate {gate.setting}: {gate.missed or 'passed'}")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--test", type=Path, required=True, help="folder with the test images, as preprocess.py --test-files writes it")
    add("--candidate", type=named_folder, required=True, action="append", metavar="NAME=DIR",
        help="a trained model, cheapest first; repeat for more")  # fmt: skip
    add("--champion", type=Path, required=True, help=f"folder with the approved model, or with a file {NO_CHAMPION}")
    add("--champion-version", type=int, help="the champion's version in the registry, for the messages")
    add("--champion-state", choices=CHAMPION_STATES, default=FOUND, help="gone: the registry has a champion, and its "
        "artifact was deleted (%(default)s)")  # fmt: skip
    add("--evaluation", type=Path, required=True, help=f"folder to write {REPORT} to")
    add("--winner", type=Path, required=True, help=f"folder to copy the best candidate's {ARTIFACT} to")
    add("--model-seconds", type=float, default=3600.0, help="a model that takes longer for all test images is given "
        "up (%(default)s)")  # fmt: skip
    add("--accuracy-threshold", type=float, default=0.0, help="least accuracy on the test images (%(default)s)")
    add("--champion-tolerance", type=float, default=0.0, help="by how much the accuracy may be below the champion's "
        "on the same images (%(default)s)")  # fmt: skip
    add("--macro-f1-threshold", type=float, default=0.0, help="least mean of the classes' F1 (%(default)s)")
    add("--class-recall-floor", type=float, default=0.0, help="least recall of every class (%(default)s)")
    arguments = parser.parse_args(argv)
    names = [name for name, _ in arguments.candidate]
    if len(set(names)) < len(names):
        parser.error("each --candidate needs a different name")
    return arguments


def named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR")
    return name, Path(folder)


def ask_candidate(name: str, folder: Path, test: Originals, arguments: argparse.Namespace) -> Answers:
    """Raises ComparisonError: a candidate of this run that does not answer is a fault of the training code."""
    try:
        answers = judge(folder, test, arguments.model_seconds)
    except JudgeError as error:
        what = "has no usable artifact" if error.kind == "artifact" else "cannot be judged"
        raise ComparisonError(
            f"the candidate {name} {what}: {error}",
            hint="an artifact holds the model and code/inference.py with model_fn, input_fn, predict_fn and "
            "output_fn; try them as in docs/how-to.md, and see this job's log",
        ) from error
    if set(answers.classes) != set(test.classes):
        change = changes(sorted({*answers.classes} - {*test.classes}), sorted({*test.classes} - {*answers.classes}))
        raise ComparisonError(
            f"the candidate {name} knows other classes than the data set that it was trained on: {change}",
            hint="train.py has to keep the classes of dataset.json, and output_fn has to answer with their names",
        )
    return answers


def compare_with_champion(candidate: Answers, test: Originals, arguments: argparse.Namespace) -> Comparison:
    """Whatever is wrong with the champion gives no comparison; it never fails the run."""
    version = arguments.champion_version or None
    if arguments.champion_state == GONE:
        reason = "its artifact was deleted from the bucket, or its version names none"
        return Comparison("champion-gone", reason, version)
    if arguments.champion_state == NONE or (arguments.champion / NO_CHAMPION).is_file():
        return Comparison("no-champion", "no version was approved before")
    try:
        champion = judge(arguments.champion, test, arguments.model_seconds)
    except JudgeError as error:
        what = {"artifact": "it is damaged", "load": "its code cannot load it", "answer": "its code does not answer",
                "time": "it is too slow"}[error.kind]  # fmt: skip
        return Comparison("champion-unusable", f"{what}: {error}", version)
    return compare(candidate, champion, test, version)


def copy_artifact(source: Path, target: Path) -> dict[str, Any]:
    """Pass the artifact on. Its SHA-256 and size in bytes bind the version that is registered to what was judged."""
    target.mkdir(parents=True, exist_ok=True)
    copy = shutil.copyfile(source / ARTIFACT, target / ARTIFACT)
    with copy.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": copy.stat().st_size}


def describe(test: Originals, candidates: dict[str, Figures], winner: str, comparison: Comparison) -> dict[str, Any]:
    """The winner's figures in the form of SageMaker's model quality metrics, then the comparison."""
    best = candidates[winner]
    of_class = {name: best.of_class(index) for index, name in enumerate(test.classes)}
    weights = best.confusion.sum(1) / best.confusion.sum()
    weighted = {
        f"weighted_{metric}": metric_value(weights @ [metrics[metric] for metrics in of_class.values()])
        for metric in ("precision", "recall", "f1")
    }
    confusion = {
        actual: dict(zip(test.classes, row[: len(test.classes)].tolist(), strict=True))
        for actual, row in zip(test.classes, best.confusion, strict=True)
    }
    name, recall = best.lowest_recall
    majority, share = best.majority
    champion: dict[str, Any] = {"present": comparison.kind != "no-champion"}
    if comparison.version is not None:
        champion["version"] = comparison.version
    if comparison.compared:
        champion["accuracy"] = comparison.champion_right / comparison.images
    return {
        "multiclass_classification_metrics": {
            "accuracy": metric_value(best.accuracy),
            **weighted,
            "macro_f1": metric_value(best.macro_f1),
            "confusion_matrix": confusion,
        },
        "per_class": of_class,
        "lowest_recall": {"class": name, "value": recall},
        "majority_class": {"class": majority, "accuracy": share},
        "winner": {"name": winner, "accuracy": best.accuracy},
        "candidates": {
            name: {"accuracy": it.accuracy, "macro_f1": it.macro_f1, "loss": it.loss, "refused": it.refused}
            for name, it in candidates.items()
        },
        "champion": champion,
        "comparison": comparison.as_data(),
        "improvement": comparison.difference if comparison.compared else best.accuracy,
        "test": {"images": len(test), "data_set": test.data_set, "fingerprint": test.fingerprint},
    }


def decision(found: list[Gate], comparison: Comparison, thresholds: Thresholds) -> dict[str, Any]:
    """What the pipeline's conditions and messages read."""
    return {
        "gates": [gate.as_data() for gate in found],
        "gate": {
            "champion_margin": champion_margin(comparison, thresholds),
            "missed": sum(bool(gate.missed) for gate in found),
            "refusal": refusal(found),
            "needs_person": int(comparison.kind in NEEDS_PERSON),
        },
    }


def comparison_text(comparison: Comparison) -> str:
    if comparison.compared:
        figures = (
            f"{comparison.difference:+.4f} against {comparison.champion} on the same {comparison.images} test images"
        )
        return f"{figures}; {comparison.reason}" if comparison.reason else figures
    if comparison.kind == "no-champion":
        return comparison.reason
    return f"not compared with {comparison.champion}: {comparison.reason}"


def metric_value(value: float) -> dict[str, Any]:
    return {"value": float(value), "standard_deviation": "NaN"}  # one test set: there is no deviation to give


if __name__ == "__main__":
    sys.exit(main())
