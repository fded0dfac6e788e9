"""python preprocess.py --data DIR --contents contents.json --train DIR --validation DIR --test DIR [--test-files DIR]

Turn the objects of a data set into arrays: verify, unpack, split, then decode, resize and write, each image once.

The same objects, options and seed give the same bytes. An image's place in the split follows from its own bytes and
the seed, so that adding images to a data set moves few of those that were there: a champion was then not trained on
what it is tested on. Threads decode, because the decoders let go of Python's lock; memory holds two files' images.
The test images are also passed on as the files they are: each model is judged with its own code, at its own size.

The reader of data sets, `data_sets`, lies in the code archive beside this file. From a checkout, run it with the
project's Python, which has it installed: .venv/bin/python training/preprocess.py …
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import duplicates
from contents import read_contents, verify
from data_sets.names import escaped
from data_sets.sample import Problem, Sample
from data_sets.wording import some_with_reasons
from dataset import Contrast, SplitWriter, write_labels
from errors import DataSetError
from files import describe, left_out_by_reason, read_files, refuse, unpack_data
from images import UnreadableImage, fit_image, open_image
from originals import OriginalsWriter
from splits import SPLITS, refuse_absent, split_problems, split_samples, with_groups
from whole import whole

Item = TypeVar("Item")
Result = TypeVar("Result")

TOGETHER = 8  # images a task: a thread takes work 100 times a second, and all end at nearly the same time
PROGRESS_SECONDS = 10.0
SMALLEST_SIDE, LARGEST_SIDE = 8, 1024  # pixels


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)

    contents = read_contents(arguments.contents)
    by_size = verify(contents, arguments.data, arguments.threads)
    print(f"verified {len(contents.objects)} objects of {contents.data_set}, {by_size} of them by their size alone")

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(arguments.threads) as pool:
        folder = unpack_data(arguments.data, Path(scratch) / "unpacked")
        reading = read_files(folder, contents.data_set)
        samples = reading.samples
        looks = in_threads(pool, lambda sample: look(folder, sample, arguments.seed), samples)
        skipped = {left.path: left.reason for left in reading.counted_out}
        skipped |= {
            sample.path: result for sample, result in zip(samples, looks, strict=True) if isinstance(result, str)
        }
        classes = reading.classes
        known = with_groups(samples, arguments.group_pattern, reading.root)
        readable = [sample for sample, result in zip(known, looks, strict=True) if isinstance(result, bytes)]
        order = [result for result in looks if isinstance(result, bytes)]
        shares = {"validation": arguments.validation_share, "test": arguments.test_share}
        total = len(samples) + len(reading.counted_out)
        # All that cannot be taken is named at once, before an image is decoded.
        problems = option_problems(arguments)
        if not reading.problems:  # else the classes need not be those that are meant
            problems += skipped_problems(skipped, total, arguments.max_skipped_share)
            problems += split_problems(readable, classes, shares)
        warnings = refuse(reading, looks, problems)
        for warning in [*describe(reading), *warnings]:
            print(warning, flush=True)

        rows = split_samples(readable, classes, order, shares)

        facts = {
            "data_set": contents.data_set,
            "fingerprint": contents.fingerprint,
            "classes": classes,
            "image_size": arguments.image_size,
            "seed": arguments.seed,
            "layout": reading.layout,
            "left_out": left_out_by_reason(reading),
        }
        contrast = Contrast(len(rows["train"]), arguments.image_size)
        progress = Progress(len(readable))
        files, labels = {}, {}
        reduced = {}
        originals = OriginalsWriter(arguments.test_files) if arguments.test_files else None
        for split in SPLITS:
            chosen = [readable[row] for row in rows[split]]
            writer = SplitWriter(getattr(arguments, split), arguments.image_size)
            present = []
            small = []
            for start in range(0, len(chosen), writer.together):
                part = chosen[start : start + writer.together]
                images = writer.buffer()[: len(part)]
                reasons = in_threads(pool, lambda pair: decode(folder, *pair), list(zip(part, images, strict=True)))
                skipped.update((sample.path, why) for sample, why in zip(part, reasons, strict=True) if why)
                usable = np.array([not why for why in reasons])
                images = images if usable.all() else images[usable]
                present += [classes.index(sample.label) for sample, why in zip(part, reasons, strict=True) if not why]
                small.append(duplicates.reduced(images))
                if split == "train":
                    contrast.add(images)
                if split == "test" and originals:
                    for sample, why in zip(part, reasons, strict=True):
                        if not why:
                            originals.add(folder / sample.path, sample.path, sample.label)
                writer.write(images)
                progress.done(len(part))
            files[split] = writer.finish()
            labels[split] = np.array(present, dtype=np.int64)
            names = [sample.path for sample in chosen if sample.path not in skipped]
            reduced[split] = (names, np.concatenate(small) if small else duplicates.reduced(writer.buffer()[:0]))
        refuse_many_skipped(skipped, total, arguments.max_skipped_share)
        for split in SPLITS:
            refuse_absent(split, classes, {classes[label] for label in labels[split]})

        if originals:
            originals.finish(facts)
        alike = duplicates.near_duplicates(reduced["test"][1], reduced["train"][1])
        if alike:
            print(f"warning: {duplicates.sentence(alike, reduced['test'][0], reduced['train'][0])}")
        facts["near_duplicates"] = [[reduced["test"][0][p.first], reduced["train"][0][p.second]] for p in alike]
        mean, std = contrast.mean_and_std()
        facts |= {"mean": mean, "std": std, "skipped": dict(sorted(skipped.items()))}
        for split in SPLITS:
            write_labels(getattr(arguments, split), files[split], labels[split], {**facts, "split": split})
            count, each = len(labels[split]), least_and_most(labels[split].tolist())
            print(f"{split}: {count} images of {len(classes)} classes, {each} images a class")
    for name, reason in sorted(skipped.items()):
        print(f"skipped {escaped(name)}: {reason}")
    return 0


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder with the objects of the data set, or with its one archive")
    add("--contents", type=Path, required=True, help="contents.json: the keys, sizes and checksums of the objects")
    for split in SPLITS:
        add(f"--{split}", type=Path, required=True, help=f"folder to write the {split} arrays to")
    add("--test-files", type=Path, help="folder to copy the test images to, as files, which evaluate.py reads")
    add("--image-size", type=whole, default=32, help="width and height to resize to, 8 to 1024 pixels (%(default)s)")
    add("--validation-share", type=float, default=0.15, help="share of the training images to validate on, unless the "
        "data set has a validation folder (%(default)s)")  # fmt: skip
    add("--test-share", type=float, default=0.15, help="share of the training images to test on, unless the data set "
        "has a test folder (%(default)s)")  # fmt: skip
    add("--seed", type=whole, default=0, help="another seed, another split (%(default)s)")
    add("--max-skipped-share", type=float, default=0.05, help="fail when more than this share of the images cannot "
        "be read (%(default)s)")  # fmt: skip
    add("--group-pattern", default="", help="regular expression for an image's path: images for which its first group "
        "matches the same text stay in one split")  # fmt: skip
    add("--threads", type=int, default=os.cpu_count(), help="threads that decode (one a processor)")
    return parser.parse_args(argv)


def option_problems(arguments: argparse.Namespace) -> list[Problem]:
    """By the names of the settings, or of a run's parameters."""
    problems = []
    if not SMALLEST_SIDE <= arguments.image_size <= LARGEST_SIDE:
        problems.append(
            Problem(
                f"the image size is {arguments.image_size} pixels",
                f"use {SMALLEST_SIDE} to {LARGEST_SIDE} (image_size under [<environment>.pipeline], or the run's "
                "parameter ImageSize)",
            )
        )
    shares = (arguments.validation_share, arguments.test_share)
    if min(shares) <= 0 or sum(shares) >= 1:
        problems.append(
            Problem(
                f"validation_share is {shares[0]:g} and test_share is {shares[1]:g}",
                "use shares above 0 that leave something to train on, e.g. 0.15 each",
            )
        )
    return problems


def in_threads(pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """`function` of every item, in their order."""
    parts = [items[start : start + TOGETHER] for start in range(0, len(items), TOGETHER)]
    return [result for results in pool.map(lambda part: [function(item) for item in part], parts) for result in results]


def look(folder: Path, sample: Sample, seed: int) -> bytes | str:
    """The key that orders an image in its class, from its bytes; or why it cannot be an image."""
    content = (folder / sample.path).read_bytes()
    try:
        open_image(content)
    except UnreadableImage as error:
        return str(error)
    # The name comes last: copies of one image stay together and thus, nearly always, in one split.
    return hashlib.sha256(f"{seed}:".encode() + content).digest() + sample.path.encode("utf-8", "surrogateescape")


def decode(folder: Path, sample: Sample, target: NDArray[np.uint8]) -> str:
    """Fill `target`; return why that cannot be done, or nothing."""
    try:
        target[:] = fit_image(open_image((folder / sample.path).read_bytes()), len(target))
    except UnreadableImage as error:
        return str(error)
    return ""


def skipped_problems(skipped: dict[str, str], count: int, limit: float) -> list[Problem]:
    if len(skipped) <= limit * count:
        return []
    what = f"{len(skipped)} of {count} images cannot be read: "
    what += some_with_reasons(skipped)
    return [Problem(what, f"replace or remove them; up to a share of {limit:g} would be skipped (max_skipped_share)")]


def refuse_many_skipped(skipped: dict[str, str], count: int, limit: float) -> None:
    for problem in skipped_problems(skipped, count, limit):
        raise DataSetError(problem.message, hint=problem.hint)


class Progress:
    """A line every few seconds, for readers of the job's log."""

    def __init__(self, count: int) -> None:
        self.count, self.past = count, 0
        self.started = self.said = time.monotonic()

    def done(self, images: int) -> None:
        self.past += images
        now = time.monotonic()
        if now - self.said > PROGRESS_SECONDS:
            print(f"prepared {self.past} of {self.count} images, {self.past / (now - self.started):.0f} images/s",
                  flush=True)  # fmt: skip
            self.said = now


def least_and_most(labels: Sequence[int]) -> str:
    counts = Counter(labels).values()
    return f"{min(counts)} to {max(counts)}"


if __name__ == "__main__":
    sys.exit(main())
