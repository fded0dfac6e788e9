"""Where the published templates lie, and what they refer to."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.parts.nag import NIST, acknowledge
from infra.parts.private_bucket import acknowledge_one_copy

STUDIO = "https://*.sagemaker.aws"
# Methods and headers are those of AWS's sample, with which Studio is known to list templates. IAM says who may do what.
# github.com/aws-samples/sagemaker-custom-project-templates, s3_templates
EXPOSED = [
    "ETag",
    "x-amz-delete-marker",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amz-server-side-encryption",
    "x-amz-version-id",
]
TEMPLATES, VERSIONS = "templates/", "versions/"  # the newest one, which Studio shows; and each by its hash, for good


class TemplateBucket(Construct):
    """Private, TLS only and versioned. It stays when the stack goes: projects that were started still refer to it.

    Encrypted with S3's keys: what lies here is the source code of the template and no secret, and everybody who
    starts a project reads it.
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            removal_policy=RemovalPolicy.RETAIN,
            cors=[
                s3.CorsRule(
                    allowed_origins=[STUDIO],
                    allowed_methods=[
                        s3.HttpMethods.POST,
                        s3.HttpMethods.PUT,
                        s3.HttpMethods.GET,
                        s3.HttpMethods.HEAD,
                        s3.HttpMethods.DELETE,
                    ],
                    allowed_headers=["*"],
                    exposed_headers=EXPOSED,
                )
            ],
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="old-versions-expire",
                    noncurrent_version_expiration=Duration.days(90),
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                )
            ],
        )
        acknowledge_one_copy(self.bucket, "One command creates everything in it again from the sources.")
        acknowledge(
            self.bucket, NIST, "S3DefaultEncryptionKMS", "S3's own keys encrypt it; it holds source code and no secret."
        )

    def url(self, key: str) -> str:
        """The https address that CloudFormation, Service Catalog and SageMaker take."""
        stack = Stack.of(self)
        return f"https://{self.bucket.bucket_name}.s3.{stack.region}.{stack.url_suffix}/{key}"
