"""What can be wrong with the data, an archive or a checkpoint, as one tree of exceptions.

    TrainingError (a ValueError)
    ├── RequirementsError   requirements.txt could not be installed
    ├── ContentsError       the files are not the ones that contents.json lists
    ├── ArchiveError        an archive is unsafe, too large or damaged
    ├── DataSetError        the images, classes or splits do not make a data set
    ├── CheckpointError     a checkpoint was made by a different training
    ├── PretrainedError     the pretrained weights are not those of the network
    ├── DiskFullError       the job's volume has no room left
    ├── DivergenceError     the loss is no longer a finite number
    ├── GpuError            the host has GPUs that torch cannot use
    ├── MissingModelError   the training script wrote no model
    └── ComparisonError     a model cannot be judged on this test set

`str(error)` is what a user reads in the job's failure reason: the message, then a line that starts with `hint:`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence


class TrainingError(ValueError):
    """Something that the user of the pipeline can fix; the hint says how."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\nhint: {hint}")


class GpuError(TrainingError):
    """The host has GPUs that torch cannot use."""


class RequirementsError(TrainingError):
    """requirements.txt could not be installed."""


class ContentsError(TrainingError):
    """The files are not the ones that contents.json lists."""


class ArchiveError(TrainingError):
    """An archive is unsafe, too large or damaged."""


class DataSetError(TrainingError):
    """The images, classes or splits do not make a data set."""


class CheckpointError(TrainingError):
    """A checkpoint was made by a different training."""


class PretrainedError(TrainingError):
    """The pretrained weights are not those of the network."""


class DiskFullError(TrainingError):
    """The job's volume has no room left."""

    def __init__(self, error: OSError, path: object = None) -> None:
        where = path or error.filename
        super().__init__(
            f"the disk of the job is full{f' (at {where})' if where else ''}: {error.strerror}",
            hint="raise volume_size_gb under [<environment>.pipeline] in environments.toml and deploy, or upload less; "
            "in the local cloud, make room on this machine's disk",
        )


class DivergenceError(TrainingError):
    """The loss is no longer a finite number."""


class MissingModelError(TrainingError):
    """The training script wrote no model."""


class ComparisonError(TrainingError):
    """A model cannot be judged on this test set."""


def full_disk(error: BaseException) -> OSError | None:
    """The refusal to write that is behind an error, whatever a library made of it (torch: a RuntimeError)."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def some_of(names: Sequence[str], limit: int = 3) -> str:
    """Name the first few: a failure reason is cut at 1,024 characters, and the hint must still fit."""
    shown = ", ".join(name if len(name) <= 80 else f"…{name[-79:]}" for name in names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
