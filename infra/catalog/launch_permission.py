"""What the users of a role need to start projects from the template, and to delete them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.catalog.launch_role import LaunchRole
from infra.catalog.template_bucket import TEMPLATES, TemplateBucket
from infra.parts.grants import acknowledge_wildcards

PROJECTS = ["CreateProject", "DeleteProject", "DescribeProject", "UpdateProject"]
STACKS = ["CreateStack", "DeleteStack", "DescribeStackEvents", "DescribeStacks", "TagResource", "UpdateStack"]


class LaunchPermission(Construct):
    """One policy for all of them. SageMaker asks CloudFormation in the user's name, who hands it the launch role:

    so it takes the right to the stack and to the role, and none to what the stack makes. Projects' stacks are called
    SP-*. https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-projects-templates-custom.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        launch: LaunchRole,
        templates: TemplateBucket,
        starters: Sequence[iam.IRole],
    ) -> None:
        super().__init__(scope, id)
        stack, bucket = Stack.of(self), templates.bucket
        projects = stack.format_arn(service="sagemaker", resource="project", resource_name="*")
        stacks = stack.format_arn(service="cloudformation", resource="stack", resource_name="SP-*")
        catalog = stack.format_arn(service="cloudformation", resource="stack", resource_name=f"{stack.stack_name}/*")
        statements = [
            _allow([f"sagemaker:{name}" for name in (*PROJECTS, "AddTags", "ListTags")], projects),
            _allow(["sagemaker:ListProjects", "cloudformation:GetTemplateSummary"], "*"),
            _allow([f"cloudformation:{name}" for name in STACKS], stacks),
            _allow(["cloudformation:DescribeStacks"], catalog),  # its outputs say what there is to start from
            _allow(["s3:GetObject", "s3:GetObjectTagging"], bucket.arn_for_objects(f"{TEMPLATES}*")),
            _allow(["s3:GetBucketCORS", "s3:ListBucket"], bucket.bucket_arn),
            iam.PolicyStatement(
                actions=["iam:PassRole"],
                resources=[launch.role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
            ),
        ]
        self.policy = iam.ManagedPolicy(
            self,
            "Policy",
            description="Starts projects from the published template",
            statements=statements,
        )
        resource = self.policy.node.default_child
        assert isinstance(resource, iam.CfnManagedPolicy)
        if starters:  # said here: CDK attaches nothing to a role that it did not make
            resource.roles = [starter.role_name for starter in starters]
        why = "Users name their projects and stacks; the launch role limits what these can create."
        for statement in statements:
            acknowledge_wildcards(self.policy, statement.resources, why)


def _allow(actions: Sequence[str], *resources: str) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=list(actions), resources=list(resources))
