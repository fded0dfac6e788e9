"""The current training code: the archive at code/source.tar.gz.

A deployment writes the sources' code there, and a maintainer may overwrite it, as with the definition. Jobs get a copy
whose key contains a hash of the content. So running executions keep the code with which they started, and the step
cache is used for the same code only.

A definition uses the whole code, `${headrace:CodeUri}`, or the part that one script needs,
`${headrace:CodeUri/train.py}`. With the part, the step cache is used although another file was changed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from shared import log, s3_json
from shared.aws import NOT_FOUND, S3Client, error_code
from shared.errors import DefinitionError
from source_code.address import address
from source_code.archive import File, pack, unpack
from source_code.errors import SourceError
from source_code.imports import ENTRY, needed, refuse_uncompilable
from source_code.networks import Networks, networks
from start_pipeline.definition.binding import every_step
from start_pipeline.environment import Environment

KEY = "code/source.tar.gz"
MAX_BYTES = 64 * 1024 * 1024  # bytes: the function reads it into its memory of 1 GB
OF_A_SCRIPT = re.compile(r"\$\{headrace:Code(?:Uri|Hash)/([^}]*)\}")


class ArchiveChanged(Exception):
    """The archive was replaced or removed while it was being read."""


def etag(s3: S3Client, environment: Environment) -> str | None:
    """The archive's ETag; None without an archive: the deployed code is then used."""
    return s3_json.etag(s3, environment.data_bucket, KEY)


def scripts_in(definition: str | bytes) -> set[str]:
    """The scripts that a definition names, as in `${headrace:CodeUri/train.py}` or `${headrace:CodeHash/train.py}`."""
    text = definition if isinstance(definition, str) else definition.decode("utf-8", "replace")
    return set(OF_A_SCRIPT.findall(text.replace("\\/", "/")))  # JSON may escape a slash


@dataclass(frozen=True, slots=True)
class Code:
    """The bindings for a definition, and the networks that the training code supports, if the code lists them."""

    bindings: Mapping[str, str]
    networks: Networks | None = None

    def refuse_unknown_networks(self, definition: Mapping[str, Any]) -> None:
        """Raises DefinitionError for a training of a network that the code does not have."""
        for step in every_step(definition["Steps"]) if self.networks else ():
            match step:
                case {"Type": "Training", "Arguments": {"HyperParameters": {"network": str(text)}}}:
                    network = str(_decoded(text))  # the toolkit decodes it for the script
                    if self.networks and not self.networks.know(network):
                        raise DefinitionError(
                            f"step {step['Name']}: model.py of the code does not know its network {network!r}",
                            hint=f"use one of {self.networks}, or upload code whose NETWORKS in model.py has it",
                        )


def in_force(s3: S3Client, environment: Environment, version: str | None, scripts: Collection[str] = ()) -> Code:
    """The code of that version of the archive: the whole, and the part for each of the scripts.

    The archive is read once for each of its versions and each new script; the result is stored under ledger/code/.
    Raises DefinitionError for an invalid archive.
    """
    if version is None:
        return deployed(environment, scripts)
    bucket, note = environment.data_bucket, f"ledger/code/{version.strip(chr(34))}.json"
    stored = s3_json.read(s3, bucket, note)
    known = _Known.from_note(stored.content) if stored else None
    if known is None or not known.scripts.keys() >= set(scripts):
        known = _adopted(s3, bucket, version, {*scripts, *(known.scripts if known else ())})
        s3_json.write(s3, bucket, note, known.as_note())
    found = {"": known.hash, **{f"/{script}": known.scripts[script] for script in scripts}}
    uris = {f"CodeUri{name}": f"s3://{bucket}/code/{digest}/source.tar.gz" for name, digest in found.items()}
    return Code({**uris, **{f"CodeHash{name}": digest for name, digest in found.items()}}, known.networks)


def deployed(environment: Environment, scripts: Collection[str]) -> Code:
    """The deployed code: each script gets the whole of it. The deployment has checked it."""
    known = {name: str(environment.bindings[name]) for name in ("CodeHash", "CodeUri") if name in environment.bindings}
    return Code({f"{name}/{script}": value for script in scripts for name, value in known.items()})


@dataclass(frozen=True, slots=True)
class _Known:
    """The archive's hash, the hash of the part for each script, and the networks that the code supports."""

    hash: str
    scripts: Mapping[str, str]
    networks: Networks | None

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> _Known:
        """A note of an older version has no scripts and no networks."""
        known = note.get("networks")
        found = Networks(tuple(known["names"]), known["prefix"]) if known else None
        return cls(note["hash"], note.get("scripts", {}), found)

    def as_note(self) -> dict[str, Any]:
        known = {"names": self.networks.names, "prefix": self.networks.prefix} if self.networks else None
        return {"hash": self.hash, "scripts": self.scripts, "networks": known}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _adopted(s3: S3Client, bucket: str, version: str, scripts: Collection[str]) -> _Known:
    place = f"s3://{bucket}/{KEY}"
    content = _read(s3, bucket, version, place)
    try:
        files = _checked(content, place)
        parts = {script: {name: files[name] for name in needed(files, script)} for script in sorted(scripts)}
        known = networks(files)
    except SourceError as error:
        raise DefinitionError(f"{place}: {error.what}", hint=error.hint) from error
    digest = hashlib.sha256(content).hexdigest()
    s3.put_object(Bucket=bucket, Key=f"code/{digest}/source.tar.gz", Body=content)
    addresses = {script: address(part) for script, part in parts.items()}
    for script, part in parts.items():
        _put_first(s3, bucket, f"code/{addresses[script]}/source.tar.gz", pack(part), digest)
    log.info("code adopted", code=digest, version=version, scripts=addresses)
    return _Known(digest, addresses, known)


def _read(s3: S3Client, bucket: str, version: str, place: str) -> bytes:
    try:
        found = s3.get_object(Bucket=bucket, Key=KEY, IfMatch=version)
    except ClientError as error:
        if error_code(error) == "PreconditionFailed" or error_code(error) in NOT_FOUND:
            raise ArchiveChanged(f"{place} is no longer the version {version}") from error
        raise
    if found["ContentLength"] > MAX_BYTES:
        raise DefinitionError(
            f"{place} has {found['ContentLength']:,} bytes, and an archive of code {MAX_BYTES:,} at most",
            hint="leave data and weights out of it: weights are objects of the bucket under pretrained/",
        )
    return bytes(found["Body"].read())


def _checked(content: bytes, place: str) -> dict[str, File]:
    """The archive's files. They have to compile with this Python; the jobs' image may have another version."""
    files = unpack(content)
    if ENTRY not in files:
        raise SourceError(
            f"there is no {ENTRY} at its top level, with which every step starts",
            "archive the content of the folder, not the folder: tar czf source.tar.gz -C <folder> .",
        )
    refuse_uncompilable(files)
    return files


def _put_first(s3: S3Client, bucket: str, key: str, content: bytes, source: str) -> None:
    """Write the object unless it exists: the existing one differs in comments at most, and executions use it.

    `source` is the hash of the whole archive, and is stored in the object's metadata.
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*", Metadata={"source": source})
    except ClientError as error:
        if error_code(error) != "PreconditionFailed":
            raise
