"""The queue's messages, typed: S3's notifications, and the messages that Headrace sends.

{"Records": [...]}                                          S3: objects were created or removed
{"Event": "s3:TestEvent", ...}                              S3: the notification was configured
{"headrace": "check", "data_set": "birds", "sent": 1764}    a delayed check of a data set, sent by `debounce.schedule`;
                                                            "seen" is its last state, while objects are being removed
{"headrace": "run-again", "data_set": "birds"}              run it again, whatever the last run's status is
{..., "parameters": {"Epochs": "3"}}                        ... with these parameters, which then belong to its run key
{"headrace": "publish"}                                     publish definition and code: a deployment has ended
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

from data_sets.names import UNFINISHED, escaped, is_junk
from shared.errors import MalformedEvent
from start_pipeline.definition import code
from start_pipeline.uploads.keys import ARCHIVES, LONGEST_NAME, data_set_of, is_name


@dataclass(frozen=True, slots=True)
class DataSetChanged:
    data_set: str
    removed: bool = False  # an object of it was removed


@dataclass(frozen=True, slots=True)
class SourceUpdated:
    """A definition was uploaded, the code archive was uploaded or removed, or a deployment changed their bindings."""


@dataclass(frozen=True, slots=True)
class MisnamedDefinition:
    """A definition whose key belongs to no line's pipeline was uploaded or removed."""

    key: str
    removed: bool


@dataclass(frozen=True, slots=True)
class Check:
    data_set: str
    seen: str = ""


@dataclass(frozen=True, slots=True)
class RunAgain:
    """A request for another run. `asked` identifies the request, so that a redelivery is not taken for a second one."""

    data_set: str
    asked: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unusable:
    """An object under datasets/ whose key can belong to no data set."""

    key: str


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Message: TypeAlias = DataSetChanged | SourceUpdated | MisnamedDefinition | Check | RunAgain | Unusable | Ignored


def parse(body: str, *, message_id: str, bucket: str, definition_keys: Sequence[str]) -> list[Message]:
    """The typed messages in a body, without duplicates, in the body's order."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise _malformed(f"is not valid JSON: {error}") from error
    except RecursionError as error:
        raise _malformed("is nested too deeply") from error
    match content:
        case {"headrace": "check", "data_set": str(data_set)} if is_name(data_set):
            return [Check(data_set, str(content.get("seen", "")))]
        case {"headrace": "run-again", "data_set": str(data_set)} if is_name(data_set):
            parameters = content.get("parameters", {})
            if not isinstance(parameters, dict) or not all(isinstance(value, str) for value in parameters.values()):
                raise _malformed("has parameters that are not a JSON object of strings")
            return [RunAgain(data_set, asked=str(content.get("asked", message_id)), parameters=parameters)]
        case {"headrace": "publish"}:
            return [SourceUpdated()]
        case {"Event": "s3:TestEvent"}:
            return [Ignored("S3's test event, sent when the bucket's notification was configured")]
        case {"Records": list(records)}:
            asked = dict.fromkeys(_from_record(record, bucket, definition_keys) for record in records)
            return list(asked) or [Ignored("a notification without records")]
    raise _malformed("is not a notification of S3 and not a message of Headrace")


def _is_definition(key: str) -> bool:
    return key.startswith("pipelines/") and key.endswith(".json") and not key.endswith(".error.json")


def _from_record(record: Any, bucket: str, definition_keys: Sequence[str]) -> Message:
    match record:
        case {"eventName": str(name), "s3": {"bucket": {"name": str(source)}, "object": {"key": str(encoded)}}}:
            key = unquote_plus(encoded)  # S3 form-encodes keys in its notifications: a space is "+", a plus "%2B"
        case _:
            raise _malformed("holds a record without eventName, s3.bucket.name or s3.object.key")
    created = name.startswith("ObjectCreated:")
    if source != bucket or not (created or name.startswith("ObjectRemoved:")):
        return Ignored(f"{name} of {key!r} in {source}: only objects created in or removed from {bucket} matter")
    if (created and key in definition_keys) or key == code.KEY:
        return SourceUpdated()
    if _is_definition(key) and key not in definition_keys:
        return MisnamedDefinition(key, removed=not created)
    data_set = data_set_of(key)
    if data_set is not None:
        if is_junk(key):
            return Ignored(f"{name} of {escaped(key)!r}: such files are never part of a data set")
        return DataSetChanged(data_set, removed=not created)
    passing = key.endswith(("/", *UNFINISHED)) or is_junk(key)
    if created and key.startswith("datasets/") and not passing:
        return Unusable(key)
    return Ignored(
        f"{name} of {key!r}: neither {' or '.join(definition_keys)} nor part of a data set, which is datasets/<name>/… "
        f"or datasets/<name> with one of {', '.join(ARCHIVES)}; a name has at most {LONGEST_NAME} bytes, all printable"
    )


def _malformed(what: str) -> MalformedEvent:
    return MalformedEvent(f"the message {what}", hint='send {"headrace": "check" or "run-again", "data_set": "<name>"}')
