"""The role under which SageMaker runs pipelines: it starts jobs, invokes functions and registers models."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.data.data_bucket import MODELS, RUNS, DataBucket
from infra.data.network import Network
from infra.parts.arns import sagemaker_arn
from infra.parts.grants import allow, allow_to_pass, sagemaker_principal
from infra.registry.model_registry import ModelRegistry
from infra.training.job_role import JobRole


class PipelineRole(Construct):
    """It starts jobs under the job role and has none of that role's rights itself, but to read what jobs wrote."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        names: Sequence[str],
        tunes: bool,
        data: DataBucket,
        jobs: JobRole,
        registries: Sequence[ModelRegistry],
        functions: Sequence[lambda_.IFunction],
        network: Network | None,
    ) -> None:
        super().__init__(scope, id)
        # Each line's pipeline and, as <name>/execution/<id>, its executions; SageMaker's guide rules out naming one.
        sources = [sagemaker_arn(self, "pipeline", part) for name in names for part in (name, f"{name}/*")]
        self.role = iam.Role(
            self, "Role", assumed_by=sagemaker_principal(self, sources), description="Executions of the pipeline"
        )
        # Whatever a definition says, no job is started outside of the network.
        self._where = network.only_here() if network else {}
        self._start("processing-job", "ProcessingJob")
        self._start("training-job", "TrainingJob")
        if tunes:
            self._start("hyper-parameter-tuning-job", "HyperParameterTuningJob")
        allow_to_pass(self.role, jobs.role)
        allow(self.role, ["lambda:InvokeFunction"], [function.function_arn for function in functions])
        for registry in registries:
            registry.grant_register(self.role)
        data.grant_read(self.role, RUNS, MODELS)  # property files; the artifact that is registered

    def _start(self, kind: str, name: str) -> None:
        jobs = [sagemaker_arn(self, kind, "pipelines-*")]
        why = "SageMaker names a pipeline's jobs: pipelines-<execution>-<step>-<random>."
        allow(self.role, [f"sagemaker:Create{name}"], jobs, conditions=self._where, because=why)
        allow(self.role, [f"sagemaker:Describe{name}", f"sagemaker:Stop{name}", "sagemaker:AddTags"], jobs, because=why)
