"""Expansion: what surrounds an item, for the reader and for judging how well it answers."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from memory.log.media import media_path
from memory.log.reader import MIDDLE, WORD_COLUMNS, Logged, known_by, logged, marks, observations_of, pages
from memory.recall.gathered import numbers_in
from memory.recall.scorers import Scored
from memory.spans.digest import distinct

OTHER_KINDS = 3
"""Texts of other kinds taken from around an item: what was said under a picture, seen while speaking."""
NEAR_NS = 2_000_000_000
"""Other kinds count as around an item up to this far from it."""
GROUPED = frozenset({"seen_text", "shot"})
"""Kinds of which one item stands for a run of the same text."""
_HELD = (
    "SELECT t.span_id, t.pts0_ns FROM span AS t WHERE t.level = '{{level}}' AND t.source_id = o.source_id"  # noqa: S608
    f" AND t.session = o.session AND t.pts0_ns <= {MIDDLE}"
    " AND t.{stood} ORDER BY t.pts0_ns DESC LIMIT 1"
)
"""The last span of a level, of those that stand, that begins before the middle of an observation `o`."""
LONGEST_NS = 600_000_000_000
"""A shot that began longer ago than this is not looked for by overlap."""


def neighbours(
    db: sqlite3.Connection,
    items: Sequence[Logged],
    around: Mapping[int, Sequence[int]],
    as_of: int | None = None,
) -> list[list[Logged]]:
    """Observations with other texts around each item, in time order.

    Args:
        db: A snapshot.
        items: What is to be shown.
        around: By row number, the observations of an item's own kind before and after it; to them come
            a few of other kinds that overlap it or nearly do, the closest first.
        as_of: The commit of which they may know; None: all.
    """
    others = _of_other_kinds(db, items, as_of)
    numbers = {item.n: [*around.get(item.n, ()), *more] for item, more in others}
    rows = _texts_of(db, {n for some in numbers.values() for n in some})
    found: list[list[Logged]] = []
    for item in items:
        near = sorted((rows[n] for n in numbers[item.n] if n in rows), key=lambda one: (one.pts0_ns, one.n))
        texts = set(distinct([item.text, *(one.text for one in near)])[1:])
        found.append([one for one in near if one.text in texts])
    return found


def _texts_of(db: sqlite3.Connection, numbers: Collection[int]) -> dict[int, Logged]:
    """Observations by their row numbers, without pictures."""
    return {
        row[0]: logged(row)
        for some in pages(numbers)
        for row in db.execute(
            f"SELECT {WORD_COLUMNS} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
            some,
        )
    }


def _of_other_kinds(
    db: sqlite3.Connection, items: Sequence[Logged], as_of: int | None
) -> list[tuple[Logged, list[int]]]:
    """The row numbers of what lies around each item and is of another kind."""
    others = ", ".join(
        "(SELECT group_concat(n) FROM (SELECT p.n,"  # noqa: S608
        f" abs({MIDDLE.replace('o.', 'p.')} - {MIDDLE}) AS away FROM observation AS p"
        " WHERE p.source_id = o.source_id"
        f" AND p.session = o.session AND p.kind = '{kind}' AND p.kind <> o.kind"
        f" AND p.pts0_ns >= o.pts0_ns - {LONGEST_NS} AND p.pts0_ns < o.pts1_ns + {NEAR_NS}"
        f" AND p.pts1_ns > o.pts0_ns - {NEAR_NS} AND p.text <> ''{known_by(as_of, 'p')}"
        f" ORDER BY away LIMIT {OTHER_KINDS}))"
        for kind in ("shot", "utterance", "seen_text", "caption")
    )
    found: dict[int, list[int]] = {}
    for some in pages(item.n for item in items):
        rows = db.execute(
            f"SELECT o.n, {others} FROM observation AS o WHERE o.n IN ({marks(some)})",  # noqa: S608
            some,
        )
        found.update((n, [one for joined in kinds for one in numbers_in(joined)]) for n, *kinds in rows)
    return [(item, found.get(item.n, [])) for item in items]


def spans_of(
    db: sqlite3.Connection, items: Sequence[Logged], as_of: int | None = None
) -> dict[int, tuple[bytes, str, str]]:
    """The span that holds each item, by row number: id, level and thumbnail path.

    That of its event, else of its shot; items in neither are left out. As of a commit, of those made
    by then, and without the picture, which may have changed since.
    """
    held = _HELD.format(stood="ended_commit IS NULL")
    if as_of is not None:
        # Events that were merged since stood then.
        kinds = ("ended_commit IS NULL", f"ended_commit IS NOT NULL AND t.ended_commit > {int(as_of)}")
        both = " UNION ALL SELECT * FROM ".join(
            f"({_HELD.format(stood=f'{stood} AND t.made_commit <= {int(as_of)}')})" for stood in kinds
        )
        held = f"SELECT span_id, pts0_ns FROM (SELECT * FROM {both}) ORDER BY pts0_ns DESC LIMIT 1"  # noqa: S608
    found: dict[int, tuple[bytes, str, str]] = {}
    for level in ("event", "shot"):
        own = held.format(level=level)
        for some in pages(item.n for item in items if item.n not in found):
            rows = db.execute(
                f"SELECT o.n, {MIDDLE}, s.span_id, s.pts1_ns, f.media_hash, f.media_type"  # noqa: S608
                f" FROM observation AS o JOIN span AS s ON s.span_id = (SELECT span_id FROM ({own}))"
                f" LEFT JOIN media AS f ON f.media_hash = s.thumbnail WHERE o.n IN ({marks(some)})",
                some,
            )
            for n, middle_ns, span_id, end_ns, digest, media_type in rows:
                if middle_ns < end_ns:
                    picture = media_path(digest, media_type) if digest and as_of is None else ""
                    found[n] = span_id, level, picture
    return found


def thumbnails_of(
    db: sqlite3.Connection, items: Sequence[Logged], as_of: int | None = None
) -> dict[int, str]:
    """A picture of what was to be seen at each item: its own, else that of the shot around its middle."""
    found = {item.n: item.thumbnail for item in items if item.thumbnail}
    shots: dict[int, int] = {}
    for some in pages(item.n for item in items if not item.thumbnail):
        shots |= db.execute(
            "SELECT o.n, (SELECT s.n FROM observation AS s WHERE s.source_id = o.source_id"  # noqa: S608
            f" AND s.session = o.session AND s.kind = 'shot' AND s.pts0_ns <= {MIDDLE}{known_by(as_of, 's')}"
            f" ORDER BY s.pts0_ns DESC LIMIT 1) AS shot FROM observation AS o WHERE o.n IN ({marks(some)})"
            " AND shot IS NOT NULL",
            some,
        )
    rows = observations_of(db, list(set(shots.values())))
    for item in items:
        shot = rows.get(shots.get(item.n, 0))
        if shot is not None and item.middle_ns < shot.pts1_ns:
            found[item.n] = shot.thumbnail
    return found


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
        if item.kind in GROUPED and item.text:
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
