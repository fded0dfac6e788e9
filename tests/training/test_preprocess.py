"""From objects to arrays: verification, layouts, damaged images, the split."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_samples import HEIC, crc32, facts, picture, prepare, sha256, write_contents, write_pictures
from PIL import Image

import dataset
from contents import read_contents, verify
from data_sets import kinds
from dataset import read_split
from errors import ContentsError, DataSetError
from images import UnreadableImage, fit_image, open_image
from splits import SPLITS


def labels_of(out: Path, split: str) -> Counter[str]:
    data = read_split(out / split)
    return Counter(data.classes[label] for label in data.labels)


def test_each_class_has_its_share_in_every_split(tmp_path: Path) -> None:
    out = prepare(write_pictures(tmp_path / "data", {"red": 20, "blue": 40}), tmp_path / "out")
    assert labels_of(out, "test") == labels_of(out, "validation") == {"red": 3, "blue": 6}
    assert labels_of(out, "train") == {"red": 14, "blue": 28}
    assert facts(out / "train")["counts"] == {"blue": 28, "red": 14}


def test_no_image_is_in_two_splits(tmp_path: Path) -> None:
    out = prepare(write_pictures(tmp_path / "data", {"red": 20, "blue": 20}), tmp_path / "out")
    images = [image.tobytes() for split in SPLITS for image in read_split(out / split).images]
    assert len(set(images)) == len(images) == 40


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    first, again = prepare(data, tmp_path / "first"), prepare(data, tmp_path / "again")
    for file in sorted(first.rglob("*")):
        assert file.is_dir() or file.read_bytes() == (again / file.relative_to(first)).read_bytes()
    other = prepare(data, tmp_path / "other", "--seed", "1")
    assert facts(other / "test")["digest"] != facts(first / "test")["digest"]


def test_added_images_move_few_of_the_others_to_another_split(tmp_path: Path) -> None:
    before = prepare(write_pictures(tmp_path / "data", {"red": 100, "blue": 100}), tmp_path / "before")
    after = prepare(write_pictures(tmp_path / "data", {"red": 120, "blue": 100}), tmp_path / "after")
    tested = {image.tobytes() for image in read_split(after / "test").images}
    trained = {image.tobytes() for image in read_split(before / "train").images}
    assert len(tested & trained) <= 3


def test_given_splits_are_kept(tmp_path: Path) -> None:
    counts = {"train/red": 4, "train/blue": 5, "val/red": 2, "val/blue": 2, "Test/red": 3, "Test/blue": 1}
    out = prepare(write_pictures(tmp_path / "data", counts), tmp_path / "out")
    assert labels_of(out, "train") == {"red": 4, "blue": 5}
    assert labels_of(out, "validation") == {"red": 2, "blue": 2}
    assert labels_of(out, "test") == {"red": 3, "blue": 1}


def test_validation_is_taken_from_train_when_only_test_is_given(tmp_path: Path) -> None:
    counts = {"train/red": 20, "train/blue": 20, "test/red": 5, "test/blue": 5}
    out = prepare(write_pictures(tmp_path / "data", counts), tmp_path / "out")
    assert [labels_of(out, split)["red"] for split in SPLITS] == [17, 3, 5]


def test_a_class_may_be_named_train_if_the_data_set_says_so(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "vehicles", {"red": 5, "blue": 5})
    (data / "blue").rename(data / "train")
    with pytest.raises(DataSetError, match=r'"class-named-like-a-split"'):
        prepare(data, tmp_path / "out")
    (data / "dataset.toml").write_text('accept = ["class-named-like-a-split"]')
    out = prepare(data, tmp_path / "out")
    assert facts(out / "train")["classes"] == ["red", "train"]


@pytest.mark.parametrize("form", ["zip", "gztar", "tar"])
def test_an_archive_with_a_top_folder_is_the_same_as_loose_images(tmp_path: Path, form: str) -> None:
    loose = write_pictures(tmp_path / "loose/birds", {"red": 10, "blue": 10})
    (loose / ".DS_Store").write_bytes(b"junk")
    (tmp_path / "loose/__MACOSX").mkdir()
    (tmp_path / "loose/__MACOSX/._0.png").write_bytes(b"junk")
    (tmp_path / "data").mkdir()
    shutil.make_archive(str(tmp_path / "data/birds"), form, tmp_path / "loose")
    packed, unpacked = prepare(tmp_path / "data", tmp_path / "out"), prepare(tmp_path / "loose", tmp_path / "out2")
    for split in SPLITS:
        assert facts(packed / split)["digest"] == facts(unpacked / split)["digest"]


def test_an_archive_beside_other_files_is_refused(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 3})
    with tarfile.open(data / "more.tar", "w"):
        pass
    with pytest.raises(DataSetError, match=r"more\.tar beside 3 other(.|\n)*hint: upload loose images, or one archive"):
        prepare(data, tmp_path / "out")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"red": 9}, r"one class only: red\nhint: a classifier needs two"),
        ({}, r"holds no images \(1 other file\)\nhint: images are AVIF, BMP"),
        ({"red": 9, "blue": 2}, r"class blue has 2 usable images, too few for test and validation and train\nhint: "),
        ({"train/red": 9, "train/blue": 9, "val/red": 9}, r"validation has no usable image of 1 of 2 classes: blue\n"),
        ({"train/red": 9, "val/red": 9, "valid/red": 9}, r"two folders stand for the same split: train, val, valid; "),
        ({"train/red": 9, "test/red": 9, "test/bleu": 9}, r"train has no usable image of 1 of 2 classes: bleu\n"),
    ],
    ids=["one class", "no images", "few images", "class missing in a split", "split twice", "class without training"],
)
def test_a_data_set_that_cannot_be_learned_from_is_refused(
    tmp_path: Path, counts: dict[str, int], message: str
) -> None:
    data = write_pictures(tmp_path / "data", {label.replace("bleu", "blue"): n for label, n in counts.items()})
    if "test/bleu" in counts:
        (data / "test/blue").rename(data / "test/bleu")
    data.mkdir(exist_ok=True)
    (data / "notes.txt").write_text("no image")
    with pytest.raises(DataSetError, match=message):
        prepare(data, tmp_path / "out")


def test_a_class_folder_without_images_is_refused_and_not_dropped(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 9})
    (data / "green").mkdir()
    (data / "green/1.heic").write_bytes(b"?")
    with pytest.raises(DataSetError, match=r"1 folders hold no images: green\nhint: .*convert the others"):
        prepare(data, tmp_path / "out")


def test_an_image_outside_the_class_folders_is_refused(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 9})
    picture("red", 1).save(data / "stray.png")
    with pytest.raises(DataSetError, match=r"stray\.png lies in no class folder\nhint: "):
        prepare(data, tmp_path / "out")


def test_a_damaged_image_is_named_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    (data / "red/0.png").write_bytes((data / "red/0.png").read_bytes()[:200])
    (data / "blue/1.png").write_bytes(b"")
    out = prepare(data, tmp_path / "out")
    skipped = facts(out / "train")["skipped"]
    assert isinstance(skipped, dict)
    assert list(skipped) == ["blue/1.png", "red/0.png"]
    assert skipped["red/0.png"].startswith("damaged image: ")
    assert "skipped blue/1.png: an empty file" in capsys.readouterr().out
    assert sum(labels_of(out, split).total() for split in SPLITS) == 38


def test_a_photograph_with_damaged_exif_is_used(tmp_path: Path) -> None:
    """Pillow raises SyntaxError and struct.error for these, which once failed the whole job."""
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    for number, exif in enumerate([b"b'Exif\\x00\\x00MM\\x00*'", b"II*\0", b"\0\x08\0\2\1\x12\0\3"]):
        Image.open(data / f"red/{number}.png").save(data / f"red/{number}.jpg", dpi=(72, 72), exif=b"Exif\0\0" + exif)
        (data / f"red/{number}.png").unlink()
    assert facts(prepare(data, tmp_path / "out") / "train")["skipped"] == {}


def test_heic_is_learned_from_where_its_decoder_is_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif", reason="an option: pip install .[dev]")
    monkeypatch.setattr(
        kinds, "taken", lambda requirements, taken=kinds.taken: taken(requirements + "\npi-heif==1.4.0")
    )
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    (data / "red/photograph").write_bytes(HEIC)
    (data / "blue/copy.heic").write_bytes(HEIC[:-300])
    (train,) = {str(facts(prepare(data, tmp_path / "out") / "train")["skipped"])}
    assert "red/photograph" not in train
    assert "blue/copy.heic': 'damaged image: " in train


def test_too_many_damaged_images_fail_the_job_and_are_named(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    for index in range(4):
        (data / f"red/{index}.png").write_bytes(b"?")
    message = r"4 of 40 images cannot be read: red/0\.png \(.*\), .* and 1 more\nhint: .*0\.05.*max_skipped_share"
    with pytest.raises(DataSetError, match=message):
        prepare(data, tmp_path / "out")
    prepare(data, tmp_path / "out", "--max-skipped-share", "0.1")


def test_photographs_are_turned_upright_cropped_and_made_rgb(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
    for index in range(3):
        picture("red", index).save(tmp_path / f"data/a/{index}.png")
        # Stored lying: its left half is what belongs on top once the EXIF orientation 6 is applied.
        stored = Image.new("RGB", (60, 40), "white")
        stored.paste("black", (0, 0, 30, 40))
        exif = Image.Exif()
        exif[0x0112] = 6
        stored.save(tmp_path / f"data/b/{index}.jpg", exif=exif, quality=95 - index)
    out = prepare(tmp_path / "data", tmp_path / "out", "--image-size", "20")
    test = read_split(out / "test")
    image = test.images[test.labels == 1][0]
    assert image.shape == (20, 20, 3)
    assert image[:8].max() < 50
    assert image[12:].min() > 205


def test_transparent_pixels_become_white_and_16_bits_are_refused(tmp_path: Path) -> None:
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert fit_image(open_image((tmp_path / "clear.png").read_bytes()), 8).min() == 255
    Image.fromarray(np.full((9, 9), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableImage, match="8 bits a channel"):
        open_image((tmp_path / "deep.png").read_bytes())


def test_mean_and_std_are_those_of_the_training_images(colors: Path) -> None:
    data = read_split(colors / "train")
    pixels = data.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(data.mean, pixels.mean(0))
    np.testing.assert_allclose(data.std, pixels.std(0))


@pytest.mark.parametrize("checksum", [crc32, sha256])
def test_one_changed_byte_is_found(tmp_path: Path, checksum: Callable[[bytes], str]) -> None:
    data = write_pictures(tmp_path / "data", {"red": 3})
    contents = read_contents(write_contents(data, tmp_path / "contents.json", checksum))
    assert verify(contents, data, threads=1) == 0
    content = bytearray((data / "red/1.png").read_bytes())
    content[50] ^= 1
    (data / "red/1.png").write_bytes(content)
    message = r"1 of 3 objects not the bytes that contents\.json lists: red/1\.png\nhint: wait until the upload"
    with pytest.raises(ContentsError, match=message):
        verify(contents, data, threads=1)


@pytest.mark.parametrize("checksum", ["", "CRC64NVME:AAAAAAAAAAA=", "SHA256:" + "A" * 43 + "=-2"])
def test_a_checksum_that_cannot_be_computed_leaves_the_size(tmp_path: Path, checksum: str) -> None:
    data = write_pictures(tmp_path / "data", {"red": 3})
    contents = read_contents(write_contents(data, tmp_path / "contents.json", lambda content: checksum))
    assert verify(contents, data, threads=1) == 3
    (data / "red/1.png").write_bytes(b"short")
    with pytest.raises(ContentsError, match=r"red/1\.png"):
        verify(contents, data, threads=1)


def test_missing_and_additional_files_are_named(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 5})
    contents = read_contents(write_contents(data, tmp_path / "contents.json"))
    (data / "red/new.png").write_bytes(b"")
    with pytest.raises(ContentsError, match=r"1 of 5 objects not listed in contents\.json: red/new\.png"):
        verify(contents, data, threads=1)
    for index in range(5):
        (data / f"red/{index}.png").unlink()
    message = r"5 of 5 objects missing: red/0\.png, red/1\.png, red/2\.png and 2 more"
    with pytest.raises(ContentsError, match=message):
        verify(contents, data, threads=1)


def test_malformed_contents_are_refused(tmp_path: Path) -> None:
    for text in ("", "[]", json.dumps({"objects": [{"key": "a"}]})):
        (tmp_path / "contents.json").write_text(text)
        with pytest.raises(ContentsError, match="is not a list of contents"):
            read_contents(tmp_path / "contents.json")


def test_a_split_is_written_as_files_of_bounded_size_with_their_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pictures(tmp_path / "data", {"red": 30, "blue": 30})
    whole = prepare(data, tmp_path / "whole", "--image-size", "16")
    monkeypatch.setattr(dataset, "SHARD_BYTES", 10 * 16 * 16 * 3)
    monkeypatch.setattr(dataset, "BUFFER_BYTES", 7 * 16 * 16 * 3)
    out = prepare(data, tmp_path / "out", "--image-size", "16")
    files = facts(out / "train")["files"]
    assert isinstance(files, list)
    assert [entry["images"] for entry in files] == [10, 10, 10, 10, 4, 44]
    for entry in files:
        array = np.load(out / "train" / entry["file"])
        assert (len(array), hashlib.sha256(array.data).hexdigest()) == (entry["images"], entry["sha256"])
    assert np.array_equal(read_split(out / "train").images, read_split(whole / "train").images)
    assert facts(out / "train")["mean"] == facts(whole / "train")["mean"]


def test_an_image_that_fails_in_the_decoder_leaves_no_gap(tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 20, "blue": 20})
    whole = read_split(prepare(data, tmp_path / "whole") / "train")
    (data / "red/3.png").write_bytes((data / "red/3.png").read_bytes()[:300])
    out = prepare(data, tmp_path / "out")
    rest = [read_split(out / split) for split in SPLITS]
    assert sum(map(len, rest)) == 39
    assert set(facts(out / "train")["skipped"]) == {"red/3.png"}  # type: ignore[call-overload]
    for image, label in zip(rest[0].images, rest[0].labels, strict=True):
        places = (whole.images == image).all((1, 2, 3)).nonzero()[0]
        assert [whole.labels[place] for place in places] in ([label], [])


def lists(data: Path, split: str = "1 1\n2 1\n3 1\n4 0\n5 1\n6 1\n7 1\n8 0\n") -> Path:
    """CUB-200-2011 in small: 8 images of 2 classes, beside them a file that belongs to none."""
    folder = write_pictures(data / "CUB/images", {"red": 4, "blue": 4}).parent
    (folder / "images/red").rename(folder / "images/001.red")
    (folder / "images/blue").rename(folder / "images/002.blue")
    paths = [path.relative_to(folder / "images") for path in sorted((folder / "images").rglob("*.png"))]
    (folder / "images.txt").write_text("".join(f"{n} {path}\n" for n, path in enumerate(paths, start=1)))
    (folder / "image_class_labels.txt").write_text("".join(f"{n} {1 + (n > 4)}\n" for n in range(1, 9)))
    (folder / "classes.txt").write_text("1 001.red\n2 002.blue\n")
    (folder / "train_test_split.txt").write_text(split)
    (data / "attributes.txt").write_text("1 has_bill_shape\n")
    return folder


def test_the_lists_of_cub_decide_what_trains_and_what_tests(tmp_path: Path) -> None:
    lists(tmp_path / "data")
    out = prepare(tmp_path / "data", tmp_path / "out", "--validation-share", "0.3")
    assert labels_of(out, "test") == {"001.red": 1, "002.blue": 1}
    assert labels_of(out, "train") + labels_of(out, "validation") == {"001.red": 3, "002.blue": 3}


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (
            "1 1\n2 1\n",
            r"train_test_split\.txt says nothing of 6 of 8 images of images\.txt: 3, 4, 5 and 3 more\nhint: ",
        ),
        (
            "1 yes\n" + "".join(f"{n} 1\n" for n in range(2, 9)),
            r"train_test_split\.txt says yes of an image\nhint: 1 is",
        ),
        ("1\n", r"line 1 of train_test_split\.txt is '1'\nhint: "),
        ("\udcff", r"train_test_split\.txt cannot be read: 'utf-8' codec can't decode"),
    ],
    ids=["incomplete", "no flag", "no value", "no text"],
)
def test_a_split_file_that_cannot_be_read_is_refused(tmp_path: Path, split: str, message: str) -> None:
    folder = lists(tmp_path / "data", split="")
    (folder / "train_test_split.txt").write_bytes(split.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataSetError, match=message):
        prepare(tmp_path / "data", tmp_path / "out")


def test_a_listed_image_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (lists(tmp_path / "data") / "images/001.red/0.png").unlink()
    with pytest.raises(DataSetError, match=r"1 of 8 images of images\.txt are not there: 001\.red/0\.png"):
        prepare(tmp_path / "data", tmp_path / "out")
