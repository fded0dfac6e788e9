"""The function behind the pipeline's FindChampion step."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Duration
from constructs import Construct

from infra.data.data_bucket import MODELS, RUNS, DataBucket
from infra.parts.lambda_function import FunctionCode, LambdaFunction
from infra.registry.model_registry import ModelRegistry


class ChampionFinder(LambdaFunction):
    """Reads the lines' registries and evaluations, and sees whether a champion's artifact is still there."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        code: FunctionCode,
        registries: Sequence[ModelRegistry],
        data: DataBucket,
    ) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="find_champion",
            description="Which model version a candidate has to beat, and what a run changes against it",
            timeout=Duration.seconds(60),
            when_it_fails="The pipeline waits for the answer: its step fails, the execution too, and a notice says so.",
        )
        for registry in registries:
            registry.grant_read(self.role)
        data.grant_read(self.role, RUNS)  # evaluations
        data.grant_list(self.role, MODELS)
