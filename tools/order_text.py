"""Books in memory: each a source of pieces with positions, asked by recall beside plain indexes.

A book is written as a file of turns and read as `omnirecall import` reads it. `ours` is
`memory.recall` in this process over one store of all books; `flat`, `bm25` and `hybrid` are the
plain searches of `tools.chat_stores` over the same pieces, which know each piece's position too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np

from memory.settings import MemorySettings
from stream.capture.text import read
from tools.chat_stores import ChatStore, Encode, PlainSearch, remembering
from tools.order_books import Book, pieces_of, write_turns
from tools.order_pairs import Found, Spot

SEARCHES = ("ours", "flat", "bm25", "hybrid")


class BookSearch:
    """All books, searched in every way.

    Args:
        books: What is read.
        piece_words: Whole sentences are put together until they have so many words.
        encode: Makes keys of texts.
        folder: For the store and the files that are imported; empty.
        settings: Of memory.
    """

    def __init__(
        self,
        books: Sequence[Book],
        piece_words: int,
        encode: Encode,
        folder: Path,
        settings: MemorySettings,
    ) -> None:
        known = remembering(encode)
        chats = []
        for book in books:
            path = folder / f"{book.name}.jsonl"
            write_turns(book, piece_words, path)
            chats += read(path)
        self._ours = ChatStore(chats, known, folder / "store", settings)
        self._encode = encode
        pieces = [(book.name, at, text) for book in books for at, text in pieces_of(book, piece_words)]
        self.spots = [Spot(name, at) for name, at, _ in pieces]
        texts = [text for _, _, text in pieces]
        self._plain = PlainSearch(texts, known(texts))

    def found(self, text: str) -> dict[str, Found]:
        """The best hit of a cue, by system; what recall found lies where its evidence says."""
        key = self._encode([text])[0]
        found = {}
        hits = self._ours.hits(text, key, 1)
        found["ours"] = Found(None)
        if hits:
            spot = Spot(hits[0].source_id.hex(), float(hits[0].pts0_ns))
            found["ours"] = Found(spot, hits[0].score)
        for name, scores in self._plain.systems(text, key).items():
            best = int(np.argmax(scores))
            # Without a word in common a lexical index finds nothing, not the first piece.
            spot_or_none = self.spots[best] if scores.any() else None
            found[name] = Found(spot_or_none, cast(float, scores[best].item()))
        return found
