"""Which images there are, their labels, and which of them train, validate and test."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from errors import DataSetError, some_of
from images import SUFFIXES
from lists import listed_folder, read_lists

SPLITS = ("train", "validation", "test")
SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
JUNK = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True, slots=True)
class Sample:
    path: Path
    name: str  # relative to the data set's folder, as messages show it
    label: str
    split: str | None  # where the data set itself puts it


@dataclass(frozen=True, slots=True)
class Found:
    samples: tuple[Sample, ...]
    ignored: tuple[str, ...]  # files that are no images by their names


def find_samples(folder: Path) -> Found:
    """Every image below `folder`, in the order of the names.

    Three layouts are known: a folder per class; folders `train`, `val`/`valid`/`validation` and `test` that hold a
    folder per class each; the lists of CUB-200-2011. Deeper folders belong to the class that they lie in. One folder
    around it all is looked through, and hidden files and what macOS and Windows leave behind are not seen. Raises
    DataSetError.
    """
    listed = listed_folder(folder)
    if listed is not None:
        return Found(tuple(Sample(listed / path, path, label, split) for path, label, split in read_lists(listed)), ())
    folder = without_wrapping(folder)
    tops = [path for path in visible(folder) if path.is_dir()]
    names = [SPLIT_OF_FOLDER.get(path.name.lower()) for path in tops]
    given = "train" in names and None not in names
    if given and len(set(names)) < len(names):
        raise DataSetError(
            f"two folders stand for the same split: {some_of([path.name for path in tops], 9)}",
            hint="keep one of val, valid and validation, and one of each other split",
        )
    samples: list[Sample] = []
    ignored: list[str] = []
    for top, split in zip(tops, names, strict=True) if given else [(folder, None)]:
        labels: set[str] = set()
        for path in sorted(files_below(top)):
            name = path.relative_to(folder).as_posix()
            if path.suffix.lower() not in SUFFIXES:
                ignored.append(name)
            elif path.parent == top:
                raise DataSetError(
                    f"the image {name} lies in no class folder",
                    hint="put every image into a folder that is named by its class: cat/1.jpg, dog/2.jpg",
                )
            else:
                label = path.relative_to(top).parts[0]
                labels.add(label)
                samples.append(Sample(path, name, label, split))
        empty = [path.name for path in visible(top) if path.is_dir() and path.name not in labels]
        if empty and labels:
            raise DataSetError(
                f"{len(empty)} folders hold no images: {some_of(empty)}",
                hint=f"images end in {' '.join(SUFFIXES)}; convert the others, or remove the folder",
            )
    if not samples:
        raise DataSetError(
            f"the data set holds no images ({len(ignored)} other files)",
            hint=f"images end in {' '.join(SUFFIXES)} and lie in a folder for each class, or in one archive of those",
        )
    return Found(tuple(samples), tuple(ignored))


def without_wrapping(folder: Path) -> Path:
    """Go into a folder that holds the class folders and is all there is, as most archives have."""
    entries = list(visible(folder))
    if len(entries) == 1 and entries[0].is_dir() and entries[0].name.lower() not in SPLIT_OF_FOLDER:
        inside = list(visible(entries[0]))
        if any(path.is_dir() for path in inside) and not any(path.suffix.lower() in SUFFIXES for path in inside):
            return without_wrapping(entries[0])
    return folder


def visible(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and path.name.lower() not in JUNK:
            yield path


def files_below(folder: Path) -> Iterator[Path]:
    for path in visible(folder):
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def split_samples(
    samples: Sequence[Sample], classes: Sequence[str], order: Sequence[bytes], shares: Mapping[str, float]
) -> dict[str, list[int]]:
    """Assign every sample to a split: the rows of `samples` for train, validation and test.

    A split that the data set gives is kept. A split that it lacks is taken from train, class by class, so that each
    class has its share in it and one image at least. `order` gives one key a sample: the lowest of a class go to test
    and the next to validation. Raises DataSetError when one of the `classes` has no sample in a split.
    """
    rows: dict[str, list[int]] = {split: [] for split in SPLITS}
    if len(classes) < 2:
        raise DataSetError(
            f"the data set has one class only: {some_of(classes)}",
            hint="a classifier needs two; each class is a folder with its images",
        )
    missing = [split for split in ("test", "validation") if split not in {sample.split for sample in samples}]
    training: dict[str, list[int]] = {label: [] for label in classes}
    for row, sample in enumerate(samples):
        if sample.split in ("validation", "test"):
            rows[sample.split].append(row)
        else:
            training[sample.label].append(row)
    for label, remaining in training.items():
        remaining.sort(key=lambda row: order[row])
        counts = {split: max(1, round(len(remaining) * shares[split])) for split in missing}
        if missing and sum(counts.values()) >= len(remaining):
            raise DataSetError(
                f"class {label} has {len(remaining)} usable images, too few for {' and '.join([*missing, 'train'])}",
                hint="add images of it, or remove the class; each of these needs one image of each class at least",
            )
        for split, count in counts.items():
            rows[split] += remaining[:count]
            del remaining[:count]
        rows["train"] += remaining
    for split in SPLITS:
        refuse_absent(split, classes, {samples[row].label for row in rows[split]})
    return {split: sorted(rows[split]) for split in SPLITS}


def refuse_absent(split: str, classes: Sequence[str], present: Collection[str]) -> None:
    absent = sorted(set(classes) - set(present))
    if absent:
        raise DataSetError(
            f"{split} has no usable image of {len(absent)} of {len(classes)} classes: {some_of(absent)}",
            hint="name the class folders alike in train, validation and test, and leave none of them empty",
        )
