"""Objects under datasets/ for which no run can start: their owner is notified once an hour for each name."""

from __future__ import annotations

import hashlib

from data_sets.names import OTHER_ARCHIVES, escaped
from shared import log, s3_json
from shared.aws import S3Client
from shared.errors import DataSetError
from start_pipeline.environment import Environment
from start_pipeline.uploads.keys import ARCHIVES, LONGEST_NAME, is_archive

SILENT_SECONDS = 3_600  # after a refusal of one name: a whole folder of such objects makes one notice


def refuse_unusable(s3: S3Client, environment: Environment, key: str, *, now: float) -> None:
    """Raises DataSetError for the first object of a name within SILENT_SECONDS; the others are only logged."""
    name = "/".join(key.split("/")[:2])
    note = f"ledger/unusable/{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"
    until = {"until": now + SILENT_SECONDS}
    held = s3_json.read(s3, environment.data_bucket, note)
    if held is None:
        first = s3_json.create(s3, environment.data_bucket, note, until) is not None
    elif held.content["until"] <= now:
        first = s3_json.replace(s3, environment.data_bucket, note, until, etag=held.etag) is not None
    else:
        first = False
    if first:
        raise reason(environment.data_bucket, key)
    log.info("ignored", reason="an object under datasets/ that belongs to no data set; its name was refused", key=key)


def reason(bucket: str, key: str) -> DataSetError:
    """The reason why the object cannot be part of a run."""
    _, _, rest = key.partition("/")
    name, slash, _ = rest.partition("/")
    kinds = ", ".join(ARCHIVES)
    shown = escaped(key)[:300]
    if not slash and name.lower().endswith(OTHER_ARCHIVES):
        return DataSetError(
            f"s3://{bucket}/{shown} is an archive of a kind that is not unpacked, so no run starts for it",
            hint=f"unpack it, then: headrace upload FOLDER; or upload it as one of {kinds}",
        )
    if not slash and name not in (".", ".."):
        return DataSetError(
            f"s3://{bucket}/{shown} lies in no data set, so no run starts for it",
            hint=f"put it below datasets/NAME/, or name it as an archive ({kinds}); remove this object",
        )
    if is_archive(name):
        return DataSetError(
            f"s3://{bucket}/{shown} lies in a folder that is named like an archive, so no run starts for it",
            hint=f"give the folder another name: aws s3 mv --recursive s3://{bucket}/datasets/{escaped(name)}/ "
            f"s3://{bucket}/datasets/NEW_NAME/",
        )
    return DataSetError(
        f"s3://{bucket}/{shown} lies in a folder that cannot be a data set, so no run starts for it",
        hint=f"a data set's name has 1 to {LONGEST_NAME} bytes, all of them printable, and is not '.' or '..': put the "
        "object below datasets/NAME/ and remove this one",
    )
