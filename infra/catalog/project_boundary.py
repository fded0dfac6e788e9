"""The most that any role of a project may ever be allowed, whatever policy is put on it."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.catalog.project_stack import BOUNDARY
from infra.catalog.template_bucket import TemplateBucket
from infra.parts.arns import JOB_LOGS
from infra.parts.grants import acknowledge_wildcards

OWN = "headrace-p-*"
LISTED = [
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModels",
]
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
WRITE_LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/*-p-*"
OBJECTS = ["AbortMultipartUpload", "DeleteObject", "DeleteObjectVersion", "GetObject", "PutObject"]
MESSAGES = ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "ReceiveMessage", "SendMessage"]
KEYS = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"]
JOBS = ("Create", "Describe", "Stop")
RUNS = [
    *(f"sagemaker:{verb}Tags" for verb in ("Add", "Delete", "List")),
    *(f"sagemaker:{verb}{job}Job" for job in ("HyperParameterTuning", "Processing", "Training") for verb in JOBS),
    *(f"sagemaker:{verb}Pipeline" for verb in ("Create", "Delete", "Describe", "Update")),
    *(f"sagemaker:{verb}PipelineExecution" for verb in ("Describe", "Start", "Stop")),
    *(f"sagemaker:List{what}" for what in ("PipelineExecutions", "PipelineExecutionSteps")),
    "sagemaker:ListPipelineParametersForExecution",
]
MODELS = [
    *(f"sagemaker:{verb}Endpoint" for verb in ("Create", "Delete", "Describe", "Invoke", "Update")),
    *(f"sagemaker:{verb}{what}" for verb in ("Create", "Delete") for what in ("EndpointConfig", "Model")),
    *(f"sagemaker:{verb}ModelPackage" for verb in ("Delete", "Describe")),
    *(f"sagemaker:{verb}ModelPackageGroup" for verb in ("Create", "Describe")),
    "sagemaker:ListModelPackages",
]


class ProjectBoundary(Construct):
    """The permissions of all the template's roles together, for all projects. A role with it cannot exceed them.

    It has a physical name, because the template refers to it before the account is known.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        templates: TemplateBucket,
        model_approval_status: str,
        registries: Sequence[str],
    ) -> None:
        super().__init__(scope, id)
        jobs = [f"{kind}/pipelines-*" for kind in ("hyper-parameter-tuning-job", "processing-job", "training-job")]
        made = ("endpoint", "endpoint-config", "model", "model-package", "model-package-group", "pipeline")
        named = [f"{kind}/*-p-*" for kind in made]
        statements = [
            self._allow(LISTED, "*"),
            self._allow(PULL, *registries),
            self._allow(WRITE_LOGS, *self._log_groups(OWN, ENDPOINT_LOGS, *JOB_LOGS, streams="*")),
            self._allow(["logs:GetLogEvents"], *self._log_groups(*JOB_LOGS, streams="pipelines-*")),
            self._allow([f"s3:{name}" for name in OBJECTS], f"arn:{self._partition}:s3:::{OWN}/*"),
            self._allow(["s3:ListBucket", "s3:ListBucketVersions"], f"arn:{self._partition}:s3:::{OWN}"),
            self._allow(["s3:GetObject"], templates.bucket.arn_for_objects("*")),
            self._allow([f"sqs:{name}" for name in MESSAGES], self._arn("sqs", OWN)),
            self._allow(["sns:Publish"], self._arn("sns", OWN)),
            self._allow(["lambda:InvokeFunction"], self._arn("lambda", f"function:{OWN}")),
            self._allow([*RUNS, *MODELS], *(self._arn("sagemaker", x) for x in jobs + named)),
            self._allow_status("CreateModelPackage", sorted({"PendingManualApproval", model_approval_status})),
            self._allow_status("UpdateModelPackage", ["Approved", "Rejected"]),
            iam.PolicyStatement(
                actions=KEYS,
                resources=[self._arn("kms", "key/*")],
                # Not by tag: KMS takes up to five minutes until the tags of a new key count.
                conditions={"StringEquals": {"kms:ViaService": [self._service(name) for name in ("s3", "sns")]}},
            ),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[self._arn("iam", f"role/{OWN}", region="")],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=BOUNDARY,
            description="The most that a role of a project may be allowed",
            statements=statements,
        )
        why = "A boundary grants nothing; it says how far the policies of all projects' roles can reach at most."
        for statement in statements:
            acknowledge_wildcards(self.policy, statement.resources, why)
        self.arn = self.policy.managed_policy_arn

    def _service(self, name: str) -> str:
        return f"{name}.{Stack.of(self).region}.amazonaws.com"

    @property
    def _partition(self) -> str:
        return Stack.of(self).partition

    def _log_groups(self, *names: str, streams: str) -> list[str]:
        """A pattern that ends with * has the streams of the groups in it; any other group has such streams."""
        groups = [self._arn("logs", f"log-group:{name}") for name in names]
        return groups + [f"{group}:log-stream:{streams}" for group in groups if not group.endswith("*")]

    def _allow(self, actions: list[str], *resources: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=actions, resources=list(resources))

    def _allow_status(self, operation: str, statuses: list[str]) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=[f"sagemaker:{operation}"],
            resources=[self._arn("sagemaker", "model-package/*-p-*")],
            conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": statuses}},
        )

    def _arn(self, service: str, resource: str, **place: str) -> str:
        return Stack.of(self).format_arn(
            service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME, **place
        )
