"""What the pixels do not need never decides whether an image lives, and the orientation is Pillow's.

HEADRACE_ODD_IMAGES=20000 tries more than the 2,000 of the suite.
"""

from __future__ import annotations

import io
import os

import numpy as np
import odd_images
import pytest
from numpy.typing import NDArray
from odd_images import OddImage, damaged_image, odd_image
from PIL import Image, ImageOps

from formats import FORMATS
from images import UnreadableImage, fit_image, open_image

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns of most of these

COUNT = int(os.environ.get("HEADRACE_ODD_IMAGES", "2000"))
SIZE = 16
CLOSE = 12  # of 255 levels, on average; two orientations differ by 60 or more


def ours(content: bytes) -> NDArray[np.int64] | str:
    try:
        return fit_image(open_image(content), SIZE).astype(np.int64)
    except UnreadableImage as error:
        return str(error)


def pillows(content: bytes) -> NDArray[np.int64] | None:
    """The upright image; as stored where Pillow cannot read the orientation; None where it cannot decode the image."""
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        picture.load()
        if picture.mode.startswith(("I", "F")):
            return None
    except Exception:
        return None
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception:
        upright = picture
    if upright.has_transparency_data:
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright.convert("RGBA"))
    fitted = ImageOps.fit(upright.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.asarray(fitted).astype(np.int64)


def faults(images: list[OddImage]) -> list[str]:
    found = []
    for image in images:
        mine, expected = ours(image.content), pillows(image.content)
        if isinstance(mine, str):
            assert mine, image.name
            if expected is not None or image.sound:
                found.append(f"{image.name}: lost ({mine})")
        elif expected is not None and np.abs(mine - expected).mean() > CLOSE:
            found.append(f"{image.name}: differs from Pillow by {np.abs(mine - expected).mean():.0f} levels")
    return found


def test_strange_metadata_costs_no_image_and_hides_no_orientation() -> None:
    assert faults([odd_image(number) for number in range(COUNT * 3 // 4)]) == []


def test_damage_anywhere_is_a_reason_and_costs_no_image_that_pillow_decodes() -> None:
    assert faults([damaged_image(number) for number in range(COUNT // 4)]) == []


MADE_TO_TAKE_LONG = {
    "a JPEG of segments without content": b"\xff\xd8" + b"\xff\xe1\0\2" * 100_000,
    "a JPEG of EXIF segments": b"\xff\xd8" + (b"\xff\xe1\0\x09Exif\0\0x") * 60_000 + odd_images.encoded("JPEG")[2:],
    "a JPEG of fill bytes": b"\xff\xd8" + b"\xff" * 500_000,
    "a PNG of names": b"\x89PNG\r\n\x1a\n" + b"\0\1\0\0IDAT" * 60_000,
    "a PNG of chunks and gaps": b"\x89PNG\r\n\x1a\n" + (odd_images.chunk(b"tRNS", b"") + b"\0") * 40_000,
    "a WebP of names": b"RIFF\0\0\0\0WEBP" + b"VP8 \xff\xff\xff\xff" * 60_000,
    "a TIFF of tags": b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 6 + bytes(2) + bytes(500_000),
    "a TIFF of one directory": b"II*\0\x08\0\0\0\xff\xff" + b"\x0e\1\2\0\xff\0\0\0\x08\0\0\0" * 65535,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("content", MADE_TO_TAKE_LONG.values(), ids=MADE_TO_TAKE_LONG)
def test_a_file_made_to_take_long_does_not(content: bytes) -> None:
    """Each has half a MB; a search without bounds would take minutes, and hours for 6 MB."""
    ours(content)
