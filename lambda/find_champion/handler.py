"""The pipeline's Lambda steps: FindChampion (which model a candidate has to beat) and ExplainChange (change.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from find_champion.change import Plan, explain
from shared import aws, log
from shared.aws import S3Client
from shared.champion import find_champion, model_data_url
from shared.errors import MalformedEvent
from shared.stored_model import exists

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient


NO_VERSION = "none"
"""In place of an ARN: no document says whether a Lambda step's output may be an empty string."""


class Answer(TypedDict):
    ModelDataUrl: str
    ModelPackageArn: str
    ModelPackageVersion: int
    ChampionState: Literal["found", "none", "gone"]


@dataclass(frozen=True, slots=True)
class Question:
    """The step's arguments; `no_champion_uri` is the prefix of the marker object for "no artifact"."""

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


def answer(sagemaker: SageMakerClient, s3: S3Client, question: Question) -> Answer:
    """Find the champion. Without its artifact the state is "gone": Evaluate then reports that it compared nothing."""
    champion = find_champion(sagemaker, question.model_package_group)
    if champion is None:
        return {
            "ModelDataUrl": question.no_champion_uri,
            "ModelPackageArn": NO_VERSION,
            "ModelPackageVersion": 0,
            "ChampionState": "none",
        }
    url = model_data_url(sagemaker, champion)
    present = url is not None and exists(s3, url)
    return {
        "ModelDataUrl": url if url and present else question.no_champion_uri,
        "ModelPackageArn": champion.model_package_arn,
        "ModelPackageVersion": champion.version,
        "ChampionState": "found" if present else "gone",
    }


def handle(event: Mapping[str, Any], context: aws.LambdaContext) -> Answer | dict[str, str]:
    """Answer FindChampion or, for an event with `PreparedUri`, ExplainChange. `PipelineExecutionArn` is for the log."""
    with log.context(request_id=context.aws_request_id, execution=event.get("PipelineExecutionArn")):
        sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
        if "PreparedUri" in event:
            change = explain(sagemaker, s3, Plan.from_event(event))
            log.info("what this run changes", change=change)
            return {"Change": change}
        found = answer(sagemaker, s3, Question.from_event(event))
        said = {"found": "champion found", "none": "no champion yet", "gone": "the champion's artifact was deleted"}
        log.info(said[found["ChampionState"]], **found)
        return found
