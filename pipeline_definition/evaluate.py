"""FindChampion and Evaluate: candidates and champion on the same test images, each with its own code."""

from __future__ import annotations

from typing import Any

from pipeline_definition import preprocess
from pipeline_definition.job import (
    PROCESSING_INPUT,
    PROCESSING_OUTPUT,
    cache,
    entrypoint,
    job_retries,
    processing_input,
    processing_output_to,
    processing_resources,
)
from pipeline_definition.references import (
    binding,
    code_uri,
    execution,
    json_get,
    lambda_output,
    parameter,
    processing_output,
    step,
    text,
)
from pipeline_definition.settings import PipelineSettings
from pipeline_definition.train import Lane, lanes

NAME = "Evaluate"
SCRIPT = "evaluate.py"
FIND_CHAMPION = "FindChampion"
REPORT_FILE = "evaluation.json"
DECISION_FILE = "decision.json"
"""What steps read of the report: JsonGet reads property files up to a size that AWS does not name."""
PROPERTY_FILE = "Evaluation"


def find_champion(settings: PipelineSettings) -> dict[str, Any]:
    """Ask which model version serves now, after training: the newest approval counts.

    The answer is an input of Evaluate, hence in its cache key: another champion means another evaluation. A prefix with
    a marker object stands for "no champion", and for one whose artifact was deleted, because a processing input cannot
    be left out while an execution runs.
    """
    return {
        "Name": FIND_CHAMPION,
        "Type": "Lambda",
        "FunctionArn": binding("FindChampionFunctionArn"),
        "Arguments": {
            "ModelPackageGroupName": binding("ModelPackageGroupName"),
            "NoChampionUri": f"s3://{binding('DataBucket')}/champions/none/",
            "PipelineExecutionArn": execution("PipelineExecutionArn"),  # for the function's log
        },
        "OutputParameters": [
            {"OutputName": "ModelDataUrl", "OutputType": "String"},
            {"OutputName": "ModelPackageArn", "OutputType": "String"},
            {"OutputName": "ModelPackageVersion", "OutputType": "Integer"},
            {"OutputName": "ChampionState", "OutputType": "String"},
        ],
        "DependsOn": [lane.step_name for lane in lanes(settings)],
    }


def evaluate(settings: PipelineSettings) -> dict[str, Any]:
    candidates = lanes(settings)
    return {
        "Name": NAME,
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": processing_resources(settings),
            "AppSpecification": {
                "ImageUri": binding("ProcessingImage"),
                "ContainerEntrypoint": entrypoint(f"{PROCESSING_INPUT}/code"),
                "ContainerArguments": _arguments(candidates, settings),
            },
            "RoleArn": binding("JobRoleArn"),
            "ProcessingInputs": [
                processing_input("code", code_uri(SCRIPT)),
                processing_input("test", processing_output(preprocess.NAME, preprocess.TEST_FILES)),
                *(processing_input(lane.name, _artifact(lane)) for lane in candidates),
                processing_input("champion", lambda_output(FIND_CHAMPION, "ModelDataUrl")),
            ],
            "ProcessingOutputConfig": {
                "Outputs": [processing_output_to("evaluate", name) for name in ("evaluation", "winner")],
                "KmsKeyId": binding("DataKeyArn"),
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_run_seconds},
        },
        "PropertyFiles": [
            {"PropertyFileName": PROPERTY_FILE, "OutputName": "evaluation", "FilePath": DECISION_FILE},
        ],
        "CacheConfig": cache(settings),
        "RetryPolicies": job_retries(),
    }


def figure(path: str) -> Any:
    """A figure of the evaluation, for the steps that decide."""
    return json_get(NAME, PROPERTY_FILE, path)


def _artifact(lane: Lane) -> Any:
    return step(lane.step_name, "ModelArtifacts.S3ModelArtifacts")


def _arguments(candidates: list[Lane], settings: PipelineSettings) -> list[Any]:
    models = len(candidates) + 1
    return [
        SCRIPT,
        *("--test", f"{PROCESSING_INPUT}/test"),
        *(word for lane in candidates for word in ("--candidate", f"{lane.name}={PROCESSING_INPUT}/{lane.name}")),
        *("--champion", f"{PROCESSING_INPUT}/champion"),
        *("--champion-state", lambda_output(FIND_CHAMPION, "ChampionState")),
        *("--champion-version", text(lambda_output(FIND_CHAMPION, "ModelPackageVersion"))),
        *("--evaluation", f"{PROCESSING_OUTPUT}/evaluation"),
        *("--winner", f"{PROCESSING_OUTPUT}/winner"),
        # A champion that hangs leaves the candidates their time, and the job its report.
        *("--model-seconds", str(settings.max_run_seconds // (models + 1))),
        *("--accuracy-threshold", text(parameter("AccuracyThreshold"))),
        *("--champion-tolerance", text(parameter("ChampionTolerance"))),
        *("--macro-f1-threshold", text(parameter("MacroF1Threshold"))),
        *("--class-recall-floor", text(parameter("ClassRecallFloor"))),
    ]
