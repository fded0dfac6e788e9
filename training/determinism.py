"""The same weights from the same steps on a GPU, to the bit. A CPU with a fixed number of threads gives them anyway.

https://docs.pytorch.org/docs/stable/notes/randomness.html
"""

from __future__ import annotations

import os

import torch


def repeat_exactly() -> None:
    """Let torch use kernels alone that add up in the same order each time; it warns where an operation has none."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS is first used
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False  # it chooses a kernel by its time, which differs from start to start
