"""One image: every kind that cameras and programs write, upright, square and of one size, or a reason why not."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from image_samples import picture
from numpy.typing import NDArray
from PIL import Image, ImageOps

import images
from images import ORIENTATION, UnreadableImage, fit_image, open_image


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def fitted(content: bytes, size: int = 32) -> NDArray[np.int64]:
    return fit_image(open_image(content), size).astype(np.int64)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_camera_comes_out_upright(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(picture("red", 1, (60, 40)), form, exif=exif, subsampling=0)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    expected = np.asarray(ImageOps.fit(upright, (32, 32), Image.Resampling.BILINEAR)).astype(np.int64)
    assert np.abs(fitted(content) - expected).mean() < 1


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("L", "JPEG"), ("P", "GIF"), ("1", "PNG")]
)
def test_other_kinds_of_colour_become_rgb(mode: str, form: str) -> None:
    image = picture("gray", 1, (64, 64)).resize((40, 40)).convert(mode)
    expected = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)).astype(np.int64)
    assert np.abs(fitted(encoded(image, form)) - expected).mean() < 3


def test_the_first_picture_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert fitted(content)[..., 0].min() == 255


def test_a_file_is_read_by_its_content_and_not_by_its_suffix() -> None:
    assert fitted(encoded(Image.new("RGB", (32, 32), "red"), "PNG")).shape == (32, 32, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = encoded(Image.new("L", (100, 100)), form)
    monkeypatch.setattr(images, "MOST_PIXELS", 9_999)
    with pytest.raises(UnreadableImage, match="100 x 100 pixels, more than 9,999"):
        open_image(content)


def test_a_jpeg_damaged_anywhere_is_refused_or_read_but_never_an_accident() -> None:
    content, chance = encoded(picture("red", 3, (50, 40)), "JPEG"), random.Random(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])])
        try:
            assert fit_image(open_image(cut), 16).shape == (16, 16, 3)
        except UnreadableImage:
            refused += 1
    assert 500 < refused < 1500
