"""One image: every kind that cameras and programs write, upright, square and of one size, or a reason why not."""

from __future__ import annotations

import io
import random
import re
import struct
import zlib

import numpy as np
import pytest
from image_samples import HEIC, TRAINING, picture
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

import formats
import images
from data_sets import kinds
from images import UnreadableImage, fit_image, open_image
from orientation import ORIENTATION


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def fitted(content: bytes, size: int = 32) -> NDArray[np.int64]:
    return fit_image(open_image(content), size).astype(np.int64)


@pytest.mark.parametrize("form", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_camera_comes_out_upright(orientation: int, form: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, dict[str, object]] = {
        "JPEG": {"subsampling": 0},
        "MPO": {"subsampling": 0, "save_all": True, "append_images": [picture("blue", 2)]},
    }
    content = encoded(picture("red", 1, (60, 40)), form, exif=exif, **options.get(form, {}))
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


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableImage) as refused:
        fitted(content)
    return str(refused.value)


@pytest.mark.parametrize(
    "error",
    [struct.error("short"), zlib.error("bad"), MemoryError(), RecursionError("deep"), IndexError(3), KeyError(3),
     AssertionError(), SystemError("tile"), AttributeError("tag"), ZeroDivisionError(), OverflowError("big")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
@pytest.mark.parametrize("step", ["open", "load"])
def test_any_exception_of_a_decoder_is_a_reason(error: Exception, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    content = encoded(Image.new("RGB", (32, 32), "red"), "PNG")
    monkeypatch.setattr(*((Image, "open") if step == "open" else (ImageFile.ImageFile, "load")), fail)
    assert reason(content).startswith(f"damaged image: {type(error).__name__}")


def bands_tiff(bands: int, form: str) -> bytes:
    """A TIFF of 4 x 4 pixels with `bands` bands of 16 bits, in the classic form or as BigTIFF."""
    big = form == "big"
    data, bits = bytes(4 * 4 * bands * 2), struct.pack(f"<{bands}H", *[16] * bands)
    head = 16 if big else 8
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, bands, head + len(data)), (259, 3, 1, 1), (262, 3, 1, 1),
            (273, 4, 1, head), (277, 3, 1, bands), (278, 3, 1, 4), (279, 4, 1, len(data))]  # fmt: skip
    place = head + len(data) + len(bits)
    start = struct.pack("<2sHHHQ", b"II", 43, 8, 0, place) if big else struct.pack("<2sHI", b"II", 42, place)
    count, entry, end = ("<Q", "<HHQQ", bytes(8)) if big else ("<H", "<HHII", bytes(4))
    return (
        start + data + bits + struct.pack(count, len(tags)) + b"".join(struct.pack(entry, *tag) for tag in tags) + end
    )


@pytest.mark.parametrize("form", ["classic", "big"])
def test_a_tiff_of_many_bands_is_called_that(form: str) -> None:
    assert reason(bands_tiff(13, form)) == (
        "a TIFF with 13 bands of 16 bits: choose three of them as red, green and blue, scale them to 8 bits, and save "
        "that as TIFF or PNG"
    )


def test_heic_is_decoded_where_its_decoder_is_installed() -> None:
    pytest.importorskip("pi_heif", reason="an option: pip install .[dev]")
    corners = fitted(HEIC)[[4, 4, 28, 28], [4, 28, 4, 28]]
    assert np.abs(corners - [(230, 30, 30), (30, 200, 40), (40, 40, 220), (240, 230, 60)]).max() < 8


def test_without_its_decoder_heic_is_refused_with_the_line_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "heif_decoder", lambda: False)
    line = re.search(r"add the line (\S+) to training/requirements.in", reason(HEIC))
    assert line
    assert line[1] == kinds.OPTIONAL["HEIC"]  # what the reader of data sets says of it
    assert f'"{line[1]}"' in (TRAINING.parent / "pyproject.toml").read_text()  # the suite tries this very version


def test_a_jpeg_without_its_end_marker_is_used_if_all_its_pixels_are_there() -> None:
    content = encoded(picture("red", 1, (40, 40)), "JPEG")
    assert np.array_equal(fitted(content[:-2]), fitted(content))
    assert "truncated" in reason(content[:-40])
