"""Places in questions: where the owner's name of a place is said as a place, only what was there can answer.

"What was said in the kitchen?" is asked of the kitchen, by a gate, and its evidence need not say "kitchen". A
name that stands elsewhere in a question ("when was the kitchen painted?") is a wish, which memory scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_BEFORE = (
    r"\b(?:in|at|inside|within|near|by|from|into|on|outside|around)\s+"
    r"(?:(?:the|my|our|your|his|her|their)\s+)?"
)


class NamedPlace(NamedTuple):
    """A label that a question names, and the question without that."""

    label: str
    rest: str


def named_place(text: str, labels: Sequence[str]) -> NamedPlace | None:
    """The place that a question is asked of: of several the longest name; None where none is named as one.

    Args:
        text: The question.
        labels: All names of places that the owner gave.
    """
    for label in sorted(set(labels), key=lambda one: (-len(one), one)):
        words = r"\s+".join(re.escape(word) for word in label.split())
        found = re.search(rf"{_BEFORE}{words}(?![\w'\u2019-])", text, re.I)
        if found is None:
            continue
        rest = f"{text[: found.start()]} {text[found.end() :]}"
        rest = re.sub(r"\s+([?.!,])", r"\1", re.sub(r"\s+", " ", rest)).strip(" ,")
        if re.search(r"\w", rest):
            return NamedPlace(label, rest)
    return None
