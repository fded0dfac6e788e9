"""A step's reason taken apart: what happened, what to do, and the exit code, which says nothing to most readers."""

from __future__ import annotations

import re
from dataclasses import dataclass

EXIT_CODE = re.compile(r",? ?exit code: (-?\d+)\s*$", re.IGNORECASE)
HINT = re.compile(r"\s*\bhint:\s*", re.IGNORECASE)
KINDS = re.compile(r"^(?:AlgorithmError|ClientError|InternalServerError): ?")
NO_MESSAGE = ("", "See job logs for more information")
QUOTA = re.compile(
    r"service limit '(?P<name>[^']+)' is (?P<limit>[0-9.]+) \w+, with current utilization of (?P<used>[0-9.]+) \w+ "
    r"and a request delta of (?P<asked>[0-9.]+)"
)
QUOTAS = "https://console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"
KILLED = (137, -9)  # 128 + SIGKILL, as containers report it
KILLED_TEXT = "the process was killed (SIGKILL), which is what happens when an instance runs out of memory"
KILLED_HINT = "take an instance type with more memory, or a smaller batch_size, in environments.toml; then deploy"


@dataclass(frozen=True, slots=True)
class Reason:
    text: str
    hint: str | None = None
    exit_code: int | None = None

    def line(self) -> str:
        """In one line, for a table: what happened, then the hint."""
        hint = f" (hint: {self.hint})" if self.hint else ""
        return " ".join(f"{self.text}{hint}".split())

    def full(self) -> str:
        """For the end of `watch`: the exit code apart from the text."""
        code = "" if self.exit_code in (None, 0, 1) else f"\nexit code: {self.exit_code}"
        return f"{self.text}{code}"


def read_reason(said: str | None) -> Reason:
    """The reason that SageMaker gives: `AlgorithmError: <the job's own words>, exit code: 1`."""
    text = (said or "").strip()
    if quota := QUOTA.search(text):
        name, limit, used, asked = quota["name"], quota["limit"], quota["used"], quota["asked"]
        return Reason(
            f"the account's quota {name!r} is {limit} instances: {used} are in use, and {asked} more are asked for",
            f"ask AWS for more: {QUOTAS} (in the environment's region); headrace doctor shows all that are needed",
        )
    found = EXIT_CODE.search(text)
    code = int(found[1]) if found else None
    text = KINDS.sub("", text[: found.start()] if found else text).strip()
    if code in KILLED and text in NO_MESSAGE:
        return Reason(KILLED_TEXT, KILLED_HINT, code)
    text, *hints = HINT.split(text)
    return Reason(text.strip() or "no reason given", " ".join(hints).strip() or None, code)
