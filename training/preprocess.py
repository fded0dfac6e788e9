"""python preprocess.py --data DIR --contents contents.json --train DIR --validation DIR --test DIR

Turn the objects of a data set into arrays: verify, unpack, decode once, split, write. Needs numpy and Pillow.

The same objects, options and seed give the same bytes. An image's place in the split follows from its own bytes and
the seed, so that adding images to a data set moves few of those that were there: a champion was then not trained on
what it is tested on.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from archive import SUFFIXES as ARCHIVE_SUFFIXES
from archive import is_archive, unpack
from contents import read_contents, verify
from dataset import create_images, mean_and_std, write_split
from errors import DataSetError, some_of
from images import UnreadableImage, fit_image, open_image
from splits import SPLITS, Sample, find_samples, split_samples, visible


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)

    contents = read_contents(arguments.contents)
    by_size = verify(contents, arguments.data, arguments.threads)
    print(f"verified {len(contents.objects)} objects of {contents.data_set}, {by_size} of them by their size alone")

    with tempfile.TemporaryDirectory() as scratch:
        folder = unpack_data(arguments.data, Path(scratch) / "unpacked")
        found = find_samples(folder)
        if found.ignored:
            print(f"ignored {len(found.ignored)} files that are no images: {some_of(found.ignored)}")

        everything = create_images(Path(scratch) / "images.npy", len(found.samples), arguments.image_size)
        with ThreadPoolExecutor(arguments.threads) as pool:
            seeds = itertools.repeat(arguments.seed)
            results = list(zip(found.samples, pool.map(decode, found.samples, everything, seeds), strict=True))
        usable = [row for row, (_, result) in enumerate(results) if isinstance(result, bytes)]
        skipped = {sample.name: result for sample, result in results if isinstance(result, str)}
        report_skipped(skipped, len(found.samples), arguments.max_skipped_share)

        samples = [found.samples[row] for row in usable]
        order = [result for _, result in results if isinstance(result, bytes)]
        shares = {"validation": arguments.validation_share, "test": arguments.test_share}
        classes = sorted({sample.label for sample in found.samples})
        splits = split_samples(samples, classes, order, shares)
        mean, std = mean_and_std(everything, [usable[row] for row in splits["train"]])
        for split in SPLITS:
            rows = splits[split]
            facts = {
                "data_set": contents.data_set,
                "fingerprint": contents.fingerprint,
                "split": split,
                "classes": classes,
                "image_size": arguments.image_size,
                "seed": arguments.seed,
                "mean": mean,
                "std": std,
                "skipped": skipped,
            }
            labels = [classes.index(samples[row].label) for row in rows]
            write_split(getattr(arguments, split), everything, [usable[row] for row in rows], labels, facts)
            print(f"{split}: {len(rows)} images of {len(classes)} classes, {least_and_most(labels)} images a class")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with the objects of the data set, or with its one archive")
    add("--contents", type=Path, required=True, help="contents.json: the keys, sizes and checksums of the objects")
    for split in SPLITS:
        add(f"--{split}", type=Path, required=True, help=f"folder to write the {split} arrays to")
    add("--image-size", type=int, default=32, help="width and height to resize to, 8 to 1024 pixels (%(default)s)")
    add("--validation-share", type=float, default=0.15, help="share of the training images to validate on, unless the "
        "data set has a validation folder (%(default)s)")  # fmt: skip
    add("--test-share", type=float, default=0.15, help="share of the training images to test on, unless the data set "
        "has a test folder (%(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, help="another seed, another split (%(default)s)")
    add("--max-skipped-share", type=float, default=0.05, help="fail when more than this share of the images cannot "
        "be read (%(default)s)")  # fmt: skip
    add("--threads", type=int, default=os.cpu_count(), help="threads that decode (one a processor)")
    arguments = parser.parse_args(argv)
    if not 8 <= arguments.image_size <= 1024:
        parser.error("--image-size must be from 8 to 1024")
    shares = (arguments.validation_share, arguments.test_share)
    if min(shares) <= 0 or sum(shares) >= 1:
        parser.error("--validation-share and --test-share must be above 0 and leave something to train on")
    return arguments


def unpack_data(data: Path, target: Path) -> Path:
    """The folder with the images: `data` itself, or where its one archive was unpacked to."""
    entries = list(visible(data))
    archives = [path for path in entries if path.is_file() and is_archive(path)]
    if not archives:
        return data
    if len(entries) > 1:
        raise DataSetError(
            f"the data set holds {archives[0].name} beside {len(entries) - 1} other files or folders",
            hint=f"upload loose images, or one archive ({', '.join(ARCHIVE_SUFFIXES)}), as a data set",
        )
    unpack(archives[0], target)
    return target


def decode(sample: Sample, target: NDArray[np.uint8], seed: int) -> bytes | str:
    """Fill `target`; return the key that orders the image in its class, or why it cannot be read."""
    content = sample.path.read_bytes()
    try:
        target[:] = fit_image(open_image(content), len(target))
    except UnreadableImage as error:
        return str(error)
    # The name comes last: copies of one image stay together and thus, nearly always, in one split.
    return hashlib.sha256(f"{seed}:".encode() + content).digest() + sample.name.encode("utf-8", "surrogateescape")


def report_skipped(skipped: dict[str, str], count: int, limit: float) -> None:
    for name, reason in skipped.items():
        print(f"skipped {name}: {reason}")
    if len(skipped) > limit * count:
        raise DataSetError(
            f"{len(skipped)} of {count} images cannot be read: "
            + some_of([f"{name} ({reason})" for name, reason in skipped.items()]),
            hint=f"replace or remove them; up to a share of {limit:g} would be skipped (--max-skipped-share)",
        )


def least_and_most(labels: Sequence[int]) -> str:
    counts = Counter(labels).values()
    return f"{min(counts)} to {max(counts)}"


if __name__ == "__main__":
    sys.exit(main())
