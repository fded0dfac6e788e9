"""The pipeline's FindChampion step: which model a candidate has to beat, as outputs of a Lambda step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import aws
import log
from champion import find_champion, model_data_url
from refusals import MalformedEvent

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


class Answer(TypedDict):
    ModelDataUrl: str
    ModelPackageArn: str
    ModelPackageVersion: int


@dataclass(frozen=True, slots=True)
class Question:
    """The step's arguments; `no_champion_uri` is the prefix of the marker object that stands for "none"."""

    model_package_group: str
    no_champion_uri: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Question:
        values = [event.get(name) for name in ("ModelPackageGroupName", "NoChampionUri")]
        if not all(isinstance(value, str) and value for value in values):
            raise MalformedEvent(
                f"the event holds {sorted(event)}, not the strings ModelPackageGroupName and NoChampionUri",
                hint="give the Lambda step these two arguments",
            )
        return cls(*map(str, values))


def answer(sagemaker: SageMakerClient, question: Question) -> Answer:
    champion = find_champion(sagemaker, question.model_package_group)
    if champion is None:
        return {"ModelDataUrl": question.no_champion_uri, "ModelPackageArn": "", "ModelPackageVersion": 0}
    return {
        "ModelDataUrl": model_data_url(sagemaker, champion),
        "ModelPackageArn": champion.model_package_arn,
        "ModelPackageVersion": champion.version,
    }


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> Answer:
    """`PipelineExecutionArn` is for the log, and may be left out."""
    with log.about(request_id=context.aws_request_id, execution=event.get("PipelineExecutionArn")):
        found = answer(aws.client("sagemaker"), Question.from_event(event))
        log.info("champion found" if found["ModelPackageArn"] else "no champion yet", **found)
        return found
