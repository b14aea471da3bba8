"""What was perceived around a boundary, as segmenters that look at more than shots see it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memory.log.reader import SourceRow, marks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

LOOK_BACK_NS = 60 * 1_000_000_000
"""How far before the last closed event notes reach: what is new is told by what was there before."""
NOTED = ("frame", "utterance", "seen_text")
"""Kinds of observations that are noted."""
MOST_NOTES = 20_000
"""Of one source at a time: hours of frames, and longer than any event that is not closed."""


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """One observation: when, of which kind, by whom, its words, and the key that came with it.

    `vector` (D,) float32 of unit length: of a picture, whose key is committed with the frame. Keys of
    words are made later, by an encoder that may be away, so that no boundary depends on them.
    """

    pts0_ns: int
    pts1_ns: int
    kind: str
    speaker: str = ""
    text: str = ""
    vector: npt.NDArray[np.float32] | None = None


def notes_of(db: sqlite3.Connection, source: SourceRow, from_ns: int, end_ns: int) -> list[Note]:
    """The notes of a source that begin from a position on and before another, in order of time."""
    import numpy as np

    rows = db.execute(
        "SELECT o.pts0_ns, o.pts1_ns, o.kind, o.speaker, o.text,"  # noqa: S608
        " (SELECT k.vector FROM key AS k WHERE k.owner = o.observation_id AND k.kind = 'image'"
        " ORDER BY k.encoder_id LIMIT 1) FROM observation AS o"
        f" WHERE o.source_id = ? AND o.session = ? AND o.kind IN ({marks(NOTED)})"
        " AND o.pts0_ns >= ? AND o.pts0_ns < ? ORDER BY o.pts0_ns, o.pts1_ns, o.kind, o.n LIMIT ?",
        (source.source_id, source.session, *NOTED, from_ns, end_ns, MOST_NOTES),
    )
    return [
        Note(
            pts0_ns,
            pts1_ns,
            kind,
            speaker,
            text,
            None if vector is None else np.frombuffer(vector, "<f2").astype(np.float32),
        )
        for pts0_ns, pts1_ns, kind, speaker, text, vector in rows
    ]
