"""Other crops and encodings of one photograph are found across splits; groups stay in one split."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from image_samples import facts, prepare
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dataset import read_split
from duplicates import near_duplicates, reduced
from errors import DataSetError
from images import fit_image, open_image
from splits import SPLITS

SIZE = 64


def photograph(seed: int) -> Image.Image:
    """Smooth shapes of several sizes, as photographs have."""
    random = np.random.default_rng(seed)
    layers: NDArray[np.float64] = np.zeros((120, 160, 3))
    for scale in (4, 8, 16):
        small = Image.fromarray(random.integers(0, 256, (scale * 3 // 4 + 1, scale, 3), dtype=np.uint8))
        layers += np.asarray(small.resize((160, 120), Image.Resampling.BICUBIC), dtype=np.float64) / 3
    return Image.fromarray(layers.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))


def encoded(picture: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def arrays(files: list[bytes]) -> NDArray[np.uint8]:
    return reduced(np.stack([fit_image(open_image(content), SIZE) for content in files]))


def test_encodings_sizes_and_slight_crops_are_found_and_other_pictures_are_not() -> None:
    pictures = [photograph(seed) for seed in range(150)]
    train = arrays([encoded(picture, quality=92) for picture in pictures])
    again = [
        *(encoded(picture, quality=40) for picture in pictures[:20]),
        *(encoded(picture.resize((320, 240)), quality=85) for picture in pictures[20:40]),
        *(encoded(picture.crop((2, 2, 158, 118)), quality=85) for picture in pictures[40:60]),
    ]
    others = [encoded(photograph(seed)) for seed in range(1000, 1150)]
    found = near_duplicates(arrays([*again, *others]), train)
    right = [pair for pair in found if pair.first < 60 and pair.first == pair.second]
    assert len(right) >= 54
    assert [pair for pair in found if pair.first != pair.second] == []


def test_flat_and_tiny_images_are_not_duplicates() -> None:
    flat = reduced(np.full((9, SIZE, SIZE, 3), 200, dtype=np.uint8))
    assert near_duplicates(flat, flat) == []
    tiny = reduced(np.zeros((3, 8, 8, 3), dtype=np.uint8))
    assert near_duplicates(tiny, tiny) == []
    assert near_duplicates(tiny[:0], tiny) == []


def bursts(folder: Path) -> Path:
    """Each class has eight scenes, of each three encodings."""
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for scene in range(8):
            picture = photograph(hash((label == "cat", scene)) % 10**6)
            for take in range(3):
                content = encoded(picture, quality=60 + 10 * take)
                (folder / label / f"{label}-{scene}-take{take}.jpg").write_bytes(content)
    return folder


def scenes(out: Path) -> dict[str, int]:
    """How many images each split has."""
    return {split: len(read_split(out / split)) for split in SPLITS}


def test_copies_across_a_random_split_are_reported_and_a_group_pattern_keeps_them_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bursts(tmp_path / "data")
    out = prepare(data, tmp_path / "out", "--image-size", "64")
    assert "test images look like training images" in capsys.readouterr().out
    near = facts(out / "train")["near_duplicates"]
    assert isinstance(near, list)
    assert near
    for first, second in near:
        assert first.rpartition("-")[0] == second.rpartition("-")[0]
    grouped = prepare(data, tmp_path / "grouped", "--image-size", "64", r"--group-pattern=(\w+-\d+)-take")
    assert facts(grouped / "train")["near_duplicates"] == []
    counts = scenes(grouped)
    assert sum(counts.values()) == 48
    assert counts["test"] % 3 == counts["validation"] % 3 == 0
    assert counts["test"] >= 6


def test_a_group_column_keeps_images_together(tmp_path: Path) -> None:
    data = bursts(tmp_path / "data")
    rows = "".join(f"{path.relative_to(data)},{path.name.rpartition('-')[0]}\n" for path in sorted(data.rglob("*.jpg")))
    (data / "metadata.csv").write_text(f"file_name,group\n{rows}")
    out = prepare(data, tmp_path / "out", "--image-size", "64")
    assert facts(out / "train")["near_duplicates"] == []


def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"group_pattern 'patient' matches none of 48 images, e\.g\. cat/cat-0"):
        prepare(bursts(tmp_path / "data"), tmp_path / "out", "--group-pattern=patient")


def test_a_group_that_the_data_set_puts_into_two_splits_is_refused(tmp_path: Path) -> None:
    data = bursts(tmp_path / "data")
    files = sorted(data.rglob("*.jpg"))
    rows = "".join(
        f"{path.relative_to(data)},{'test' if number % 3 == 0 else 'train'},{path.name.rpartition('-')[0]}\n"
        for number, path in enumerate(files)
    )
    (data / "metadata.csv").write_text(f"file_name,split,group\n{rows}")
    with pytest.raises(DataSetError, match="16 groups are both tested and trained on"):
        prepare(data, tmp_path / "out")
