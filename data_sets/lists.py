"""A data set that is described by lists, as CUB-200-2011 is: which images, of which class, for training or test.

images.txt              <number> <path below images/>
image_class_labels.txt  <number> <number of the class>
train_test_split.txt    <number> <1 to train on, 0 to test on>
classes.txt             <number of the class> <name>
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from data_sets.errors import DataSetError
from data_sets.names import normalised
from data_sets.sample import Found, Layout, LeftOut, Sample
from data_sets.wording import some_of

IMAGES, LABELS, SPLIT, CLASSES = "images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"
LISTS = (IMAGES, LABELS, SPLIT, CLASSES)
SPLIT_OF_FLAG = {"1": "train", "0": "test"}


def listed_folder(paths: Collection[str]) -> str | None:
    """The folder with images.txt and at least one of the other lists, as a prefix; None if there is none."""
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        folder = path.removesuffix(IMAGES)
        ends = folder != path and (not folder or folder.endswith("/")) and folder.count("/") <= 2
        if ends and any(f"{folder}{name}" in paths for name in LISTS[1:]):
            return folder
    return None


def read_lists(folder: str, images: Collection[str], read: Callable[[str], bytes]) -> Found:
    """Raises DataSetError for lists that contradict each other or the files."""
    paths, labels, splits, classes = (read_list(folder + name, read) for name in LISTS)
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
    here = {normalised(path): path for path in images}
    listed = {number: here.get(normalised(f"{folder}images/{path}")) for number, path in paths.items()}
    absent = [paths[number] for number, path in listed.items() if path is None]
    if absent:
        raise DataSetError(
            f"{len(absent)} of {len(paths)} images of {IMAGES} are not there: {some_of(absent)}",
            hint=f"they belong into {folder}images; upload the whole folder",
        )
    found = Found(Layout.LISTS, folder, documents=[folder + name for name in LISTS])
    found.raw_labels = {classes[labels[number]] for number in paths}
    found.samples = [
        Sample(path, normalised(classes[labels[number]]), SPLIT_OF_FLAG[splits[number]])
        for number, path in listed.items()
        if path is not None
    ]
    taken = {sample.path for sample in found.samples}
    for path in images:
        if path not in taken:
            found.left_out.append(LeftOut(path, f"not listed in {IMAGES}", counts=path.startswith(f"{folder}images/")))
    return found


def read_list(path: str, read: Callable[[str], bytes]) -> dict[str, str]:
    name = path.rpartition("/")[2]
    try:
        lines = read(path).decode("utf-8-sig").splitlines()
    except (OSError, LookupError, UnicodeDecodeError) as error:
        raise DataSetError(
            f"{name} cannot be read: {error}",
            hint=f"the lists {IMAGES}, {LABELS}, {SPLIT} and {CLASSES} belong together, as UTF-8 text",
        ) from error
    found: dict[str, str] = {}
    for place, line in enumerate(lines, start=1):
        number, space, value = line.strip().partition(" ")
        if not line.strip():
            continue
        if not space or number in found or ".." in value.split("/"):
            raise DataSetError(
                f"line {place} of {name} is {line[:80]!r}", hint="each is a distinct number, a space and a value"
            )
        found[number] = value.strip()
    return found
