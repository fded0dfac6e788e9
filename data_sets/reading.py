"""`read(listing)`: which files of a data set are learned from, as what, and what is wrong with it.

The command line reads a folder or an archive before it sends anything, the trigger the objects' keys before it starts
anything, the job the files before it decodes anything. They get the same reading, as far as each can look: a file with
an image's suffix is presumed to be one until it is decoded, any other is judged by its first bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from data_sets import kinds, plausibility
from data_sets.errors import DataSetError
from data_sets.folders import read_folders
from data_sets.listing import LONGEST_TEXT, Entry, Listing
from data_sets.lists import listed_folder, read_lists
from data_sets.names import IMAGE_SUFFIXES, is_archive, normalised, suffix_of, without_junk
from data_sets.sample import Accept, Found, Layout, LeftOut, Problem, Sample
from data_sets.tables import read_rows, read_table, table_paths
from data_sets.wording import counted, refusal, some_of, some_with_reasons

SETTINGS = "dataset.toml"
ANNOTATION = "text about the image of that name, which is not read"
MAX_SKIPPED_SHARE = 0.05  # max_skipped_share of [<environment>.pipeline], unless it says otherwise


@dataclass(frozen=True, slots=True)
class Reading:
    """What a data set holds. `problems` are the reasons to refuse it; `refuse` raises them as one error."""

    name: str
    layout: Layout
    root: str
    samples: tuple[Sample, ...]
    left_out: tuple[LeftOut, ...]
    junk: tuple[str, ...]
    documents: tuple[str, ...]  # lists, tables and dataset.toml
    accept: frozenset[str]
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]

    @property
    def classes(self) -> list[str]:
        return sorted({sample.label for sample in self.samples})

    @property
    def splits(self) -> list[str]:
        return [split for split in ("train", "validation", "test") if any(s.split == split for s in self.samples)]

    @property
    def counted_out(self) -> tuple[LeftOut, ...]:
        """What is left out and counts against max_skipped_share."""
        return tuple(left for left in self.left_out if left.counts)

    def refuse(self) -> None:
        """Raises DataSetError with all problems, if there are any."""
        if self.problems:
            raise refusal(self.problems)


def read(
    listing: Listing,
    *,
    max_skipped_share: float | None = MAX_SKIPPED_SHARE,
    taken: Collection[str] = kinds.TAKEN,
    exact: bool = False,
) -> Reading:
    """Read a data set. Without `max_skipped_share`, what is left out is not compared with a limit.

    With `exact`, files with an image's suffix are also judged by their first bytes.
    """
    entries = {entry.path: entry for entry in listing.entries}
    paths, junk = without_junk(entries)
    images, others = _images(listing, paths, taken, exact)
    accept, problems = _settings(listing, others)
    found = _layout(listing, images, others, accept)
    problems += found.problems
    samples = tuple(sorted(found.samples, key=lambda sample: sample.path))
    documents = sorted({*found.documents, *(path for path in others if path == SETTINGS)})
    left_out = sorted([*found.left_out, *_left_out(found, others, set(documents), samples)], key=lambda left: left.path)
    problems += plausibility.name_problems(found.raw_labels, accept)
    if samples:
        problems += _empty_classes(found, samples, left_out)
        problems += plausibility.class_problems(samples)
        problems += plausibility.group_problems(samples)
    elif not problems:
        problems.append(_no_images(others, left_out))
    copies = plausibility.equal_images(samples, _digests(listing, entries, samples))
    wrong, warnings = plausibility.copy_problems(copies, accept)
    problems += wrong
    reading = Reading(
        name=listing.name,
        layout=found.layout,
        root=found.root,
        samples=samples,
        left_out=tuple(left_out),
        junk=tuple(sorted(junk)),
        documents=tuple(documents),
        accept=accept,
        problems=tuple(problems),
        warnings=(*found.warnings, *warnings, *plausibility.balance_warnings(samples)),
    )
    if max_skipped_share is None or not samples:
        return reading
    return replace(reading, problems=(*problems, *_too_many(reading, max_skipped_share)))


def _images(
    listing: Listing, paths: Sequence[str], taken: Collection[str], exact: bool
) -> tuple[list[str], dict[str, str]]:
    """The images, and every other file with its kind."""
    asked = [path for path in paths if exact or suffix_of(path) not in IMAGE_SUFFIXES]
    heads = listing.heads(asked)
    images: list[str] = []
    others: dict[str, str] = {}
    for path in sorted(paths):
        kind = kinds.kind_of(heads[path]) if path in heads else kinds.expected_kind(path)
        if kind in taken or (kind == kinds.UNKNOWN and path not in heads):
            images.append(path)
        else:
            others[path] = kind
    return images, others


def _settings(listing: Listing, others: Mapping[str, str]) -> tuple[frozenset[str], list[Problem]]:
    """`accept` of dataset.toml at the top of the data set."""
    if SETTINGS not in others:
        return frozenset(), []
    known = ", ".join(Accept)
    try:
        document = tomllib.loads(listing.read(SETTINGS).decode("utf-8"))
    except (OSError, ValueError) as error:
        return frozenset(), [Problem(f"{SETTINGS} is not valid TOML: {error}", hint='write accept = ["…"]')]
    accept = document.pop("accept", [])
    if document or not isinstance(accept, list) or not set(map(str, accept)) <= set(Accept):
        wrong = some_of(sorted(document) or sorted(set(map(str, accept)) - set(Accept)))
        return frozenset(), [
            Problem(f"{SETTINGS} holds {wrong}, which is not known", hint=f"accept is a list of: {known}")
        ]
    return frozenset(map(str, accept)), []


def _layout(listing: Listing, images: Sequence[str], others: Mapping[str, str], accept: frozenset[str]) -> Found:
    try:
        folder = listed_folder(others.keys())
        if folder is not None:
            return read_lists(folder, images, lambda path: _text_of(listing, path))
        return _by_table(listing, images, others, accept) or read_folders(images, accept)
    except DataSetError as error:
        return Found(Layout.CLASSES, problems=[Problem(error.message, error.hint)])


def _by_table(
    listing: Listing, images: Sequence[str], others: Mapping[str, str], accept: frozenset[str]
) -> Found | None:
    known = {normalised(path): path for path in images}
    rows = []
    tables = []
    for path in table_paths([path for path, kind in others.items() if kind == kinds.TEXT], images):
        read_here = read_rows(path, known, lambda path: _text_of(listing, path))
        if read_here:
            tables.append(path)
            rows += read_here
    if not rows:
        return None
    if any(row.label is not None for row in rows):
        return read_table(tables, rows, images)
    # A table without labels: the folders give them, and the table gives splits and groups.
    found = read_folders(images, accept)
    found.documents += tables
    said = {row.path: row for row in rows}
    found.samples = [
        replace(sample, split=row.split or sample.split, group=row.group) if (row := said.get(sample.path)) else sample
        for sample in found.samples
    ]
    return found


def _text_of(listing: Listing, path: str) -> bytes:
    size = next((entry.size for entry in listing.entries if entry.path == path), None)
    if size is None:
        raise LookupError(f"{path} is not there")
    if size > LONGEST_TEXT:
        raise DataSetError(
            f"{path} has {size:,} bytes, and a list or a table may have {LONGEST_TEXT:,}",
            hint="leave out columns that say nothing of file name, label, split and group",
        )
    return listing.read(path)


def _left_out(
    found: Found, others: Mapping[str, str], documents: Collection[str], samples: Sequence[Sample]
) -> list[LeftOut]:
    """Files that are not images. They count if they were meant as images, or lie in a folder of a class.

    Text that is named like an image beside it does not count: labelling tools write it, and no image is missing.
    """
    folders = {sample.path.rpartition("/")[0] for sample in samples} if found.layout in _BY_FOLDER else set()
    described = {sample.path.rpartition(".")[0] for sample in samples} | {sample.path for sample in samples}
    left = []
    for path, kind in others.items():
        if path in documents:
            continue
        meant = kinds.is_meant_as_image(path, kind)
        within = path.rpartition("/")[0] in folders
        if kind == kinds.TEXT and path.rpartition(".")[0] in described:
            left.append(LeftOut(path, ANNOTATION, counts=False))
        else:
            left.append(LeftOut(path, _reason(kind), counts=meant or within))
    return left


_BY_FOLDER = (Layout.CLASSES, Layout.SPLITS)


def _reason(kind: str) -> str:
    match kind:
        case kinds.EMPTY:
            return "empty file"
        case kinds.TEXT | kinds.ARCHIVE:
            return f"not an image but {'text' if kind == kinds.TEXT else 'an archive'}"
        case kinds.UNKNOWN:
            return "not an image of a known format"
    if kind in kinds.OPTIONAL:
        return f"{kind}, which needs the line {kinds.OPTIONAL[kind]} in training/requirements.in"
    return f"{kind}, which is not decoded" if kind in kinds.MEANT_AS_IMAGES else f"not an image but {kind}"


def _empty_classes(found: Found, samples: Sequence[Sample], left_out: Iterable[LeftOut]) -> list[Problem]:
    """Folders beside those of the classes in which nothing is an image, though some of it was meant to be."""
    if found.layout not in _BY_FOLDER:
        return []
    depth = 1 if found.layout == Layout.CLASSES else 2
    known = {"/".join(sample.path[len(found.root) :].split("/")[:depth]) for sample in samples}
    empty = set()
    for left in left_out:
        parts = left.path[len(found.root) :].split("/")
        if left.counts and left.path.startswith(found.root) and len(parts) > depth:
            folder = "/".join(parts[:depth])
            if folder not in known:
                empty.add(folder)
    if not empty:
        return []
    return [
        Problem(
            f"{len(empty)} folders hold no images: {some_of(sorted(empty))}",
            hint=f"{_TAKEN}; convert the others, or remove the folder",
        )
    ]


def _no_images(others: Mapping[str, str], left_out: Sequence[LeftOut]) -> Problem:
    archives = [path for path, kind in others.items() if kind == kinds.ARCHIVE or is_archive(path)]
    if archives:
        return Problem(
            f"the data set holds no images but {counted(len(archives), 'archive')}: {some_of(archives)}",
            hint="archives in a data set are not unpacked: unpack them, and upload the folder or one archive of it",
        )
    reasons = sorted({left.reason for left in left_out if left.counts})
    what = f" ({counted(len(others), 'other file')}{': ' + some_of(reasons) if reasons else ''})"
    return Problem(
        f"the data set holds no images{what}",
        hint=f"{_TAKEN} and lie in a folder for each class, or in one archive of those",
    )


_TAKEN = f"images are {', '.join(sorted(kinds.TAKEN))} files"


def _digests(listing: Listing, entries: Mapping[str, Entry], samples: Sequence[Sample]) -> dict[str, str]:
    """What equal images have in common, asked for only where two have the same size."""
    sizes: dict[int, int] = {}
    for sample in samples:
        size = entries[sample.path].size
        sizes[size] = sizes.get(size, 0) + 1
    found = {}
    for sample in samples:
        size = entries[sample.path].size
        if size and sizes[size] > 1:
            digest = listing.digest(sample.path)
            if digest:
                found[sample.path] = f"{size} {digest}"
    return found


def _too_many(reading: Reading, limit: float) -> list[Problem]:
    counted_out = reading.counted_out
    total = len(reading.samples) + len(counted_out)
    if len(counted_out) <= limit * total:
        return []
    return [
        Problem(
            f"{len(counted_out):,} of {total:,} images cannot be read: "
            + some_with_reasons({left.path: left.reason for left in counted_out}),
            hint=f"replace or remove them; up to a share of {limit:g} would be skipped (max_skipped_share)",
        )
    ]
