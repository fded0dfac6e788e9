"""The function behind the pipeline's StoreModel step."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.data.data_bucket import DataBucket
from infra.parts.lambda_function import FunctionCode, LambdaFunction


class ModelStorer(LambdaFunction):
    """Copies the artifact that a run registers from runs/ to models/, where nobody else may write."""

    def __init__(self, scope: Construct, id: str, *, code: FunctionCode, data: DataBucket) -> None:
        super().__init__(
            scope,
            id,
            code=code,
            package="store_model",
            description="Stores the artifact of a model under its SHA-256",
            timeout=Duration.minutes(5),  # of which lambda/store_model/handler.py gives S3 four for the copy
            when_it_fails="The pipeline waits for the answer: its step fails, the execution too, and a notice says so.",
            environment={"DATA_BUCKET": data.bucket.bucket_name},
        )
