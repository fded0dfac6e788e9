"""Recognize image files by their first bytes, and say what is wrong with those that cannot be decoded.

HEIC needs a decoder that is not installed by default, because its libraries are under the LGPL: add HEIF_REQUIREMENT
to requirements.txt. AVIF is part of Pillow's wheels.
"""

from __future__ import annotations

import functools
import importlib
import threading

from PIL import features

from salvage import read_directory

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF")
HEIF = "HEIF"  # the name that the decoder registers with Pillow
HEIF_REQUIREMENT = "pi-heif==1.4.0"
HEIF_DECODERS = ("pi_heif", "pillow_heif")  # one author; the second also has an encoder, under the GPL
HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}

STARTS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
OTHERS = (  # formats that people have and no job decodes, by their first bytes
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"8BPS", "a Photoshop document"),
    (b"%PDF", "a PDF document"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML document"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
)
BANDS, BITS = 277, 258  # tags of TIFF
_LOADING = threading.Lock()


def brands(content: bytes) -> set[bytes]:
    """The brands of an ISO media file (HEIC, AVIF), which its first box lists; empty for other files."""
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), 256)
    return {content[8:12], *(content[at : at + 4] for at in range(16, end, 4))}


def is_heif(content: bytes) -> bool:
    found = brands(content)
    return bool(found & HEIF_BRANDS) and not found & AVIF_BRANDS


def pillow_formats(content: bytes) -> tuple[str, ...]:
    """The names of the formats that Pillow may try for this content."""
    return (HEIF,) if is_heif(content) and heif_decoder() else FORMATS


def heif_decoder() -> bool:
    """Register a decoder of HEIC with Pillow, if one is installed."""
    with _LOADING:  # preprocessing decodes in several threads
        return _load_heif_decoder()


@functools.cache
def _load_heif_decoder() -> bool:
    for name in HEIF_DECODERS:
        try:
            # headrace: imports nothing more
            importlib.import_module(name).register_heif_opener()
        except ImportError:
            continue
        return True
    return False


def explain_unknown(content: bytes) -> str:
    """Why content that Pillow does not recognize is not an image for this job, and what can be done."""
    if not content:
        return "an empty file"
    if is_heif(content):
        if heif_decoder():
            return "damaged image: it begins as HEIC, but cannot be opened"
        add = f"add the line {HEIF_REQUIREMENT} to training/requirements.in and run `make lock`"
        return f"a HEIC image: {add}, or convert it to JPEG"
    if brands(content) & AVIF_BRANDS and not features.check("avif"):
        return "an AVIF image, which this build of Pillow cannot decode: use Pillow's wheel, or convert it to JPEG"
    tiff = explain_tiff(content)
    if tiff:
        return tiff
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "damaged image: it begins as WebP, but cannot be opened"
    for start, name in STARTS:
        if content.startswith(start):
            return f"damaged image: it begins as {name}, but cannot be opened"
    known = f"not one of {', '.join(FORMATS)}"
    for start, name in OTHERS:
        if content.lstrip(b" \t\r\n\xef\xbb\xbf")[: len(start)].lower() == start.lower():
            return f"{known}: {name}; convert it to JPEG or PNG, or remove it"
    return known


def explain_tiff(content: bytes) -> str:
    """The bands and bits of a TIFF, or nothing for other files."""
    directory = read_directory(content)
    if directory is None:
        return ""
    bands = directory.number(BANDS) or 1
    bits = directory.number(BITS) or 1
    if bands == 2 or bands > 4:
        return (
            f"a TIFF with {bands} bands of {bits} bits: choose three of them as red, green and blue, "
            "scale them to 8 bits, and save that as TIFF or PNG"
        )
    return f"a TIFF with {bands} bands of {bits} bits that cannot be decoded: save it as 8-bit RGB, uncompressed"
