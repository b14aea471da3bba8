"""Words of English that the text encoder knows whole: what is among them is no slip of the keys.

The vocabulary of a WordPiece tokenizer (BERT's, Devlin et al. 2019, which MiniLM has) lists its words by
how frequent they are, so that a place in it also tells which of two words is the likelier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache

from stream.errors import OmniRecallError

LEAST_LETTERS = 3
_QUOTED = (
    r"\"[^\"]*\"|\u201c[^\u201d]*\u201d|\u201e[^\u201c\u201d]*[\u201c\u201d]|«[^»]*»"
    r"|\u2018[^\u2019]*\u2019(?!\w)|(?<!\w)'[^']*'(?!\w)"
)
"""Pairs of quotation marks, as numbers where they look alike; an apostrophe within a word is none."""
QUOTED_OR_WORD = re.compile(rf"{_QUOTED}|(?P<word>[^\W\d_]+)")
"""What stands in quotation marks, or a `word` of letters outside of them."""


@cache
def known_words() -> Mapping[str, int]:
    """Each word in lower case and its place, the more frequent the lower; empty where there is no model."""
    vocabulary = _vocabulary()
    words = (word for word in vocabulary if len(word) >= LEAST_LETTERS and word.isalpha())
    return {word: vocabulary[word] for word in words}


def n_pieces(word: str) -> int:
    """In how many pieces the tokenizer reads a word, in lower case; 0 where it cannot, or is not there.

    It takes the longest piece that fits from the left (Wu et al. 2016). A word that people use is read in
    one or two more often than a slip, which breaks pieces.
    """
    vocabulary = _vocabulary()
    found = start = 0
    while start < len(word):
        ends = range(len(word), start, -1)
        mark = "##" if start else ""
        start = next((end for end in ends if f"{mark}{word[start:end]}" in vocabulary), 0)
        if not start:
            return 0
        found += 1
    return found


def respell(text: str, spelt: Mapping[str, str]) -> str:
    """A text with its misspelt words put right, but those in quotation marks."""
    return QUOTED_OR_WORD.sub(lambda match: spelt.get(match["word"], match[0]), text) if spelt else text


@cache
def _vocabulary() -> Mapping[str, int]:
    from stream.models import model_file

    try:
        told = json.loads(model_file("all-minilm-l6-v2", "tokenizer.json").read_text(encoding="utf-8"))
        return {str(piece): int(place) for piece, place in told["model"]["vocab"].items()}
    except (OmniRecallError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
