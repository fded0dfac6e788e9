"""What people's own files and habits do: each kind that was reported has the right outcome in the job.

The names are those of the reports. The command line reads the same (test_agreement.py), so it is asked here as well.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from data_set_samples import HEIC, image, images, raw_zip, write, zipped
from image_samples import facts, prepare

from data_sets.kinds import OPTIONAL
from data_sets.reading import Reading
from dataset import read_split
from errors import ArchiveError, DataSetError
from headrace.client.data_set import read_data_set
from headrace.errors import UsageError

SPLITS = ("train", "validation", "test")
PETS = {"cat": 12, "dog": 12}


def read_here(folder: Path) -> Reading:
    reading = read_data_set(folder, "data").reading
    assert reading is not None
    return reading


def learned(tmp_path: Path, *options: str) -> dict[str, Counter[str]]:
    """The images of each class in each split, as the job prepares them; the command line has no objection."""
    assert read_here(tmp_path / "data").problems == ()
    out = prepare(tmp_path / "data", tmp_path / "out", "--image-size", "8", *options)
    splits = {split: read_split(out / split) for split in SPLITS}
    return {split: Counter(data.classes[label] for label in data.labels) for split, data in splits.items()}


def refused(tmp_path: Path) -> str:
    """Why the job refuses it; the command line does too."""
    with pytest.raises((DataSetError, ArchiveError)) as error:
        prepare(tmp_path / "data", tmp_path / "out", "--image-size", "8")
    try:
        problems = read_here(tmp_path / "data").problems
    except UsageError:
        return str(error.value)
    assert problems
    return str(error.value)


def nested(folder: str, counts: dict[str, int]) -> dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in images(counts).items()}


def test_d01_a_copy_of_the_set_inside_itself_is_refused_with_both_readings(tmp_path: Path) -> None:
    splits = {"train/NORMAL": 5, "train/SICK": 5, "val/NORMAL": 2, "val/SICK": 2, "test/NORMAL": 2, "test/SICK": 2}
    files = {**nested("scans", splits), **nested("scans/scans", splits), "scans/__MACOSX/._train": b"\0\5\x16\7"}
    zipped(tmp_path / "data/scans.zip", files)
    said = refused(tmp_path)
    assert "As splits: test 4, train 10, val 4" in said or "As splits: " in said
    assert "as class folders: the classes scans, test, train, val" in said
    assert 'accept = ["repeated-folders"]' in said


@pytest.mark.parametrize("tops", [("training_set", "test_set"), ("Train", "Test"), ("train_images", "holdout")])
def test_d02_split_folders_under_usual_names_that_repeat_themselves(tmp_path: Path, tops: tuple[str, str]) -> None:
    train, test = tops
    counts = {f"{train}/{train}/cats": 12, f"{train}/{train}/dogs": 12, f"{test}/{test}/cats": 5,
              f"{test}/{test}/dogs": 5}  # fmt: skip
    zipped(tmp_path / "data/pets.zip", {**images(counts), f"{train}/{train}/cats/_DS_Store": b"x"})
    found = learned(tmp_path)
    assert found["test"] == {"cats": 5, "dogs": 5}
    assert sum(found["train"].values()) + sum(found["validation"].values()) == 24


def test_d02b_split_folders_beside_one_more(tmp_path: Path) -> None:
    counts = {"train/cats": 12, "train/dogs": 12, "test/cats": 5, "test/dogs": 5, "single_prediction": 6}
    write(tmp_path / "data", images(counts))
    assert learned(tmp_path)["test"] == {"cats": 5, "dogs": 5}
    assert facts(tmp_path / "out/train")["left_out"] == {
        "beside the split folders": [f"single_prediction/{number}.png" for number in range(6)]
    }


def test_d02d_nine_to_one_is_not_a_two_class_model(tmp_path: Path) -> None:
    counts = {"training_set/cats": 36, "training_set/dogs": 36, "test_set/cats": 4, "test_set/dogs": 4}
    write(tmp_path / "data", images(counts))
    assert set(learned(tmp_path)["train"]) == {"cats", "dogs"}


@pytest.mark.parametrize("tops", [("a", "b"), ("2024", "2025"), ("fold1", "fold2", "fold3")])
def test_splits_under_unusual_names_are_refused_with_both_readings(tmp_path: Path, tops: tuple[str, ...]) -> None:
    write(tmp_path / "data", images({f"{top}/{label}": 3 for top in tops for label in ("cat", "dog", "emu")}))
    said = refused(tmp_path)
    assert f"As class folders: the classes {', '.join(tops)}" in said
    assert "as splits or copies: the classes cat, dog, emu" in said


def test_subfolders_of_classes_are_not_taken_for_splits(tmp_path: Path) -> None:
    write(tmp_path / "data", images({"cat/images": 9, "dog/images": 9, "dog/2024": 3, "emu/a": 5, "emu/b": 5}))
    assert set(learned(tmp_path)["train"]) == {"cat", "dog", "emu"}


@pytest.mark.parametrize("name", ["test", "Validation", "train_set"])
def test_a_class_named_as_a_split_is_refused_unless_it_is_meant(tmp_path: Path, name: str) -> None:
    write(tmp_path / "data", images({"cat": 9, "dog": 9, name: 9}))
    assert f"{name} is named like a split, beside cat, dog" in refused(tmp_path)
    (tmp_path / "data/dataset.toml").write_text('accept = ["class-named-like-a-split"]')
    assert set(learned(tmp_path)["train"]) == {"cat", "dog", name}


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("inside", [PETS, {f"{s}/{c}": 4 for s in ("train", "valid", "test") for c in PETS}])
def test_d26_a_readme_beside_the_folder_changes_nothing(tmp_path: Path, form: str, inside: dict[str, int]) -> None:
    files = {**nested("pets", inside), "README.dataset.txt": b"licence: none", "data.yaml": b"nc: 2"}
    if form == "zip":
        zipped(tmp_path / "data/pets.zip", files)
    else:
        write(tmp_path / "data", files)
    assert set(learned(tmp_path)["train"]) == {"cat", "dog"}


def test_d11_files_are_taken_by_their_content(tmp_path: Path) -> None:
    files = images(PETS, ".jpg")
    for suffix in (".jfif", ".jpe", ".JPG_large", "", ".txt"):
        files |= {f"{label}/{number}{suffix or 'x'}": image((label, number, suffix), "JPEG")
                  for label in PETS for number in range(30, 35)}  # fmt: skip
    write(tmp_path / "data", files)
    assert sum(count for split in learned(tmp_path).values() for count in split.values()) == 24 + 50


def test_d11_what_is_left_out_counts_and_is_listed_by_reason(tmp_path: Path) -> None:
    files = {**images(PETS), "cat/a.HEIC": HEIC, "dog/b.jpg": HEIC, "cat/notes.txt": b"text", "README": b"text"}
    write(tmp_path / "data", files)
    said = refused(tmp_path)
    assert "3 of 27 images cannot be read: cat/a.HEIC (HEIC, which needs" in said
    prepare(tmp_path / "data", tmp_path / "out", "--image-size", "8", "--max-skipped-share", "0.2")
    assert facts(tmp_path / "out/train")["left_out"] == {
        f"HEIC, which needs the line {OPTIONAL['HEIC']} in training/requirements.in": ["cat/a.HEIC"],
        "not an image but text": ["README", "cat/notes.txt"],
    }
    assert set(facts(tmp_path / "out/train")["skipped"]) == {"cat/a.HEIC", "cat/notes.txt", "dog/b.jpg"}  # type: ignore[call-overload]


@pytest.mark.parametrize("labels", [("ソース", "ソーダ", "米"), ("ソース", "ソーダ"), ("表", "十")])
def test_d08_names_from_a_japanese_windows_are_separate_classes(tmp_path: Path, labels: tuple[str, ...]) -> None:
    files = {f"{name}".encode("cp932"): content for name, content in images(dict.fromkeys(labels, 5)).items()}
    raw_zip(tmp_path / "data/foods.zip", files)
    try:
        assert set(learned(tmp_path)["train"]) == set(labels)
    except (DataSetError, ArchiveError, AssertionError, UsageError):
        assert "cp932: " in refused(tmp_path)  # refused, with the candidates, but never merged


@pytest.mark.parametrize(
    ("labels", "page"),
    [
        (("Möwe", "Eule"), "cp850"),
        (("Möwe", "Eule"), "cp437"),
        (("猫咪", "狗狗"), "gbk"),
        (("Möwe", "日本"), "utf-8"),
        (("niño", "perro"), "cp850"),
    ],
)
def test_d08_other_code_pages_are_found_or_the_archive_is_refused(
    tmp_path: Path, labels: tuple[str, ...], page: str
) -> None:
    files = {name.encode(page): content for name, content in images(dict.fromkeys(labels, 5)).items()}
    raw_zip(tmp_path / "data/things.zip", files)
    assert set(learned(tmp_path)["train"]) == set(labels)


@pytest.mark.parametrize(("text", "page"), [("кошка", "cp1251"), ("고양이", "cp949"), ("åäöÅÄÖ", "cp1252")])
def test_d08_a_code_page_that_is_not_certain_is_refused_with_the_candidates(
    tmp_path: Path, text: str, page: str
) -> None:
    files = {name.encode(page): content for name, content in images({text: 5, f"{text}x": 5}).items()}
    raw_zip(tmp_path / "data/things.zip", files)
    said = refused(tmp_path)
    assert "does not say in which code page its names are" in said
    assert "unzip -O" in said


def test_d07_a_zip_from_windows_that_lists_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "data/birds.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("owl", "gull"):
            folder = zipfile.ZipInfo(f"birds\\{label}\\")
            folder.create_system, folder.external_attr = 0, 0x10
            archive.writestr(folder, b"")
            for number in range(10):
                info = zipfile.ZipInfo(f"birds\\{label}\\{number}.png")
                info.create_system = 0
                archive.writestr(info, image((label, number)))
    assert set(learned(tmp_path)["train"]) == {"gull", "owl"}


def test_a_backslash_in_a_name_from_unix_does_not_make_a_folder(tmp_path: Path) -> None:
    names = [f"pets/{label}/{number}.png" for label in ("a\\b", "c") for number in range(5)]
    path = tmp_path / "data/pets.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            archive.writestr(info, image(name))
    assert set(learned(tmp_path)["train"]) == {"a\\b", "c"}


@pytest.mark.parametrize("counts", [
    {"m\u00f6we": 9, "mo\u0308we": 9, "eule": 9},
    {"train/m\u00f6we": 9, "train/eule": 9, "test/mo\u0308we": 4, "test/eule": 4},
    {"Cat": 9, "cat": 9},
    {"cat ": 9, "cat": 9},
    {"black  cat": 9, "black cat": 9},
    {"cat\u200b": 9, "cat": 9},
])  # fmt: skip
def test_d09_names_that_look_equal_are_refused_and_shown_by_code_point(tmp_path: Path, counts: dict[str, int]) -> None:
    write(tmp_path / "data", images(counts))
    said = refused(tmp_path)
    assert "differ only in case, white space or Unicode normalisation" in said
    if any("\u0308" in name for name in counts):
        assert r"mo\u0308we" in said
        assert r"m\xf6we" in said


def test_d09_one_way_of_writing_is_taken_whichever_it_is(tmp_path: Path) -> None:
    write(tmp_path / "data", images({unicodedata.normalize("NFD", "möwe"): 9, "eule": 9}))
    assert set(learned(tmp_path)["train"]) == {"eule", unicodedata.normalize("NFC", "möwe")}


def test_names_that_turn_the_text_around_are_refused_and_escaped(tmp_path: Path) -> None:
    write(tmp_path / "data", images({"cat\u202e": 9, "dog": 9}))
    said = refused(tmp_path)
    assert r"cat\u202e" in said
    assert "\u202e" not in said


def test_d12_copies_in_train_and_test_and_in_two_classes_are_refused_together(tmp_path: Path) -> None:
    files = images({"train/cat": 12, "train/dog": 12})
    for label in ("cat", "dog"):
        files |= {f"test/{label}/renamed{n}.png": files[f"train/{label}/{n}.png"] for n in range(5)}
    files["train/dog/also-a-cat.png"] = files["train/cat/11.png"]
    write(tmp_path / "data", files)
    said = refused(tmp_path)
    assert "1 images lie in two classes with the same bytes" in said
    assert "10 images of the test set are also trained on" in said
    (tmp_path / "data/dataset.toml").write_text('accept = ["image-in-two-classes", "image-in-two-splits"]')
    assert learned(tmp_path)["test"] == {"cat": 5, "dog": 5}


@pytest.mark.process
def test_d13_hard_links_are_unpacked_as_copies(tmp_path: Path) -> None:
    source = write(tmp_path / "source", images(PETS))
    os.link(source / "cat/0.png", source / "cat/copy-of-0.png")
    (tmp_path / "data").mkdir()
    target = tmp_path / "data/pets.tar.gz"
    subprocess.run(["tar", "--dereference", "-czf", str(target), "-C", str(source), "."], check=True)
    assert sum(count for split in learned(tmp_path).values() for count in split.values()) == 25


@pytest.mark.parametrize(
    ("flags", "method", "reason"),
    [
        (
            0,
            9,
            "compressed with Deflate64, as Windows Explorer does above 2 GB, which Python cannot unpack\nhint: 7z x",
        ),
        (0, 98, "compressed with PPMd, which Python"),
        (1, 0, "protected by a password (10 of 10 members)\nhint: unzip pets.zip -d FOLDER"),
    ],
)
def test_d14_a_method_that_cannot_be_unpacked_is_named_with_the_command_that_helps(
    tmp_path: Path, flags: int, method: int, reason: str
) -> None:
    files = {name.encode(): content for name, content in images({"cat": 5, "dog": 5}).items()}
    raw_zip(tmp_path / "data/pets.zip", files, flags=flags, method=method)
    assert reason in refused(tmp_path)


def test_d15_archives_in_an_archive_are_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as inner:
        inner.writestr("train/cat.0.png", image(0))
    files = {"train.zip": buffer.getvalue(), "test.zip": buffer.getvalue(), "sampleSubmission.csv": b"id,label\n"}
    zipped(tmp_path / "data/competition.zip", files)
    said = refused(tmp_path)
    assert "no images but 2 archives: test.zip, train.zip" in said
    assert "unpack them" in said


TABLE = [(f"images/{label}{number}.png", label, f"{label}-{number // 3}") for label in PETS for number in range(12)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "file_name,label\n" + "".join(f"{path},{label}\n" for path, label, _ in TABLE)),
        ("metadata.csv", "\ufefffile_name;label\r\n" + "".join(f"{path};{label}\r\n" for path, label, _ in TABLE)),
        ("metadata.jsonl", "".join(f'{{"file_name": "{path}", "label": "{label}"}}\n' for path, label, _ in TABLE)),
        ("labels.csv", "image,class\n" + "".join(f"{path.split('/')[1]},{label}\n" for path, label, _ in TABLE)),
    ],
    ids=["labels.csv", "semicolons and a mark", "jsonl", "names alone"],
)
def test_d16_a_table_gives_the_labels(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / "data", {**{path: image(path) for path, _, _ in TABLE}, name: text.encode()})
    found = learned(tmp_path)
    assert found["train"] + found["validation"] + found["test"] == PETS


def test_d16_a_table_in_each_split_folder_and_one_at_the_top_with_splits(tmp_path: Path) -> None:
    files = {f"{split}/{n}.png": image((split, n)) for split in ("train", "test") for n in range(12)}
    rows = "".join(f"{n}.png,{'cat' if n % 2 else 'dog'}\n" for n in range(12))
    for split in ("train", "test"):
        files[f"{split}/metadata.csv"] = f"file_name,label\n{rows}".encode()
    write(tmp_path / "data", files)
    assert learned(tmp_path)["test"] == {"cat": 6, "dog": 6}
    for split in ("train", "test"):
        (tmp_path / f"data/{split}/metadata.csv").unlink()
    whole = "".join(f"{split}/{n}.png,{'cat' if n % 2 else 'dog'},{split}\n"
                    for split in ("train", "test") for n in range(12))  # fmt: skip
    (tmp_path / "data/metadata.csv").write_text(f"file_name,label,split\n{whole}")
    assert learned(tmp_path)["test"] == {"cat": 6, "dog": 6}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file_name,label\ncat/0.png,cat\ngone.png,dog\n", "1 of 2 images that labels.csv names are not there: gone"),
        ("file_name,label\ncat/0.png,cat\ncat/0.png,dog\n", "say different things of cat/0.png: cat and dog"),
        ("file_name,label,split\ncat/0.png,cat,week\n", "names the split week"),
        ("file_name,label\n../cat/0.png,cat\ncat/0.png,cat\n", "lies outside the data set"),
    ],
)
def test_d16_a_table_that_contradicts_itself_or_the_files_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path / "data", {**images(PETS), "labels.csv": text.encode()})
    assert reason in refused(tmp_path)


def test_d17_a_class_folder_that_begins_with_a_dot_is_a_class(tmp_path: Path) -> None:
    write(tmp_path / "data", images({"c": 9, "java": 9, ".net": 9}))
    assert set(learned(tmp_path)["train"]) == {".net", "c", "java"}


def test_a_file_that_begins_with_a_dot_or_an_underscore_is_an_image(tmp_path: Path) -> None:
    files = {f"{label}/{sign}{number}.png": image((label, sign, number))
             for label, sign in (("cat", "."), ("dog", "_")) for number in range(9)}  # fmt: skip
    write(tmp_path / "data", files)
    assert sum(count for split in learned(tmp_path).values() for count in split.values()) == 18


def test_d18_the_lists_of_cub_are_read_and_sent(tmp_path: Path) -> None:
    files = {f"CUB/images/{name}": content for name, content in images({"001.Gull": 12, "002.Owl": 12}).items()}
    names = [name.removeprefix("CUB/images/") for name in files]
    lists = {
        "images": "".join(f"{n} {name}\n" for n, name in enumerate(names, 1)),
        "image_class_labels": "".join(f"{n} {1 + name.startswith('002')}\n" for n, name in enumerate(names, 1)),
        "train_test_split": "".join(f"{n} {int(n % 3 > 0)}\n" for n, _ in enumerate(names, 1)),
        "classes": "1 001.Gull\n2 002.Owl\n",
    }
    files |= {f"CUB/{name}.txt": text.encode() for name, text in lists.items()}
    write(tmp_path / "data", {**files, "CUB/README": b"x", "attributes.txt": b"1 x\n"})
    assert learned(tmp_path)["test"] == {"001.Gull": 4, "002.Owl": 4}
    sent = {file.key for file in read_data_set(tmp_path / "data", "data").files}
    assert {f"datasets/data/CUB/{name}.txt" for name in lists} < sent


def test_an_archive_member_with_a_control_character_is_refused_and_junk_is_not(tmp_path: Path) -> None:
    zipped(tmp_path / "data/pets.zip", {**images(PETS), "Icon\r": b"", "cat/Icon\r": b""})
    assert set(learned(tmp_path)["train"]) == {"cat", "dog"}
    zipped(tmp_path / "data/pets.zip", {**images(PETS), "cat/1\n2.png": image(1)})
    assert r"cat/1\\x0a2.png" in refused(tmp_path)


def test_a_tar_of_names_that_are_equal_but_for_a_backslash_merges_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with tarfile.open(tmp_path / "data/pets.tar", "w") as archive:
        for name in ("cat\\0.png", "cat/0.png"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    assert "'cat/0.png' twice" in refused(tmp_path)
