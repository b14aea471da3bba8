"""Consolidation: closed events become spans, each with a digest and a thumbnail.

A step handles one source within one transaction and looks only at what was committed
since the step before. Spans are views: `forget_views` and the same steps again give the
same spans from the log, since the segmenter is stable and ids are made of positions.
An observation belongs to the span that holds its middle, so nothing is stored twice.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from memory.log.reader import (
    COLUMNS,
    LIVE_KINDS,
    MIDDLE,
    Logged,
    SourceRow,
    last_commit,
    logged,
    marks,
    sources,
)
from memory.spans.digest import CITED_OF_MANY, cited_in, digest, joined
from memory.spans.due import note_due
from memory.spans.notes import LOOK_BACK_NS, notes_of
from memory.spans.segment import Outline, Segmenter, Stretch, Unit, perceived
from stream.messages.dialogue import DIALOGUE

SourceKey = tuple[bytes, int]
"""Source id and session."""
LARGEST_NS = 2**62
EVENTS_PER_STEP = 32
SOURCES_PER_STEP = 64
"""Bounds of one transaction, some 30 ms; commits that wait go in between."""
OVERLAP_NS = 600 * 1_000_000_000
"""Observations of one kind overlap by less than this; longer ones follow one another."""
DIGEST_OBSERVATIONS = 400
"""Observations of one event that its digest is made of; frames do not count."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the spans of a source are made; `closed_pts_ns` is None before the first event.

    `more`: the last step stopped at its limit, and the next has work without any commit.
    """

    closed_pts_ns: int | None = None
    through_commit: int = 0
    done: bool = False
    more: bool = False


@dataclass(slots=True)
class Step:
    """What one step did; `closed_through_ns` is the end of the newest event it closed, by source."""

    closed: int = 0
    refreshed: int = 0
    shots: int = 0
    done: bool = False
    more: bool = False
    removed_keys: list[int] = field(default_factory=list)
    closed_through_ns: dict[SourceKey, int] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any span is new or other than before."""
        return bool(self.closed or self.refreshed or self.shots)


class Consolidator:
    """Makes the shot and event spans of sources.

    Args:
        segmenter: Says where events end.
        live_close_after_ns: When an event of a live source no longer waits for a silent track.
        informative: Whether digests quote what says most, in the place of what was said first.
    """

    def __init__(self, segmenter: Segmenter, live_close_after_ns: int, *, informative: bool = False) -> None:
        self.segmenter = segmenter
        self._live_close_after_ns = live_close_after_ns
        self._informative = informative

    def due(self, db: sqlite3.Connection, touched: set[SourceKey] | None = None) -> list[SourceKey]:
        """The sources of which something may be new.

        Args:
            db: A connection.
            touched: Those that were committed to since they were last looked at; None
                after a start, when all are compared with the log.
        """
        if touched is None:
            rows = (row for row in sources(db) if row.kind != DIALOGUE)
            found = [(row.source_id, row.session) for row in rows if _is_behind(db, row)]
        else:
            found = sorted(touched)
        waiting = db.execute(
            "SELECT s.source_id, s.session FROM source AS s LEFT JOIN progress AS p"  # noqa: S608
            " ON p.source_id = s.source_id AND p.session = s.session WHERE p.more"
            f" OR ((s.session <> 0 OR s.kind IN ({marks(LIVE_KINDS)})) AND p.done IS NOT 1)",
            LIVE_KINDS,
        )
        return list(dict.fromkeys([*found, *waiting.fetchall()]))

    def advance(self, db: sqlite3.Connection, now_ns: int, touched: set[SourceKey] | None) -> Step:
        """Steps through the sources that are due until a transaction's worth is done.

        Args:
            db: The writer's connection, within a transaction.
            now_ns: As `step`.
            touched: As `due`; sources that were brought up to date are taken out.

        Returns:
            The sum of the steps; `more` if work is left.
        """
        total = Step()
        keys = self.due(db, touched)
        for place, key in enumerate(keys):
            if total.closed >= EVENTS_PER_STEP or place >= SOURCES_PER_STEP:
                total.more = True
                break
            for source in sources(db, key):
                if source.kind == DIALOGUE:
                    continue  # Nothing happened in it.
                step = self.step(db, source, now_ns)
                total.closed += step.closed
                total.refreshed += step.refreshed
                total.shots += step.shots
                total.more |= step.more
                total.removed_keys += step.removed_keys
                total.closed_through_ns |= step.closed_through_ns
            if touched is not None:
                touched.discard(key)
        return total

    def step(self, db: sqlite3.Connection, source: SourceRow, now_ns: int) -> Step:
        """Brings the spans of one source up to date, within the caller's transaction.

        Args:
            db: The writer's connection.
            source: A row read within the same transaction, or by `due` before it.
            now_ns: UTC; decides what a live source no longer waits for.

        Returns:
            What was done; `more` if `EVENTS_PER_STEP` were closed and others may follow.
        """
        before = progress_of(db, source)
        newest = last_commit(db)
        through_ns, eof = perceived(source, now_ns, self._live_close_after_ns)
        progress, reopened_keys = _reopened(db, source, before)
        shots = self._add_shots(db, source, progress.through_commit, newest)
        step = Step(removed_keys=reopened_keys, shots=shots)
        closed_ns = progress.closed_pts_ns
        if through_ns is not None and not progress.done:
            start_ns = _first_ns(db, source) if progress.closed_pts_ns is None else progress.closed_pts_ns
            outline = self._outline(db, source, start_ns, through_ns, eof)
            stretches = self.segmenter.closed(outline)
            for stretch in stretches[:EVENTS_PER_STEP]:
                self._add_event(db, source, stretch, newest)
                closed_ns = step.closed_through_ns[source.source_id, source.session] = stretch.pts1_ns
            step.closed = min(len(stretches), EVENTS_PER_STEP)
            step.more = len(stretches) > EVENTS_PER_STEP
        step.done = eof and not step.more
        if step.done and not progress.done and closed_ns:
            # Its last episode may wait for this end alone.
            note_due(db, "episode", source.source_id, source.session, closed_ns)
        if progress.closed_pts_ns is not None:
            self._refresh(db, source, progress, step)
        if step.changed or progress != before or step.done != progress.done or _is_behind(db, source):
            _save_progress(db, source, Progress(closed_ns, newest, step.done, step.more))
        return step

    def _outline(
        self, db: sqlite3.Connection, source: SourceRow, start_ns: int, through_ns: int, eof: bool
    ) -> Outline:
        end_ns = LARGEST_NS if eof else through_ns
        notes = notes_of(db, source, start_ns - LOOK_BACK_NS, end_ns) if self.segmenter.reads_notes else ()
        return Outline(
            start_ns=start_ns,
            through_ns=through_ns,
            eof=eof,
            has_picture=any(track.media in ("video", "stills") for track in source.tracks),
            shots=_units(db, source, "shot", "pts1_ns > ? AND pts1_ns <= ?", (start_ns, end_ns)),
            utterances=_units(db, source, "utterance", "pts1_ns > ? AND pts0_ns < ?", (start_ns, end_ns)),
            notes=notes,
            is_text=all(track.media == "text" for track in source.tracks),
        )

    def _add_shots(self, db: sqlite3.Connection, source: SourceRow, from_commit: int, newest: int) -> int:
        rows = db.execute(
            f"SELECT {COLUMNS} FROM observation AS o WHERE o.commit_no > ? AND o.source_id = ?"  # noqa: S608
            " AND o.session = ? AND o.kind = 'shot' ORDER BY o.pts0_ns, o.n",
            (from_commit, source.source_id, source.session),
        ).fetchall()
        for row in rows:
            shot = logged(row)
            stretch = Stretch(shot.pts0_ns, shot.pts1_ns, "cut")
            parent = event_at(db, source.source_id, source.session, shot.middle_ns)
            self._insert(db, source, "shot", stretch, newest, [shot], shot.text, parent or b"")
        return len(rows)

    def _add_event(self, db: sqlite3.Connection, source: SourceRow, stretch: Stretch, newest: int) -> None:
        observations = observations_in(db, source.source_id, source.session, stretch.pts0_ns, stretch.pts1_ns)
        line = digest(observations, informative=self._informative)
        span_id = self._insert(db, source, "event", stretch, newest, observations, line, b"")
        note_due(db, "episode", source.source_id, source.session, stretch.pts0_ns)
        for shot in observations:
            if shot.kind == "shot":
                shot_id = self._span_id("shot", source, shot.pts0_ns)
                db.execute("UPDATE span SET parent_id = ? WHERE span_id = ?", (span_id, shot_id))

    def _span_id(self, level: str, source: SourceRow, pts0_ns: int) -> bytes:
        return span_id_of(level, source.source_id, source.session, pts0_ns, self.segmenter.segmenter_id)

    def _insert(
        self,
        db: sqlite3.Connection,
        source: SourceRow,
        level: str,
        stretch: Stretch,
        made_commit: int,
        observations: Sequence[Logged],
        line: str,
        parent_id: bytes,
    ) -> bytes:
        pts0_ns, pts1_ns, why = stretch
        span_id = self._span_id(level, source, pts0_ns)
        origin_ns = source.t_origin_ns
        db.execute(
            "INSERT OR REPLACE INTO span (span_id, level, parent_id, source_id, session, pts0_ns, pts1_ns,"
            " t0_ns, t1_ns, why, digest, thumbnail, segmenter_id, made_commit, cited)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                span_id,
                level,
                parent_id,
                source.source_id,
                source.session,
                pts0_ns,
                pts1_ns,
                None if origin_ns is None else origin_ns + pts0_ns,
                None if origin_ns is None else origin_ns + pts1_ns,
                why,
                line,
                picture_of(observations),
                self.segmenter.segmenter_id,
                made_commit,
                packed_ids(cited_in(observations)),
            ),
        )
        return span_id

    def _refresh(self, db: sqlite3.Connection, source: SourceRow, progress: Progress, step: Step) -> None:
        """Digests anew the closed events that late observations fall into (live: a track gave up on)."""
        late = db.execute(
            f"SELECT {MIDDLE} FROM observation AS o WHERE o.commit_no > ? AND o.source_id = ?"  # noqa: S608
            f" AND o.session = ? AND o.text <> '' AND {MIDDLE} < ?",
            (progress.through_commit, source.source_id, source.session, progress.closed_pts_ns),
        )
        events = {event_at(db, source.source_id, source.session, middle) for (middle,) in late.fetchall()}
        events.discard(None)
        for span_id in events:
            pts0_ns, pts1_ns, before, merges = db.execute(
                "SELECT pts0_ns, pts1_ns, digest, merges FROM span WHERE span_id = ?", (span_id,)
            ).fetchone()
            observations = observations_in(db, source.source_id, source.session, pts0_ns, pts1_ns)
            line = digest(observations, informative=self._informative)
            if keeps_digest(db, source.source_id, source.session, pts0_ns, pts1_ns):
                line = joined(before, line)
            cited = cited_in(observations, CITED_OF_MANY) if merges else cited_in(observations)
            db.execute(
                "UPDATE span SET digest = ?, thumbnail = ?, cited = ? WHERE span_id = ?",
                (line, picture_of(observations), packed_ids(cited), span_id),
            )
            note_due(db, "episode", source.source_id, source.session, pts0_ns)
            if line != before:
                gone = db.execute("DELETE FROM key WHERE owner = ? RETURNING key_id", (span_id,))
                step.removed_keys += (key_id for (key_id,) in gone.fetchall())
        step.refreshed = len(events)


def keeps_digest(db: sqlite3.Connection, source_id: bytes, session: int, pts0_ns: int, pts1_ns: int) -> bool:
    """Whether retention let texts go in this stretch that the digest of an event there rests on."""
    row = db.execute(
        "SELECT 1 FROM kept_digest WHERE level = 'event' AND source_id = ? AND session = ? AND pts0_ns >= ?"
        " AND pts1_ns <= ? LIMIT 1",
        (source_id, session, pts0_ns, pts1_ns),
    ).fetchone()
    return row is not None


def span_id_of(level: str, source_id: bytes, session: int, pts0_ns: int, segmenter_id: str) -> bytes:
    """The identity of a span: the same whenever and however often it is made."""
    digest_of = hashlib.blake2b(digest_size=16)
    for part in (
        level.encode(),
        source_id,
        struct.pack(">q", session),
        struct.pack(">q", pts0_ns),
        segmenter_id.encode(),
    ):
        digest_of.update(struct.pack(">I", len(part)) + part)
    return digest_of.digest()


def forget_views(db: sqlite3.Connection) -> None:
    """Takes all spans and their keys away, within the caller's transaction; the log stays.

    `Consolidator.step` on every source then makes them again.
    """
    db.execute("DELETE FROM key WHERE owner_level <> 'observation'")
    for table in ("span", "progress", "roll_due", "span_pair"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608


def rebuild_views(db: sqlite3.Connection, consolidator: Consolidator, now_ns: int) -> int:
    """Makes all spans anew from the log, within the caller's transaction; returns how many events."""
    forget_views(db)
    closed = 0
    for source in sources(db):
        more = True
        while more:
            step = consolidator.step(db, source, now_ns)
            closed, more = closed + step.closed, step.more
    return closed


def ready_views(db: sqlite3.Connection, segmenter: Segmenter) -> bool:
    """Takes the spans away if another segmenter made them; returns whether it did.

    Within the caller's transaction, before the first step of a process.
    """
    row = db.execute("SELECT value FROM view_state WHERE name = 'segmenter'").fetchone()
    if row is not None and row[0] == segmenter.segmenter_id:
        return False
    forget_views(db)
    db.execute("INSERT OR REPLACE INTO view_state VALUES ('segmenter', ?)", (segmenter.segmenter_id,))
    return row is not None


def progress_of(db: sqlite3.Connection, source: SourceRow) -> Progress:
    """How far a source's spans are made."""
    row = db.execute(
        "SELECT closed_pts_ns, through_commit, done, more FROM progress WHERE source_id = ? AND session = ?",
        (source.source_id, source.session),
    ).fetchone()
    return Progress(row[0], row[1], bool(row[2]), bool(row[3])) if row else Progress()


def event_at(db: sqlite3.Connection, source_id: bytes, session: int, pts_ns: int) -> bytes | None:
    """The standing event span that holds a position, or None."""
    row = db.execute(
        "SELECT span_id, pts1_ns FROM span WHERE level = 'event' AND source_id = ? AND session = ?"
        " AND pts0_ns <= ? AND ended_commit IS NULL ORDER BY pts0_ns DESC LIMIT 1",
        (source_id, session, pts_ns),
    ).fetchone()
    return bytes(row[0]) if row is not None and pts_ns < row[1] else None


def packed_ids(observations: Sequence[Logged]) -> bytes:
    """What `span.cited` holds: the ids of observations, one after the other."""
    return b"".join(one.observation_id for one in observations)


def observations_in(
    db: sqlite3.Connection, source_id: bytes, session: int, pts0_ns: int, pts1_ns: int
) -> list[Logged]:
    """The observations with text or a picture whose middle lies in a stretch, in time order."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM observation AS o WHERE o.source_id = ? AND o.session = ?"  # noqa: S608
        f" AND {MIDDLE} >= ? AND {MIDDLE} < ? AND o.kind <> 'frame' ORDER BY o.pts0_ns, o.n LIMIT ?",
        (source_id, session, pts0_ns, pts1_ns, DIGEST_OBSERVATIONS),
    )
    return [logged(row) for row in rows]


def _reopened(db: sqlite3.Connection, source: SourceRow, progress: Progress) -> tuple[Progress, list[int]]:
    """The progress of a chat that got turns among or after its closed events: these are open again.

    An event waits for the turn after it, so that the one before the first new turn goes too; earlier ones
    stand, since a segmenter that begins at a boundary of its own makes the same.

    Returns:
        How far its spans stand, and the numbers of the keys that went.
    """
    if source.kind != "chat" or progress.closed_pts_ns is None:
        return progress, []
    key = (source.source_id, source.session)
    new = "source_id = ? AND session = ? AND commit_no > ?"
    first_ns = db.execute(
        f"SELECT MIN(pts0_ns) FROM observation WHERE {new}",  # noqa: S608
        (*key, progress.through_commit),
    ).fetchone()[0]
    if first_ns is None or (first_ns >= progress.closed_pts_ns and not progress.done):
        return progress, []
    event = "level = 'event' AND source_id = ? AND session = ? AND ended_commit IS NULL"
    standing = db.execute(
        f"SELECT pts0_ns FROM span WHERE {event} AND pts0_ns <= ? ORDER BY pts0_ns DESC LIMIT 1",  # noqa: S608
        (*key, first_ns),
    ).fetchone()
    from_ns = standing[0] if standing is not None else -LARGEST_NS
    gone = db.execute(
        f"DELETE FROM key WHERE owner IN (SELECT span_id FROM span WHERE {event} AND pts0_ns >= ?)"  # noqa: S608
        " RETURNING key_id",
        (*key, from_ns),
    ).fetchall()
    db.execute(f"DELETE FROM span WHERE {event} AND pts0_ns >= ?", (*key, from_ns))  # noqa: S608
    closed_ns = db.execute(f"SELECT MAX(pts1_ns) FROM span WHERE {event}", key).fetchone()[0]  # noqa: S608
    return Progress(closed_ns, progress.through_commit), [key_id for (key_id,) in gone]


def _first_ns(db: sqlite3.Connection, source: SourceRow) -> int:
    """Where the first event may begin: at 0, or before it in a chat whose earlier turns came later."""
    if source.kind != "chat":
        return 0
    first_ns = db.execute(
        "SELECT MIN(pts0_ns) FROM observation WHERE source_id = ? AND session = ? AND kind = 'utterance'",
        (source.source_id, source.session),
    ).fetchone()[0]
    return min(0, first_ns or 0)


def _units(
    db: sqlite3.Connection, source: SourceRow, kind: str, where: str, bounds: tuple[int, int]
) -> Sequence[Unit]:
    """Where the observations of a kind lie that reach beyond `bounds[0]`; `where` takes the bounds."""
    of_kind = (source.source_id, source.session, kind)
    # What may reach over the bound: whatever began last before it, and what began not long before it.
    reaching = db.execute(
        "SELECT MAX(pts0_ns) FROM observation WHERE source_id = ? AND session = ? AND kind = ?"
        " AND pts0_ns <= ?",
        (*of_kind, bounds[0]),
    ).fetchone()[0]
    first_ns = min(bounds[0] - OVERLAP_NS, reaching if reaching is not None else bounds[0])
    rows = db.execute(
        "SELECT pts0_ns, pts1_ns FROM observation WHERE source_id = ? AND session = ? AND kind = ?"  # noqa: S608
        f" AND pts0_ns >= ? AND {where} ORDER BY pts0_ns, pts1_ns, n",
        (*of_kind, first_ns, *bounds),
    )
    return [Unit(*row) for row in rows]


def _is_behind(db: sqlite3.Connection, source: SourceRow) -> bool:
    """Whether anything of a source was committed after its last step."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM track WHERE source_id = ?1 AND session = ?2 AND mark_commit > ?3)"
        " OR EXISTS (SELECT 1 FROM observation WHERE source_id = ?1 AND session = ?2 AND commit_no > ?3)",
        (source.source_id, source.session, progress_of(db, source).through_commit),
    ).fetchone()
    return bool(row[0])


def _save_progress(db: sqlite3.Connection, source: SourceRow, progress: Progress) -> None:
    db.execute(
        "INSERT OR REPLACE INTO progress (source_id, session, closed_pts_ns, through_commit, done, more)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            source.source_id,
            source.session,
            progress.closed_pts_ns,
            progress.through_commit,
            progress.done,
            progress.more,
        ),
    )


def _hash_of(observation: Logged) -> bytes | None:
    name = observation.thumbnail.rpartition("/")[2].partition(".")[0]
    return bytes.fromhex(name) if name else None


def picture_of(observations: Sequence[Logged]) -> bytes | None:
    """The thumbnail of the longest shot, else of whatever has one first."""
    pictured = [one for one in observations if one.thumbnail]
    shots = [one for one in pictured if one.kind == "shot"]
    if shots:
        return _hash_of(max(shots, key=lambda shot: shot.pts1_ns - shot.pts0_ns))
    return _hash_of(pictured[0]) if pictured else None
