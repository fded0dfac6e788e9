"""The reader of requirements files, judged by pip's own."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from suite import PROJECT

from data_sets import kinds
from source_code.requirements import Line, needs_hashes, read

HASH = "sha256:" + "0" * 64
ROOT = Path(__file__).parents[2]

FILES = {
    "plain": "pillow==13.0.0\n\n# a comment\nsimplejpeg==1.9.0  # why\n",
    "hashes": f"--require-hashes\npillow==13.0.0 \\\n    --hash={HASH} \\\n    --hash={HASH[:-1]}1\ntimm==1.0\n",
    "one line": f"pillow==13.0.0 --hash={HASH} --hash={HASH[:-1]}1  # both\n",
    "with a blank": f"pillow==13.0.0 --hash {HASH}\n",
    "a comment within": f"pillow==13.0.0 \\\n# about it \\\n    --hash={HASH}\ntimm==1.0\n",
    "a marker": f"timm==1.0 ; python_version > '3' \\\n    --hash={HASH}\n",
    "cut off": f"pillow==13.0.0 \\\n    --hash={HASH} \\\n",
    "a hash sign in a word": "owl @ https://example.com/owl-1.0-py3-none-any.whl#egg=owl\n",
    "carriage returns": f"pillow==13.0.0 \\\r\n    --hash={HASH}\r\ntimm==1.0\r\n",
    "ours": (PROJECT / "training/requirements.txt").read_text(),
}


def read_by_pip(path: Path) -> list[tuple[int, str, list[str]]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pip._internal.network.session import PipSession
        from pip._internal.req.req_file import get_file_content, get_line_parser, preprocess

        _, content = get_file_content(str(path), PipSession())
        parse = get_line_parser(None)
        found = []
        for number, line in preprocess(content):
            text, options = parse(line)
            hashes = [f"{kind}:{digest}" for kind, digests in (options.hashes or {}).items() for digest in digests]
            if text:
                found.append((number, text.strip(), hashes))
        return found


@pytest.mark.parametrize("name", FILES)
@pytest.mark.process
def test_a_file_is_read_as_pip_reads_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes(FILES[name].encode())
    requirements = [line for line in read(FILES[name]) if not line.is_option]
    ours = [(line.number, line.text, list(line.hashes)) for line in requirements]
    assert ours == read_by_pip(tmp_path / "requirements.txt")


def test_options_are_distinguished_from_requirements() -> None:
    assert read("--only-binary :all:  # no builds\n") == [Line(1, "--only-binary :all:", ())]
    assert read("--only-binary :all:")[0].is_option


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("pillow==13.0.0\ntimm==1.0\n", False),
        ("--only-binary :all:\ntimm==1.0\n", False),
        (f"pillow==13.0.0 --hash={HASH}\ntimm==1.0\n", True),
        ("--require-hashes\npillow==13.0.0\n", True),
        ("# --require-hashes\npillow==13.0.0\n", False),
    ],
)
def test_one_hash_asks_for_all(text: str, asked: bool) -> None:
    assert needs_hashes(read(text)) == asked


def test_what_is_shipped_has_a_hash_for_everything() -> None:
    lines = read(FILES["ours"])
    assert needs_hashes(lines)
    assert all(line.is_option or line.hashes for line in lines)
    assert {line.text.partition("==")[0] for line in lines if not line.is_option} >= {"pillow", "safetensors"}


def test_the_decoder_of_heic_is_found_with_its_hashes() -> None:
    """data_sets reads the file by itself, since jobs have no source_code."""
    assert "HEIC" not in kinds.taken(FILES["ours"])
    assert "HEIC" in kinds.taken(FILES["ours"] + f"pi-heif==1.4.0 \\\n    --hash={HASH}\n")
