"""The jobs of a pipeline definition with the training code of this project, in small: one epoch on a few digits.

Each job is a separate process that runs training/entry.py in a folder that stands for /opt/ml, with the arguments and
hyperparameters of its step. No local cloud is needed, and nothing is deployed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image_samples import pack, write_contents
from suite import ROOT

from headrace.demo.digits import write_digits
from infra.training.code_archive import code_files
from pipeline_definition import PipelineSettings, build_pipeline

CLASSES, IMAGES = ("0", "1", "2"), 24
SECONDS = 120  # for one job
NO_CHAMPION = {"ModelPackageVersion": 0, "ChampionState": "none"}  # as find_champion answers for a new model line
_PARAMETER = re.compile(r"Parameters\.(\w+)")
_CHAMPION = re.compile(r"Steps\.FindChampion\.OutputParameters\['(\w+)'\]")


class JobFailed(Exception):
    """A job ended with an error, or wrote less than later steps read."""


def read_paths(value: Any) -> Iterator[str]:
    """The paths of a property file that steps read with Std:JsonGet."""
    match value:
        case {"Std:JsonGet": {"Path": path}}:
            yield path
        case dict():
            for each in value.values():
                yield from read_paths(each)
        case list():
            for each in value:
                yield from read_paths(each)


def has(report: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(report, dict) or name not in report:
            return False
        report = report[name]
    return True


@dataclass
class Jobs:
    """The jobs of one model line; `folder` holds what they write."""

    settings: PipelineSettings
    folder: Path
    steps: dict[str, dict[str, Any]] = field(init=False)
    parameters: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        definition = build_pipeline(self.settings)
        self.steps = {step["Name"]: step for step in definition["Steps"]}
        self.parameters = {each["Name"]: each.get("DefaultValue", "check") for each in definition["Parameters"]}
        self.parameters["Epochs"] = 1

    @property
    def trainings(self) -> list[str]:
        return [name for name, step in self.steps.items() if step["Type"] == "Training"]

    def run_all(self) -> dict[str, Any]:
        """Preprocess, each training, Evaluate; returns evaluation.json. Raises JobFailed."""
        prepared = self.preprocess()
        artifacts = {name: self.train(name, prepared) for name in self.trainings}
        return self.evaluate(prepared / "test-files", artifacts)

    def preprocess(self) -> Path:
        root = self._root("Preprocess")
        inputs = root / "processing/input"
        data, _ = write_digits(self.folder / "images")
        for label in CLASSES:
            for image in sorted((data / label).iterdir())[:IMAGES]:
                (inputs / "data" / label).mkdir(parents=True, exist_ok=True)
                shutil.copy(image, inputs / "data" / label)
        (inputs / "contents").mkdir()
        write_contents(inputs / "data", inputs / "contents/contents.json")
        self._run("Preprocess", root)
        return root / "processing/output"

    def train(self, name: str, prepared: Path) -> Path:
        """The folder of its artifact."""
        root, arguments = self._root(name), self.steps[name]["Arguments"]
        hyperparameters = {key: self._text(value) for key, value in arguments["HyperParameters"].items()}
        channels = [channel["ChannelName"] for channel in arguments["InputDataConfig"]]
        for channel in channels:
            if (prepared / channel).is_dir():
                (root / "input/data").mkdir(parents=True, exist_ok=True)
                (root / "input/data" / channel).symlink_to(prepared / channel)
        configuration = {
            "hyperparameters": hyperparameters,
            "inputdataconfig": {channel: {"TrainingInputMode": "File"} for channel in channels},
            "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
        }
        (root / "input/config").mkdir(parents=True)
        for file, content in configuration.items():
            (root / f"input/config/{file}.json").write_text(json.dumps(content))
        (root / "model").mkdir()
        self._run(name, root, arguments["AlgorithmSpecification"]["ContainerArguments"])
        return pack(root / "model", root / "artifact")

    def evaluate(self, test: Path, artifacts: dict[str, Path]) -> dict[str, Any]:
        root = self._root("Evaluate")
        inputs = root / "processing/input"
        (inputs / "champion").mkdir(parents=True)
        (inputs / "champion/NONE").touch()
        (inputs / "test").symlink_to(test)
        for source in self.steps["Evaluate"]["Arguments"]["ProcessingInputs"]:
            uri = source["S3Input"]["S3Uri"]
            trained = [name for name in artifacts if isinstance(uri, dict) and f"Steps.{name}." in uri.get("Get", "")]
            if trained:
                (inputs / source["InputName"]).symlink_to(artifacts[trained[0]])
        self._run("Evaluate", root)
        report: dict[str, Any] = json.loads((root / "processing/output/evaluation/evaluation.json").read_text())
        (file,) = self.steps["Evaluate"]["PropertyFiles"]
        path = root / "processing/output" / file["OutputName"] / file["FilePath"]
        if not path.is_file():
            raise JobFailed(
                f"Evaluate wrote no {path.name}, which later steps read\n\n"
                "hint: have training/evaluate.py write it beside evaluation.json, as docs/evaluation.md describes it"
            )
        figures = json.loads(path.read_text())
        missing = sorted(found for found in read_paths(list(self.steps.values())) if not has(figures, found))
        if missing:
            raise JobFailed(
                f"Evaluate's {path.name} lacks {', '.join(missing)}, which later steps read\n\n"
                "hint: have training/evaluate.py write them, as docs/evaluation.md describes them"
            )
        return report

    def _root(self, step: str) -> Path:
        """The folder that stands for /opt/ml, with the code that the job's archive would have."""
        root = self.folder / step
        for name, file in code_files(ROOT / "training", ROOT / "data_sets").items():
            path = root / "code" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        return root

    def _run(self, step: str, root: Path, arguments: list[Any] | None = None) -> None:
        if arguments is None:
            arguments = self.steps[step]["Arguments"]["AppSpecification"]["ContainerArguments"]
        words = [self._text(word).replace("/opt/ml", str(root)) for word in arguments]
        (root / "output").mkdir(exist_ok=True)
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PYTHON"))}
        done = subprocess.run(
            [sys.executable, "-B", str(root / "code/entry.py"), *words],
            env=variables,
            cwd=root,
            text=True,
            errors="replace",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
        )
        if done.returncode != 0:
            reasons = [path.read_text("utf-8") for path in (root / "output").iterdir() if path.is_file()]
            log = "\n".join(done.stdout.splitlines()[-20:])
            raise JobFailed(f"{step} failed with exit status {done.returncode}: {' '.join(reasons)}\n\n{log}")

    def _text(self, value: Any) -> str:
        match value:
            case {"Std:Join": {"On": on, "Values": values}}:
                return str(on).join(map(self._text, values))
            case {"Get": source} if found := _PARAMETER.fullmatch(source):
                return str(self.parameters[found[1]])
            case {"Get": source} if found := _CHAMPION.fullmatch(source):
                return str(NO_CHAMPION[found[1]])
            case {"Get": source} if source.startswith("Steps.Tune."):
                return str(self.settings.learning_rate)
        return str(value)
