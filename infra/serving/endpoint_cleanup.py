"""The end of what was made at run time to serve models: CloudFormation knows nothing of it."""

from __future__ import annotations

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.data.sent_markers import SentMarkers
from infra.parts.lambda_function import FunctionCode, custom_resource_function
from infra.registry.source_registry import SourceRegistry


class EndpointCleanup(Construct):
    """Endpoint and models go with the stack, and so does what is remembered of notices.

    Its function is that of PublishedSource, with nothing to publish and no pipeline to delete; it has the endpoint
    looked at as well, which may be missing beside a model that was approved before this environment was deployed.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        endpoint: str,
        instances: str,
        code: FunctionCode,
        source: SourceRegistry,
        markers: SentMarkers,
        decisions: sqs.IQueue,
    ) -> None:
        super().__init__(scope, id)
        description = "Has the endpoint looked at, and clears up before a stack is destroyed"
        self.deployment = custom_resource_function(self, code, description)
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::EndpointCleanup",
            service_token=self.deployment.function.function_arn,
            service_timeout=Duration.minutes(20),
            properties={
                "Bucket": markers.bucket.bucket_name,
                "PipelineName": "",
                "EndpointName": endpoint,
                "ModelPackageGroupName": "",
                "DecisionsQueueUrl": decisions.queue_url,
                "Retain": "false",
                # Not read: that they change has the endpoint looked at.
                "EndpointInstances": instances,
                "ModelPackageGroupArn": source.group_arn,
            },
        )
