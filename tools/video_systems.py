"""Ours, as it ships: real processes on a store, searched and asked over the wire.

Also stores that hold all videos but one, so that a question can be put to a memory that
cannot know the answer. Every video is perceived once: such a store is a copy of the log
from which every row of one source was taken; its text index is made anew from what is
left, and its memory makes its vector indexes anew.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgpack

from stream.commands.timeline import PAGE
from stream.errors import OmniRecallError, SourceError, StoreBusy, WireError
from stream.messages import Cue, Evidence, EvidenceItem, RecallAsk
from stream.messages.answer import Answer, Verdict
from stream.messages.span import TimelineAsk, TimelineSpans
from stream.wire.parts import OutPart
from tools.house import House
from tools.video_metrics import Stretch, Told
from tools.video_set import Asked, Film, VideoSet

HITS = 5
INDEX_TIMEOUT_S = 3_600.0
OPEN_TIMEOUT_S = 60.0
KEYS_TIMEOUT_S = 600.0
COPIED = ("log.sqlite", "log.sqlite-wal", "log.sqlite-shm")
LOG = "log.sqlite"


@dataclass(frozen=True, slots=True)
class Hit:
    """One hit with what a person would want to know of it."""

    stretch: Stretch
    kind: str
    text: str
    score: float
    scorers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, its citations as stretches; `notices` are what it was told with."""

    verdict: Verdict
    sentences: tuple[Told, ...]
    confidence: float | None = None
    notices: tuple[str, ...] = ()


def note(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def index(house: House, videos: VideoSet) -> None:
    """Has every video read that the store does not hold yet, and waits for all keys.

    Raises:
        SourceError: If a video cannot be read.
        DeadlineExceeded: If a video takes longer than `INDEX_TIMEOUT_S`.
    """
    held = {Path(source.uri).name for source in house.memory().sources if source.consolidated}
    for film in videos.films:
        if film.path.name in held:
            continue
        began_s = time.monotonic()
        state = house.follow(_open(house, film), INDEX_TIMEOUT_S, pause_s=0.3)
        if state.state == "rejected":
            raise SourceError(f"{film.path}: {state.reason}", remedy="take it out of videos.json")
        note(f"indexed {film.path.name} ({film.duration_s:.0f} s) in {time.monotonic() - began_s:.1f} s")
    _wait_for_keys(house)


def _wait_for_keys(house: House) -> None:
    house.wait_for(lambda: not house.memory().pending_keys, KEYS_TIMEOUT_S, "all keys are made")


def _open(house: House, film: Film) -> str:
    """Opens a video; the one before may still be closing."""
    ends_at_s = time.monotonic() + OPEN_TIMEOUT_S
    while True:
        try:
            return house.open(film.path)
        except StoreBusy:
            if time.monotonic() > ends_at_s:
                raise
            time.sleep(0.1)


def searched(house: House, videos: VideoSet, questions: Sequence[Asked]) -> dict[str, list[Hit]]:
    """The hits of each question, best first, as `omnirecall search` gets them."""
    return {asked.name: search(house, videos, Cue(text=asked.question)) for asked in questions}


def search(house: House, videos: VideoSet, cue: Cue, parts: Sequence[OutPart] = ()) -> list[Hit]:
    """The hits of a cue, best first; `parts` has the picture that it names, if it does.

    Raises:
        OmniRecallError: As memory raises.
    """
    reply = house.caller("memory").ask(RecallAsk(cue=cue, k=HITS, unit="moment"), parts, timeout_s=30)
    if not isinstance(reply.message, Evidence):
        raise WireError(f"memory answered a search with {reply.topic}")
    items = sorted(reply.message.items, key=lambda item: -item.score)
    return [_hit(videos, item) for item in items]


def replied(house: House, videos: VideoSet, questions: Sequence[Asked]) -> dict[str, Reply]:
    """What reasoning says to each question."""
    return {asked.name: _reply(videos, house.ask(asked.question)) for asked in questions}


def boundaries(house: House, videos: VideoSet, level: Literal["shot", "event"]) -> dict[str, list[float]]:
    """Where the spans of a level begin and end, in seconds by video.

    A shot that was ended by its length alone claims no change of the picture there.
    """
    found: dict[str, list[float]] = {}
    by_length = ends_by_length(house.store_dir)
    offset = 0
    while True:
        ask = TimelineAsk(level=level, offset=offset, limit=PAGE)
        page = house.caller("memory").ask_for(TimelineSpans, ask, timeout_s=30)
        for entry in page.entries:
            ends = (entry.span.pts0_ns / 1e9, entry.span.pts1_ns / 1e9)
            found.setdefault(videos.video_of(entry.uri), []).extend(ends)
        offset += len(page.entries)
        if not page.entries or offset >= page.total:
            return {
                video: [
                    cut_s
                    for cut_s in _merged(cuts)
                    if not any(
                        (video, round(cut_s, 2)) == (videos.video_of(uri), end) for uri, end in by_length
                    )
                ]
                for video, cuts in found.items()
            }


def ends_by_length(store: Path) -> set[tuple[str, float]]:
    """Uri and end, in seconds to two digits, of the shots that were closed for their length."""
    with contextlib.closing(sqlite3.connect(f"file:{store / LOG}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT u.uri, o.pts1_ns, o.payload FROM observation AS o JOIN source_uri AS u"
            " ON u.source_id = o.source_id WHERE o.kind = 'shot' AND o.payload IS NOT NULL"
        ).fetchall()
    return {
        (uri, round(pts1_ns / 1e9, 2))
        for uri, pts1_ns, payload in rows
        if msgpack.unpackb(payload).get("why") == "max"
    }


def keyframes_s(store: Path, videos: VideoSet) -> dict[str, list[float]]:
    """Where the pictures lie that the store keeps of shots, in seconds by video."""
    with contextlib.closing(sqlite3.connect(f"file:{store / LOG}?mode=ro", uri=True)) as db:
        rows = db.execute(
            "SELECT u.uri, o.payload FROM observation AS o JOIN source_uri AS u ON u.source_id = o.source_id"
            " WHERE o.kind = 'shot' AND o.payload IS NOT NULL"
        ).fetchall()
    found: dict[str, list[float]] = {}
    for uri, payload in rows:
        told = msgpack.unpackb(payload).get("keyframe_pts_ns")
        if isinstance(told, int):
            found.setdefault(videos.video_of(uri), []).append(told / 1e9)
    return found


def _merged(cuts_s: Sequence[float]) -> list[float]:
    """The end of a span and the beginning of the next are one boundary, rounding aside."""
    merged: list[float] = []
    for cut_s in sorted(cuts_s):
        if not merged or cut_s - merged[-1] > 0.1:
            merged.append(cut_s)
    return merged


def replied_without(
    store: Path, videos: VideoSet, questions: Sequence[Asked], folder: Path, preset: str
) -> dict[str, Reply]:
    """Each question put to a store that holds all videos but its own; none where there is one video only.

    Args:
        store: A store of all videos, no process on it.
        videos: What it holds.
        questions: What is asked.
        folder: Where the other stores are made; they are taken away again.
        preset: As the store's own.
    """
    found: dict[str, Reply] = {}
    for film in videos.films if len(videos.films) > 1 else ():
        own = [asked for asked in questions if asked.video == film.name]
        if not own:
            continue
        other = folder / f"without-{film.name}"
        copy_without(store, other, film.path.name)
        with House(other, preset) as house:
            held = {Path(source.uri).name for source in house.memory().sources}
            if film.path.name in held or len(held) != len(videos.films) - 1:
                raise OmniRecallError(f"{other} holds {sorted(held)}: it must hold all but {film.path.name}")
            _wait_for_keys(house)
            found |= replied(house, videos, own)
        shutil.rmtree(other, ignore_errors=True)
    return found


def copy_without(store: Path, other: Path, file_name: str) -> None:
    """Copies the log of a store that no process uses, and takes one source out of the copy.

    Only the log is copied: every view beside it is made anew by whoever opens the copy.

    Raises:
        OmniRecallError: If the store holds no such source, or a row of it was left.
    """
    other.mkdir(parents=True)
    for name in COPIED:
        if (store / name).exists():
            shutil.copyfile(store / name, other / name)
    db = sqlite3.connect(other / LOG, isolation_level=None)
    try:
        uris = db.execute("SELECT source_id, uri FROM source_uri").fetchall()
        gone = {source_id for source_id, uri in uris if Path(uri).name == file_name}
        if not gone:
            raise OmniRecallError(f"{store} holds no {file_name}", remedy="index the folder anew")
        db.execute("BEGIN")
        for source_id in gone:
            _take_out(db, source_id)
        db.execute("COMMIT")
        db.execute("INSERT INTO observation_fts (observation_fts) VALUES ('rebuild')")
    finally:
        db.close()


def _take_out(db: sqlite3.Connection, source_id: bytes) -> None:
    """Deletes the rows of a source from every table that has a source, and what hung on them."""
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    of_source = [
        table
        for table in tables
        if "source_id" in {column[1] for column in db.execute(f"PRAGMA table_info({table})")}
    ]
    for table in of_source:
        db.execute(f"DELETE FROM {table} WHERE source_id = ?", (source_id,))  # noqa: S608
    db.execute("DELETE FROM observation_media WHERE n NOT IN (SELECT n FROM observation)")
    db.execute(
        "DELETE FROM key WHERE owner NOT IN (SELECT observation_id FROM observation)"
        " AND owner NOT IN (SELECT span_id FROM span)"
    )
    for table in of_source:
        left = db.execute(f"SELECT COUNT(*) FROM {table} WHERE source_id = ?", (source_id,)).fetchone()[0]  # noqa: S608
        if left:
            raise OmniRecallError(f"{left} rows of {table} were left")


def _hit(videos: VideoSet, item: EvidenceItem) -> Hit:
    pts0_ns = item.pts0_ns if item.moment_pts0_ns is None else item.moment_pts0_ns
    pts1_ns = item.pts1_ns if item.moment_pts1_ns is None else item.moment_pts1_ns
    stretch = Stretch(videos.video_of(item.uri), pts0_ns / 1e9, pts1_ns / 1e9)
    return Hit(stretch, item.kind, item.text, item.score, item.scorers)


def _reply(videos: VideoSet, answer: Answer) -> Reply:
    cited = [
        Stretch(videos.video_of(item.uri), item.pts0_ns / 1e9, item.pts1_ns / 1e9)
        for item in answer.citations
    ]
    sentences = tuple(
        Told(sentence.text, tuple(cited[place] for place in sentence.citations))
        for sentence in answer.sentences
    )
    return Reply(answer.verdict, sentences, answer.confidence, answer.notices)
