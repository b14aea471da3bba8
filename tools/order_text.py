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
import numpy.typing as npt

from memory.settings import MemorySettings
from stream.capture.text import read
from tools.chat_stores import ChatStore, Encode, PlainSearch
from tools.order_books import Book, pieces_of, write_turns
from tools.order_pairs import Found, Spot

SEARCHES = ("ours", "flat", "bm25", "hybrid")


class RememberingEncoder:
    """An encoder that makes the key of a text once.

    Args:
        encode: Makes them.
    """

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """The keys of the texts (N, D), in their order."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


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
        remembering = RememberingEncoder(encode)
        chats = []
        for book in books:
            path = folder / f"{book.name}.jsonl"
            write_turns(book, piece_words, path)
            chats += read(path)
        self._ours = ChatStore(chats, remembering, folder / "store", settings)
        self._encode = encode
        pieces = [(book.name, at, text) for book in books for at, text in pieces_of(book, piece_words)]
        self.spots = [Spot(name, at) for name, at, _ in pieces]
        texts = [text for _, _, text in pieces]
        self._plain = PlainSearch(texts, remembering(texts))

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
