"""A notice of one event, in the forms in which SNS sends it.

The text form has the headline first, then the facts, then what to do. The JSON form has the same, and each fact as a
separate member for programs:

{"kind": "rolled-back", "environment": "prod", "headline": "...", "what_to_do": [...], "text": "...", "<fact>": ...}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_SUBJECT = 100  # characters that SNS takes, ASCII ones
MAX_FACTS = 7_000  # characters: SNS takes 256 KB for all forms, and a quotation mark becomes 4 bytes in 4 of them
MACHINES = ("sqs", "lambda", "http", "https")


@dataclass(frozen=True, slots=True)
class Notice:
    """`facts` and `to_do` are lines of the text form; `data` are the additional members of the JSON form."""

    kind: str
    headline: str
    facts: Sequence[str]
    to_do: Sequence[str]
    data: Mapping[str, Any]

    def text(self) -> str:
        facts = "\n".join(self.facts)
        if len(facts) > MAX_FACTS:
            facts = f"{facts[:MAX_FACTS]}\n… and {len(facts) - MAX_FACTS:,} characters more"
        return "\n".join([self.headline, "", facts, "", "what to do:", *(f"  {line}" for line in self.to_do)])

    def subject(self, environment: str) -> str:
        """[headrace prod], or [headrace prod, line pets], and the headline. SNS requires one line of ASCII."""
        line = " ".join(f"[headrace {environment}] {self.headline}".split())
        return line.encode("ascii", "replace").decode()[:MAX_SUBJECT]

    def message(self, environment: str, *, line: str = "") -> str:
        """The message for MessageStructure "json": programs get the JSON form; e-mail and all others, the text form."""
        text = self.text()
        data = {
            "kind": self.kind,
            "environment": environment,
            **({"line": line} if line else {}),
            "headline": self.headline,
            **self.data,
            "what_to_do": list(self.to_do),
            "text": text,
        }
        forms = {"default": text, "sms": self.headline}
        return json.dumps(forms | dict.fromkeys(MACHINES, json.dumps(data, ensure_ascii=False)), ensure_ascii=False)
