"""A data set that is described by lists, as CUB-200-2011 is: which images, of which class, for training or test.

images.txt              <number> <path below images/>
image_class_labels.txt  <number> <number of the class>
train_test_split.txt    <number> <1 to train on, 0 to test on>
classes.txt             <number of the class> <name>
"""

from __future__ import annotations

from pathlib import Path

from errors import DataSetError, some_of

IMAGES, LABELS, SPLIT, CLASSES = "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"
SPLIT_OF_FLAG = {"1": "train", "0": "test"}


def listed_folder(folder: Path) -> Path | None:
    """Where the lists lie: in `folder`, or in one folder inside it (CUB's archive has a file beside that)."""
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    return next((path for path in (folder, *inside) if (path / IMAGES).is_file()), None)


def read_lists(folder: Path) -> list[tuple[str, str, str]]:
    """Path (relative to `folder`), class and split of every image, in the order of the paths. Raises DataSetError."""
    paths, labels, splits, classes = (read_list(folder / name) for name in (IMAGES, LABELS, SPLIT, CLASSES))
    for name, numbers in ((LABELS, labels), (SPLIT, splits)):
        lacking = sorted(paths.keys() - numbers.keys())
        if lacking:
            raise DataSetError(
                f"{name} says nothing of {len(lacking)} of {len(paths)} images of {IMAGES}: {some_of(lacking)}",
                hint="give all lists of the same version of the data set",
            )
    unknown = sorted({labels[number] for number in paths} - classes.keys())
    if unknown:
        raise DataSetError(f"{CLASSES} does not name the classes {some_of(unknown)}", hint="complete the list")
    flags = sorted({splits[number] for number in paths} - SPLIT_OF_FLAG.keys())
    if flags:
        raise DataSetError(f"{SPLIT} says {some_of(flags)} of an image", hint="1 is to train on, 0 to test on")
    absent = [path for path in paths.values() if not (folder / "images" / path).is_file()]
    if absent:
        raise DataSetError(
            f"{len(absent)} of {len(paths)} images of {IMAGES} are not there: {some_of(absent)}",
            hint=f"they belong into {folder.name}/images; upload the whole folder",
        )
    return sorted(
        (f"images/{path}", classes[labels[number]], SPLIT_OF_FLAG[splits[number]]) for number, path in paths.items()
    )


def read_list(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(
            f"{path.name} cannot be read: {error}",
            hint=f"the lists {IMAGES}, {LABELS}, {SPLIT} and {CLASSES} belong together, as UTF-8 text",
        ) from error
    found: dict[str, str] = {}
    for place, line in enumerate(lines, start=1):
        number, space, value = line.strip().partition(" ")
        if not line.strip():
            continue
        if not space or number in found or ".." in value.split("/"):
            raise DataSetError(
                f"line {place} of {path.name} is {line[:80]!r}", hint="each is a number of its own, a space and a value"
            )
        found[number] = value.strip()
    return found
