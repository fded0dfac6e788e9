"""A model's archive is unpacked inside its folder, also by a Python whose `tarfile` has no filters (before 3.11.4)."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from local_cloud.sagemaker.hosting import model_archive


def archive(path: Path, members: Iterable[tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            content = b"weights" if member.isfile() else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


@pytest.fixture(params=["the filter of tarfile", "no filter"])
def unfiltered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Each test runs as on a new Python and as on 3.11.0 to 3.11.3, whose module lacks exactly these names."""
    if request.param == "no filter":
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        if hasattr(tarfile, "fully_trusted_filter"):  # what a Python without filters does
            monkeypatch.setattr(
                tarfile.TarFile, "extraction_filter", staticmethod(lambda info, path: info), raising=False
            )
        return True
    if not hasattr(tarfile, "data_filter"):
        pytest.skip("tarfile has no filters here: Python is older than 3.11.4")
    return False


def test_files_and_folders_are_unpacked(tmp_path: Path, unfiltered: bool) -> None:
    found = archive(
        tmp_path / "model.tar.gz",
        [member("code", tarfile.DIRTYPE, mode=0o777), member("code/a.py", mode=0o4777, uid=12345, uname="nobody")],
    )
    model_archive.unpack(found, tmp_path / "model")
    file = tmp_path / "model" / "code" / "a.py"
    assert file.read_bytes() == b"weights"
    assert file.stat().st_mode & 0o7777 == 0o755
    assert file.stat().st_uid == os.getuid()


@pytest.mark.parametrize("name", ["../outside", "code/../../outside"])
def test_a_file_outside_the_folder_is_refused(tmp_path: Path, unfiltered: bool, name: str) -> None:
    found = archive(tmp_path / "model.tar.gz", [member(name)])
    with pytest.raises(tarfile.TarError, match="outside"):
        model_archive.unpack(found, tmp_path / "model")
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_way_out_of_the_folder_is_refused(tmp_path: Path, unfiltered: bool, kind: bytes) -> None:
    found = archive(tmp_path / "model.tar.gz", [member("door", kind, linkname="../outside"), member("door/file")])
    with pytest.raises(tarfile.TarError):
        model_archive.unpack(found, tmp_path / "model")
    assert not (tmp_path / "outside").exists()


def test_a_python_without_filters_says_what_to_do_about_a_link(tmp_path: Path) -> None:
    found = archive(tmp_path / "model.tar.gz", [member("a"), member("b", tarfile.SYMTYPE, linkname="a")])
    with tarfile.open(found) as tar, pytest.raises(model_archive.UnsafeArchive, match=r"'b' .*hint: .*3\.11\.4"):
        list(model_archive.plain_members(tar))
