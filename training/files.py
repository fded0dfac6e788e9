"""The files of a data set in a job: unpacked, read by `data_sets`, and refused with every reason at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from archive import unpack
from data_sets import kinds, plausibility
from data_sets.archives import sole_archive
from data_sets.errors import ArchiveError
from data_sets.listing import FolderListing, paths_below
from data_sets.names import without_junk
from data_sets.reading import Reading, read
from data_sets.sample import Problem
from data_sets.wording import refusal, some_of
from errors import DataSetError


def unpack_data(data: Path, target: Path) -> Path:
    """The folder with the images: `data` itself, or where its one archive was unpacked to."""
    paths, _ = without_junk(paths_below(data))
    try:
        archive = sole_archive(paths)
    except ArchiveError as refused:
        raise DataSetError(refused.message, hint=refused.hint) from refused
    if archive is None:
        return data
    unpack(data / archive, target)
    return target


def read_files(folder: Path, name: str) -> Reading:
    """The reading of the files in `folder`. What is wrong with it is reported by `refuse`, all at once."""
    path = Path(__file__).with_name("requirements.txt")
    requirements = path.read_text("utf-8") if path.is_file() else ""
    return read(FolderListing.of(folder, name=name), max_skipped_share=None, taken=kinds.taken(requirements))


def refuse(reading: Reading, looks: Sequence[bytes | str] = (), more: Sequence[Problem] = ()) -> list[str]:
    """Raise DataSetError with all that is wrong: with the reading, with images that have the same bytes, and `more`.

    Returns warnings about such images. A look at a sample begins with a hash of 32 bytes, or is a text.
    """
    pairs = zip(reading.samples, looks, strict=False)
    same = {sample.path: result[:32].hex() for sample, result in pairs if isinstance(result, bytes)}
    copies = plausibility.equal_images(reading.samples, same)
    problems, warnings = plausibility.copy_problems(copies, reading.accept)
    if problems or reading.problems or more:
        refused = refusal([*reading.problems, *problems, *more])
        raise DataSetError(refused.message, hint=refused.hint)
    return [f"warning: {warning}" for warning in warnings]


def describe(reading: Reading) -> list[str]:
    """For the log: the layout, what is left out and why, and what is odd."""
    lines = [f"layout: {reading.layout}, {len(reading.samples)} images of {len(reading.classes)} classes"]
    if reading.junk:
        lines.append(f"junk, not read: {len(reading.junk)} files: {some_of(reading.junk)}")
    for reason, paths in left_out_by_reason(reading).items():
        lines.append(f"left out, {reason}: {len(paths)} files: {some_of(paths)}")
    return [*lines, *(f"warning: {warning}" for warning in reading.warnings)]


def left_out_by_reason(reading: Reading) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for left in reading.left_out:
        found.setdefault(left.reason, []).append(left.path)
    return found
