"""Command line, trigger and job read the same: generated data sets, loose and archived; 500 with `--thorough`."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from data_set_samples import HEIC, image, write
from fake_aws import Cloud
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import some
from worlds import CLIENTS

from data_sets.archive_listing import ArchiveListing
from data_sets.listing import Entry
from data_sets.reading import Reading, read
from errors import DataSetError
from files import read_files, refuse, unpack_data
from headrace.client.data_set import read_data_set
from preprocess import look
from start_pipeline.uploads.listing import list_objects, prefix_of
from start_pipeline.uploads.plausibility import ObjectListing

Files = dict[str, bytes]
CLASSES = ("cat", "dog", ".net", "c", "möwe", "日本", "a b", "x.y", "emu_2", "train_station", "trains", "_z")
SPLITS = (("train", "test"), ("training_set", "test_set"), ("Train", "Valid", "Test"), ("train2017", "val2017"),
          ("birds_train", "birds_test"), ("train", "dev", "holdout"))  # fmt: skip
SUFFIXES = (".jpg", ".JPEG", ".png", ".jfif", ".JPG_large", "", ".webp")
JUNK: Files = {".DS_Store": b"x", "Thumbs.db": b"x", "__MACOSX/._a": b"x", ".git/HEAD": b"ref"}
BESIDE: Files = {"README.md": b"text", "LICENSE": b"text", "notes.txt": b"text", "about.pdf": b"%PDF-1.7"}


@st.composite
def class_folders(draw: st.DrawFn) -> Files:
    """Three or more images a class; sometimes a file that is not an image, and a deeper folder."""
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=1, max_size=4, unique=True))
    files: Files = {}
    for label in classes:
        suffix = draw(st.sampled_from(SUFFIXES))
        deep = draw(st.sampled_from(["", "", "deep/"]))
        for number in range(draw(st.integers(3, 5))):
            name = f"{label}/{deep}{number}{suffix}"
            files[name] = image((name, len(files)), "WEBP" if suffix == ".webp" else "PNG")
    if draw(st.booleans()):
        files[f"{classes[0]}/phone.heic"] = HEIC
    return files


@st.composite
def data_sets(draw: st.DrawFn) -> Files:
    match draw(st.sampled_from(["classes", "splits", "lists", "table", "flat"])):
        case "classes":
            files = draw(class_folders())
        case "splits":
            inside = draw(class_folders())
            files = {}
            for split in draw(st.sampled_from(SPLITS)):
                again = split if draw(st.integers(0, 5)) == 0 else ""
                files |= {f"{split}/{again}/{name}".replace("//", "/"): content + split.encode()
                          for name, content in inside.items()}  # fmt: skip
            if draw(st.integers(0, 4)) == 0:
                files |= {f"single_prediction/{number}.png": image(("aside", number)) for number in range(2)}
        case "lists":
            files = as_lists(draw(class_folders()))
        case "table":
            files = as_table(draw(class_folders()), draw(st.booleans()), draw(st.sampled_from(["csv", "jsonl"])))
        case _:
            files = {f"{number}.png": image(("flat", number)) for number in range(4)}
    if draw(st.integers(0, 5)) == 0:  # the same bytes in two places
        names = sorted(name for name in files if name.endswith((".png", ".jpg")))
        if len(names) > 1:
            files[names[-1]] = files[names[0]]
    for name in draw(st.lists(st.sampled_from(sorted(BESIDE)), max_size=2, unique=True)):
        files.setdefault(name, BESIDE[name])
    around = draw(st.sampled_from(["", "", "pets/", "pets/v2/"]))
    files = {f"{around}{name}": content for name, content in files.items()}
    if around and draw(st.booleans()):
        files["README.dataset.txt"] = b"text"
    for name in draw(st.lists(st.sampled_from(sorted(JUNK)), max_size=3, unique=True)):
        files[name] = JUNK[name]
    return files


def as_lists(files: Files) -> Files:
    """The same images with the lists of CUB-200-2011."""
    names = [name for name in files if name != "images.txt" and not name.endswith(".heic")]
    labels = sorted({name.split("/")[0] for name in names})
    rows = list(enumerate(names, start=1))
    return {
        **{f"images/{name}": files[name] for name in names},
        "images.txt": "".join(f"{number} {name}\n" for number, name in rows).encode(),
        "classes.txt": "".join(f"{number} {label}\n" for number, label in enumerate(labels, start=1)).encode(),
        "image_class_labels.txt": "".join(
            f"{number} {1 + labels.index(name.split('/')[0])}\n" for number, name in rows
        ).encode(),
        "train_test_split.txt": "".join(f"{number} {number % 3 and 1}\n" for number, _ in rows).encode(),
    }


def as_table(files: Files, grouped: bool, form: str) -> Files:
    names = [name for name in files if not name.endswith(".heic")]
    moved = {name: f"all/{number}.png" for number, name in enumerate(names)}
    rows = [(moved[name], name.split("/")[0], f"g{number // 2}") for number, name in enumerate(names)]
    if form == "csv":
        text = "file_name,label" + (",group" if grouped else "") + "\n"
        text += "".join(",".join(row[: 3 if grouped else 2]) + "\n" for row in rows)
        table = {"labels.csv": text.encode()}
    else:
        lines = (f'{{"file_name": "{row[0]}", "label": "{row[1]}"}}\n' for row in rows)
        table = {"metadata.jsonl": "".join(lines).encode()}
    return {**{moved[name]: files[name] for name in names}, **table}


def said(reading: Reading) -> dict[str, Any]:
    """What the three have to agree on."""
    return {
        "samples": reading.samples,
        "classes": reading.classes,
        "splits": reading.splits,
        "layout": reading.layout,
        "left out": reading.left_out,
    }


def by_trigger(files: Mapping[str, bytes]) -> tuple[list[str], Reading]:
    cloud = Cloud()
    for name, content in files.items():
        cloud.put("bucket", f"datasets/pets/{name}", content)
    CLIENTS.cloud = cloud
    s3 = CLIENTS("s3")
    objects = list_objects(s3, "bucket", "pets")
    entries = tuple(Entry(listed.key, listed.size) for listed in objects)
    listing = ObjectListing("pets", entries, s3, "bucket", prefix_of("pets"), lambda: 900.0)
    return [listed.key for listed in objects], read(listing)


def by_job(folder: Path) -> tuple[Reading, str]:
    """The reading, and why the data set is refused."""
    reading = read_files(folder, "pets")
    try:
        refuse(reading, [look(folder, sample, 0) for sample in reading.samples])
    except DataSetError as error:
        return reading, str(error)
    return reading, ""


SETTINGS = settings(
    max_examples=some(60, thorough=500),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)


@pytest.mark.timeout(900)
@SETTINGS
@given(files=data_sets(), form=st.sampled_from(["zip", "tar.gz", "tar.bz2"]))
def test_command_line_trigger_and_job_agree(files: Files, form: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = write(Path(scratch) / "pets", files)
        here = read_data_set(folder, "pets")
        assert here.reading is not None
        keys, there = by_trigger(files)
        assert [file.key.removeprefix("datasets/pets/") for file in here.files] == keys
        assert said(there) == said(here.reading)

        downloaded = write(Path(scratch) / "job/pets", {key: files[key] for key in keys})
        job, reason = by_job(downloaded)
        assert said(job) == said(here.reading)
        # The limit on what is left out is the job's own, and judged after decoding.
        problems = [problem for problem in here.reading.problems if "cannot be read" not in problem.message]
        assert bool(reason) == bool(problems), (reason, problems)
        if len(problems) == 1 == len(here.reading.problems):
            assert reason.startswith(problems[0].message)

        archive = packed(Path(scratch) / f"packed/pets.{form}", files)
        listed = read(ArchiveListing.of(archive), exact=True)
        unpacked, _ = by_job(unpack_data(archive.parent, Path(scratch) / "unpacked"))
        assert said(unpacked) == said(listed) == said(here.reading)


def packed(path: Path, files: Files) -> Path:
    path.parent.mkdir()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    source = write(path.parent.parent / "source", files)
    with tarfile.open(path, f"w:{path.suffix[1:]}") as tar:
        tar.add(source, arcname=".")
    shutil.rmtree(source)
    return path
