"""The function behind the pipeline's FindChampion step."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.parts.lambda_function import FunctionCode, LambdaFunction


class ChampionFinder(LambdaFunction):
    """Reads the lines' registries and evaluations, and sees whether a champion's artifact is still there."""

    def __init__(self, scope: Construct, id: str, *, code: FunctionCode) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="find_champion",
            description="Which model version a candidate has to beat, and what a run changes against it",
            timeout=Duration.seconds(60),
            when_it_fails="The pipeline waits for the answer: its step fails, the execution too, and a notice says so.",
        )
