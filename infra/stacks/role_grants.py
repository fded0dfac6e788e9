"""Who may do what: the grants of each role, in the order of the flow from an upload to a served model.

Not here is what belongs to one resource: each function writes its log and receives from the queue that feeds it
(infra/parts), and AWS's services deliver flow logs and forwarded decisions. Policies of buckets and registries, which
name other accounts or deny, are calls in the stacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam

from infra.data.data_bucket import CODE, MODELS, RUNS, DataBucket
from infra.data.network import Network
from infra.parts.arns import JOB_LOGS, log_group_arn, sagemaker_arn
from infra.parts.container_grants import run_containers
from infra.parts.grants import Grantee, allow, allow_to_pass
from infra.parts.images import Images
from infra.parts.lambda_function import LambdaFunction
from infra.parts.notices import Notices
from infra.parts.private_bucket import PrivateBucket
from infra.parts.watched_queue import WatchedQueue
from infra.registry.model_registry import ModelRegistry
from infra.registry.source_registry import SourceRegistry

PIPELINE_ACTIONS = [
    "sagemaker:AddTags",
    "sagemaker:CreatePipeline",
    "sagemaker:DeleteTags",
    "sagemaker:DescribePipeline",
    "sagemaker:ListPipelineExecutions",
    "sagemaker:ListTags",
    "sagemaker:StartPipelineExecution",
    "sagemaker:UpdatePipeline",
]
JOBS = "SageMaker names a pipeline's jobs: pipelines-<execution>-<step>-<random>."
EXECUTIONS = "SageMaker names executions; these are all of this pipeline."


@dataclass(frozen=True, kw_only=True)
class TrainingGrants:
    """The roles of an environment that trains. `names` are its pipelines, model package groups and endpoints."""

    names: Sequence[str]
    registries: Sequence[ModelRegistry]
    data: DataBucket
    network: Network | None

    def maintainer(self, role: iam.Role) -> None:
        """Upload data, and change what is executed: the training code and the pipeline's definition."""
        self.data.grant_list(role)
        self.data.grant_read(role, "datasets/*", "pipelines/*", "code/*")
        self.data.grant_write(role, "datasets/*", "pipelines/*", "code/*")
        self.data.grant_delete(role, "datasets/*", "pipelines/*", "code/*")

    def upload_trigger(self, role: iam.Role, uploads: WatchedQueue, notices: Notices, pipeline: iam.Role) -> None:
        """Read what was uploaded, keep the pipelines as they are defined, and start them under the pipeline role."""
        refusal = "pipelines/*.error.json"  # beside each definition that is refused, misnamed ones too
        self.data.grant_list(role)
        self.data.grant_read(role, "datasets/*", "pipelines/*", CODE, "manifests/*", "ledger/*", "quiet/*")
        self.data.grant_write(role, "manifests/*", "ledger/*", "quiet/*", "code/*/source.tar.gz", refusal)
        self.data.grant_delete(role, "quiet/*", refusal)
        allow(role, ["sqs:SendMessage"], uploads.arns)
        notices.grant_send(role)
        allow_to_pass(role, pipeline)
        allow(role, PIPELINE_ACTIONS, [sagemaker_arn(role, "pipeline", name) for name in self.names])
        allow(role, ["sagemaker:DescribePipelineExecution"], self._executions(role), because=EXECUTIONS)

    def pipeline(self, role: iam.Role, jobs: iam.Role, functions: Sequence[LambdaFunction], *, tunes: bool) -> None:
        """Start jobs under the job role, invoke the functions of the steps, and register models."""
        # Whatever a definition says, no job is started outside of the network.
        where = self.network.only_here() if self.network else {}
        kinds = {"processing-job": "ProcessingJob", "training-job": "TrainingJob"}
        if tunes:
            kinds["hyper-parameter-tuning-job"] = "HyperParameterTuningJob"
        for kind, name in kinds.items():
            arns = [sagemaker_arn(role, kind, "pipelines-*")]
            changes = [f"sagemaker:Describe{name}", f"sagemaker:Stop{name}", "sagemaker:AddTags"]
            allow(role, [f"sagemaker:Create{name}"], arns, conditions=where, because=JOBS)
            allow(role, changes, arns, because=JOBS)
        allow_to_pass(role, jobs)
        allow(role, ["lambda:InvokeFunction"], [function.function.function_arn for function in functions])
        for registry in self.registries:
            registry.grant_register(role)
        self.data.grant_read(role, RUNS, MODELS)  # property files; the artifact that is registered

    def jobs(self, role: iam.Role, images: Images, *, pretrained: bool) -> None:
        """The code of a job reaches nothing but the data bucket."""
        inputs = ["datasets/*", "manifests/*", "code/*", "champions/*", "runs/*", "models/*", "checkpoints/*"]
        inputs += ["pretrained/*"] * pretrained
        self.data.grant_read(role, *inputs)
        self.data.grant_list(role, *inputs)
        self.data.grant_upload_results(role, "runs/*", "checkpoints/*")
        self.data.grant_delete(role, "checkpoints/*")  # a checkpoint that the job deletes is deleted in S3
        run_containers(role, images=[images.processing, images.training], log_groups=JOB_LOGS)
        if self.network:
            self.network.grant_join(role)

    def champion_finder(self, role: iam.Role) -> None:
        """Read the lines' registries and evaluations, and see whether a champion's artifact is still there."""
        for registry in self.registries:
            registry.grant_read(role)
        self.data.grant_read(role, RUNS)  # evaluations
        self.data.grant_list(role, MODELS)

    def model_storer(self, role: iam.Role) -> None:
        """Copy the artifact that a run registers from runs/ to models/, where nobody else may write."""
        self.data.grant_read(role, RUNS, MODELS)
        self.data.grant_list(role, MODELS)
        self.data.grant_write(role, MODELS)
        self.data.grant_delete_versions(role, MODELS)  # a copy that is not what Evaluate judged

    def approver(self, role: iam.Role) -> None:
        """Approve and reject versions, and read what a decision needs."""
        for registry in self.registries:
            registry.grant_decide(role)
        self.data.grant_read(role, "runs/*")

    def notifier(self, role: iam.Role) -> None:
        """Read what a run has left, for its notices: its jobs' logs, and the evaluation of a refused model."""
        self.data.grant_read(role, RUNS)
        run = ["DescribePipelineExecution", "ListPipelineExecutionSteps", "ListPipelineParametersForExecution"]
        allow(role, [f"sagemaker:{action}" for action in run], self._executions(role), because=EXECUTIONS)
        for kind, name in (("processing-job", "ProcessingJob"), ("training-job", "TrainingJob")):
            allow(role, [f"sagemaker:Describe{name}"], [sagemaker_arn(role, kind, "pipelines-*")], because=JOBS)
        why = "A log stream is named after the job and its host."
        for action, streams in (("DescribeLogStreams", "*"), ("GetLogEvents", "pipelines-*")):
            logs = [name for group in JOB_LOGS for name in (group, f"{group}:log-stream:{streams}")]
            allow(role, [f"logs:{action}"], [log_group_arn(role, name) for name in logs], because=why)

    def published_source(
        self, role: iam.Role, queues: Sequence[WatchedQueue], *, reads: Sequence[str], writes: Sequence[str]
    ) -> None:
        """Put code and definitions into the bucket, and clear up before the stack is destroyed."""
        allow(role, ["s3:GetObject"], reads)
        self.data.grant_write(role, *writes)
        allow(role, ["sqs:SendMessage"], [queue.queue.queue_arn for queue in queues])
        _delete_pipeline(role, self.names[0])
        _delete_endpoint(role, self.names[0])
        if self.network:
            allow(role, ["ec2:DescribeNetworkInterfaces"], ["*"], because="IAM has no resource type for this action.")

    def source_data(self, role: iam.Role) -> None:
        """Delete the data and the versions with the stack."""
        self.data.grant_empty(role)
        self.registries[0].grant_delete_versions(role)

    def line_cleanup(self, policy: iam.Policy, registry: ModelRegistry, *, destroys: bool) -> None:
        """Delete what was made at run time for a declared line that goes, and its versions if they are not retained."""
        _delete_pipeline(policy, registry.group_name)
        _delete_endpoint(policy, registry.group_name)
        self.data.grant_delete(policy, f"pipelines/{registry.group_name}.json")
        if destroys:
            registry.grant_delete_versions(policy)

    def _executions(self, role: iam.Role) -> list[str]:
        return [sagemaker_arn(role, "pipeline", f"{name}/execution/*") for name in self.names]


@dataclass(frozen=True, kw_only=True)
class ServingGrants:
    """The roles that every environment has. `names` are its endpoints; `data` holds the artifacts of the versions."""

    names: Sequence[str]
    registries: Sequence[ModelRegistry | SourceRegistry]
    data: DataBucket | SourceRegistry
    network: Network | None

    def deployer(self, role: iam.Role, decisions: WatchedQueue, notices: Notices, endpoint: iam.Role) -> None:
        """Find the champion, check its artifact, and have the endpoint serve it under the endpoint role."""
        allow(role, ["sqs:SendMessage"], decisions.arns)
        notices.grant_send(role)
        for registry in self.registries:
            registry.grant_serve(role)
        self.data.grant_check_models(role)
        allow_to_pass(role, endpoint)
        for name in self.names:
            self._deploy(role, name)

    def _deploy(self, role: iam.Role, name: str) -> None:
        """One endpoint; each version gets its own model and endpoint configuration, named after the endpoint."""
        endpoint = sagemaker_arn(role, "endpoint", name)
        configs = sagemaker_arn(role, "endpoint-config", f"{name}-v*")
        models = sagemaker_arn(role, "model", f"{name}-v*")
        why = "Models and endpoint configurations are made for each version; these are all of this endpoint."
        where = self.network.only_here(of_containers=False) if self.network else {}
        allow(role, ["sagemaker:CreateModel"], [models], conditions=where, because=why)
        allow(role, ["sagemaker:CreateEndpointConfig"], [configs], because=why)
        allow(role, ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], [endpoint, configs], because=why)
        looks = ["sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"]
        allow(role, looks, [endpoint])
        allow(role, ["sagemaker:AddTags"], [endpoint, configs, models], because=why)
        # A configuration that was rolled back says so in a tag; an endpoint has the tags of the settings.
        allow(role, ["sagemaker:ListTags"], [configs, endpoint], because=why)
        allow(role, ["sagemaker:DeleteTags"], [endpoint])

    def endpoint(self, role: iam.Role, images: Images) -> None:
        """Read model artifacts and nothing else. SageMaker names the logs of an endpoint after it."""
        self.data.grant_read_models(role)
        logs = [f"/aws/sagemaker/Endpoints/{name}" for name in self.names]
        run_containers(role, images=[images.inference], log_groups=logs)
        if self.network:
            self.network.grant_join(role, also=["ec2:DescribeVpcEndpoints"])

    def notifier(self, role: iam.Role, notices: Notices, markers: PrivateBucket) -> None:
        """Publish notices, and write nothing but the markers of those that were sent."""
        allow(role, ["sqs:SendMessage"], [notices.queue.dead_letters.queue_arn])
        notices.grant_publish(role)
        markers.grant_list(role)
        markers.grant_read(role, "notices/*")
        markers.grant_write(role, "notices/*")
        for registry in self.registries:
            registry.grant_read(role)

    def cleanup(self, role: iam.Role, decisions: WatchedQueue, markers: PrivateBucket) -> None:
        """Clear up before a stack that only serves is destroyed."""
        allow(role, ["sqs:SendMessage"], [decisions.queue.queue_arn])
        _delete_endpoint(role, self.names[0])
        markers.grant_empty(role)


def _delete_pipeline(role: Grantee, name: str) -> None:
    pipeline, executions = (sagemaker_arn(role, "pipeline", part) for part in (name, f"{name}/execution/*"))
    why = "All that was made at run time under this name is deleted; it is not known before."
    allow(role, ["sagemaker:DeletePipeline", "sagemaker:ListPipelineExecutions"], [pipeline])
    allow(role, ["sagemaker:StopPipelineExecution"], [executions], because=why)


def _delete_endpoint(role: Grantee, name: str) -> None:
    endpoint = sagemaker_arn(role, "endpoint", name)
    made_for_it = [sagemaker_arn(role, kind, f"{name}-v*") for kind in ("endpoint-config", "model")]
    why = "All that was made at run time under this name is deleted; it is not known before."
    allow(role, ["sagemaker:DeleteEndpoint", "sagemaker:DescribeEndpoint"], [endpoint])
    allow(role, ["sagemaker:DeleteEndpointConfig", "sagemaker:DeleteModel"], made_for_it, because=why)
    lists = ["sagemaker:ListEndpointConfigs", "sagemaker:ListModels"]
    allow(role, lists, ["*"], because="IAM has no resource type for these actions.")
