"""What can be wrong with the code of the jobs."""

from __future__ import annotations


class SourceError(ValueError):
    """The code is not as it has to be: `what` it is, and a `hint` that says what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\nhint: {hint}")
        self.what = what
        self.hint = hint
