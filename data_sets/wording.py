"""Words for people: names cut short and escaped, problems put together, a reading as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from data_sets.errors import DataSetError
from data_sets.names import escaped
from data_sets.sample import Problem

# SageMaker shows 1,024 characters of a failure; half of a message's room is for what is wrong, half for the hints.
MOST_CHARACTERS = 900


def some_of(names: Iterable[str], limit: int = 3) -> str:
    """The first few names, escaped, and how many more there are."""
    names = list(names)
    cut = [_end_of(name) for name in names[:limit]]
    more = len(names) - limit
    return ", ".join(cut) + (f" and {more:,} more" if more > 0 else "")


def some_with_reasons(reasons: Mapping[str, str], limit: int = 3) -> str:
    """The first few names by the alphabet, each with its reason, and how many more there are."""
    shown = [f"{_end_of(name)} ({reason})" for name, reason in sorted(reasons.items())[:limit]]
    more = len(reasons) - limit
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _end_of(name: str) -> str:
    shown = escaped(name)
    return shown if len(shown) <= 60 else f"…{shown[-59:]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def refusal(problems: Sequence[Problem]) -> DataSetError:
    """All problems as one error: each message, then each hint once, then how to have it taken as it stands."""
    several = len(problems) > 1
    room = MOST_CHARACTERS // 2 // len(problems)
    messages = [_cut(problem.message, room) if several else problem.message for problem in problems]
    hints = list(dict.fromkeys(_cut(problem.hint, room) if several else problem.hint for problem in problems))
    accept = list(dict.fromkeys(f'"{problem.accept}"' for problem in problems if problem.accept))
    if accept:
        hints.append(f"if it is meant as it is, put dataset.toml with accept = [{', '.join(accept)}] into the data set")
    numbered = [f"({number}) {message}" for number, message in enumerate(messages, start=1)]
    what = f"{len(problems)} problems: {'; '.join(numbered)}" if several else messages[0]
    return DataSetError(what, hint="; ".join(hints))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= max(length, 120) else f"{text[: max(length, 120) - 1]}…"
