"""Stays at places with what was seen there, read from visits and the log, for `memory.places.changes`.

Nothing is kept: what is asked is read anew, so that what the owner forgets is in no table here.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgpack
import msgspec

from memory.log.reader import MIDDLE, known_by, marks
from memory.places.changes import By, Rules, Sighting, Stay, key_of
from memory.recall.gates import Clause, gates_of
from stream.messages.cue import Cue
from stream.plurals import without_plural

MOST_STAYS = 4_000
"""Stays that are looked at, the newest."""
LONGEST_NS = 3_600_000_000_000
"""A longer visit is several stays: a camera that stands still has looked more than once."""
KINDS = ("shot", "caption", "seen_text")
LEAST_LETTERS = 3
MOST_CHARS = 80
"""Of a line that is taken for the name of a thing; longer lines are running text."""
SAID_BY_A_CAPTION = 0.5
"""How sure a thing is that a model's caption tells of: it says no number."""
PREFIX = "a photo of "
"""How the text of labels begins, which is no caption of a model."""


def stays_of(db: sqlite3.Connection, cue: Cue, place_ids: Sequence[bytes]) -> list[Stay]:
    """The newest stays at some places (none named: at all), the newest first; what was seen is not read yet.

    Cut where the time of the cue begins and ends, and where they are very long. Those without a known time
    come last.
    """
    as_of = cue.as_of_commit
    where = f"v.place_id IN ({marks(place_ids)})" if place_ids else "1"
    known = "" if as_of is None else f" AND v.made_commit <= {int(as_of)}"
    rows = db.execute(
        "SELECT v.place_id, v.source_id, v.session, v.pts0_ns, v.pts1_ns, c.t_origin_ns FROM visit AS v"  # noqa: S608
        " JOIN source AS c ON c.source_id = v.source_id AND c.session = v.session"
        f" WHERE {where}{known} ORDER BY c.t_origin_ns IS NULL, v.pts0_ns + c.t_origin_ns DESC,"
        " v.made_commit DESC, v.pts0_ns DESC LIMIT ?",
        (*place_ids, MOST_STAYS),
    )
    found: list[Stay] = []
    for place_id, source_id, session, pts0_ns, pts1_ns, origin_ns in rows:
        t0_ns = None if origin_ns is None else pts0_ns + origin_ns
        whole = Stay(place_id, source_id, session, pts0_ns, max(pts1_ns, pts0_ns + 1), t0_ns)
        found += reversed(_cut(whole, [one for one in (cue.t0_ns, cue.t1_ns) if one is not None]))
    return found[:MOST_STAYS]


def _cut(stay: Stay, utc_ns: Sequence[int]) -> list[Stay]:
    """The pieces of a stay between some times, none longer than an hour, in order."""
    cuts = {stay.pts0_ns, stay.pts1_ns}
    cuts |= set(range(stay.pts0_ns + LONGEST_NS, stay.pts1_ns, LONGEST_NS))
    if stay.t0_ns is not None:
        at = [stay.pts0_ns + one - stay.t0_ns for one in utc_ns]
        cuts |= {one for one in at if stay.pts0_ns < one < stay.pts1_ns}
    ends = sorted(cuts)
    return [
        replace(
            stay,
            pts0_ns=begin,
            pts1_ns=end,
            t0_ns=None if stay.t0_ns is None else stay.t0_ns + begin - stay.pts0_ns,
            objects={},
        )
        for begin, end in itertools.pairwise(ends)
    ]


class Sights:
    """Reads what was seen in stays.

    Args:
        db: A snapshot.
        cue: Its gates hold for what was seen, but those of time, place and kind.
    """

    def __init__(self, db: sqlite3.Connection, cue: Cue) -> None:
        self._db = db
        bare = msgspec.structs.replace(cue, text="", t0_ns=None, t1_ns=None, place="", kinds=())
        gates = gates_of(db, bare, named_dates=False)
        self._gate = Clause(f"{gates.sql}{known_by(cue.as_of_commit)}", gates.parameters)

    def look(self, stay: Stay) -> Stay:
        """The stay with its objects and how long was looked; the same one, filled."""
        seen: list[tuple[int, int]] = []
        for n, kind, pts0_ns, pts1_ns, sightings in self._rows(stay):
            if kind != "seen_text":
                seen.append((max(pts0_ns, stay.pts0_ns), min(pts1_ns, stay.pts1_ns)))
            for one in sightings:
                key = key_of(one.name, one.by)
                held = stay.objects.get(key)
                if one.by != "caption" and (held is None or one.share > held.share):
                    stay.objects[key] = replace(one, n=n)
        stay.looked_ns = _union_ns(seen)
        return stay

    def sightings(self, stay: Stay) -> list[tuple[int, Sighting]]:
        """All that was seen in a stay with its position, the last first; captions of models, too."""
        found = [(pts0_ns, one) for _, _, pts0_ns, _, sightings in self._rows(stay) for one in sightings]
        return sorted(found, key=lambda one: (-one[0], -one[1].share, one[1].n))

    def _rows(self, stay: Stay) -> Iterator[tuple[int, str, int, int, list[Sighting]]]:
        rows = self._db.execute(
            "SELECT o.n, o.kind, o.pts0_ns, o.pts1_ns, o.text, o.confidence, o.payload"  # noqa: S608
            f" FROM observation AS o WHERE o.source_id = ? AND o.session = ? AND {MIDDLE} >= ?"
            f" AND {MIDDLE} < ? AND o.kind IN ({marks(KINDS)}){self._gate.sql} ORDER BY o.pts0_ns, o.n",
            (stay.source_id, stay.session, stay.pts0_ns, stay.pts1_ns, *KINDS, *self._gate.parameters),
        )
        for n, kind, pts0_ns, pts1_ns, text, confidence, payload in rows:
            length_ns = pts1_ns - pts0_ns
            inside_ns = min(pts1_ns, stay.pts1_ns) - max(pts0_ns, stay.pts0_ns)
            # What of a long shot is of other places may be where its label comes from.
            inside = inside_ns / length_ns if length_ns > 0 else 1.0
            named = _named(kind, text, confidence, payload)
            yield (
                n,
                kind,
                pts0_ns,
                pts1_ns,
                [Sighting(n, name, by, round(share * inside, 4)) for name, by, share in named],
            )


def _named(
    kind: str, text: str, confidence: float | None, payload: bytes | None
) -> list[tuple[str, By, float]]:
    """What an observation names, how it knows that, and how sure it is."""
    if kind == "seen_text":
        lines = [" ".join(line.split()) for line in text.splitlines()]
        sure = 1.0 if confidence is None else confidence
        return [
            (line, "text", sure)
            for line in lines
            if len(line) <= MOST_CHARS and sum(c.isalpha() for c in line) >= LEAST_LETTERS
        ]
    told = msgpack.unpackb(payload) if payload else {}
    labels = told.get("labels") if isinstance(told, dict) else None
    if labels:
        return [(str(name), "label", float(share)) for name, share in labels]
    if kind == "caption" and text and not text.startswith(PREFIX):
        return [(text, "caption", SAID_BY_A_CAPTION)]
    return []


def _union_ns(stretches: Sequence[tuple[int, int]]) -> int:
    """How long some stretches are together; where they overlap, once."""
    total = reached = 0
    for begin, end in sorted(stretches):
        begin = max(begin, reached)
        total += max(0, end - begin)
        reached = max(reached, end)
    return total


# Names.


def names(sighting: Sighting, phrases: Sequence[Sequence[str]]) -> bool:
    """Whether a sighting is of one of some things, each told by its words as `word_forms` gives them.

    Of a label the last word must be that of the thing: a car mirror is no car.
    """
    words = word_forms(sighting.name)
    if not words:
        return False
    known = set(words)
    for phrase in phrases:
        is_head = sighting.by != "label" or words[-1] == phrase[-1] or len(phrase) > 1
        if is_head and set(phrase) <= known:
            return True
    return False


def word_forms(text: str) -> tuple[str, ...]:
    """The words of a text in lower case, without plural endings."""
    plain = "".join(c if c.isalnum() else " " for c in text.casefold())
    return tuple(without_plural(word) for word in plain.split())


def strictly(rules: Rules, sighting: Sighting) -> bool:
    """Whether a sighting tells that a thing was there, and not only that it may have been."""
    return sighting.share >= rules.sure_share
