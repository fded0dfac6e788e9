"""How times, durations and sizes are worded, the same in every command."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """Seconds as `12 s`, `3 min 05 s`, `2 h 07 min` or `3 d 4 h`; `-` when unknown."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def ago(moment: datetime, now: datetime) -> str:
    """One unit is enough beside an absolute time: `just now`, `4 min ago`, `3 days ago`."""
    seconds = (now - moment).total_seconds()
    if seconds < 10:
        return "just now"
    for length, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return f"{int(seconds)} s ago"


def clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def when(moment: datetime, now: datetime) -> str:
    return f"{clock(moment)} ({ago(moment, now)})"


def iso(moment: datetime | None) -> str | None:
    """UTC, to the millisecond where there is one: what `--json` gives and what `--after` takes."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def size(count: float) -> str:
    """Bytes in decimal units, as S3's console and price list count them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def share(value: float | None) -> str:
    """A number between 0 and 1 with four digits; `-` when unknown."""
    return "-" if value is None else f"{value:.4f}"


def money(usd: float | None) -> str:
    """`$8.84`, or `$0.0026` below ten cents; `?` when a price is not known."""
    if usd is None:
        return "?"
    return f"${usd:.2f}" if usd >= 0.1 or usd == 0 else f"${usd:.4f}"


def counted(number: int, noun: str) -> str:
    """`1 file`, `2 files`, `3 classes`, `2 entries`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("s"):
        return f"{number:,} {noun}es"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"
