"""Data sets of the kinds that people upload: generated images in the layouts, and with the habits, of their tools."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image


@cache
def image(seed: object, form: str = "PNG", size: tuple[int, int] = (12, 10)) -> bytes:
    """A noisy image as a file; every seed gives other bytes."""
    number = zlib.crc32(repr(seed).encode())
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def images(counts: Mapping[str, int], suffix: str = ".png") -> dict[str, bytes]:
    """`{"cat": 2}` as cat/0.png and cat/1.png."""
    form = "PNG" if suffix.lower() == ".png" else "JPEG"
    return {
        f"{folder}/{number}{suffix}": image((folder, number, suffix), form)
        for folder, count in counts.items()
        for number in range(count)
    }


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def raw_zip(path: Path, files: Mapping[bytes, bytes], *, flags: int = 0, method: int = 0) -> Path:
    """A stored zip whose names are these bytes, without the UTF-8 flag, as Windows writes it."""
    out, central = b"", b""
    for name, content in files.items():
        sizes = (zlib.crc32(content), len(content), len(content), len(name), 0)
        header = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 33, *sizes)
        central += b"PK\1\2" + struct.pack("<H", 20) + header + struct.pack("<HHHII", 0, 0, 0, 0x20, len(out)) + name
        out += b"PK\3\4" + header + name + content
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(central), len(out), 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out + central + b"PK\5\6" + end)
    return path
