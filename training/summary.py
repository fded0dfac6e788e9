"""The evaluation in a few words, as a registered model version can carry them.

SageMaker takes at most 256 characters as a value of CustomerMetadataProperties, of them letters, digits, spaces and
`_ . : / = + - @` alone (CreateModelPackage in the API reference). So names are shortened and spelled here, and a
digest shows exactly whether two versions know the same classes. The whole of it is in evaluation.json.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

MOST_CHARACTERS = 256
NOT_TAKEN = re.compile(r"[^\w .:/=+@-]")


def summary(classes: Sequence[str], about: dict[str, Any], comparison: str, warnings: Sequence[str]) -> dict[str, str]:
    return {
        "classes": listed(classes),
        "classes_digest": digest(classes),
        "image_size": fit(str(about.get("image_size", "not recorded"))),
        "network": fit(str(about.get("network", "not recorded"))),
        "comparison": fit(in_words(comparison)),
        "warnings": fit(" - ".join(warnings)),
    }


def digest(classes: Sequence[str]) -> str:
    """The same for the same classes in any order."""
    return hashlib.sha256(json.dumps(sorted(classes)).encode()).hexdigest()[:16]


def listed(classes: Sequence[str]) -> str:
    """`3: cat / dog / fish`: as many names as fit."""
    text = f"{len(classes)}: "
    for index, name in enumerate(classes):
        more = ("" if index == 0 else " / ") + spelled(name)
        rest = " / and more" if index < len(classes) - 1 else ""
        if len(text) + len(more) + len(rest) > MOST_CHARACTERS:
            return f"{text} / and more" if index else fit(text + more)
        text += more
    return text


def fit(text: str) -> str:
    text = spelled(text)
    if not text:
        return "none"  # a value has one character at least
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3].rstrip() + "..."


def in_words(text: str) -> str:
    """A sentence whose lists and parentheses can still be read once commas and parentheses are gone."""
    for sign, spelling in ((" (", ": "), (")", ""), (", and ", " and "), (", ", " / ")):
        text = text.replace(sign, spelling)
    return text


def spelled(text: str) -> str:
    text = text.replace("; ", " - ").replace("'", "").replace(",", "").replace("(", "- ").replace(")", "")
    return NOT_TAKEN.sub("_", " ".join(text.split()))
