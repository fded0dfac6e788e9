"""The pipeline on one screen."""

from __future__ import annotations

import json
from typing import Any

from pipeline_definition import evaluate as evaluation
from pipeline_definition import preprocess as preprocessing
from pipeline_definition import train as training
from pipeline_definition.change import NAME as EXPLAIN_CHANGE
from pipeline_definition.change import explain_change
from pipeline_definition.decide import check_quality
from pipeline_definition.evaluate import evaluate, find_champion
from pipeline_definition.network import in_vpc as put_in_vpc
from pipeline_definition.parameters import parameters
from pipeline_definition.preprocess import preprocess
from pipeline_definition.settings import PipelineSettings
from pipeline_definition.train import channels, hyperparameters, lanes, metric_definitions, train
from pipeline_definition.tune import tune

SCRIPTS = (preprocessing.SCRIPT, training.SCRIPT, evaluation.SCRIPT)
"""The scripts of the code that the definition's jobs run."""


def build_pipeline(settings: PipelineSettings, *, in_vpc: bool = False) -> dict[str, Any]:
    """The portable definition: it names its environment as `${headrace:Name}` and is bound where it is deployed."""
    tuning = settings.tuning_jobs > 0
    steps = [
        preprocess(settings),
        explain_change(settings),
        *([known_before(tune(settings, channels(settings), hyperparameters(settings), metric_definitions()))] * tuning),
        *(known_before(train(lane, settings)) for lane in lanes(settings)),
        find_champion(settings),
        evaluate(settings),
        check_quality(settings),
    ]
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": parameters(settings),
        # Null keeps SageMaker from making an experiment and a trial for every execution, and from needing the right to.
        "PipelineExperimentConfig": None,
        "Steps": [put_in_vpc(step) for step in steps] if in_vpc else steps,
    }


def known_before(training: dict[str, Any]) -> dict[str, Any]:
    """What a run changes is known before it is paid for."""
    return {**training, "DependsOn": [EXPLAIN_CHANGE]}


def render(definition: dict[str, Any]) -> bytes:
    """The definition as a file: readable, and the same bytes for the same definition."""
    return (json.dumps(definition, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
