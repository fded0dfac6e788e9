"""Report a refused definition to its author: in an object beside the definition, and in a notice.

pipelines/headrace-prod.json         the definition that was uploaded
pipelines/headrace-prod.error.json   the reason of the refusal, until a valid definition is uploaded
"""

from __future__ import annotations

from shared import log, notice_queue, s3_json
from shared.aws import S3Client, SqsClient
from shared.errors import DefinitionError
from start_pipeline.environment import Environment, refusal_key_of

MAX_LENGTH = 2_000  # characters: it may quote the definition, and a message holds 256 KB


def write(
    s3: S3Client, sqs: SqsClient, environment: Environment, key: str, etag: str | None, problem: DefinitionError
) -> None:
    """Report the refusal. `etag` identifies the upload, None without one: each refusal is reported once."""
    log.error("definition refused, the pipeline stays as it is", problem, key=key)
    refusal = {
        "error": problem.what[:MAX_LENGTH],
        "hint": problem.hint[:MAX_LENGTH],
        "definition": key,
        "version": etag or "",
    }
    s3_json.write(s3, environment.data_bucket, refusal_key_of(key), refusal)
    notice_queue.send(sqs, environment.notices_queue_url, "definition-refused", **refusal)


def clear(s3: S3Client, environment: Environment, key: str) -> None:
    """Delete the reason, if there is one: a deletion without an object adds a delete marker to a versioned bucket."""
    place = refusal_key_of(key)
    if s3_json.etag(s3, environment.data_bucket, place) is not None:
        s3.delete_object(Bucket=environment.data_bucket, Key=place)


def reject_misnamed(s3: S3Client, sqs: SqsClient, environment: Environment, key: str, *, removed: bool) -> None:
    """Refuse a definition whose key belongs to no pipeline: its author renamed the file, or used the wrong bucket."""
    etag = s3_json.etag(s3, environment.data_bucket, key)
    if etag is None:  # it was removed, so its refusal is out of date
        clear(s3, environment, key)
        return
    if removed:
        log.info("ignored", reason="an old event: there is such a definition again", key=key)
        return
    problem = DefinitionError(
        f"{key} is not a definition of this environment, whose {_pipelines(environment)}",
        hint=f"upload it as {' or '.join(environment.definition_keys)}, and delete {key}; another pipeline needs "
        "another model line, [<environment>.lines.<name>] in environments.toml, or another environment",
    )
    write(s3, sqs, environment, key, etag, problem)


def _pipelines(environment: Environment) -> str:
    names = [line.pipeline_name for line in environment.of_every_line]
    return f"one pipeline is {names[0]}" if len(names) == 1 else f"pipelines are {', '.join(names)}"
