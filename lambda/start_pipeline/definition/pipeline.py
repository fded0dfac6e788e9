"""Keep the SageMaker pipeline equal to the definition and the code in the bucket.

A definition that is refused changes nothing: the pipeline stays as it was, and rejection.py reports why until a
good one comes.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared import log, s3_json
from shared.aws import NOT_FOUND, S3Client, SqsClient, error_code, error_message, says
from shared.errors import DefinitionError
from shared.hashing import canonical, digest
from shared.resource_tags import sync_tags
from start_pipeline.definition import code, rejection
from start_pipeline.definition.binding import bound_definition
from start_pipeline.environment import Environment

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import DescribePipelineResponseTypeDef

MAX_FILE = 4 * 1024 * 1024  # bytes: SageMaker accepts a million characters; indentation makes them four million
MAX_ATTEMPTS = 5  # replacements of a definition while it is being published


class ConcurrentUpdate(Exception):
    """The definition was replaced again and again. Not a refusal: a later receive of the message publishes it."""


def publish(
    s3: S3Client, sqs: SqsClient, sagemaker: SageMakerClient, environment: Environment
) -> dict[str, Any] | None:
    """Bind the definition to the current code and upsert the pipeline. Returns the pipeline's definition.

    That is the new definition, or the pipeline's current one if the new one is refused, or None if there is neither. Of
    two concurrent uploads the later one wins: after publishing, the function checks that the bucket has the same one.
    """
    for _ in range(MAX_ATTEMPTS):
        version = code.etag(s3, environment)
        try:
            etag, definition = _publish(s3, sqs, sagemaker, environment, version)
        except code.ArchiveChanged as replaced:
            log.info("the code was replaced meanwhile", reason=str(replaced))
            continue
        found = s3_json.etag(s3, environment.data_bucket, environment.definition_key)
        if (found, code.etag(s3, environment)) == (etag, version):
            return definition
        log.info("definition or code were replaced meanwhile", key=environment.definition_key, published=etag)
    raise ConcurrentUpdate(
        f"{environment.definition_key} was replaced {MAX_ATTEMPTS} times while it was being published"
    )


def _publish(
    s3: S3Client, sqs: SqsClient, sagemaker: SageMakerClient, environment: Environment, version: str | None
) -> tuple[str | None, dict[str, Any] | None]:
    """The ETag of the definition in the bucket, and the definition of the pipeline afterwards."""
    found = _find_definition(s3, environment)
    etag = None if found is None else str(found["ETag"])
    try:
        content = _content(found, environment)
        found_code = code.in_force(s3, environment, version, code.scripts_in(content))
        bindings = {**environment.bindings, **found_code.bindings}
        definition = bound_definition(content, bindings, environment.parameter_defaults)
        found_code.refuse_unknown_networks(definition)
        upsert(sagemaker, environment, definition)
    except DefinitionError as problem:
        rejection.write(s3, sqs, environment, environment.definition_key, etag, problem)
        return etag, _current_definition(_describe(sagemaker, environment.pipeline_name))
    rejection.clear(s3, environment, environment.definition_key)
    return etag, definition


def upsert(sagemaker: SageMakerClient, environment: Environment, definition: dict[str, Any]) -> None:
    """Create the pipeline, or update it if its definition, its role or its tags differ; else do nothing."""
    name, role = environment.pipeline_name, environment.pipeline_role_arn
    described = _describe(sagemaker, name)
    if described is not None:
        sync_tags(sagemaker, described["PipelineArn"], environment.pipeline_tags)
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
            f"SageMaker refuses the definition: {error_message(error)}", hint="fix what it names and upload it again"
        ) from error
    log.info("pipeline updated" if described else "pipeline created", pipeline=name, definition=digest(definition)[:8])


def _create(sagemaker: SageMakerClient, environment: Environment, text: str) -> bool:
    """Create the pipeline. False if another worker has created it in the meantime.

    The request's token is random, and the same for boto3's retries. With a token that derives from the content,
    SageMaker might answer with a deleted pipeline of the same content and create none. The name is unique, so two
    workers cannot create two pipelines.
    """
    try:
        sagemaker.create_pipeline(
            PipelineName=environment.pipeline_name,
            PipelineDefinition=text,
            RoleArn=environment.pipeline_role_arn,
            ClientRequestToken=str(uuid.uuid4()),
            Tags=[{"Key": key, "Value": value} for key, value in environment.pipeline_tags.items()],
        )
    except ClientError as error:
        # SageMaker's message has changed over time; the SDK's upsert looks for both as well.
        if not (says(error, "already exist") or says(error, "unique within an aws account")):
            raise
        return False
    return True


def _find_definition(s3: S3Client, environment: Environment) -> dict[str, Any] | None:
    """S3's answer, before its body is read."""
    try:
        answer: dict[str, Any] = s3.get_object(Bucket=environment.data_bucket, Key=environment.definition_key)
    except ClientError as error:
        if error_code(error) not in NOT_FOUND:
            raise
        return None
    return answer


def _content(found: dict[str, Any] | None, environment: Environment) -> bytes:
    place = f"s3://{environment.data_bucket}/{environment.definition_key}"
    if found is None:
        raise DefinitionError(
            f"there is no definition at {place}", hint="deploy the stack again, or upload a definition there"
        )
    if found["ContentLength"] > MAX_FILE:
        raise DefinitionError(
            f"{place} has {found['ContentLength']:,} bytes, and a definition has {MAX_FILE:,} at most",
            hint="is it the right file? Move data out of the definition, into files of the data bucket",
        )
    return bytes(found["Body"].read())


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
