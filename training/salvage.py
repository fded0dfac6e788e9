"""Copies of an image file without the data that its pixels do not need: the last resort for damaged metadata.

A decoder may refuse a file because of a text, a colour profile or an EXIF block that is damaged or too large, although
it would not need them. A copy without these decodes. Two copies are tried: one that keeps what may hold the
orientation, and one without that. Segments whose length is wrong are left out, and the next sound one is looked for.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The search for the next sound segment is bounded, so that a file made for it does not keep an endpoint busy.
MOST_SEGMENTS = 1000  # of a JPEG before its pixels; a colour profile has 255 at most
TRIES = 256  # places at which a JPEG may go on
CHUNK_TRIES, LOST = 32, 8  # places at which a PNG may go on, and how often it may have to be looked for

Segment = tuple[int, int, int]  # marker, start, end


def lean_copies(content: bytes) -> Iterator[bytes]:
    """Copies with less and less in them; none for a format whose metadata never stops its decoder (BMP, GIF)."""
    for start, make in _MAKERS:
        if content.startswith(start):
            for keep_orientation in (True, False):
                lean = make(content, keep_orientation)
                if lean and lean != content:
                    yield lean


# JPEG


def lean_jpeg(content: bytes, keep_orientation: bool) -> bytes:
    """Empty when no chain of segments leads to pixels."""
    segments, at, arrived = walk_jpeg(content, 2)
    if not arrived:
        begin = segments.pop()[1] + 2 if segments else 2  # the length of the last one led astray
        chains = [
            (segments + found, scan)
            for match in islice(re.compile(rb"\xff[\xc0-\xc4\xdb\xdd\xe0-\xef\xfe]").finditer(content, begin), TRIES)
            for found, scan, good in [walk_jpeg(content, match.start())]
            if good
        ]
        if not chains:
            return b""
        # A thumbnail in damaged EXIF is a whole chain as well: the photograph is the larger one.
        segments, at = max(chains, key=lambda chain: frame_pixels(content, chain[0]))
    kept = [content[start:end] for marker, start, end in segments if _needed(content, marker, start, keep_orientation)]
    return b"".join([content[:2], *kept, content[at:]])


def walk_jpeg(content: bytes, at: int) -> tuple[list[Segment], int, bool]:
    """The segments from `at` on, the place after them, and whether that is the start of the scan."""
    segments: list[Segment] = []
    fill = 0
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content) and len(segments) < MOST_SEGMENTS:
        marker = content[at + 1]
        length = content[at + 2] << 8 | content[at + 3]
        if marker == 0xFF:  # fill bytes
            at += 1
            fill += 1
            if fill > MOST_SEGMENTS:
                break
            continue
        if marker == 0xDA:
            return segments, at, True
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9 or length < 2:
            break
        segments.append((marker, at, at + 2 + length))
        at += 2 + length
    return segments, at, False


def frame_pixels(content: bytes, segments: list[Segment]) -> int:
    for marker, start, _ in segments:
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", content[start + 5 :].ljust(4, b"\0"))
            return int(height * width)
    return 0


def _needed(content: bytes, marker: int, start: int, keep_orientation: bool) -> bool:
    if marker == 0xE0:  # says that the colours are YCbCr, if libjpeg takes it for JFIF
        return content.startswith(b"JFIF\0", start + 4) and content[start + 2 : start + 4] >= b"\0\x10"
    if marker == 0xE1:
        return keep_orientation
    if marker == 0xEE:  # says which colours these are
        return content.startswith(b"Adobe", start + 4) and content[start + 2 : start + 4] >= b"\0\x0e"
    return not 0xE0 <= marker <= 0xEF and marker != 0xFE


# PNG


def lean_png(content: bytes, keep_orientation: bool) -> bytes:
    """The critical chunks and the transparency. Empty when there are no pixels."""
    kept, at, lost = [PNG_SIGNATURE], len(PNG_SIGNATURE), 0
    while at + 12 <= len(content):
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        # The length is right when the checksum is, or when another name follows; at the end of the file nothing does.
        follows = content[end + 4 : end + 8]
        if not _is_sound(content, at + 4, end - 4) and not (name.isalpha() and follows.isalpha()):
            lost += 1
            at = _next_sound_chunk(content, at + 1) if lost <= LOST else len(content)
            continue
        holds_orientation = name in (b"eXIf", b"zTXt", b"tEXt", b"iTXt") and length < 1_000_000
        if name[:1].isupper() or name == b"tRNS" or (keep_orientation and holds_orientation):
            kept.append(content[at:end])
        if name == b"IEND":
            break
        at = end
    return b"".join(kept) if len(kept) > 2 else b""


def _is_sound(content: bytes, name: int, end: int) -> bool:
    return end + 4 <= len(content) and zlib.crc32(content[name:end]).to_bytes(4, "big") == content[end : end + 4]


def _next_sound_chunk(content: bytes, begin: int) -> int:
    """Where the next chunk of pixels begins, at `begin` or later; the end of the content, if there is none."""
    for match in islice(re.compile(rb"PLTE|tRNS|IDAT|IEND").finditer(content, begin + 4), CHUNK_TRIES):
        start = match.start() - 4
        end = start + 8 + int.from_bytes(content[start : start + 4], "big")
        if _is_sound(content, start + 4, end):
            return start
    return len(content)


# WebP


def lean_webp(content: bytes, keep_orientation: bool) -> bytes:
    """The pixels' chunks; the flags of VP8X follow what is left. Empty when there are no pixels."""
    orientation = (b"EXIF", b"XMP ") if keep_orientation else ()
    pixels = (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
    kept: list[bytes] = []
    at = 12
    while at + 8 <= len(content):
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        follows = content[end : end + 4]
        if end > len(content) + 1 or (follows and not follows.replace(b" ", b"").isalnum()):
            match = re.compile(rb"VP8 |VP8L|ALPH|ANMF").search(content, at + 4)
            at = match.start() if match else len(content)
            continue
        chunk = content[at:end].ljust(end - at, b"\0")
        if name == b"VP8X":
            flags = chunk[8] & ~(0x20 if keep_orientation else 0x2C)  # 0x20 colour profile, 0x08 EXIF, 0x04 XMP
            chunk = chunk[:8] + bytes([flags]) + chunk[9:]
        if name == b"VP8X" or name in pixels or name in orientation:
            kept.append(chunk)
        at = end
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body if any(chunk[:4] in pixels for chunk in kept) else b""


# TIFF

# What the pixels follow from: TIFF 6.0 and its technical notes. Sizes, bits, compression, photometry, fill order,
# strips, bands, planes, fax options, predictor, colour map, tiles, inks, extra samples, JPEG tables, YCbCr.
TIFF_PIXELS = {
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339, 347,
    512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
}  # fmt: skip
TIFF_ORIENTATION = 274


@dataclass(frozen=True, slots=True)
class Directory:
    """The first directory of a TIFF: its tags as they lie there."""

    content: bytes
    order: str  # of struct: < or >
    big: bool
    entries: dict[int, bytes]

    def number(self, tag: int) -> int | None:
        """The first value of a tag that holds whole numbers."""
        entry = self.entries.get(tag)
        if entry is None:
            return None
        kind = int.from_bytes(entry[2:4], "little" if self.order == "<" else "big")
        form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if form is None:
            return None
        count, width = struct.unpack_from(self.order + ("Q" if self.big else "I"), entry, 4)[0], struct.calcsize(form)
        place = 12 if self.big else 8
        if count * width > len(entry) - place:
            at = struct.unpack_from(self.order + ("Q" if self.big else "I"), entry, place)[0]
            value = self.content[at : at + width]
        else:
            value = entry[place : place + width]
        return int(struct.unpack(self.order + form, value)[0]) if len(value) == width else None


def read_directory(content: bytes) -> Directory | None:
    """None when this is not a TIFF, or its first directory is not in it."""
    order = {b"II": "<", b"MM": ">"}.get(content[:2])
    if order is None or len(content) < 16:
        return None
    version = struct.unpack_from(order + "H", content, 2)[0]
    if version not in (42, 43):
        return None
    big = version == 43
    at = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)[0]
    width, count_form = (20, "Q") if big else (12, "H")
    begin = at + struct.calcsize(count_form)
    if begin > len(content):
        return None
    count = struct.unpack_from(order + count_form, content, at)[0]
    entries: dict[int, bytes] = {}
    for place in range(begin, min(begin + count * width, len(content) - width + 1), width):
        entry = content[place : place + width]
        entries.setdefault(struct.unpack_from(order + "H", entry)[0], entry)
    return Directory(content, order, big, entries)


def lean_tiff(content: bytes, keep_orientation: bool) -> bytes:
    """The same file with another first directory at its end, which names the pixels alone."""
    directory = read_directory(content)
    if directory is None:
        return b""
    wanted = TIFF_PIXELS | ({TIFF_ORIENTATION} if keep_orientation else set())
    kept = [entry for tag, entry in sorted(directory.entries.items()) if tag in wanted]
    if len(kept) == len(directory.entries):
        return b""
    at = len(content) + len(content) % 2
    offset, count = ("Q", "Q") if directory.big else ("I", "H")
    pack = directory.order
    header = content[: 8 if directory.big else 4] + struct.pack(pack + offset, at)
    new = struct.pack(pack + count, len(kept)) + b"".join(kept) + struct.pack(pack + offset, 0)
    return header + content[len(header) :].ljust(at - len(header), b"\0") + new


_MAKERS: tuple[tuple[bytes, Callable[[bytes, bool], bytes]], ...] = (
    (b"\xff\xd8", lean_jpeg),
    (PNG_SIGNATURE, lean_png),
    (b"RIFF", lean_webp),
    (b"II", lean_tiff),
    (b"MM", lean_tiff),
)
