"""Write tensors in the safetensors format, which holds numbers and text alone: reading it runs none of its code.

https://github.com/huggingface/safetensors: eight bytes of length, a JSON header, the bytes of the tensors. torch.save
writes a pickle, and an unpickler is a machine that runs what it reads (CVE-2026-24747 is in that of torch before 2.10).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from errors import DiskFullError, full_disk

UNFINISHED = ".unfinished"
MODE = (
    0o644  # the library's files are its owner's alone, and an endpoint's server need not be the user who unpacked them
)
REFUSED = re.compile(r"\(os error (\d+)\)")


def write_whole(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the file, which then is whole and on the disk, or not there. Raises DiskFullError.

    More than one entry of metadata comes in another order each time, and the file would not repeat.
    """
    unfinished = path.with_suffix(UNFINISHED)  # a folder: the library writes temporary files beside its file
    try:
        unfinished.mkdir(exist_ok=True)
        draft = unfinished / path.name
        save(tensors, draft, metadata)
        draft.chmod(MODE)
        flush(draft)
        draft.replace(path)
        unfinished.rmdir()
    except (OSError, RuntimeError) as error:
        shutil.rmtree(unfinished, ignore_errors=True)  # on a full disk, the reason of the failure needs its room
        refusal = full_disk(error)
        if refusal is None:
            raise
        raise DiskFullError(refusal, path) from error
    flush(path.parent)  # the rename itself is safe only once the folder is on disk


def save(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None) -> None:
    """Raises OSError for what the operating system refuses."""
    try:
        save_file(dict(tensors), path, dict(metadata) if metadata else None)
    except SafetensorError as error:
        number = REFUSED.search(str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from error


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def raw_bytes(tensor: Tensor) -> memoryview:
    """Of a contiguous tensor on the CPU. numpy does not know each of torch's types."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data
