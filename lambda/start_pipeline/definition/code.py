"""The training code in force: what lies at code/source.tar.gz, wherever it came from.

A deployment puts the sources' code there, and a maintainer may put another archive over it, as with the definition.
Jobs are given it at an address made of its content, so that executions under way keep the code they started with, and
steps are taken from the cache for the same code only.

A definition asks for the whole code, `${headrace:CodeUri}`, or for what one script needs of it,
`${headrace:CodeUri/train.py}`; so a step is taken from the cache although a file was changed that it does not need.
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
MAX_BYTES = 64 * 1024 * 1024  # bytes: it is read into memory, of which the function has 1 GB
OF_A_SCRIPT = re.compile(r"\$\{headrace:Code(?:Uri|Hash)/([^}]*)\}")


class ArchiveChanged(Exception):
    """The archive was replaced or removed while it was being looked at."""


def etag(s3: S3Client, environment: Environment) -> str | None:
    """Which archive there is; None if there is none, and the code that was deployed is in force."""
    return s3_json.etag(s3, environment.data_bucket, KEY)


def scripts_in(definition: str | bytes) -> set[str]:
    """The scripts that a definition names, as in `${headrace:CodeUri/train.py}` or `${headrace:CodeHash/train.py}`."""
    text = definition if isinstance(definition, str) else definition.decode("utf-8", "replace")
    return set(OF_A_SCRIPT.findall(text.replace("\\/", "/")))  # JSON may write a slash so


@dataclass(frozen=True, slots=True)
class Code:
    """What a definition is bound to, and the networks that the training code knows, where that can be read from it."""

    bindings: Mapping[str, str]
    networks: Networks | None = None

    def refuse_unknown_networks(self, definition: Mapping[str, Any]) -> None:
        """Raises DefinitionError for a training of a network that the code does not have."""
        for step in every_step(definition["Steps"]) if self.networks else ():
            match step:
                case {"Type": "Training", "Arguments": {"HyperParameters": {"network": str(text)}}}:
                    network = str(_decoded(text))  # as the toolkit gives it to the script
                    if self.networks and not self.networks.know(network):
                        raise DefinitionError(
                            f"step {step['Name']}: model.py of the code does not know its network {network!r}",
                            hint=f"use one of {self.networks}, or put code whose NETWORKS in model.py has it",
                        )


def in_force(s3: S3Client, environment: Environment, version: str | None, scripts: Collection[str] = ()) -> Code:
    """The code with that version of the archive, as a whole and for each of the scripts.

    The archive is read once for each version of it and each new script; what was found is noted under ledger/code/.
    Raises DefinitionError for a bad one.
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
    """The code that was deployed, the whole of it for each script. It was checked when it was deployed."""
    known = {name: str(environment.bindings[name]) for name in ("CodeHash", "CodeUri") if name in environment.bindings}
    return Code({f"{name}/{script}": value for script in scripts for name, value in known.items()})


@dataclass(frozen=True, slots=True)
class _Known:
    """The archive's hash, the address of what each script needs of it, and the networks that it knows."""

    hash: str
    scripts: Mapping[str, str]
    networks: Networks | None

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> _Known:
        """A note from before there were scripts and networks has none."""
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
            hint="leave data and weights out of it: those are objects of the bucket under pretrained/",
        )
    return bytes(found["Body"].read())


def _checked(content: bytes, place: str) -> dict[str, File]:
    """The archive's files, which have to compile. This Python compiles them, and the jobs' image may have another."""
    files = unpack(content)
    if ENTRY not in files:
        raise SourceError(
            f"there is no {ENTRY} at its top level, with which every step starts",
            "make it of what is in the folder, not of the folder: tar czf source.tar.gz -C <folder> .",
        )
    refuse_uncompilable(files)
    return files


def _put_first(s3: S3Client, bucket: str, key: str, content: bytes, source: str) -> None:
    """Unless there is one: what lies there differs in comments at most, and executions were started with it.

    `source` is the hash of the whole archive that it was taken from, which stays with the object.
    """
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*", Metadata={"source": source})
    except ClientError as error:
        if error_code(error) != "PreconditionFailed":
            raise
