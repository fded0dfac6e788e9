"""What a file is by its first bytes, and what its suffix lets one expect."""

from __future__ import annotations

import re

from data_sets.names import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, OTHER_ARCHIVES, suffix_of

HEAD_BYTES = 64  # enough for every signature below

TAKEN = frozenset({"JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF"})
"""The kinds of images that preprocessing decodes."""

OPTIONAL = {"HEIC": "pi-heif==1.4.0"}
"""Kinds that it decodes too, if training/requirements.txt has this line, in any version (or pillow-heif)."""

MEANT_AS_IMAGES = frozenset({"HEIC", "JPEG 2000", "JPEG XL", "PSD", "camera raw", "SVG", "ICO", "DICOM", "EXR"})
"""Other images: they were meant to be learned from, and count as left out wherever they lie."""

TEXT, EMPTY, ARCHIVE, UNKNOWN = "text", "empty", "archive", "unknown"

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (8, b"CR\x02\x00", "camera raw"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (0, b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"8BPS", "PSD"),
    (0, b"FUJIFILMCCD-RAW", "camera raw"),
    (0, b"\x00\x00\x01\x00", "ICO"),
    (0, b"\x76\x2f\x31\x01", "EXR"),
    (0, b"PK\x03\x04", ARCHIVE),
    (0, b"PK\x05\x06", ARCHIVE),
    (0, b"\x1f\x8b", ARCHIVE),
    (0, b"BZh", ARCHIVE),
    (0, b"\xfd7zXZ\x00", ARCHIVE),
    (0, b"7z\xbc\xaf\x27\x1c", ARCHIVE),
    (0, b"Rar!\x1a\x07", ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", ARCHIVE),
    (0, b"%PDF-", "PDF"),
)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_BY_SUFFIX = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    ".gif": "GIF",
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".webp": "WEBP",
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    ".avif": "AVIF",
    **dict.fromkeys((".jp2", ".j2k", ".jpf"), "JPEG 2000"),
    ".jxl": "JPEG XL",
    ".psd": "PSD",
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".raw"), "camera raw"),
    ".svg": "SVG",
    **dict.fromkeys((".dcm", ".dicom"), "DICOM"),
    **dict.fromkeys((*ARCHIVE_SUFFIXES, *OTHER_ARCHIVES), ARCHIVE),
}


def taken(requirements: str) -> frozenset[str]:
    """The kinds that a job decodes whose requirements.txt this is."""
    names = {re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0].lower() for line in requirements.splitlines()}
    installs_heif = names & {"pi-heif", "pi_heif", "pillow-heif", "pillow_heif"}
    return TAKEN | ({"HEIC"} if installs_heif else set())


def kind_of(head: bytes) -> str:
    """The kind of a file by its first bytes: a name of an image format, or text, empty, archive, unknown, …"""
    if not head:
        return EMPTY
    for at, signature, kind in _SIGNATURES:
        if head.startswith(signature, at):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), head[3]), 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "AVIF" if "AVIF" in known else known[0] if known else "video"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return TEXT if _is_text(head) else UNKNOWN


def expected_kind(path: str) -> str:
    """The kind that a suffix promises; unknown for one that promises nothing."""
    return _BY_SUFFIX.get(suffix_of(path), UNKNOWN)


def is_meant_as_image(path: str, kind: str) -> bool:
    """Whether a file that is not taken was meant to be: by its suffix, or because it is an image of another kind."""
    return kind in MEANT_AS_IMAGES or suffix_of(path) in IMAGE_SUFFIXES or expected_kind(path) in MEANT_AS_IMAGES


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return head.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16 with its mark
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a letter that the end of the head cuts
    return True
