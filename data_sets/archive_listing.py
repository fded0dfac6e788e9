"""An archive as a listing, without unpacking it: one pass over its members."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_sets.archives import Limits, members
from data_sets.errors import ArchiveError
from data_sets.kinds import HEAD_BYTES
from data_sets.listing import LONGEST_TEXT, Entry
from data_sets.names import suffix_of

CHUNK = 2**20
KEPT = frozenset({".txt", ".csv", ".tsv", ".jsonl", ".toml"})  # what may be a list or a table


@dataclass(frozen=True, slots=True)
class ArchiveListing:
    name: str
    entries: tuple[Entry, ...]
    first_bytes: Mapping[str, bytes]
    texts: Mapping[str, bytes]
    checksums: Mapping[str, str]

    @classmethod
    def of(cls, archive: Path, limits: Limits | None = None) -> ArchiveListing:
        """Raises ArchiveError as unpacking does."""
        entries: dict[str, Entry] = {}
        heads: dict[str, bytes] = {}
        texts: dict[str, bytes] = {}
        for member in members(archive, limits):
            if member.kind == "folder":
                continue
            if member.link:
                linked = entries[member.link]
                entries[member.path] = Entry(member.path, linked.size, linked.checksum)
                heads[member.path] = heads[member.link]
                continue
            keep = suffix_of(member.path) in KEPT and member.size <= LONGEST_TEXT
            digest = hashlib.sha256()
            parts = []
            head = b""
            try:
                with member.open() as stream:
                    while chunk := stream.read(CHUNK):
                        digest.update(chunk)
                        head = head or chunk[:HEAD_BYTES]
                        if keep:
                            parts.append(chunk)
            except Exception as error:  # whatever a decompressor raises for damaged data
                raise ArchiveError(
                    f"{archive.name} cannot be unpacked: {error}", hint="make the archive again and upload it again"
                ) from error
            entries[member.path] = Entry(member.path, member.size, f"SHA256:{digest.hexdigest()}")
            heads[member.path] = head
            if keep:
                texts[member.path] = b"".join(parts)
        checksums = {entry.path: entry.checksum for entry in entries.values()}
        return cls(archive.name, tuple(entries.values()), heads, texts, checksums)

    def heads(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        return {path: self.first_bytes[path] for path in paths}

    def read(self, path: str) -> bytes:
        return self.texts[path]

    def digest(self, path: str) -> str:
        return self.checksums[path]
