"""A declared model line: its model package group, and the end of what is made for it at run time."""

from __future__ import annotations

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from environments.settings import Settings
from infra.data.data_bucket import DataBucket
from infra.parts.lambda_function import LambdaFunction
from infra.registry.model_registry import ModelRegistry
from infra.serving.endpoint_cleanup import allow_to_delete_endpoint
from infra.training.published_source import allow_to_delete_pipeline


class ModelLine(Construct):
    """The roles and functions are those of the environment, and are granted what each line needs.

    The line goes when it is no longer declared, or with the stack: its pipeline, endpoint, models and definition in
    any case, because nothing would manage them; its versions unless the environment retains them. Its data sets stay.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, line: str) -> None:
        super().__init__(scope, id)
        self._settings, self._line = settings, line
        self.name = settings.line_name(line)
        self.registry = ModelRegistry(
            self,
            "Registry",
            name=self.name,
            account=settings.account,
            approval_status=settings.pipeline.model_approval_status,
            destroys=settings.destroys,
        )

    def clear_up_with(self, deployment: LambdaFunction, *, data: DataBucket, decisions: sqs.IQueue) -> CustomResource:
        """Add the resource whose deletion clears up. It also has the line's endpoint checked by each deployment."""
        kind, count = self._settings.endpoint_instances(self._line)
        # Not in the role's own policy: an update removes the line from that before it deletes the line's resources.
        policy = iam.Policy(self, "ClearUp", roles=[deployment.role])
        allow_to_delete_pipeline(policy, self.name)
        allow_to_delete_endpoint(policy, self.name)
        data.grant_delete(policy, f"pipelines/{self.name}.json")
        if self._settings.destroys:
            self.registry.grant_delete_versions(policy)
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::ModelLine",
            service_token=deployment.function.function_arn,
            service_timeout=Duration.minutes(20),
            properties={
                "Line": self._line,
                "Bucket": data.bucket.bucket_name,
                "PipelineName": self.name,
                "EndpointName": self.name,
                "ModelPackageGroupName": self.registry.group_name,
                "DecisionsQueueUrl": decisions.queue_url,
                "Retain": "false" if self._settings.destroys else "true",
                # The function does not read it; a change makes CloudFormation call it, and it checks the endpoint.
                "EndpointInstances": f"{count} x {kind}",
            },
        )
        resource.node.add_dependency(policy, self.registry)
        return resource
