"""Text from elsewhere, such as class names, keys and log lines, as a terminal may print it.

A name may hold an escape sequence that moves the cursor, or a mark that turns the direction of what follows, so that a
line reads as another one. Such characters are printed as their escapes, `\\x1b` and `\\u202e`.
"""

from __future__ import annotations

_CONTROL = {*range(0x20), *range(0x7F, 0xA0)}
_DIRECTION = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_UNSEEN = {0x00AD, 0x180E, 0x200B, 0x2028, 0x2029, 0x2060, 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)}
_SURROGATES = set(range(0xD800, 0xE000))  # they have no encoding: printing one raises

_HIDDEN = {*_CONTROL, *_DIRECTION, *_UNSEEN, *_SURROGATES}


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {code: _escape(code) for code in _HIDDEN} | {9: "\\t", 10: "\\n", 13: "\\r"}
_IN_LINES = {code: text for code, text in _ESCAPES.items() if code not in (9, 10)}
# In JSON a character beyond U+FFFF is a pair of escapes.
_IN_JSON = {
    code: f"\\u{code:04x}" if code < 0x10000 else "".join(f"\\u{half:04x}" for half in (
        0xD800 + ((code - 0x10000) >> 10), 0xDC00 + (code & 0x3FF)))
    for code in _HIDDEN if code >= 0x20
}  # fmt: skip


def visible(text: str) -> str:
    """For one cell or one name: a line break and a tab are escaped as well."""
    return text.translate(_ESCAPES)


def visible_lines(text: str) -> str:
    """For text that may have several lines."""
    return text.translate(_IN_LINES)


def visible_json(document: str) -> str:
    """A JSON document that says the same. `json` has escaped what is below U+0020; the rest is inside strings."""
    return document.translate(_IN_JSON)
