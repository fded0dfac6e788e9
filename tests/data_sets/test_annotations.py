"""Text beside the images: what is about an image of its name, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_set_samples import images, write
from image_samples import facts, prepare

from data_sets.reading import ANNOTATION
from errors import DataSetError

PETS = {"cat": 12, "dog": 12}


@pytest.mark.parametrize("suffix", [".xml", ".txt", ".json", ".png.txt"])
def test_annotations_beside_the_images_are_listed_and_do_not_count(tmp_path: Path, suffix: str) -> None:
    """As labelling tools write them, one for each image."""
    pictures = images(PETS)
    texts = {f"{name.removesuffix('.png')}{suffix}": b"<annotation/>" for name in pictures}
    write(tmp_path / "data", {**pictures, **texts})
    prepare(tmp_path / "data", tmp_path / "out", "--image-size", "8")
    found = facts(tmp_path / "out/train")
    assert found["left_out"] == {ANNOTATION: sorted(texts)}
    assert found["skipped"] == {}


def test_text_in_a_class_folder_that_is_about_no_image_counts(tmp_path: Path) -> None:
    write(tmp_path / "data", {**images(PETS), "cat/a.txt": b"text", "dog/b.txt": b"text"})
    with pytest.raises(DataSetError, match=r"2 of 26 images cannot be read: cat/a.txt \(not an image but text\)"):
        prepare(tmp_path / "data", tmp_path / "out", "--image-size", "8")
