"""What was perceived around a boundary, as segmenters that look at more than shots see it."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgpack

from memory.keys.keyers import unpack_vectors
from memory.log.reader import SourceRow, marks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DIMENSIONS = 256
"""Of the vectors of frames: the thousand names of the label head share them."""
LOOK_BACK_NS = 60 * 1_000_000_000
"""How far before the last closed event notes reach: what is new is told by what was there before."""
NOTED = ("frame", "utterance", "seen_text", "view")
"""Kinds of observations that are noted."""
MOST_NOTES = 20_000
"""Of one source at a time: hours of frames, and longer than any event that is not closed."""


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """One observation: when, of which kind, by whom, its words, and what a frame shows as a vector.

    `vector` (D,) float32 of unit length is made of the labels that are committed with a frame. A key
    of its own a frame has not, which would be most of the store; and keys of words are made later, by
    an encoder that may be away. So no boundary depends on when a key came.
    """

    pts0_ns: int
    pts1_ns: int
    kind: str
    speaker: str = ""
    text: str = ""
    vector: npt.NDArray[np.float32] | None = None


def label_vector(labels: Iterable[Sequence[Any]]) -> npt.NDArray[np.float32] | None:
    """Labels, each a name and its share, as a row of unit length; None without any.

    Names share `DIMENSIONS` places by a hash; roots of shares make the cosine of two rows the
    Bhattacharyya coefficient of two distributions.
    """
    import numpy as np

    row = np.zeros(DIMENSIONS, dtype=np.float32)
    for name, share, *_ in labels:
        row[zlib.crc32(str(name).encode()) % DIMENSIONS] += max(float(share), 0.0) ** 0.5
    length = float(np.linalg.norm(row))
    return row / np.float32(length) if length > 0 else None


def notes_of(db: sqlite3.Connection, source: SourceRow, from_ns: int, end_ns: int) -> list[Note]:
    """The notes of a source that begin from a position on and before another, in order of time."""
    rows = db.execute(
        "SELECT pts0_ns, pts1_ns, kind, speaker, text, CASE kind WHEN 'frame' THEN payload WHEN 'view' THEN"  # noqa: S608
        " (SELECT k.vector FROM key AS k WHERE k.owner = observation_id AND k.kind = 'place'"
        " ORDER BY k.key_id LIMIT 1) END FROM observation"
        f" WHERE source_id = ? AND session = ? AND kind IN ({marks(NOTED)})"
        " AND pts0_ns >= ? AND pts0_ns < ? ORDER BY pts0_ns, pts1_ns, kind, n LIMIT ?",
        (source.source_id, source.session, *NOTED, from_ns, end_ns, MOST_NOTES),
    )
    found: list[Note] = []
    for pts0_ns, pts1_ns, kind, speaker, text, payload in rows:
        vector = None
        if kind == "frame" and payload:
            vector = label_vector(msgpack.unpackb(payload).get("labels", ()))
        elif kind == "view" and payload:
            vector = unpack_vectors([payload], len(payload) // 2)[0]
        found.append(Note(pts0_ns, pts1_ns, kind, speaker, text, vector))
    return found
