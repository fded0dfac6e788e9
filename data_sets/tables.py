"""A table of the images, as the imagefolder of Hugging Face datasets has it: labels.csv, metadata.csv, metadata.jsonl.

file_name,label,split,group
cats/1.jpg,cat,train,litter-1

`file_name` is relative to the table. `split` and `group` may be missing; `label` may be missing where the images lie in
class folders. A table may lie at the top or in each split's folder, and may be named after a split: train.csv.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_sets.errors import DataSetError
from data_sets.names import escaped, normalised
from data_sets.sample import Found, Layout, LeftOut, Sample
from data_sets.split_names import split_of
from data_sets.wording import some_of

NAMES = ("labels", "metadata", "annotations")
SUFFIXES = (".csv", ".tsv", ".jsonl")
FILE_COLUMNS = ("file_name", "filename", "image_path", "img_path", "filepath", "file_path", "image", "file", "path",
                "image_name", "img")  # fmt: skip
LABEL_COLUMNS = ("label", "class", "class_name", "label_name", "category", "target", "species")
SPLIT_COLUMNS = ("split", "subset", "set", "partition")
GROUP_COLUMNS = ("group", "group_id")


@dataclass(frozen=True, slots=True)
class Row:
    path: str
    label: str | None  # None where the table has no such column, empty where the row says nothing
    split: str | None
    group: str | None
    place: str  # for messages


def table_paths(paths: Collection[str], images: Collection[str]) -> list[str]:
    """Files that may be tables of the images, by their names: at the top, or where images lie below."""
    folders = {""}
    for path in images:
        parts = path.split("/")[:-1][:3]
        folders |= {"/".join(parts[:depth]) + "/" for depth in range(1, len(parts) + 1)}
    found = []
    for path in sorted(paths):
        folder, name = path[: path.rfind("/") + 1], path[path.rfind("/") + 1 :]
        stem, dot, suffix = name.lower().rpartition(".")
        if dot + suffix in SUFFIXES and (stem in NAMES or split_of(stem)) and folder in folders:
            found.append(path)
    return found


def read_rows(path: str, images: Mapping[str, str], read: Callable[[str], bytes]) -> list[Row] | None:
    """The rows of a table; None for a file that has no column of file names. Raises DataSetError.

    `images` are the images' paths by their normalised form.
    """
    records = list(_records(path, read))
    if not records:
        return None
    columns = list(dict.fromkeys(column for record in records[:1000] for column in record))
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    file_column = next((by_name[name] for name in FILE_COLUMNS if name in by_name), None)
    if file_column is None:
        return None
    label, split, group = (
        next((by_name[name] for name in names if name in by_name), None)
        for names in (LABEL_COLUMNS, SPLIT_COLUMNS, GROUP_COLUMNS)
    )
    folder = path[: path.rfind("/") + 1]
    named = [_text(record.get(file_column), path, number) for number, record in enumerate(records, start=2)]
    base = _base(folder, named, images)
    if base is None:
        if file_column.strip().lower() != "file_name":
            return None  # a column such as `image` that holds something else
        base = folder
    implied = _implied_split(path)
    rows: list[Row] = []
    absent: list[str] = []
    for number, (record, name) in enumerate(zip(records, named, strict=True), start=2):
        found = images.get(normalised(base + _relative(name, path, number)))
        if found is None:
            absent.append(name)
            continue
        value = _text(record.get(split), path, number) if split else ""
        rows.append(
            Row(
                found,
                normalised(_text(record.get(label), path, number)) if label else None,
                _split(value, path, number) or implied,
                (_text(record.get(group), path, number) if group else "") or None,
                f"row {number} of {path}",
            )
        )
    if absent:
        raise DataSetError(
            f"{len(absent):,} of {len(records):,} images that {escaped(path)} names are not there: {some_of(absent)}",
            hint=f"{file_column} is the path of an image from the folder of {path.rpartition('/')[2]}; correct it, or "
            "upload the missing images",
        )
    return rows


def read_table(paths: Sequence[str], rows: Sequence[Row], images: Collection[str]) -> Found:
    """The samples of tables that have labels. Raises DataSetError for rows that contradict each other."""
    found = Found(Layout.TABLE, documents=list(paths))
    seen: dict[str, Row] = {}
    for row in rows:
        before = seen.setdefault(row.path, row)
        if before is row:
            continue
        if (before.label, before.split, before.group) != (row.label, row.split, row.group):
            raise DataSetError(
                f"{row.place} and {before.place} say different things of {escaped(row.path)}: "
                f"{escaped(before.label or '')} and {escaped(row.label or '')}",
                hint="keep one row for each image",
            )
    for path, row in seen.items():
        if row.label:
            found.raw_labels.add(row.label)
            found.samples.append(Sample(path, row.label, row.split, row.group))
        else:
            found.left_out.append(LeftOut(path, f"no label in {paths[0].rpartition('/')[2]}", counts=True))
    tables = " and ".join(path.rpartition("/")[2] for path in paths[:2])
    found.left_out += [LeftOut(path, f"not named in {tables}", counts=True) for path in images if path not in seen]
    splits = {sample.split for sample in found.samples}
    if None in splits and len(splits) > 1:
        lacking = [sample.path for sample in found.samples if sample.split is None]
        raise DataSetError(
            f"{tables} names a split for some images only; {len(lacking):,} have none: {some_of(lacking)}",
            hint="name a split for each image, or for none",
        )
    return found


def _records(path: str, read: Callable[[str], bytes]) -> Iterator[Mapping[str, object]]:
    try:
        text = read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataSetError(
            f"{escaped(path)} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8, as `CSV UTF-8` in Excel"
        ) from error
    if path.lower().endswith(".jsonl"):
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataSetError(
                    f"line {number} of {escaped(path)} is not JSON: {error}", hint="write one JSON object a line"
                ) from error
            if not isinstance(record, dict):
                raise DataSetError(
                    f"line {number} of {escaped(path)} is not a JSON object",
                    hint='write {"file_name": "1.jpg", "label": "cat"}',
                )
            yield record
        return
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    yield from csv.DictReader(text.splitlines(), delimiter=delimiter, restval="")


def _text(value: object, path: str, number: int) -> str:
    if value is None:
        return ""
    if isinstance(value, (str, int, bool)):
        return str(value).strip()
    if isinstance(value, float):
        return f"{value:g}"
    raise DataSetError(
        f"row {number} of {escaped(path)} holds {value!r:.80}, which is not one value",
        hint="give each image one file name, one label, one split and one group; several labels are not supported",
    )


def _base(folder: str, named: Sequence[str], images: Mapping[str, str]) -> str | None:
    """The folder that the file names are relative to: the table's own, or the one that holds all the images."""
    sample = [name.replace("\\", "/").removeprefix("./") for name in named[:200]]

    def known(base: str) -> int:
        return sum(normalised(base + name) in images for name in sample)

    if known(folder):
        return folder
    for inside in sorted({path[: path.rfind("/") + 1] for path in images if path.startswith(folder)}):
        if known(inside) == len(sample):
            return inside
    return None


def _relative(name: str, path: str, number: int) -> str:
    plain = name.replace("\\", "/").removeprefix("./")
    if plain.startswith("/") or ".." in plain.split("/"):
        raise DataSetError(
            f"row {number} of {escaped(path)} names {escaped(name)}, which lies outside the data set",
            hint="name each image by its path from the table's folder",
        )
    return plain


def _implied_split(path: str) -> str | None:
    """The split that a table's own name or its folder stands for: train.csv, train/metadata.csv."""
    *folders, name = path.split("/")
    stem = name.rpartition(".")[0]
    if stem.lower() not in NAMES and (split := split_of(stem)):
        return split
    return next((split for folder in reversed(folders) if (split := split_of(folder))), None)


def _split(value: str, path: str, number: int) -> str | None:
    if not value:
        return None
    split = split_of(value)
    if split is None:
        raise DataSetError(
            f"row {number} of {escaped(path)} names the split {escaped(value)}",
            hint="use train, validation and test",
        )
    return split
