"""Names of objects and classes: which are junk, which cannot be printed, and which look equal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
# Archives that the standard library cannot unpack, or not within limits.
OTHER_ARCHIVES = (".7z", ".rar", ".zst", ".tzst", ".gz", ".bz2", ".xz", ".lz4", ".lzma", ".cab", ".iso", ".dmg")
_IMAGE_SUFFIXES = ".jpg .jpeg .jpe .jfif .jif .png .apng .bmp .dib .gif .tif .tiff .webp .heic .heif .hif .avif"
IMAGE_SUFFIXES = frozenset(_IMAGE_SUFFIXES.split())

# What Finder, Explorer, archivers, synchronisers, network drives and version control leave beside files.
_JUNK = """
    __macosx .ds_store _ds_store .appledouble .appledb .appledesktop .lsoverride .localized .spotlight-v100 .trashes
    .fseventsd .temporaryitems .documentrevisions-v100 .volumeicon.icns .apdisk .com.apple.timemachine.donotpresent
    thumbs.db thumbs.db:encryptable ehthumbs.db ehthumbs_vista.db desktop.ini $recycle.bin zbthumbnail.info
    .directory lost+found .thumbnails .picasa.ini picasa.ini .picasaoriginals .bridgecache .bridgecachet .bridgesort
    .bridgelabelsandratings .comments @eadir #recycle @recycle @recently-snapshot .@__thumb .@upload_cache
    .syncthing .stfolder .stversions .stignore .dropbox .dropbox.attr .dropbox.cache .owncloudsync.log .sync
    .git .gitignore .gitattributes .gitkeep .gitmodules .github .svn .hg .dvc .dvcignore .keep
    .ipynb_checkpoints __pycache__ .cache .huggingface .vscode .idea .venv .env .ssh .aws .config .gnupg .tox
    .mypy_cache .pytest_cache .ruff_cache .npm .docker .kube
"""
JUNK = frozenset(_JUNK.split()) | {"icon\r", "system volume information"}
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".download")  # of a transfer
JUNK_PREFIXES = ("._", "~$", ".nfs", ".fuse_hidden", ".trash-", ".goutputstream-", ".syncthing.", ".~lock.")

LONGEST_NAME = 255  # bytes of a file's or a folder's name, which is as much as Linux takes
CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
UNPRINTABLE = re.compile(f"[{CONTROL}]")
# Bidirectional marks turn the text around them; the others take no room. U+200C and U+200D are part of scripts.
MISLEADING = re.compile(f"[{CONTROL}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def suffix_of(path: str) -> str:
    """The suffix in small letters with its dot; `.net` and `archive` have none."""
    name = path.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem.strip(".") else ""


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_SUFFIXES)


@lru_cache(maxsize=100_000)
def _is_junk_part(part: str) -> bool:
    lower = part.lower()
    return lower in JUNK or lower.startswith(JUNK_PREFIXES)


def is_junk(path: str) -> bool:
    """Whether a path lies in a junk folder, is a junk file, or is a hidden file without an image's suffix."""
    *folders, name = path.split("/")
    if any(map(_is_junk_part, folders)) or _is_junk_part(name):
        return True
    return name.startswith(".") and suffix_of(name) not in IMAGE_SUFFIXES


def without_junk(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paths that belong to a data set, and the junk.

    A hidden folder that no list names belongs if it holds a file with an image's suffix or with none: a class may be
    called `.net`.
    """
    kept: list[str] = []
    junk: list[str] = []
    hidden: dict[str, list[str]] = {}
    for path in paths:
        if is_junk(path):
            junk.append(path)
        elif path[0] == "." or "/." in path:
            hidden.setdefault(_hidden_folder(path), []).append(path)
        else:
            kept.append(path)
    for folder, inside in hidden.items():
        belongs = not folder or any(suffix_of(path) in IMAGE_SUFFIXES or not suffix_of(path) for path in inside)
        (kept if belongs else junk).extend(inside)
    return kept, junk


def _hidden_folder(path: str) -> str:
    """The path down to its first hidden folder; empty if only the file itself is hidden."""
    parts = path.split("/")
    return next(("/".join(parts[: at + 1]) for at, part in enumerate(parts[:-1]) if part.startswith(".")), "")


def normalised(name: str) -> str:
    """NFC, so that a name written on macOS equals the same name written elsewhere."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """What names have in common that look equal: Unicode normalisation, case, white space, invisible characters."""
    plain = MISLEADING.sub("", unicodedata.normalize("NFC", name))
    return " ".join(unicodedata.normalize("NFC", plain.casefold()).split())


def escaped(name: str) -> str:
    """The name with what cannot be printed, or would mislead, as `\\u200e` or `\\x0d`."""
    return MISLEADING.sub(lambda match: _escape(match[0]), name)


def spelled_out(name: str) -> str:
    """The name in ASCII, so that names which look equal can be told apart: `mo\\u0308we`."""
    return name if name.isascii() and name == escaped(name) else ascii(name)[1:-1]


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python reads it from a file system
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
