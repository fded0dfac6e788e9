"""Why a data set cannot be taken.

DataSetError (a ValueError)   the images, classes or splits do not make a data set
└── ArchiveError              an archive is unsafe, too large, damaged or of an unsupported kind

`str(error)` is the message and a line that starts with `hint:`.
"""

from __future__ import annotations


class DataSetError(ValueError):
    """`message` says what is wrong and where; `hint` says what to do about it."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\nhint: {hint}")
        self.message, self.hint = message, hint


class ArchiveError(DataSetError): ...
