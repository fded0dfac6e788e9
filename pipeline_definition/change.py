"""ExplainChange: what this run changes against the champion, before anything is trained and paid for."""

from __future__ import annotations

from typing import Any

from pipeline_definition import preprocess
from pipeline_definition.references import binding, execution, parameter, processing_output
from pipeline_definition.settings import PipelineSettings

NAME = "ExplainChange"


def explain_change(settings: PipelineSettings) -> dict[str, Any]:
    """Ask which classes come and go, and what the candidates will be compared with; nothing is refused for it.

    Preprocess cannot say it: the champion as one of its inputs would take it out of the cache with every approval.
    """
    return {
        "Name": NAME,
        "Type": "Lambda",
        "FunctionArn": binding("FindChampionFunctionArn"),
        "Arguments": {
            "ModelPackageGroupName": binding("ModelPackageGroupName"),
            "PreparedUri": processing_output(preprocess.NAME, "test"),
            "ImageSize": parameter("ImageSize"),
            "Network": ", ".join(dict.fromkeys(trained.network for trained in settings.trained)),
            "PipelineExecutionArn": execution("PipelineExecutionArn"),  # for the function's log
        },
        "OutputParameters": [{"OutputName": "Change", "OutputType": "String"}],
    }
