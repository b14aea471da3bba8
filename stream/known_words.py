"""Words of English that the text encoder knows whole: what is among them is no slip of the keys.

The vocabulary of a WordPiece tokenizer (BERT's, Devlin et al. 2019, which MiniLM has) lists its words by
how frequent they are, so that a place in it also tells which of two words is the likelier.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from stream.errors import OmniRecallError

LEAST_LETTERS = 3


@cache
def known_words() -> Mapping[str, int]:
    """Each word in lower case and its place, the more frequent the lower; empty where there is no model."""
    from stream.models import model_file

    try:
        told = json.loads(model_file("all-minilm-l6-v2", "tokenizer.json").read_text(encoding="utf-8"))
        vocabulary = told["model"]["vocab"]
    except (OmniRecallError, OSError, ValueError, KeyError, TypeError):
        return {}
    words = (word for word in vocabulary if len(word) >= LEAST_LETTERS and word.isalpha())
    return {word: int(vocabulary[word]) for word in words}
