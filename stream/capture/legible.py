"""The bytes of a text file as text: which encoding they are in is told from the bytes.

A byte order mark is believed; what is valid UTF-8 is UTF-8; UTF-16 without a mark shows by
its zero bytes. What is left is of the time before: one byte per character, in a code page
that nothing names. The language that the file's name tells decides it where there is one.
Else text whose words are mostly ASCII is Western European, and for all other alphabets
charset-normalizer is asked, which is good at those (it took French for Central European).
"""

from __future__ import annotations

import codecs
import re

from stream.capture.languages import language_of

WESTERN = "cp1252"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CODE_PAGES = {
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr", "ro", "bs", "sq"), "cp1250"),
    **dict.fromkeys(("ru", "uk", "bg", "be", "mk", "sr"), "cp1251"),
    **dict.fromkeys(("et", "lv", "lt"), "cp1257"),
    "el": "cp1253",
    "tr": "cp1254",
    "he": "cp1255",
    **dict.fromkeys(("ar", "fa", "ur"), "cp1256"),
    "th": "cp874",
    "vi": "cp1258",
    "ja": "cp932",
    "ko": "cp949",
}
"""Windows code pages by language: where old subtitles were made."""
_OTHER_ALPHABETS = (
    *("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "cp874"),
    *("cp932", "euc_jp", "cp949", "gb18030", "big5"),
)
_HEAD_BYTES = 64 << 10
_LETTERS = re.compile(rb"[A-Za-z]")
_HIGH = re.compile(rb"[\x80-\xff]")
_MOSTLY_ASCII = 0.4
"""Text of a Latin alphabet has a smaller share of non-ASCII letters than this."""
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def legible(data: bytes, language: str = "") -> tuple[str, str] | None:
    """The text of a file and the encoding that it was read in; None where it is no text.

    Args:
        data: All bytes of the file.
        language: What its name says of it; may be empty.
    """
    encoding = _encoding_of(data, language_of(language))
    try:
        text = data.decode(encoding, "strict" if encoding.startswith("utf") else "replace")
    except UnicodeDecodeError:
        return None
    return None if _NO_TEXT.search(text) else (text.removeprefix("\ufeff"), encoding)


def _encoding_of(data: bytes, language: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data[:_HEAD_BYTES]:
        head = data[:_HEAD_BYTES]
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _code_page(data, language)
    return "utf-8"


def _code_page(data: bytes, language: str) -> str:
    page = _CODE_PAGES.get(language, "")
    if page and _decodes(data, page):
        return page
    n_high, n_ascii = len(_HIGH.findall(data)), len(_LETTERS.findall(data))
    if n_high < _MOSTLY_ASCII * (n_high + n_ascii):
        return WESTERN
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_HEAD_BYTES], cp_isolation=list(_OTHER_ALPHABETS)).best()
    return best.encoding if best is not None and _decodes(data, best.encoding) else WESTERN


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
