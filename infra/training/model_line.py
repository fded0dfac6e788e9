"""A declared model line: its model package group, and the end of what is made for it at run time."""

from __future__ import annotations

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.parts.lambda_function import LambdaFunction
from infra.registry.model_registry import ModelRegistry
from pipeline_definition import PipelineSettings


class ModelLine(Construct):
    """The roles and functions are those of the environment, and are granted what each line needs.

    The line goes when it is no longer declared, or with the stack: its pipeline, endpoint, models and definition in
    any case, because nothing would manage them; its versions unless the environment retains them. Its data sets stay.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        line: str,
        name: str,
        pipeline: PipelineSettings,
        instances: tuple[str, int],
        destroys: bool,
    ) -> None:
        """`name` is what its pipeline, group and endpoint are called; `instances` are the endpoint's."""
        super().__init__(scope, id)
        self.line, self.name, self.pipeline = line, name, pipeline
        self._instances, self._destroys = instances, destroys
        self.registry = ModelRegistry(
            self,
            "Registry",
            name=name,
            approval_status=pipeline.model_approval_status,
            destroys=destroys,
        )

    def clear_up_with(self, deployment: LambdaFunction, *, bucket: str, decisions: sqs.IQueue) -> CustomResource:
        """Add the resource whose deletion clears up. It also has the line's endpoint checked by each deployment."""
        kind, count = self._instances
        # Not in the role's own policy: an update removes the line from that before it deletes the line's resources.
        self.cleanup_policy = iam.Policy(self, "ClearUp", roles=[deployment.role])
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::ModelLine",
            service_token=deployment.function.function_arn,
            service_timeout=Duration.minutes(20),
            properties={
                "Line": self.line,
                "Bucket": bucket,
                "PipelineName": self.name,
                "EndpointName": self.name,
                "ModelPackageGroupName": self.registry.group_name,
                "DecisionsQueueUrl": decisions.queue_url,
                "Retain": "false" if self._destroys else "true",
                # The function does not read it; a change makes CloudFormation call it, and it checks the endpoint.
                "EndpointInstances": f"{count} x {kind}",
            },
        )
        resource.node.add_dependency(self.cleanup_policy, self.registry)
        return resource
