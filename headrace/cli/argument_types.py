"""Types of command-line arguments: each converts a text, or says why it is not one of its kind."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime


def assignment(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE")
    return key, value


def project_name(text: str) -> str:
    if not re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", text) or len(text) > 32:
        raise argparse.ArgumentTypeError(f"{text} is not 1 to 32 letters, digits and inner hyphens")
    return text


def seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 7 * 86400:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 seconds and 7 days")
    return value


def interval(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.01 and 3600 seconds")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def port(text: str) -> int:
    value = int(text)
    if not 1024 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not between 1024 and 65535")
    return value


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a time such as 2026-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.astimezone().astimezone(UTC)
