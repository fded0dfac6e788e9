"""A refused definition's author is told twice: by an object beside the definition, and by a notice.

pipelines/headrace-prod.json         what was put
pipelines/headrace-prod.error.json   why it is refused, until a good one comes
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
    """`etag` says which upload is refused, None where there is none: one refusal is told once."""
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
    """Asked first, because deleting nothing would leave a delete marker in the versioned bucket each time."""
    place = refusal_key_of(key)
    if s3_json.etag(s3, environment.data_bucket, place) is not None:
        s3.delete_object(Bucket=environment.data_bucket, Key=place)


def reject_misnamed(s3: S3Client, sqs: SqsClient, environment: Environment, key: str, *, removed: bool) -> None:
    """A definition under another name makes no pipeline: its author has renamed the file, or mistaken the bucket."""
    etag = s3_json.etag(s3, environment.data_bucket, key)
    if etag is None:  # removed again: what was said of it is no longer true
        clear(s3, environment, key)
        return
    if removed:
        log.info("ignored", reason="an old event: there is such a definition again", key=key)
        return
    problem = DefinitionError(
        f"{key} is not a definition of this environment, whose {_pipelines(environment)}",
        hint=f"put it as {' or '.join(environment.definition_keys)}, and delete {key}; another pipeline needs another "
        "model line, [<environment>.lines.<name>] in environments.toml, or another environment",
    )
    write(s3, sqs, environment, key, etag, problem)


def _pipelines(environment: Environment) -> str:
    names = [line.pipeline_name for line in environment.of_every_line]
    return f"one pipeline is {names[0]}" if len(names) == 1 else f"pipelines are {', '.join(names)}"
