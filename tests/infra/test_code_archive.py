"""The same code is the same archive, wherever and whenever it is made."""

import gzip
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.training.code_archive import CodeArchive
from source_code.archive import gzip as stored

FILES = {"entry.py": b"print()\n", "package/model.py": b"x = 1\n", "wheels/a.whl": bytes(range(256)) * 600}


def write(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES.get(name, b"left out"))
    return folder


def test_order_times_and_owners_do_not_matter(tmp_path: Path) -> None:
    first = write(tmp_path / "one", list(FILES))
    second = write(tmp_path / "another place", list(reversed(FILES)))
    os.utime(second / "entry.py", (1, 1))
    (second / "entry.py").chmod(0o600)
    assert CodeArchive.of(first).content == CodeArchive.of(second).content


def test_a_changed_byte_name_or_executable_bit_is_another_archive(tmp_path: Path) -> None:
    folder = write(tmp_path, list(FILES))
    hashes = {CodeArchive.of(folder).hash}
    (folder / "entry.py").write_bytes(b"print(1)\n")
    hashes.add(CodeArchive.of(folder).hash)
    (folder / "entry.py").rename(folder / "start.py")
    hashes.add(CodeArchive.of(folder).hash)
    (folder / "start.py").chmod(0o755)
    hashes.add(CodeArchive.of(folder).hash)
    assert len(hashes) == 4


def test_a_package_lies_in_a_folder_of_its_name_and_is_part_of_the_hash(tmp_path: Path) -> None:
    folder = write(tmp_path / "training", list(FILES))
    package = write(tmp_path / "elsewhere/data_sets", ["__init__.py", "__pycache__/x.pyc", "deep/names.py"])
    content = gzip.decompress(CodeArchive.of(folder, package).content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        names = archive.getnames()
    assert names == sorted([*FILES, "data_sets/__init__.py", "data_sets/deep/names.py"])
    before = CodeArchive.of(folder, package).hash
    (package / "__init__.py").write_bytes(b"changed")
    assert CodeArchive.of(folder, package).hash != before


def test_compiled_hidden_and_test_files_stay_out(tmp_path: Path) -> None:
    plain = CodeArchive.of(write(tmp_path / "plain", list(FILES)))
    names = ["__pycache__/entry.pyc", "old.pyc", "package/.DS_Store", ".venv/x.py", "tests/test_it.py"]
    assert CodeArchive.of(write(tmp_path / "littered", [*FILES, *names])) == plain


def test_tar_unpacks_it_with_the_files_at_the_top(tmp_path: Path) -> None:
    """With the very command of the jobs' entry point."""
    archive = tmp_path / "source.tar.gz"
    archive.write_bytes(CodeArchive.of(write(tmp_path / "code", list(FILES))).content)
    target = tmp_path / "unpacked"
    target.mkdir()
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(target)], check=True)
    assert {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()} == FILES


def test_archive_has_no_time_and_no_owner(tmp_path: Path) -> None:
    content = CodeArchive.of(write(tmp_path, list(FILES))).content
    assert content[4:8] == bytes(4)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(FILES)
    assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, 0, "", "")}


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.integers(0, 200_000).map(bytes)))
def test_gzip_is_read_by_others(data: bytes) -> None:
    assert gzip.decompress(stored(data)) == data


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071])
def test_gzip_blocks_end_where_they_should(size: int) -> None:
    assert gzip.decompress(stored(b"x" * size)) == b"x" * size
