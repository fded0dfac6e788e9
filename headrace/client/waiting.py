"""Data sets that wait for their run because as many are under way as may be: noted by the trigger while it looks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from headrace.client.environment import Environment
from headrace.errors import DENIED, error_code, is_missing
from headrace.formats import ago

PREFIX = "quiet/waiting/"
MOST = 20  # that are read; each is an object


@dataclass(frozen=True, slots=True)
class Waiting:
    """A data set that waits, since a moment, for fewer runs than the `setting`, which is `limit`."""

    data_set: str
    setting: str
    limit: int
    since: datetime

    def words(self, now: datetime) -> str:
        return f"{self.data_set} waits for its run (noted {ago(self.since, now)}): {self.setting} is {self.limit}"


def find_waiting(environment: Environment) -> list[Waiting]:
    """By data set; none where the notes may not be read, so that what asks for them stays useful."""
    with environment.doing("looking for data sets that wait"):
        try:
            return sorted(_read(environment), key=lambda found: found.data_set)
        except ClientError as error:
            if error_code(error) in DENIED:
                return []
            raise


def _read(environment: Environment) -> Iterator[Waiting]:
    s3, bucket = environment.client("s3"), environment.stack.data_bucket
    now = datetime.now(UTC).timestamp()
    for item in s3.list_objects_v2(Bucket=bucket, Prefix=PREFIX, MaxKeys=MOST).get("Contents", []):
        try:
            note = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
        except ClientError as error:
            if is_missing(error):  # its run has been started since it was listed
                continue
            raise
        if note["until"] > now:
            since = datetime.fromtimestamp(note["since"], UTC)
            yield Waiting(note["data_set"], note["setting"], note["limit"], since)
