"""The project template: the very stack of an environment, with parameters where a project differs from the next."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CfnCondition, CfnParameter, DefaultStackSynthesizer, Fn
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from environments.projects import PROJECT_ID, PROJECT_NAME, ProjectSettings
from infra.stacks.training_stack import TrainingStack
from pipeline_definition import CAPACITIES

TEMPLATE_BUCKET = "TEMPLATE_BUCKET"  # stands for the bucket in which the template and its assets will lie
ASSETS = "assets/"
BOUNDARY = "HeadraceProjectBoundary"  # the policy beyond which no role of a project may go; the catalog makes it


class ProjectStack(TrainingStack):
    """Self-contained: its assets lie beside it in the template bucket, and no bootstrapping is asked for.

    Synthesized for no account and no region; `project_template` makes the file of it that is published.
    """

    def __init__(self, scope: Construct, id: str, *, settings: ProjectSettings, root: Path) -> None:
        assets = DefaultStackSynthesizer(
            file_assets_bucket_name=TEMPLATE_BUCKET, bucket_prefix=ASSETS, generate_bootstrap_version_rule=False
        )
        super().__init__(scope, id, settings=settings, root=root, synthesizer=assets)
        self._ask(settings)
        boundary = iam.ManagedPolicy.from_managed_policy_name(self, "Boundary", BOUNDARY)
        iam.PermissionsBoundary.of(self).apply(boundary)

    def _ask(self, settings: ProjectSettings) -> None:
        """Names, texts and limits are what Studio's form shows."""
        CfnParameter(
            self,
            PROJECT_NAME,
            description="Name of the project",
            max_length=32,
            # No `-p-` in the name: resources of models are matched by the suffix `-p-<project id>`. No
            # capitals: AWS's samples have ARNs of models in lower case, and IAM compares them with the case they have.
            allowed_pattern="^(?!.*-p-)[a-z0-9](-*[a-z0-9])*$",
            constraint_description="at most 32 lower-case letters, digits and hyphens, without -p- in them",
        )
        CfnParameter(
            self,
            PROJECT_ID,
            description="Number of the project, which SageMaker gives",
            allowed_pattern="^p-[a-z0-9]{1,16}$",
            constraint_description="p- and up to 16 small letters and digits",
        )
        CfnParameter(
            self,
            "TrainInstanceType",
            description="Instance type of training jobs; another one can be given for a single run",
            allowed_values=list(settings.train_instance_types),
            default=settings.train_instance_types[0],
        )
        CfnParameter(
            self,
            "Capacity",
            description="Train on spot capacity, on on-demand capacity, or on both, of which the better model is taken",
            allowed_values=list(CAPACITIES),
            default=settings.pipeline.capacity,
        )
        CfnParameter(
            self,
            "AccuracyThreshold",
            type="Number",
            description="Share of the test images that a model has to get right to be registered, for example 0.8",
            min_value=0,
            max_value=1,
            default=settings.pipeline.accuracy_threshold,
        )
        email = CfnParameter(
            self,
            "NoticeEmail",
            description="Who is notified of failures and of models that wait for approval; may be left empty",
            allowed_pattern="^$|^[^@ ]+@[^@ ]+$",
            constraint_description="an e-mail address, or nothing",
            default="",
        )
        wanted = CfnCondition(self, "NoticesByEmail", expression=Fn.condition_not(Fn.condition_equals(email, "")))
        subscription = sns.CfnSubscription(
            self,
            "Reader",
            topic_arn=self.notices.topic.topic_arn,
            protocol="email",
            endpoint=email.value_as_string,
        )
        subscription.cfn_options.condition = wanted
