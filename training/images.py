"""Turn the bytes of an image into the array that a network sees: the same code before training and when serving.

A JPEG is decoded by libjpeg-turbo through simplejpeg, whose threads run side by side, at 1.6 times Pillow's rate;
Pillow decodes all else, and the JPEGs that are not plain (CMYK, or damaged in a way that libjpeg repairs).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from formats import explain_unknown, pillow_formats
from orientation import jpeg_orientation, picture_orientation, turn_upright
from salvage import lean_copies

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")

END_OF_IMAGE = b"\xff\xd9"
MOST_PIXELS = 2**27  # 134 million; a camera of 100 million pixels is among the largest
Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow warns above this and raises above twice as many


class UnreadableImage(ValueError):
    """The content is not an image, or an image that is damaged or of an unsupported kind."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An image of which the header was read: a plain JPEG as its bytes, anything else as Pillow opened it."""

    content: bytes
    picture: Image.Image | None


def open_image(content: bytes) -> Opened:
    """Read the header; `fit_image` decodes the pixels when it needs them. Raises UnreadableImage."""
    if content.startswith(b"\xff\xd8"):
        try:
            height, width, colors, _ = simplejpeg.decode_jpeg_header(content)
        except Exception:  # ValueError as a rule
            return open_picture(content)
        refuse_huge(width, height)
        if colors in ("Gray", "YCbCr", "RGB"):
            return Opened(content, None)
    return open_picture(content)


def open_picture(content: bytes) -> Opened:
    """Open the image, or a copy without metadata where that stops Pillow."""
    with decoding(content):
        try:
            return Opened(content, _open(content))
        except UnreadableImage:
            raise
        except Exception:
            for lean in lean_copies(content):
                try:
                    return Opened(lean, _open(lean))
                except UnreadableImage:
                    raise
                except Exception:  # the first error is the one to report
                    continue
            raise


def _open(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content), formats=pillow_formats(content))
    # Pillow would clip these to white instead of scaling them.
    if picture.mode.startswith(("I", "F")):
        raise UnreadableImage(f"pixels of kind {picture.mode}: convert the image to 8 bits a channel")
    refuse_huge(*picture.size)
    return picture


@contextmanager
def decoding(content: bytes) -> Iterator[None]:
    """Turn every error of a decoder into UnreadableImage.

    Decoders document OSError alone; damaged files have made them raise ValueError, SyntaxError, TypeError, KeyError,
    IndexError, OverflowError, struct.error, zlib.error, AssertionError, RecursionError and MemoryError.
    """
    try:
        yield
    except UnreadableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(explain_unknown(content)) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"too many pixels, more than {MOST_PIXELS:,}: make the image smaller") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        if not reason:
            reason = type(error).__name__
        elif not isinstance(error, OSError | ValueError | SyntaxError):
            reason = f"{type(error).__name__}: {reason}"
        raise UnreadableImage(f"damaged image: {reason}") from error


def refuse_huge(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise UnreadableImage(f"{width} x {height} pixels, more than {MOST_PIXELS:,}: make the image smaller")


def fit_image(image: Opened, size: int) -> NDArray[np.uint8]:
    """The largest centred square, resized: (size, size, 3), RGB, upright. Raises UnreadableImage.

    What lies outside the square is lost, so that proportions are kept. Transparent pixels become white.
    """
    pixels = decode_jpeg(image.content, size) if image.picture is None else decode_picture(image, size)
    return resize(centred_square(pixels), size)


def decode_jpeg(content: bytes, size: int) -> NDArray[np.uint8]:
    """An RGB image (height, width, 3), each at least twice `size` where the original is.

    A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size: for 32 pixels that takes half the time of a 500x350 photograph
    and an eighth of one of 12 megapixels. Its colours, stored at half the resolution, are repeated, not interpolated: a
    tenth of the time, and 0.6 of 255 levels from 500x350 to 224.
    """
    try:
        pixels = _decode_strictly(content, size)
    except Exception:  # ValueError as a rule
        try:  # cameras on a network leave the end marker out; with less than all pixels this raises again
            pixels = _decode_strictly(content + END_OF_IMAGE, size)
        except Exception:  # libjpeg only warns of some of these, and Pillow decodes those
            return decode_picture(open_picture(content), size)
    return turn_upright(pixels, jpeg_orientation(content))


def _decode_strictly(content: bytes, size: int) -> NDArray[np.uint8]:
    """Raises ValueError even for damage that libjpeg would fill with grey."""
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        content, "RGB", min_height=2 * size, min_width=2 * size, min_factor=2, fastupsample=True
    )
    return pixels


def decode_picture(image: Opened, size: int) -> NDArray[np.uint8]:
    """An RGB image (height, width, 3), of a copy without metadata where that stops Pillow."""
    assert image.picture is not None
    with decoding(image.content):
        try:
            return _load(image.picture, size)
        except Exception:
            for lean in lean_copies(image.content):
                try:
                    return _load(_open(lean), size)
                except Exception:  # the first error is the one to report
                    continue
            raise


def _load(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    picture.draft("RGB", (2 * size, 2 * size))
    picture.load()
    orientation = picture_orientation(picture)  # after the pixels: a PNG's may follow them, Pillow has turned a TIFF
    if picture.has_transparency_data:
        background = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(background, picture.convert("RGBA"))
    pixels = np.array(picture.convert("RGB"))  # a copy: torch needs writable memory
    if not pixels.size:
        raise UnreadableImage("an image without pixels")
    return turn_upright(pixels, orientation)


def centred_square(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def resize(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A square in another size, each new pixel the weighted mean of those that it covers.

    torch does it in uint8 with vector instructions, in a quarter of Pillow's time (350 to 224 pixels: 0.25 of 0.95 ms).
    """
    if len(pixels) == size:
        return pixels
    # Here, because the import takes a second, and a data set that has its size already needs none of it.
    import torch
    import torch.nn.functional as F

    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    resized = F.interpolate(planes, (size, size), mode="bilinear", antialias=True)
    return resized[0].permute(1, 2, 0).numpy()
