"""Image files whose metadata is damaged or strange, each from a seed: container bytes are changed, not pixels.

`odd_image(n)` gives the n-th. Metadata of a `sound` image lies in segments of the right lengths, so that a reader that
ignores what the pixels do not need decodes it. `damaged_image(n)` changes any bytes at all.
"""

from __future__ import annotations

import functools
import io
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

Chance = random.Random
SIZE = (54, 36)
SHORT, LONG = zlib.compress(b"y" * 10), zlib.compress(b"y" * 3_000_000)  # Pillow reads at most 1 MB of text


@dataclass(frozen=True, slots=True)
class OddImage:
    name: str
    content: bytes
    sound: bool


def odd_image(number: int) -> OddImage:
    chance = random.Random(f"odd {number}")
    form = chance.choice(list(MAKERS))
    content, sound = MAKERS[form](chance)
    return OddImage(f"{number} {form}", content, sound)


def damaged_image(number: int) -> OddImage:
    """Up to 6 bytes changed anywhere, or the end cut off."""
    chance = random.Random(f"damaged {number}")
    image = odd_image(chance.randrange(10**6))
    content = bytearray(image.content)
    for _ in range(chance.randint(0, 6)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    if chance.random() < 0.3:
        del content[chance.randrange(len(content)) :]
    return OddImage(f"damaged {number}, from {image.name}", bytes(content), False)


def corners() -> Image.Image:
    """Four corners of four colours: each of the 8 orientations looks different."""
    pixels = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    half_height, half_width = SIZE[1] // 2, SIZE[0] // 2
    pixels[:half_height, :half_width] = (230, 30, 30)
    pixels[:half_height, half_width:] = (30, 200, 40)
    pixels[half_height:, :half_width] = (40, 40, 220)
    pixels[half_height:, half_width:] = (240, 230, 60)
    return Image.fromarray(pixels)


@functools.cache
def encoded(form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = corners()
    if form == "MPO":
        options |= {"save_all": True, "append_images": [image.rotate(180)]}
    (image.quantize(16) if mode == "P" else image.convert(mode)).save(buffer, form, **options)
    return buffer.getvalue()


# EXIF and XMP


def tiff_head(chance: Chance, orientation: int, *tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF header with a directory: the orientation as SHORT, and other tags (tag, type, count, value)."""
    order = chance.choice("<>")
    entries = [struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0)]
    entries += [struct.pack(order + "HHII", *tag) for tag in tags]
    if chance.random() < 0.3:
        chance.shuffle(entries)
    head = b"II*\0\x08\0\0\0" if order == "<" else b"MM\0*\0\0\0\x08"
    return head + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)


def exif(chance: Chance) -> bytes:
    """The payload of EXIF, without the header that JPEG puts before it."""
    orientation = chance.choice([1, 2, 3, 4, 5, 6, 7, 8, 6, 6, 3, 0, 9, 65535])
    strange = [(chance.randrange(65536), chance.randrange(16), chance.randrange(2**32), chance.randrange(2**32))
               for _ in range(3)]  # fmt: skip
    kinds: list[Callable[[], bytes]] = [
        lambda: tiff_head(chance, orientation),
        lambda: tiff_head(chance, orientation),
        lambda: tiff_head(chance, orientation, *strange),
        lambda: tiff_head(chance, orientation, (0x8769, 4, 1, chance.choice([8, 2**31, 2**32 - 1]))),
        lambda: tiff_head(chance, orientation, (0x112, chance.randrange(14), chance.randrange(4), 6)),
        lambda: tiff_head(chance, orientation, (0x11A, 5, 1, chance.choice([8, 9999])), (0x128, 3, 1, 2)),
        lambda: tiff_head(chance, orientation)[: chance.randrange(26)],
        lambda: tiff_head(chance, orientation)[8:],
        lambda: b"Exif\0\0" * chance.randint(1, 3) + tiff_head(chance, orientation),
        lambda: b"II*\0" + struct.pack("<I", chance.choice([0, 7, 2**31 - 1, 2**32 - 1])),
        lambda: b"b'Exif\\x00\\x00MM\\x00*'",
        lambda: chance.randbytes(chance.randrange(60)),
        lambda: changed(chance, tiff_head(chance, orientation, *strange), 3),
        lambda: b"",
    ]
    return chance.choice(kinds)()


def xmp(chance: Chance) -> bytes:
    digit = chance.choice("123456789")
    value = chance.choice([f'tiff:Orientation="{digit}"', f"><tiff:Orientation>{digit}</tiff:Orientation", ""])
    creator = chance.choice([b"Ren\xe9", b"\xff\xfe", "Søren".encode(), b"\0", b"plain"])
    text = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description ' + value.encode() + b"/>" + creator
    return text + b" " * chance.choice([0, 10, 5000])


def changed(chance: Chance, content: bytes, count: int) -> bytes:
    result = bytearray(content)
    for _ in range(count):
        result[chance.randrange(len(result))] = chance.randrange(256)
    return bytes(result)


# JPEG


def segment(marker: int, payload: bytes, length_error: int = 0) -> bytes:
    payload = payload[:65533]
    return bytes([0xFF, marker]) + struct.pack(">H", (len(payload) + 2 + length_error) % 65536) + payload


def jpeg_segment(chance: Chance) -> bytes:
    noise = chance.randbytes(chance.randrange(40))
    marker, payload = chance.choice([
        (0xE1, b"Exif\0\0" + exif(chance)),
        (0xE1, b"Exif\0\0" + exif(chance)),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(chance)),
        (0xE0, b"JFIF\0\1\1\1\0H\0H\0\0"),
        (0xE0, b"JFIF\0\1\1\1\0H\0H\0\0"[: chance.randrange(14)]),
        (0xE2, b"ICC_PROFILE\0" + bytes([chance.randrange(4), chance.randrange(4)]) + noise),
        (0xE2, b"ICC_PROFILE\0"[: chance.randrange(13)]),
        (0xE2, b"MPF\0" + chance.choice([noise, tiff_head(chance, 1, (0xB001, 4, 1, 2), (0xB002, 7, 32, 40))])),
        (0xE2, b"FPXR\0" + noise),
        (0xED, b"Photoshop 3.0\0" + b"8BIM" + noise),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + struct.pack(">I", 6000) + bytes(6000)),
        (0xEE, b"Adobe" + noise[:4]),
        (0xFE, noise), (0xFE, b""),
        (chance.randrange(0xE3, 0xEF), noise),
        (chance.randrange(0xE3, 0xED), bytes(60000)),
    ])  # fmt: skip
    return segment(marker, payload)


def odd_jpeg(chance: Chance, form: str = "JPEG", mode: str = "RGB", **options: object) -> tuple[bytes, bool]:
    base = encoded(form, mode, quality=90, **options)
    segments = [jpeg_segment(chance) for _ in range(chance.choice([1, 1, 2, 3, 5]))]
    sound = True
    if chance.random() < 0.15:
        wrong = chance.randrange(len(segments))
        body = segments[wrong]
        error = chance.choice([-1, -3, 2, 7, 30, 3000, 60000])
        segments[wrong] = body[:2] + struct.pack(">H", (len(body) - 2 + error) % 65536) + body[4:]
        sound = False
    if chance.random() < 0.1:
        segments.append(b"\xff" * chance.randint(1, 9))
    place = 2 if chance.random() < 0.7 else 4 + int.from_bytes(base[4:6], "big")  # before or after JFIF or Adobe
    content = base[:place] + b"".join(segments) + base[place:]
    return content + chance.choice([b"", b"", b"\0" * 500, b"\0\0\0\x18ftypmp42", chance.randbytes(90)]), sound


# PNG


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_chunk(chance: Chance) -> bytes:
    noise = chance.randbytes(chance.randrange(1, 40))
    profile = exif(chance).hex()
    name, data = chance.choice([
        (b"eXIf", exif(chance)), (b"eXIf", exif(chance)),
        (b"tEXt", b"Comment\0" + noise), (b"tEXt", noise),
        (b"zTXt", b"workflow\0\0" + chance.choice([SHORT, LONG])),
        (b"zTXt", b"workflow\0" + bytes([chance.randrange(3)]) + noise),
        (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(f"\nexif\n{len(profile) // 2:8}\n{profile}\n".encode())),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(chance)),
        (b"iTXt", b"prompt\0\1\0\0\0" + LONG),
        (b"iTXt", noise),
        (b"iCCP", b"icc\0\0" + SHORT), (b"iCCP", b"icc\0\0" + LONG),
        (b"iCCP", noise), (b"iCCP", b"icc\0\1" + noise),
        (b"pHYs", noise), (b"tIME", noise), (b"gAMA", noise), (b"cHRM", noise), (b"sRGB", noise), (b"sRGB", b""),
        (b"bKGD", noise), (b"acTL", noise), (b"fcTL", noise), (b"prVt", noise), (b"hIST", noise),
    ])  # fmt: skip
    return chunk(name, data)


def odd_png(chance: Chance) -> tuple[bytes, bool]:
    base = encoded("PNG", chance.choice(["RGB", "P", "RGBA", "LA"]))
    pixels = base.index(b"IDAT") - 4
    last = base.rindex(b"IEND") - 4
    sound, extra = True, []
    for _ in range(chance.choice([1, 1, 2, 3])):
        body = png_chunk(chance)
        if chance.random() < 0.15:
            body = body[:-4] + chance.randbytes(4)
        if chance.random() < 0.1:
            error = chance.choice([-1, 3, 11, 100, 2**30])
            body = struct.pack(">I", (len(body) - 12 + error) % 2**32) + body[4:]
            sound = False
        extra.append(body)
    place = pixels if chance.random() < 0.7 else last
    return base[:place] + b"".join(extra) + base[place:] + chance.choice([b"", b"", b"tail" * 9]), sound


# WebP, TIFF, GIF, BMP


def odd_webp(chance: Chance) -> tuple[bytes, bool]:
    base = encoded("WEBP", chance.choice(["RGB", "RGBA"]), exif=b"Exif\0\0" + bytes(8), lossless=True)
    chunks, at = [], 12
    while at < len(base):
        end = at + 8 + int.from_bytes(base[at + 4 : at + 8], "little")
        if base[at : at + 4] != b"EXIF":
            chunks.append(base[at : end + end % 2])
        at = end + end % 2
    flags, after, sound = chunks[0][8] & ~0x2C, [], True
    for _ in range(chance.choice([1, 1, 2, 3])):
        name, flag, data = chance.choice([
            (b"EXIF", 8, exif(chance)), (b"EXIF", 8, b"Exif\0\0" + exif(chance)), (b"XMP ", 4, xmp(chance)),
            (b"ICCP", 0x20, chance.randbytes(30)), (b"ABCD", 0, chance.randbytes(9)), (b"EXIF", 0, exif(chance)),
        ])  # fmt: skip
        length = len(data)
        if chance.random() < 0.1:
            length += chance.choice([2, 40, 10**6])
            sound = False
        flags |= flag
        body = name + struct.pack("<I", length) + data + b"\0" * (len(data) % 2)
        after.insert(0, body) if name == b"ICCP" and chance.random() < 0.7 else after.append(body)
    head = chunks[0][:8] + bytes([flags]) + chunks[0][9:]
    body = b"WEBP" + head + b"".join(chunks[1:] + after if chance.random() < 0.7 else after + chunks[1:])
    return b"RIFF" + struct.pack("<I", len(body)) + body, sound


def odd_tiff(chance: Chance) -> tuple[bytes, bool]:
    compression = chance.choice([None, "tiff_lzw", "tiff_adobe_deflate"])
    base = encoded("TIFF", chance.choice(["RGB", "L", "P"]), compression=compression, big_tiff=False)
    at = struct.unpack_from("<I", base, 4)[0]
    count = struct.unpack_from("<H", base, at)[0]
    entries = [base[at + 2 + 12 * index : at + 14 + 12 * index] for index in range(count)]
    entries = [entry for entry in entries if struct.unpack("<H", entry[:2])[0] not in (282, 283, 296)]
    payload = chance.choice([exif(chance), xmp(chance), chance.randbytes(30), b""])
    end = len(base) + len(base) % 2
    number = chance.choice([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 70000])
    for _ in range(chance.choice([1, 2, 4])):
        tag, kind, length, value = chance.choice([
            (274, 3, 1, number), (274, 3, 1, number), (274, 4, 1, number), (274, chance.randrange(14), 2, number),
            (700, 1, len(payload), end), (34675, 7, len(payload), end), (33723, 4, len(payload) // 4, end),
            (34665, 4, 1, chance.choice([end, 8, 2**31, 2**32 - 1])), (34853, 4, 1, 2**31),
            (270, 2, 2**20, 2**30), (270, 2, len(payload), end), (282, 2, 4, 0x41424344), (282, 5, 1, end),
            (283, 2, 4, 0x41424344), (296, 3, 1, chance.choice([2, 3, 77])), (306, 2, 20, 2**32 - 1),
            (chance.randrange(1000, 65000), chance.randrange(20), chance.randrange(2**32), chance.randrange(2**32)),
        ])  # fmt: skip
        entries.append(struct.pack("<HHII", tag, kind, length, value))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2])[0])
    body = base.ljust(end, b"\0") + payload + bytes(16)
    body += b"\0" * (len(body) % 2)
    new = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", chance.choice([0, 0, 2**31]))
    return body[:4] + struct.pack("<I", len(body)) + body[8:] + new, True


def odd_gif(chance: Chance) -> tuple[bytes, bool]:
    base = encoded("GIF", "P")
    start = 13 + 3 * 2 ** ((base[10] & 7) + 1)
    noise = chance.randbytes(chance.randrange(1, 60))
    block = chance.choice([
        b"\x21\xfe" + bytes([len(noise)]) + noise + b"\0",
        b"\x21\xff\x0bXMP DataXMP" + bytes([len(noise)]) + noise + b"\0",
        b"\x21\xff\x0bNETSCAPE2.0" + bytes([len(noise)]) + noise + b"\0",
        b"\x21\xff" + bytes([len(noise)]) + noise + b"\0",
        b"\x21\x01" + bytes([len(noise)]) + noise + b"\0",
        b"\x21" + bytes([chance.randrange(2, 200), len(noise)]) + noise + b"\0",
    ])  # fmt: skip
    return base[:start] + block + base[start:] + chance.choice([b"", b"tail"]), True


def odd_bmp(chance: Chance) -> tuple[bytes, bool]:
    content = bytearray(encoded("BMP", chance.choice(["RGB", "P", "L"])))
    content[2:6] = chance.choice([bytes(4), b"\xff" * 4, bytes(content[2:6])])  # the size of the file
    content[6:10] = chance.randbytes(4)
    content[38:46] = chance.randbytes(8)  # the resolution
    return bytes(content) + chance.choice([b"", b"tail" * 5]), True


MAKERS: dict[str, Callable[[Chance], tuple[bytes, bool]]] = {
    "JPEG": odd_jpeg,
    "gray JPEG": lambda chance: odd_jpeg(chance, mode="L"),
    "CMYK JPEG": lambda chance: odd_jpeg(chance, mode="CMYK"),
    "progressive JPEG": lambda chance: odd_jpeg(chance, progressive=True),
    "JPEG with density": lambda chance: odd_jpeg(chance, dpi=(72, 72)),
    "MPO": lambda chance: odd_jpeg(chance, "MPO"),
    "PNG": odd_png,
    "PNG again": odd_png,
    "WebP": odd_webp,
    "TIFF": odd_tiff,
    "TIFF again": odd_tiff,
    "GIF": odd_gif,
    "BMP": odd_bmp,
}
