"""docs/notices.md: each notice as a subscriber receives it, written by the tests that cause it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "notices.md"

OPENING = """\
# Notices: what is sent to people, and how

The stack's topic (output `NoticeTopicArn`) gets each notice. `notice_emails` in `environments.toml` subscribes
addresses to it; anything else that SNS delivers to can be subscribed too. E-mail gets the readable form; queues,
functions and web hooks (`sqs`, `lambda`, `http`, `https`) get JSON, which holds the readable form as `text`. The
message attributes `kind`, `environment` and, for a declared model line, `line` are there to filter by:

```
aws sns subscribe --topic-arn TOPIC --protocol sqs --notification-endpoint QUEUE \\
  --attributes '{"FilterPolicy": "{\\"kind\\": [\\"approval-needed\\", \\"rolled-back\\"]}"}'
```

Each is sent once, however often its cause is reported: a marker under `notices/` in the data bucket remembers it for 30
days. One that cannot be sent stays in its queue, and goes to its dead-letter queue in the end, whose alarm goes to the
topic as CloudWatch words it.

Every notice below was received from the topic by a test in `tests/notices`, which fails when it reads otherwise. What
differs from run to run stands in `<…>`, and `…` in JSON for what the readable form has already.
`python -m pytest tests/notices --write-notices` writes this file again.
"""

# What differs from run to run: (pattern, what stands for it).
VARYING = (
    (r"pipelines-[a-z0-9]{12}-([A-Za-z]+)-[A-Za-z0-9]{10}", r"<job of \1>"),
    (r"(\$252Falgo-1-)\d+", r"\1<number>"),
    (r"/execution/[a-z0-9]{12}", "/execution/<run>"),
    (r"(logs |run: )[a-z0-9]{12}\b", r"\1<run>"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", "<time>"),
    (r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d", "<time>"),
    (r"runs here with Python .*(?=, whatever)", "runs here with <versions>"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of notice as it was received."""

    kind: str
    when: str
    subject: str
    text: str
    data: Mapping[str, Any]

    @property
    def section(self) -> str:
        repeated = {"what_to_do": ["…"], "text": "…"}
        data = json.dumps({**self.data, **repeated}, indent=2, ensure_ascii=False)
        data = re.sub(r'\[\s+"…"\s+\]', '["…"]', data)
        body = (
            f"## {self.kind}\n\n{self.when}\n\nSubject: `{self.subject}`\n\n"
            f"```text\n{self.text}\n```\n\n```json\n{data}\n```\n"
        )
        for pattern, name in VARYING:
            body = re.sub(pattern, name, body)
        return body


def document(entries: Sequence[Entry]) -> str:
    return "\n".join([OPENING, *(entry.section for entry in entries)])


def documented() -> dict[str, set[str]]:
    """The document's sections by the kind of notice; a kind that is sent on several occasions has several."""
    text = DOCUMENT.read_text("utf-8") if DOCUMENT.is_file() else ""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    found: dict[str, set[str]] = {}
    for section in sections:
        found.setdefault(section.splitlines()[0].removeprefix("## "), set()).add(section.rstrip("\n") + "\n")
    return found
