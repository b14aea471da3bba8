"""Questions about objects at places: what is new, gone or moved: "what is gone from the kitchen?"."""

from __future__ import annotations

import re
from typing import Literal

Change = Literal["new", "gone", "moved"]

_IS = r"(?:'s|\u2019s|\s+is|\s+are|\s+was|\s+were|\s+has|\s+have|\s+got)"
_THINGS = (
    r"(?:what(?:\s+(?:else|things?|objects?|all))?|which\s+(?:things?|objects?)|"
    r"(?:is|are|was|were|has)\s+(?:there\s+)?(?:anything|something))"
)
_MODIFIED = r"(?:\s+(?:been|now|there|here|all))*"
_ENDS = r"(?:\s+(?:now|there|here|away|lately))*$"
_SAYS: tuple[tuple[tuple[Change, ...], str], ...] = (
    (("new",), r"(?:new|added|appeared|come|(?:not|n['\u2019]t)\s+(?:been\s+)?there\s+before)"),
    (
        ("gone",),
        r"(?:gone(?:\s+missing)?|missing|disappeared|vanished|removed|taken|no\s+longer|"
        r"(?:not|n['\u2019]t)\s+there\s+(?:any\s?more|any\s+longer))",
    ),
    (("moved",), r"(?:moved|changed\s+(?:its\s+|their\s+)?places?|put\s+elsewhere|somewhere\s+else)"),
    (("new", "gone", "moved"), r"(?:changed|different)"),
)
_ASKS = tuple(
    (changes, re.compile(rf"^{_THINGS}(?:{_IS})?{_MODIFIED}\s+{words}{_ENDS}", re.I))
    for changes, words in _SAYS
)


def read_changes(text: str) -> tuple[Change, ...]:
    """The changes that a question asks for; none where it asks anything else, or names a thing or a place.

    Args:
        text: The question without its words for time, its place and its question mark.
    """
    return next((changes for changes, pattern in _ASKS if pattern.search(text.strip())), ())
