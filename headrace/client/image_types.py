"""The media type of an image file by its first bytes: names lie, or have no suffix."""

from __future__ import annotations

from pathlib import Path

HEAD = 64  # bytes that are enough to recognize a type
UNKNOWN = "application/octet-stream"  # the endpoint decides by the content

_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"II+\0", "image/tiff"),  # BigTIFF
    (b"MM\0+", "image/tiff"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
}


def media_type(content: bytes) -> str | None:
    """None if this is not an image in one of the formats that training takes; `content` may be the first bytes."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12])
    return next((found for start, found in _STARTS if content.startswith(start)), None)


def is_image(path: Path) -> bool:
    """Whether a regular file holds an image, by its content. Hidden files do not count. Raises OSError."""
    if path.name.startswith(".") or not path.is_file():
        return False
    with path.open("rb") as file:
        return media_type(file.read(HEAD)) is not None
