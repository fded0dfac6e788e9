"""Canonical JSON and its SHA-256, so that equal values have equal hashes everywhere."""

import hashlib
import json


def canonical(value: object) -> str:
    """JSON with sorted keys, no spaces and only ASCII characters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(value: object) -> str:
    """SHA-256 of the canonical text: 64 hexadecimal digits, which is also the form of a ClientRequestToken."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()
