"""Expansion: what surrounds an item, for the reader and for judging how well it answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from memory.log.media import media_path
from memory.log.reader import COLUMNS, MIDDLE, WORD_COLUMNS, Logged, known_by, logged
from memory.recall.scorers import Scored
from memory.spans.digest import distinct

OTHER_KINDS = 3
"""Texts of other kinds taken from around an item: what was said under a picture, seen while speaking."""
NEAR_NS = 2_000_000_000
"""Other kinds count as around an item up to this far from it."""
LONGEST_NS = 600_000_000_000
"""A shot that began longer ago than this is not looked for by overlap."""


def neighbours(db: sqlite3.Connection, item: Logged, reach: int, as_of: int | None = None) -> list[Logged]:
    """Observations with other texts around an item, in time order.

    `reach` of its own kind before and after, and a few of other kinds that overlap it or
    nearly do, the closest first; those known at a commit, where one is told.
    """
    around: list[Logged] = []
    for side, order in (("<", "DESC"), (">", "ASC")):
        rows = db.execute(
            f"SELECT {WORD_COLUMNS} FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
            f" AND o.kind = ? AND o.pts0_ns {side} ? AND o.text <> ''{known_by(as_of)}"
            f" ORDER BY o.pts0_ns {order} LIMIT ?",
            (item.source_id, item.session, item.kind, item.pts0_ns, reach),
        )
        around += (logged(row) for row in rows)
    around += _of_other_kinds(db, item, as_of)
    around.sort(key=lambda one: (one.pts0_ns, one.n))
    texts = set(distinct([item.text, *(one.text for one in around)])[1:])
    return [one for one in around if one.text in texts]


def _of_other_kinds(db: sqlite3.Connection, item: Logged, as_of: int | None) -> list[Logged]:
    found: list[Logged] = []
    for kind in ("shot", "utterance", "seen_text", "caption"):
        if kind == item.kind:
            continue
        rows = db.execute(
            f"SELECT {WORD_COLUMNS} FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
            " AND o.kind = ? AND o.pts0_ns >= ? AND o.pts0_ns < ? AND o.pts1_ns > ? AND o.text <> ''"
            f"{known_by(as_of)} ORDER BY abs({MIDDLE} - ?) LIMIT ?",
            (
                item.source_id,
                item.session,
                kind,
                item.pts0_ns - LONGEST_NS,
                item.pts1_ns + NEAR_NS,
                item.pts0_ns - NEAR_NS,
                item.middle_ns,
                OTHER_KINDS,
            ),
        )
        found += (logged(row) for row in rows)
    return found


def span_of(db: sqlite3.Connection, item: Logged, as_of: int | None = None) -> tuple[bytes, str, str]:
    """The span that holds an item: id, level and thumbnail path; the event, else the shot, else nothing.

    As of a commit, of those made by then, and without the picture, which may have changed since.
    """
    made = "" if as_of is None else f" AND s.made_commit <= {int(as_of)}"
    for level in ("event", "shot"):
        row = db.execute(
            "SELECT s.span_id, s.pts1_ns, f.media_hash, f.media_type FROM span AS s"  # noqa: S608
            " LEFT JOIN media AS f ON f.media_hash = s.thumbnail WHERE s.level = ? AND s.source_id = ?"
            f" AND s.session = ? AND s.pts0_ns <= ? AND s.ended_commit IS NULL{made}"
            " ORDER BY s.pts0_ns DESC LIMIT 1",
            (level, item.source_id, item.session, item.middle_ns),
        ).fetchone()
        if row is not None and item.middle_ns < row[1]:
            picture = media_path(row[2], row[3]) if row[2] and as_of is None else ""
            return bytes(row[0]), level, picture
    return b"", "", ""


def thumbnail_of(db: sqlite3.Connection, item: Logged, as_of: int | None = None) -> str:
    """A picture of what was to be seen at an item: its own, else that of the shot around its middle."""
    if item.thumbnail:
        return item.thumbnail
    row = db.execute(
        f"SELECT {COLUMNS} FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
        f" AND o.kind = 'shot' AND o.pts0_ns <= ?{known_by(as_of)} ORDER BY o.pts0_ns DESC LIMIT 1",
        (item.source_id, item.session, item.middle_ns),
    ).fetchone()
    if row is None:
        return ""
    shot = logged(row)
    return shot.thumbnail if item.middle_ns < shot.pts1_ns else ""


def grouped(ranked: Sequence[Scored], gap_ns: int) -> list[Scored]:
    """One item for each run of frames or shots with the very same text, best first.

    A text that stays on the screen is seen again and again. The earliest of a run stands
    for it, with the best score of the run; runs end where `gap_ns` pass without the text.

    Args:
        ranked: Scored items.
        gap_ns: Longest pause within a run.
    """
    runs: dict[tuple[bytes, int, str, str], list[Scored]] = {}
    kept: list[Scored] = []
    for one in ranked:
        item = one.item
        if item.kind in ("seen_text", "shot") and item.text:
            text = " ".join(item.text.casefold().split())
            runs.setdefault((item.source_id, item.session, item.kind, text), []).append(one)
        else:
            kept.append(one)
    for alike in runs.values():
        kept += _first_of_each_run(alike, gap_ns)
    return sorted(kept, key=lambda one: (-one.score, one.item.n))


def _first_of_each_run(alike: list[Scored], gap_ns: int) -> list[Scored]:
    alike.sort(key=lambda one: (one.item.pts0_ns, one.item.n))
    runs: list[list[Scored]] = [alike[:1]]
    end_ns = alike[0].item.pts1_ns
    for one in alike[1:]:
        if one.item.pts0_ns - end_ns > gap_ns:
            runs.append([])
        runs[-1].append(one)
        end_ns = max(end_ns, one.item.pts1_ns)
    firsts = []
    for run in runs:
        best = max(run, key=lambda one: one.score)
        firsts.append(Scored(run[0].item, best.score, best.terms))
    return firsts
