"""training/ as it is: it imports, its requirements are installed, and each network is trained, judged and asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from own_jobs import Jobs
from suite import ROOT

from environments.settings import PROJECTS, load_settings
from environments.typed_table import SettingsError, load_tables
from headrace.project import training_code
from pipeline_definition import PipelineSettings, build_pipeline
from source_code.requirements import read

Explained = Callable[[], AbstractContextManager[None]]
FILE = ROOT / "environments.toml"


def trained() -> dict[str, PipelineSettings]:
    """The pipelines whose jobs differ, by the first environment or model line that has them."""
    found: dict[str, tuple[str, PipelineSettings]] = {}
    try:
        names = [name for name in load_tables(FILE) if name != PROJECTS]
    except SettingsError:
        return {}  # test_settings.py says why
    for name in names:
        try:
            settings = load_settings(FILE, name)
        except SettingsError:
            continue
        if settings.source is None:
            for line, pipeline in {"": settings.pipeline, **{k: v.pipeline for k, v in settings.lines.items()}}.items():
                found.setdefault(work(pipeline), (f"{name}-{line}" if line else name, pipeline))
    return dict(found.values())


def work(settings: PipelineSettings) -> str:
    """What the jobs of a pipeline do, apart from their number and the instances that they run on."""
    steps = build_pipeline(settings)["Steps"]
    prepared = next(step["Arguments"]["AppSpecification"] for step in steps if step["Name"] == "Preprocess")
    hyperparameters = {
        json.dumps(step["Arguments"]["HyperParameters"], sort_keys=True) for step in steps if step["Type"] == "Training"
    }
    return json.dumps([prepared["ContainerArguments"], sorted(hyperparameters), settings.image_size])


PIPELINES = trained()


def test_the_scripts_are_imported_and_their_requirements_are_installed(explained: Explained) -> None:
    networks = {each.network for pipeline in PIPELINES.values() for each in pipeline.trained}
    with explained():
        training_code.check(ROOT, sorted(networks))


def test_each_requirement_is_in_the_lock_file() -> None:
    """`make lock` writes requirements.txt from requirements.in, and jobs install the former alone."""
    source, locked = ROOT / "training/requirements.in", ROOT / "training/requirements.txt"
    if not source.is_file():
        pytest.skip("there is no training/requirements.in: requirements.txt is written by hand")
    named = [line.text for line in read(source.read_text("utf-8")) if not line.is_option]
    found = [line.text for line in read(locked.read_text("utf-8")) if not line.is_option]
    missing = [text for text in named if text not in found]
    if missing:
        said = f"training/requirements.txt lacks {', '.join(missing)}, which requirements.in names\n\nhint: make lock"
        pytest.fail(said, pytrace=False)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_model_is_trained_judged_and_asked(pipeline: str, explained: Explained, tmp_path: Path) -> None:
    settings = PIPELINES[pipeline]
    if settings.pretrained:
        pytest.skip(f"pretrained = {settings.pretrained!r}: the weights lie in the data bucket")
    jobs = Jobs(settings, tmp_path)
    with explained():
        report = jobs.run_all()
    assert len(report["candidates"]) == len(jobs.trainings)
