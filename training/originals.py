"""The test images as the data set holds them, so that each model can prepare them with its own code.

    images.zip      the files, unchanged and uncompressed: 000000.jpg, 000001.png, ...
    originals.json  classes, name and fingerprint of the data set, and for each file its name there and its class

Arrays of one image size would not do: a champion may have been trained at another size, or with another crop.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset import deleting_on_full_disk
from errors import DataSetError

ARCHIVE, DOCUMENT = "images.zip", "originals.json"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold: the same files give the same bytes


@dataclass(frozen=True, slots=True)
class Originals:
    archive: Path
    names: tuple[str, ...]  # in the data set, in the order of the archive
    classes: tuple[str, ...]
    labels: tuple[int, ...]  # indexes into `classes`, one an image
    data_set: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.labels)


class OriginalsWriter:
    """Copies files into the archive one after another; memory holds a block of one. Raises DiskFullError."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.images: list[dict[str, Any]] = []
        self.file = (folder / ARCHIVE).open("wb")
        self.zip = zipfile.ZipFile(self.file, "w", zipfile.ZIP_STORED)

    def add(self, path: Path, name: str, label: str) -> None:
        member = zipfile.ZipInfo(f"{len(self.images):06}{path.suffix.lower()}", EPOCH)
        member.file_size = path.stat().st_size
        guarded = deleting_on_full_disk(self.folder / ARCHIVE, self.file)
        with guarded, path.open("rb") as source, self.zip.open(member, "w") as copy:
            shutil.copyfileobj(source, copy, 2**20)
        self.images.append({"file": member.filename, "name": name, "class": label})

    def finish(self, facts: Mapping[str, Any]) -> None:
        """`facts`: data_set, fingerprint and classes."""
        with deleting_on_full_disk(self.folder / ARCHIVE, self.file):
            self.zip.close()
            self.file.close()
        document = {name: facts[name] for name in ("data_set", "fingerprint", "classes")} | {"images": self.images}
        (self.folder / DOCUMENT).write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read_originals(folder: Path) -> Originals:
    """Raises DataSetError when `folder` is not what OriginalsWriter makes."""
    try:
        document = json.loads((folder / DOCUMENT).read_text("utf-8"))
        classes: Sequence[str] = document["classes"]
        with zipfile.ZipFile(folder / ARCHIVE) as file:
            files = file.namelist()
        if files != [image["file"] for image in document["images"]]:
            raise ValueError(f"{ARCHIVE} does not hold the files that {DOCUMENT} lists")
        return Originals(
            archive=folder / ARCHIVE,
            names=tuple(image["name"] for image in document["images"]),
            classes=tuple(classes),
            labels=tuple(classes.index(image["class"]) for image in document["images"]),
            data_set=document["data_set"],
            fingerprint=document["fingerprint"],
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataSetError(
            f"{folder} does not hold test images: {type(error).__name__}: {error}",
            hint=f"name the folder that preprocess.py wrote with --test-files ({ARCHIVE}, {DOCUMENT})",
        ) from error
