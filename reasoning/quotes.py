"""The words of others inside an answer: nothing in them can end the quotation in which they stand.

Speech, writing, captions, names of speakers and of files come from whoever was seen or heard. They
are told between quotation marks that none of them holds, so that no reader, and no program that
shows answers as Markdown, takes them for what the answer itself says.
"""

from __future__ import annotations

import re

NAME_WORDS = 4
"""Words of a name that stands without quotation marks; a sentence has more."""
CUT_WORDS = 12
"""Words of what is given for a name and is none, as far as it is told."""

_INNER = str.maketrans("“”„‟❝❞〝〞〟＂", "‘’‚‛‘’‘’’'")  # noqa: RUF001
"""Double quotation marks, and the single ones that stand inside a quotation."""
_NO_NAME = re.compile(r"\w{4,}[.!?]\s|[!?;:<>\[\]{}|`“”]|//")
QUOTED = re.compile("“[^”]*”")
"""One quotation of an answer."""


def inner(text: str) -> str:
    """Words as they stand inside a quotation: no mark of ours in them, and no link of Markdown."""
    return text.translate(_INNER).replace("](", "] (")


def quoted(text: str) -> str:
    """Words of others, as such."""
    return f"“{inner(text)}”"


def named(name: str) -> str:
    """A name as it is; what is longer than a name, or has signs of a sentence, as words of others.

    Args:
        name: One line, without control characters.
    """
    found = name.split()
    if len(found) <= NAME_WORDS and _NO_NAME.search(name) is None:
        return inner(name)
    return quoted(name if len(found) <= CUT_WORDS else f"{' '.join(found[:CUT_WORDS])}…")


def closed(sentence: str) -> str:
    """A sentence that was cut, its last quotation ended."""
    return f"{sentence}”" if sentence.count("“") > sentence.count("”") else sentence
