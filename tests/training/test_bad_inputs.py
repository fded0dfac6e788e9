"""Bad inputs, each through the entry point as a job: a reason that says what to do, or an image that is counted out.

What a full disk says is provoked in tests/bad_input, which has small disks.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_samples import copy_code, facts, picture, prepare, write_contents, write_pictures
from PIL import Image

pytestmark = pytest.mark.process


def as_bytes(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def changed(content: bytes) -> bytes:
    """The content with other bytes in the middle of its compressed pixels."""
    middle = len(content) // 2
    return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 30]) + content[middle + 30 :]


def huge() -> bytes:
    """A PNG whose header claims 2.5 thousand million pixels."""
    content = bytearray(as_bytes(Image.new("L", (4, 4)), "PNG"))
    content[16:24] = (50_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def frames() -> bytes:
    return as_bytes(picture("red", 1), "GIF", save_all=True, append_images=[picture("blue", 2)])


IMAGES = {
    "corrupt.png": (changed(as_bytes(picture("red", 1), "PNG")), "damaged image: "),
    "truncated.jpg": (as_bytes(picture("red", 2, (60, 50)), "JPEG")[:-400], "damaged image: image file is truncated"),
    "zero-byte.jpg": (b"", "an empty file"),
    "wrong-suffix-of-a-text.jpg": (b"dear diary", "not one of JPEG, PNG"),
    "16-bit.png": (as_bytes(Image.fromarray(np.full((9, 9), 40000, np.uint16)), "PNG"), "convert the image to 8 bits"),
    "huge.png": (huge(), "pixels, more than"),
    "cmyk.jpg": (as_bytes(picture("red", 3).convert("CMYK"), "JPEG"), None),
    "animated.gif": (frames(), None),
    "wrong-suffix-of-a-png.jpg": (as_bytes(picture("red", 4), "PNG"), None),
}


def test_images_that_cannot_be_used_are_counted_out_with_the_reason_and_the_others_are_used(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 10, "blue": 10})
    for name, (content, _) in IMAGES.items():
        (data / "red" / name).write_bytes(content)
    out = prepare(data, tmp_path / "out", "--max-skipped-share", "0.3")
    skipped = facts(out / "train")["skipped"]
    assert isinstance(skipped, dict)
    assert set(skipped) == {f"red/{name}" for name, (_, reason) in IMAGES.items() if reason}
    for name, (_, reason) in IMAGES.items():
        assert reason is None or reason in skipped[f"red/{name}"]
    counts = [facts(out / split)["counts"] for split in ("train", "validation", "test")]
    assert sum(count["red"] for count in counts) == 13  # type: ignore[index]


def reason_of(root: Path, *words: object, training: bool = False) -> str:
    """The failure reason of the job."""
    copy_code(root / "code")
    (root / "fake/pip").mkdir(parents=True)  # all that is required is here
    (root / "fake/pip/__main__.py").touch()
    if training:
        (root / "input/config").mkdir(parents=True)
    result = subprocess.run(
        [sys.executable, "-B", str(root / "code/entry.py"), *map(str, words)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root / "fake")},
    )  # fmt: skip
    assert result.returncode == 1, result.stdout + result.stderr
    return (root / "output" / ("failure" if training else "message")).read_text()


def one_class(data: Path) -> None:
    write_pictures(data, {"red": 9})


def empty_class(data: Path) -> None:
    write_pictures(data, {"red": 9, "blue": 9})
    (data / "green").mkdir()
    (data / "green/2.heic").write_text("to come")


def split_file(data: Path) -> None:
    for name in ("images.txt", "image_class_labels.txt", "classes.txt"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_text("1 a\n")
    (data / "train_test_split.txt").write_bytes(b"\xff\xfe1\x00")


def archive_with(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[Path], None]:
    def write(data: Path) -> None:
        data.mkdir()
        with tarfile.open(data / "birds.tar", "w") as file:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member)

    return write


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (one_class, "the data set has one class only: red\nhint: a classifier needs two"),
        (empty_class, "1 folders hold no images: green\nhint: images are"),
        (split_file, "train_test_split.txt cannot be read: 'utf-8' codec"),
        (archive_with("../red/0.png"), "birds.tar holds '../red/0.png', which would lie outside"),
        (archive_with("/red/0.png"), "birds.tar holds '/red/0.png', which would lie outside"),
        (archive_with("red/0.png", tarfile.SYMTYPE), "birds.tar holds 'red/0.png', which is a link"),
    ],
    ids=["one class", "empty class", "split file", "archive with ..", "archive with a root", "archive with a link"],
)
def test_a_data_set_that_cannot_be_used_fails_with_what_to_do(
    tmp_path: Path, write: Callable[[Path], None], reason: str
) -> None:
    write(tmp_path / "data")
    contents = write_contents(tmp_path / "data", tmp_path / "contents.json")
    splits = [word for split in ("train", "validation", "test") for word in (f"--{split}", tmp_path / split)]
    said = reason_of(tmp_path / "ml", "preprocess.py", "--data", tmp_path / "data", "--contents", contents, *splits)
    assert said.startswith(reason)
    assert "\nhint: " in said


def test_a_loss_that_is_not_a_number_fails_with_a_hint(colors: Path, tmp_path: Path) -> None:
    words = ("--train", colors / "train", "--validation", colors / "validation", "--model-dir", tmp_path / "model")
    said = reason_of(tmp_path / "ml", "train.py", *words, "--learning-rate", "1e30", training=True)
    assert re.match("the (validation )?loss became (nan|inf) in epoch 1\n", said)
    assert "\nhint: lower --learning-rate" in said


def test_a_model_folder_that_cannot_be_written_fails_before_the_training(colors: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ("--train", colors / "train", "--validation", colors / "validation", "--model-dir", tmp_path / "file/model")
    said = reason_of(tmp_path / "ml", "train.py", *words, training=True)
    assert said.startswith(f"the model cannot be written to {tmp_path}/file/model: Not a directory\nhint: --model-dir")


def test_all_that_keeps_preprocessing_from_starting_is_named_at_once(tmp_path: Path) -> None:
    """Image size, shares, a class with too few images and unreadable images: one upload fixes them all."""
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 2, "green": 1})
    (data / "red/damaged.png").write_bytes(b"no image")
    contents = write_contents(data, tmp_path / "contents.json")
    splits = [word for split in ("train", "validation", "test") for word in (f"--{split}", tmp_path / split)]
    wrong = ("--image-size", "4", "--validation-share", "0.7", "--test-share", "0.3")
    words = ("--data", data, "--contents", contents, *splits, *wrong)
    said = reason_of(tmp_path / "ml", "preprocess.py", *words)
    assert said.startswith(
        "4 problems: (1) the image size is 4 pixels; (2) validation_share is 0.7 and test_share is 0.3"
    )
    assert "(3) 1 of 13 images cannot be read: " in said
    assert "3 classes have too few usable images: blue (2), green (1), red (9)" in said
    assert "\nhint: use 8 to 1024 (image_size under " in said
    assert not (tmp_path / "train").exists()
