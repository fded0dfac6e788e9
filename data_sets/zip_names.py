"""Names in a zip archive: which code page they are in, where nothing says so.

An archive without the UTF-8 flag holds bytes. APPNOTE.TXT says code page 437; Windows writes that of its language, and
most other programs UTF-8. A name that is decoded wrong garbles a label, and may merge two classes: the second byte of
a letter in code page 932 or GBK may be 0x5C, the backslash.
"""

from __future__ import annotations

import re
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence

from data_sets.errors import ArchiveError
from data_sets.wording import some_of

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075  # the extra field in which Info-ZIP writes the name in UTF-8
CODE_PAGES = ("cp437", "cp850", "cp932", "gbk", "cp1252", "cp949", "cp866")


def decoded_names(infos: Sequence[zipfile.ZipInfo], archive: str) -> list[str]:
    """The name of each member. Raises ArchiveError where several code pages make sense, or none does."""
    known = [_declared(info) for info in infos]
    open_ = [_raw(info) for info, name in zip(infos, known, strict=True) if name is None]
    if not open_:
        return [name for name in known if name is not None]
    decode = _decoder(open_, archive)
    return [decode(_raw(info)) if name is None else name for info, name in zip(infos, known, strict=True)]


def _declared(info: zipfile.ZipInfo) -> str | None:
    if info.flag_bits & UTF8_FLAG:
        return info.orig_filename
    if info.orig_filename.isascii():
        return info.orig_filename
    extra, raw = info.extra, _raw(info)
    while len(extra) >= 4:
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        if kind == UNICODE_PATH and size > 5 and int.from_bytes(extra[5:9], "little") == zlib.crc32(raw):
            try:
                return extra[9 : 4 + size].decode("utf-8")
            except UnicodeDecodeError:
                return None
        extra = extra[4 + size :]
    return None


def _raw(info: zipfile.ZipInfo) -> bytes:
    """The bytes of the name: `zipfile` decodes them with code page 437, which has a letter for each."""
    return info.orig_filename.encode("cp437")


def _decoder(raw: Sequence[bytes], archive: str) -> Callable[[bytes], str]:
    if _decode_all(raw, "utf-8") is not None:
        return lambda name: name.decode("utf-8")
    found = {page: texts for page in CODE_PAGES if (texts := _decode_all(raw, page)) is not None}
    likely = {page: texts for page, texts in found.items() if all(map(_LIKELY[page], _words(texts)))}
    readings = {tuple(texts) for texts in likely.values()}
    certain = [page for page, texts in likely.items() if page != "cp1252" or all(map(_is_latin, _words(texts)))]
    if len(readings) == 1 and certain:
        page = certain[0]
        return lambda name: name.decode(page)
    first = next(name for name in raw if not name.isascii())
    shown = [f"{page}: {some_of([text])}" for page in (likely or found)
             if (text := _decode(first, page)) is not None]  # fmt: skip
    raise ArchiveError(
        f"{archive} does not say in which code page its names are, and "
        f"{'several fit' if likely else 'none fits well'}: {'; '.join(shown)}",
        hint=f"unpack it with the right one, e.g. unzip -O {next(iter(likely), 'cp932')} {archive} -d FOLDER, then "
        "headrace upload FOLDER; or make it again with names in UTF-8 (7-Zip: -mcu=on)",
    )


def _decode_all(raw: Iterable[bytes], page: str) -> list[str] | None:
    texts = []
    for name in raw:
        text = _decode(name, page)
        if text is None:
            return None
        texts.append(text)
    return texts


def _decode(name: bytes, page: str) -> str | None:
    try:
        return name.decode(page)
    except UnicodeDecodeError:
        return None


def _words(texts: Iterable[str]) -> set[str]:
    """The parts of the paths that are not ASCII, without their suffixes."""
    parts = {part for text in texts for part in re.split(r"[/\\]", text)}
    return {part.rpartition(".")[0] or part for part in parts if not part.isascii()}


def _is_latin(word: str) -> bool:
    """Letters of Western Europe among at least as many plain ones, as in `Möwe`; no frames, no Greek, no symbols."""
    odd = [character for character in word if not character.isascii()]
    plain = sum(character.isascii() and character.isalpha() for character in word)
    latin = all(unicodedata.name(character, "").startswith("LATIN ") for character in odd)
    return latin and len(odd) <= max(1, plain) and "[" not in word and "]" not in word


def _may_be_latin(word: str) -> bool:
    """Letters of Western Europe, however many: not enough to choose this code page against another one."""
    return all(unicodedata.name(c, "").startswith("LATIN ") for c in word if not c.isascii())


def _is_korean(word: str) -> bool:
    odd = [character for character in word if not character.isascii()]
    plain = sum(character.isascii() and character.isalpha() for character in word)
    return len(odd) > plain and all(unicodedata.name(c, "").startswith("HANGUL ") for c in odd)


def _is_russian(word: str) -> bool:
    """Cyrillic letters, and none of the Latin alphabet among them."""
    odd = all(unicodedata.name(c, "").startswith("CYRILLIC ") for c in word if not c.isascii())
    return odd and not any(c.isascii() and c.isalpha() for c in word)


def _is_japanese(word: str) -> bool:
    """Kana and kanji, more of them than letters of the Latin alphabet; half-width kana are other bytes misread."""
    odd = [character for character in word if not character.isascii()]
    plain = sum(character.isascii() and character.isalpha() for character in word)
    wide = all(unicodedata.east_asian_width(character) in ("W", "F", "A") for character in odd)
    script = sum(unicodedata.name(c, "").startswith(("HIRAGANA", "KATAKANA", "CJK UNIFIED", "FULLWIDTH")) for c in odd)
    return wide and script > 0 and len(odd) > plain


def _is_chinese(word: str) -> bool:
    """Characters of GB 2312, which has those of everyday; what GBK adds to it are rare ones."""
    odd = [character for character in word if not character.isascii()]
    plain = sum(character.isascii() and character.isalpha() for character in word)
    try:
        "".join(odd).encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(odd) > plain and all(unicodedata.name(c, "").startswith(("CJK UNIFIED", "FULLWIDTH")) for c in odd)


_LIKELY: dict[str, Callable[[str], bool]] = {
    "cp437": _is_latin,
    "cp850": _is_latin,
    "cp932": _is_japanese,
    "gbk": _is_chinese,
    "cp1252": _may_be_latin,
    "cp949": _is_korean,
    "cp866": _is_russian,
}
