"""A store of a year, of real observations shifted in time.

`python -m tools.year_store --text FILE… --store DIR`. The texts are turns of chats and meetings in any
form that `omnirecall import` reads (LoCoMo, QMSum, JSON lines, SRT). They are said again day after day,
each day from another place on, in three sittings of the morning, the afternoon and the evening, each a
recording with words. `--days 365 --hours 8 --turn-s 8` say how much; the last day is `--until` (default:
yesterday). They are committed by the store's own writer, events close and roll up by the house's own steps,
whose CPU time is printed as a share of the time recorded, and questions for what happened are put to
reasoning and recall in this process. `--budget N` merges events over it; the share that this costs is
printed too. Keys are not made: `omnirecall serve` makes them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings, SpanSettings
from memory.spans.consolidate import Consolidator, ready_views
from memory.spans.merge import Merger
from memory.spans.segment import segmenter_of
from memory.spans.tree import Tree
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.capture.text import read
from stream.errors import OmniRecallError
from stream.messages import (
    CommitPut,
    Cue,
    Evidence,
    Observation,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)
from stream.messages.claims import ClaimsTold
from stream.messages.control import SourceStatus
from stream.messages.cue import Recent

NS_PER_S = 1_000_000_000
SITTINGS_H = (8, 13, 19)
"""Hours of the day at which the three recordings begin."""
BATCH = 256
PRODUCER = "year/1"
PRIME = 7_919
"""How far each day begins behind the one before, in turns; two days never say the same at the same hour."""
Said = tuple[str, str]
"""Who, and what."""


class AskedHere:
    """A store as a reasoner needs it, in this process and without keys."""

    def __init__(self, recall: Recall, reader: LogReader) -> None:
        self._recall, self._reader = recall, reader

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.recall`, by words alone."""
        with self._reader.snapshot() as db:
            return self._recall(db, cue, k)

    def digest(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.digest`."""
        with self._reader.snapshot() as db:
            return self._recall.digest(db, cue, k)

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """None: nothing was asked before."""
        return Evidence()

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """Nothing: none of its sources is live."""
        return Evidence()

    def claims(self, cue: Cue) -> ClaimsTold:
        """None: what a whole day holds is told, not one fact of it."""
        return ClaimsTold()

    def sources(self) -> Sequence[SourceStatus]:
        """None: no question for what happened needs the length of a source."""
        return ()


def turns_of(paths: Sequence[Path]) -> list[Said]:
    """Who says what in the files, in their order.

    Raises:
        SourceError: As `stream.capture.text.read`.
    """
    return [
        (turn.speaker, turn.text) for path in paths for chat in read(path) for turn in chat.turns if turn.text
    ]


def recordings_of(
    day: date, place: int, said: Sequence[Said], hours: float, turn_s: float
) -> Iterator[tuple[SourceRecord, list[Observation]]]:
    """The recordings of one day, the turns of each in order of time."""
    per_sitting = max(1, round(hours * 3600 / turn_s / len(SITTINGS_H)))
    for number, hour in enumerate(SITTINGS_H):
        begin = datetime(day.year, day.month, day.day, hour).astimezone()
        origin_ns = round(begin.timestamp()) * NS_PER_S
        source_id = hashlib.blake2b(f"{day}/{number}".encode(), digest_size=16).digest()
        record = SourceRecord(
            source_id=source_id,
            session=0,
            kind="file",
            uri=f"year/{day}-{hour:02}.wav",
            t_origin_ns=origin_ns,
            t_origin_from="owner",
            tracks=(TrackRecord(track=0, media="audio"),),
        )
        first = place * PRIME + number * per_sitting
        told = []
        for n in range(per_sitting):
            who, text = said[(first + n) % len(said)]
            # Pauses too short to end an event, but for one in six.
            pts0_ns = round(n * turn_s * NS_PER_S)
            pts1_ns = pts0_ns + round(NS_PER_S * (turn_s - (0.4 * turn_s if n % 6 == 5 else 1.0)))
            told.append(
                Observation(
                    observation_id=observation_id(source_id, 0, "utterance", PRODUCER, pts0_ns, 0),
                    source_id=source_id,
                    session=0,
                    track=0,
                    kind="utterance",
                    producer_id=PRODUCER,
                    pts0_ns=pts0_ns,
                    pts1_ns=pts1_ns,
                    t0_ns=origin_ns + pts0_ns,
                    t1_ns=origin_ns + pts1_ns,
                    text=text[:2000],
                    speaker=who,
                )
            )
        yield record, told


class Year:
    """Fills a store day by day, and keeps count of what each kind of work took.

    Args:
        store_dir: Folder of the store.
        settings: Of its spans.
        now_ns: UTC clock of its commits.
    """

    def __init__(
        self, store_dir: Path, settings: SpanSettings, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.store = LogStore(store_dir, now_ns=now_ns)
        self._made = Consolidator(
            segmenter_of(settings), 10 * NS_PER_S, informative=settings.digest == "informative"
        )
        with self.store.views() as db:
            ready_views(db, self._made.segmenter)  # Else a process that opens the store makes them anew.
        self._tree, self._merger = Tree(settings, 10 * NS_PER_S), Merger(settings)
        self.cpu_s = dict.fromkeys(("commit", "events", "episodes and days", "merging"), 0.0)
        self.longest_s = dict.fromkeys(self.cpu_s, 0.0)
        self._seq = 0

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        began_s, began_wall_s = time.process_time(), time.perf_counter()
        done = work()
        self.cpu_s[name] += time.process_time() - began_s
        self.longest_s[name] = max(self.longest_s[name], time.perf_counter() - began_wall_s)
        return done

    def add(self, record: SourceRecord, told: Sequence[Observation]) -> None:
        """Commits a recording."""
        for at in range(0, len(told), BATCH):
            self._seq += 1
            some = tuple(told[at : at + BATCH])
            is_last = at + BATCH >= len(told)
            mark = TrackMark(
                source_id=record.source_id, session=0, track=0, through_pts_ns=some[-1].pts1_ns, eof=is_last
            )
            put = CommitPut(outbox_seq=self._seq, sources=(record,), observations=some, marks=(mark,))
            self._timed("commit", partial(self.store.commit, [PutItem("year", put)]))

    def settle(self, now_ns: int) -> None:
        """Closes events, rolls up and merges, until nothing is due."""
        while self._timed("events", lambda: self._step(now_ns)):
            pass
        while self._timed("episodes and days", lambda: self._roll(now_ns)):
            pass
        while self._timed("merging", self._merge):
            pass

    def _step(self, now_ns: int) -> bool:
        with self.store.views() as db:
            return self._made.advance(db, now_ns, self.store.touched).more

    def _roll(self, now_ns: int) -> bool:
        with self.store.views() as db:
            self._tree.ready(db)
            return self._tree.advance(db, now_ns).more

    def _merge(self) -> bool:
        with self.store.views() as db:
            return self._merger.advance(db).more


def fill(options: argparse.Namespace, said: Sequence[Said]) -> dict[str, Any]:
    """Fills the store; what that took."""
    settings = SpanSettings(budget=options.budget)
    year = Year(options.store, settings)
    first = options.until - timedelta(days=options.days - 1)
    for place in range(options.days):
        day = first + timedelta(days=place)
        for record, told in recordings_of(day, place, said, options.hours, options.turn_s):
            year.add(record, told)
            year.settle(time.time_ns())
        if sys.stderr.isatty() or place % 30 == 29:
            print(f"\r{place + 1} of {options.days} days", end="", file=sys.stderr)
    print(file=sys.stderr)
    counts = year.store._db.execute(
        "SELECT level, COUNT(*) FROM span WHERE ended_commit IS NULL GROUP BY level"
    ).fetchall()
    rows = year.store._db.execute("SELECT COUNT(*) FROM observation").fetchone()[0]
    year.store.close()
    recorded_s = options.days * options.hours * 3600
    return {
        "observations": rows,
        "spans": dict(counts),
        "bytes": (options.store / "log.sqlite").stat().st_size,
        "cpu_s": {name: round(spent, 2) for name, spent in year.cpu_s.items()},
        "longest_step_ms": {name: round(spent * 1e3, 1) for name, spent in year.longest_s.items()},
        "share_of_a_core": {
            name: round(spent / recorded_s, 6) for name, spent in year.cpu_s.items() if name != "commit"
        },
    }


def asked(options: argparse.Namespace, repeats: int = 5) -> dict[str, dict[str, Any]]:
    """How long questions for what happened take, and what they answer."""
    reader = LogReader(options.store)
    recall = Recall(IndexShelf(options.store / "views"), MemorySettings().recall)
    reasoner = Reasoner(AskedHere(recall, reader), ReasoningSettings())
    last, told = options.until, {}
    some_day = last - timedelta(days=min(options.days - 1, 200))
    for question in (
        f"What happened on {last:%A}?",
        f"Summary of {some_day.day} {some_day:%B %Y}",
        f"What happened on the morning of {some_day.day} {some_day:%B %Y}?",
        "What happened last week?",
        "What happened last month?",
        f"What happened in {some_day:%B %Y}?",
    ):
        spent_ms = []
        for _ in range(repeats):
            began_s = time.perf_counter()
            answer = reasoner.answer(question, Cue())
            spent_ms.append((time.perf_counter() - began_s) * 1e3)
        told[question] = {
            "first_ms": round(spent_ms[0], 1),
            "p50_ms": round(float(np.median(spent_ms)), 1),
            "verdict": answer.verdict,
            "sentences": len(answer.sentences),
            "uncited": sum(not sentence.citations for sentence in answer.sentences),
            "answer": answer.answer,
        }
    reader.close()
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--text", type=Path, nargs="*", default=(), help="chats and meetings; none: only ask")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--hours", type=float, default=8.0, help="recorded a day")
    parser.add_argument("--turn-s", type=float, default=8.0, help="seconds from one turn to the next")
    parser.add_argument("--until", type=date.fromisoformat, default=date.today() - timedelta(days=1))
    parser.add_argument("--budget", type=int, default=SpanSettings().budget, help="events that stand")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"tool": "year_store", "days": options.days, "hours": options.hours}
    try:
        if options.text:
            result |= fill(options, turns_of(options.text))
        result["questions"] = asked(options)
    except OmniRecallError as error:
        print(f"{error.message}: {error.remedy}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2, ensure_ascii=False))
    if options.json is not None:
        options.json.write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
