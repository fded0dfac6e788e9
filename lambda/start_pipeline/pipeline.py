"""The SageMaker pipeline, kept as the definition object in the bucket wants it.

A definition that is refused changes nothing: the pipeline stays as it was, and the reason is written beside the
definition, to pipelines/<name>.error.json, until a good one comes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

import log
from aws import NOT_FOUND, S3Client, error_code, error_message, says
from canonical import canonical, digest
from refusals import DefinitionError
from start_pipeline import documents
from start_pipeline.binding import bound_definition
from start_pipeline.environment import Environment

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribePipelineResponseTypeDef


def publish(s3: S3Client, sagemaker: SageMakerClient, environment: Environment) -> dict[str, Any] | None:
    """Bind the definition and upsert the pipeline; the definition that is in force then.

    That is the new one, or the pipeline's current one if the new one is refused, or None if there is neither.
    """
    try:
        definition = bound_definition(_read_definition(s3, environment), environment.bindings)
        upsert(sagemaker, environment, definition)
    except DefinitionError as problem:
        log.error("definition refused, the pipeline stays as it is", problem, key=environment.definition_key)
        refusal = {"error": problem.what, "hint": problem.hint, "definition": environment.definition_key}
        documents.write(s3, environment.data_bucket, environment.refusal_key, refusal)
        return _current_definition(_describe(sagemaker, environment.pipeline_name))
    # Asked first, because deleting nothing would leave a delete marker in the versioned bucket each time.
    if documents.exists(s3, environment.data_bucket, environment.refusal_key):
        s3.delete_object(Bucket=environment.data_bucket, Key=environment.refusal_key)
    return definition


def upsert(sagemaker: SageMakerClient, environment: Environment, definition: dict[str, Any]) -> None:
    """Create the pipeline, or update it if its definition or its role differ; else do nothing."""
    name, role = environment.pipeline_name, environment.pipeline_role_arn
    described = _describe(sagemaker, name)
    if described is not None and described["RoleArn"] == role and _current_definition(described) == definition:
        return
    text = canonical(definition)
    try:
        if described is not None or not _create(sagemaker, environment, text):
            sagemaker.update_pipeline(PipelineName=name, PipelineDefinition=text, RoleArn=role)
    except ClientError as error:
        if error_code(error) != "ValidationException":
            raise
        raise DefinitionError(
            f"SageMaker refuses the definition: {error_message(error)}", hint="mend what it names and put it again"
        ) from error
    log.info("pipeline updated" if described else "pipeline created", pipeline=name, definition=digest(definition)[:8])


def _create(sagemaker: SageMakerClient, environment: Environment, text: str) -> bool:
    """False if another worker has created the pipeline in the meantime."""
    content = [environment.pipeline_name, environment.pipeline_role_arn, text]
    try:
        sagemaker.create_pipeline(
            PipelineName=environment.pipeline_name,
            PipelineDefinition=text,
            RoleArn=environment.pipeline_role_arn,
            ClientRequestToken=digest(content),
            Tags=[{"Key": key, "Value": value} for key, value in environment.pipeline_tags.items()],
        )
    except ClientError as error:
        # SageMaker's words have changed over time; the SDK's upsert looks for both as well.
        if not (says(error, "already exist") or says(error, "unique within an aws account")):
            raise
        return False
    return True


def _read_definition(s3: S3Client, environment: Environment) -> bytes:
    try:
        answer = s3.get_object(Bucket=environment.data_bucket, Key=environment.definition_key)
    except ClientError as error:
        if error_code(error) not in NOT_FOUND:
            raise
        raise DefinitionError(
            f"there is no definition at s3://{environment.data_bucket}/{environment.definition_key}",
            hint="deploy the stack again, or put a definition there",
        ) from error
    return bytes(answer["Body"].read())


def _describe(sagemaker: SageMakerClient, name: str) -> DescribePipelineResponseTypeDef | None:
    try:
        return sagemaker.describe_pipeline(PipelineName=name)
    except ClientError as error:
        if error_code(error) == "ResourceNotFound":
            return None
        raise


def _current_definition(described: DescribePipelineResponseTypeDef | None) -> dict[str, Any] | None:
    if described is None:
        return None
    definition: dict[str, Any] = json.loads(described["PipelineDefinition"])
    return definition
