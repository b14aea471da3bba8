"""Where observations were perceived: what lies between the ends of a visit is of its place."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from memory.log.reader import MIDDLE, Logged, marks, pages
from memory.places.told import name_of

_VISIT = (
    " FROM visit AS v WHERE v.source_id = o.source_id AND v.session = o.session"
    f" AND v.pts0_ns <= {MIDDLE} AND v.pts1_ns > {MIDDLE}"
)
_WORD = re.compile(r"[^\W_]+")


def at_any(place_ids: Sequence[bytes], as_of: int | None) -> tuple[str, tuple[object, ...]]:
    """A condition on a row `o` that it was perceived at one of some places, and its values."""
    known = "" if as_of is None else " AND v.made_commit <= ?"
    values: tuple[object, ...] = tuple(place_ids) if as_of is None else (*place_ids, as_of)
    return f"EXISTS (SELECT 1{_VISIT} AND v.place_id IN ({marks(place_ids)}){known})", values


def with_places(db: sqlite3.Connection, items: Sequence[Logged], as_of: int | None = None) -> list[Logged]:
    """The items with the names of the places where they were perceived; one that tells its own keeps that."""
    if db.execute("SELECT 1 FROM visit LIMIT 1").fetchone() is None:
        return list(items)
    known = 2**62 if as_of is None else as_of
    names: dict[int, str] = {}
    for some in pages([one.n for one in items if not one.place]):
        rows = db.execute(
            "SELECT o.n, p.place_id, p.label FROM observation AS o JOIN place AS p"  # noqa: S608
            f" ON p.place_id = (SELECT v.place_id{_VISIT} AND v.made_commit <= ?"
            f" ORDER BY v.pts0_ns DESC LIMIT 1) WHERE o.n IN ({marks(some)})",
            (known, *some),
        )
        names.update((n, name_of(place_id, label)) for n, place_id, label in rows)
    return [replace(one, place=names.get(one.n, one.place)) for one in items]


def named_in(db: sqlite3.Connection, text: str) -> list[bytes]:
    """The places whose labels stand in a text, word by word."""
    asked = [word.casefold() for word in _WORD.findall(text)]
    found = []
    for place_id, label in db.execute(
        "SELECT place_id, label FROM place WHERE label <> '' ORDER BY place_id"
    ):
        words = [word.casefold() for word in _WORD.findall(label)]
        places = range(len(asked) - len(words) + 1)
        if words and any(asked[place : place + len(words)] == words for place in places):
            found.append(place_id)
    return found


def numbers_at(
    db: sqlite3.Connection, numbers: Iterable[int], place_ids: Sequence[bytes], as_of: int | None
) -> set[int]:
    """Those of some observations that were perceived at one of some places."""
    where, values = at_any(place_ids, as_of)
    found: set[int] = set()
    for some in pages(list(numbers)):
        rows = db.execute(
            f"SELECT o.n FROM observation AS o WHERE o.n IN ({marks(some)}) AND {where}",  # noqa: S608
            (*some, *values),
        )
        found.update(n for (n,) in rows)
    return found
