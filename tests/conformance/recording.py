"""Write each answer and event of the services as a JSON fixture, without what identifies the account."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"  # AWS's own example
PRIVATE = frozenset({"ResponseMetadata", "UserId", "Arn", "AccessKeyId", "SecretAccessKey", "SessionToken"})


class Recorder:
    """Numbers the files in the order in which the answers came, and names them by the check that asked."""

    def __init__(self, folder: Path, account: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("[0-9][0-9][0-9]-*.json"):  # of the run before, which may have had other checks
            old.unlink()
        self.folder, self.account = folder, account
        self.check = "preparation"
        self.count = 0

    def record(self, what: str, answer: Any) -> None:
        self.count += 1
        text = json.dumps(without_private(answer), indent=2, default=in_json, sort_keys=True)
        path = self.folder / f"{self.count:03}-{self.check}-{re.sub(r'[^a-z0-9]+', '-', what.lower())}.json"
        path.write_text(text.replace(self.account, ACCOUNT) + "\n", "utf-8")


def without_private(value: Any) -> Any:
    """`Arn` alone is the caller's own name; the ARNs of resources have longer keys."""
    if isinstance(value, dict):
        return {key: without_private(item) for key, item in value.items() if key not in PRIVATE}
    if isinstance(value, list):
        return [without_private(item) for item in value]
    return value


def in_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
