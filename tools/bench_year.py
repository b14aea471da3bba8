"""A year of real observations within a budget, on a simulated clock.

`python -m tools.bench_year --dialogues FILE --text FILE… --films STORE --store DIR [--days 365] [--hours 8]
[--camera-hours 1] [--turn-s 12] [--budget-mb 4096] [--keys DIR] [--json OUT] [--svg OUT]`. Each day `--hours`
are recorded, of which `--camera-hours` with pictures (`tools.year_material`; `--films` is a store that the
house indexed); the dialogues (LoCoMo format) of half A lie in the first week, of half B in the last one.
Everything is committed by the store's own writer; events, episodes, days, claims, keys, indexes and what is
let go are made by the house's own steps, all in this process, with the clock at the time recorded. Retention
runs behind each recording; three parts of the budget are for the index, one is for thumbnails.

Keys of what fills the year are not encoded one by one: those of utterances are means of real ones
(`tools.year_material`), that of an event's digest is the mean of its observations'. Those of dialogues are.
`share of a core` is CPU time over the time recorded. Perception has no part in it, nor have commits.

Questions (those that name no date) are put when their week is over, B's in the year's store and in one that
holds the same last week alone, so that like is compared with like. Latency is of the pipeline without the
encoder, as `tools.bench_recall` has it; the ratio is of the same questions put to both stores in turns. A
run that is broken off goes on from the day that it had reached; one signal ends it after the day at hand.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from memory.claims.view import advance as advance_claims
from memory.keys.facts import facts_of
from memory.keys.index import IndexShelf
from memory.keys.keyers import (
    DigestKeyer,
    FactKeyer,
    KeyDraft,
    Keyer,
    TextKeyer,
    add_keys,
    newest_digest,
    unpack_vectors,
)
from memory.log.database import RECALL_CACHE_KIB
from memory.log.reader import LogReader
from memory.log.store import PutItem
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.retention import Retention, step_name
from memory.settings import MemorySettings, RetentionSettings
from stream.capture.text import read
from stream.capture.turns import Chat
from stream.errors import OmniRecallError
from stream.messages import CommitPut, Cue
from tools.bench_apart import Took, took
from tools.bench_store import unit
from tools.chat_stores import ENCODER, Encode, Vectors, keeping, remembering, text_encoder
from tools.eval_recall import Asked, questions_of
from tools.stop_signal import StopSignal
from tools.year_material import Films, Material, Put, Recording, in_week, speech_of
from tools.year_report import percentiles, picture, print_table
from tools.year_store import NS_PER_S, Year, turns_of

K = 10
WEEK_DAYS = 7
PUTS_AT_A_TIME = 8
"""Messages in one transaction."""
STATE = "bench_year.json"
DRAFTS = 2_048
IN_WEEK, FIRST_WEEK = "B in a week of its own", "A when its week is over"
LAST_WEEK, A_YEAR_ON = "B when the year is over", "A when the year is over"
WORK = ("events", "episodes and days", "merging", "claims", "keys", "views", "retention")
"""What is done about a store beside commits."""
Lookup = Callable[[Sequence[KeyDraft]], Vectors]


@dataclass(slots=True)
class State:
    """How far a run is, and what it measured; a later run goes on from it."""

    days_done: int = 0
    recorded_s: float = 0.0
    observations: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    wall_s: dict[str, float] = field(default_factory=dict)
    longest_s: dict[str, float] = field(default_factory=dict)
    series: list[dict[str, float]] = field(default_factory=list)
    largest: dict[str, int] = field(default_factory=dict)
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)


class Clock:
    """The time that is simulated, UTC."""

    def __init__(self) -> None:
        self.t_ns = 0

    def now_ns(self) -> int:
        """Nanoseconds."""
        return self.t_ns


class YearHouse(Year):
    """A store that is filled, kept in order and held within its budget, on a simulated clock.

    Args:
        store_dir: Its folder.
        settings: Of memory.
        encode: Makes keys of dialogues.
        state: What is measured.
    """

    def __init__(self, store_dir: Path, settings: MemorySettings, encode: Encode, state: State) -> None:
        self.clock = Clock()
        super().__init__(store_dir, settings.spans, self.clock.now_ns)
        for name in (*WORK, "commit"):
            self.cpu_s.setdefault(name, 0.0)
            self.longest_s.setdefault(name, 0.0)
        self.cpu_s |= state.cpu_s
        self.longest_s |= state.longest_s
        self._settings, self._encode, self.state = settings, encode, state
        self.reader = LogReader(store_dir, RECALL_CACHE_KIB, is_mapped=True)
        self.shelf = IndexShelf(store_dir / "views")
        self.retention = Retention(self.store, self.reader, self.shelf, settings.retention, self.clock.now_ns)
        self._cursors = dict[type, int].fromkeys((TextKeyer, DigestKeyer, FactKeyer), 0)
        self._folder = store_dir
        self._encoders = {ENCODER}
        self._open_views()

    def record(self, recording: Recording) -> None:
        """Commits a recording, and does what follows from it."""
        record = recording.record
        self.clock.t_ns = (record.t_origin_ns or 0) + (record.duration_ns or 0)
        for at in range(0, len(recording.puts), PUTS_AT_A_TIME):
            self._commit(recording.puts[at : at + PUTS_AT_A_TIME])
        self.state.recorded_s += recording.duration_s
        self.settle(self.clock.t_ns)
        self._timed(
            "keys", lambda: self._make_keys(self._known(recording.vectors), (TextKeyer(), DigestKeyer()))
        )
        self._hold()

    def tell(self, puts: Sequence[CommitPut], now_ns: int) -> None:
        """Commits turns of a dialogue, whose keys are encoded."""
        self.clock.t_ns = max(self.clock.t_ns, now_ns)
        for put in puts:
            self._commit([(put, {})])
        self.settle(self.clock.t_ns)
        keyers = (TextKeyer(), DigestKeyer(), FactKeyer())
        self._make_keys(lambda drafts: self._encode([draft.text for draft in drafts]), keyers)
        self._hold()

    def settle(self, now_ns: int) -> None:
        """As `Year.settle`, with time passing, and with claims."""
        with self.store.views() as db:
            self._tree.ready(db)
            self._timed("episodes and days", lambda: self._tree.look_again(db, now_ns))
        super().settle(now_ns)
        while self._timed("claims", self._claim):
            pass

    def _claim(self) -> bool:
        with self.store.views() as db:
            return advance_claims(db)

    def _commit(self, puts: Sequence[Put]) -> None:
        for put, _ in puts:
            self.state.observations += len(put.observations)
            self._encoders |= {key.encoder_id for one in put.observations for key in one.keys}
        items = [PutItem("year", put, parts) for put, parts in puts]
        self._timed("commit", lambda: self.store.commit(items))

    def _known(self, vectors: Mapping[str, Vectors]) -> Lookup:
        def look_up(drafts: Sequence[KeyDraft]) -> Vectors:
            return np.stack([self._one_of(one, vectors) for one in drafts])

        return look_up

    def _one_of(self, draft: KeyDraft, vectors: Mapping[str, Vectors]) -> Vectors:
        if draft.owner_level != "observation":
            return self._mean_of(draft.owner)
        if draft.text in vectors:
            return vectors[draft.text]
        made: Vectors = self._encode([draft.text])[0]  # Of a recording in which a run was broken off.
        return made

    def _mean_of(self, span_id: bytes) -> Vectors:
        """The mean of the keys of what an event holds."""
        with self.reader.snapshot() as db:
            rows = db.execute(
                "SELECT k.vector, k.dimension FROM span AS s CROSS JOIN observation AS o"
                " INDEXED BY observation_middle ON o.source_id = s.source_id"
                " AND o.session = s.session AND (o.pts0_ns / 2 + o.pts1_ns / 2) >= s.pts0_ns"
                " AND (o.pts0_ns / 2 + o.pts1_ns / 2) < s.pts1_ns CROSS JOIN key AS k INDEXED BY key_of_owner"
                " ON k.owner = o.observation_id AND k.encoder_id = ?2"
                " WHERE s.span_id = ?1 AND o.text <> '' AND k.kind <> 'fact'",
                (span_id, ENCODER),
            ).fetchall()
        if not rows:
            of_none: Vectors = self._encode([span_id.hex()])[0]
            return of_none
        mean = unpack_vectors([vector for vector, _ in rows], rows[0][1]).mean(axis=0)
        made: Vectors = unit(mean[None])[0]
        return made

    def _make_keys(self, look_up: Lookup, keyers: Sequence[Keyer]) -> None:
        for keyer in keyers:
            while True:
                with self.reader.snapshot() as db:
                    drafts = keyer.pending(db, ENCODER, self._cursors[type(keyer)], DRAFTS)
                    if not drafts and isinstance(keyer, DigestKeyer):
                        self._cursors[type(keyer)] = newest_digest(db)
                if not drafts:
                    break
                vectors = look_up(drafts)
                with self.store.views() as db:
                    add_keys(db, drafts, vectors, ENCODER, self.store.last_commit)
                if not isinstance(keyer, DigestKeyer):
                    self._cursors[type(keyer)] = max(draft.n for draft in drafts)
        with self.reader.snapshot() as db:
            for encoder_id in self._encoders:
                self.shelf.keep_up(db, encoder_id)

    def _hold(self) -> None:
        """Lets go until the budget is held, and notes the bytes before and after."""
        self._note("before")
        self._timed("retention", self.retention.hold)
        self._note("after")

    def _note(self, when: str) -> None:
        with self.reader.snapshot() as db:
            held = self.retention.kept(db)
        for name, n_bytes in (
            ("index", held.index),
            ("thumbnails", held.thumbnails),
            ("both", held.index + held.thumbnails),
            ("log.sqlite", (self._folder / "log.sqlite").stat().st_size),
        ):
            key = f"{name} {when}"
            self.state.largest[key] = max(self.state.largest.get(key, 0), n_bytes)

    def end_day(self) -> None:
        """Notes what a day took, so that a later run goes on from here."""
        with self.reader.snapshot() as db:
            held = self.retention.kept(db)
            counts = dict(db.execute("SELECT step, items FROM let_go_total").fetchall())
            rows = int(db.execute("SELECT COUNT(*) FROM observation").fetchone()[0])
        self.state.cpu_s, self.state.longest_s = dict(self.cpu_s), dict(self.longest_s)
        self.state.days_done += 1
        self.state.series.append(
            {
                "day": self.state.days_done,
                "index": held.index,
                "thumbnails": held.thumbnails,
                "log.sqlite": (self._folder / "log.sqlite").stat().st_size,
                "rows": rows,
                "let_go": sum(counts.values()),
                **{f"cpu {name}": round(spent, 2) for name, spent in self.cpu_s.items()},
            }
        )
        text = json.dumps(asdict(self.state))
        half_made = self._folder / f"{STATE}.partial"
        half_made.write_text(text, encoding="utf-8")
        half_made.replace(self._folder / STATE)

    def tend(self) -> None:
        """Makes the views that are due, and saves indexes."""
        self._timed("views", self._tend)

    def _tend(self) -> None:
        """As `KeyMaker._tend` at the end of a day; a child works on while the next day is recorded."""
        self.shelf.save()
        began_s = _children_s()
        with self.reader.snapshot() as db:
            self.shelf.tend(db)
        self.cpu_s["views"] += _children_s() - began_s

    def _until_built(self) -> None:
        """Waits until no child is at work and no view is due."""
        self._timed("views", self._tend)
        while self.shelf.is_building:
            time.sleep(0.2)
            self._timed("views", self._tend)

    def ask(self, asked: Sequence[Asked], refs: Mapping[bytes, str]) -> dict[str, Any]:
        """What is found of questions, and how long that takes.

        Args:
            asked: With the refs of their evidence.
            refs: Of the turns of dialogues, by observation.
        """
        self._until_built()
        put = self.asker()
        found: list[float] = []

        def look(one: Asked) -> None:
            best = [refs.get(oid, oid.hex()) for oid in put(one)]
            own = set(list(dict.fromkeys(best))[:K])
            found.append(len(one.evidence & own) / len(one.evidence))

        spent = [took(look, one) for one in asked]
        return {
            "questions": len(asked),
            "R@10": round(float(np.mean(found)), 4) if found else 0.0,
            **percentiles(spent[10:] or spent),
            "keys": {name: told["n"] for name, told in self.shelf.describe().items()},
        }

    def asker(self) -> Callable[[Asked], list[bytes]]:
        """Puts questions whose keys are known to recall: ids of what is found, best first."""
        recall = Recall(self.shelf, self._settings.recall)

        def put(one: Asked) -> list[bytes]:
            with self.reader.snapshot() as db:
                key = QuestionKey("dense", ENCODER, self._encode([one.text])[0])
                told = recall(db, Cue(text=one.text), 2 * K, [key])
            return [item.observation_id for item in sorted(told.items, key=lambda item: -item.score)]

        return put

    def _open_views(self) -> None:
        """Loads indexes and postings."""
        with self.reader.snapshot() as db:
            self._encoders |= {one for (one,) in db.execute("SELECT DISTINCT encoder_id FROM key")}
            for encoder_id in self._encoders:
                self.shelf.keep_up(db, encoder_id)
            self.shelf.words.load(db)

    def close(self) -> None:
        """Ends what was opened."""
        self.shelf.close()
        self.reader.close()
        self.store.close()


def _encode_once(encode: Encode, path: Path, chats: Sequence[Chat]) -> None:
    """Has the keys of dialogues and questions made in one go, so that a next run finds them."""
    texts = [one.text for one in questions_of(path, chats)]
    for chat in chats:
        for turn in chat.turns:
            texts += [f"{turn.text} {turn.caption}" if turn.caption else turn.text]
            texts += [turn.caption, *facts_of(turn.text, turn.speaker)]
    encode(list(dict.fromkeys(text for text in texts if text)))


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def opened(folder: Path, settings: MemorySettings, encode: Encode, state: State) -> Iterator[YearHouse]:
    """A store for a while."""
    house = YearHouse(folder, settings, encode, state)
    try:
        yield house
    finally:
        house.close()


class BenchYear:
    """The year, the week beside it, and the questions.

    Args:
        options: As the command has them.
        settings: Of memory.
        stop: Asks for an end after the day that is being recorded.
    """

    def __init__(self, options: argparse.Namespace, settings: MemorySettings, stop: StopSignal) -> None:
        self._options, self._settings, self._stop = options, settings, stop
        self._encode = remembering(
            text_encoder() if options.keys is None else keeping(text_encoder(), options.keys)
        )
        films = None if options.films is None else Films(options.films)
        speech = speech_of(turns_of(options.text), self._encode, options.most_turns)
        self._material = Material(speech, films, options.hours, options.camera_hours, options.turn_s)
        chats = read(options.dialogues)
        _encode_once(self._encode, options.dialogues, chats)
        self._first = options.until - timedelta(days=options.days - 1)
        last = options.until - timedelta(days=WEEK_DAYS - 1)
        half = len(chats) // 2
        self._halves = {
            "A": [in_week(chat, n, self._first) for n, chat in enumerate(chats[:half])],
            "B": [in_week(chat, half + n, last) for n, chat in enumerate(chats[half:])],
        }
        every = [one for one in questions_of(options.dialogues, chats) if not one.names_date]
        self._asked = {
            name: [one for one in every if one.chat in {d.place for d in dialogues}]
            for name, dialogues in self._halves.items()
        }
        if options.questions:
            self._asked = {name: some[: options.questions] for name, some in self._asked.items()}

    def run(self) -> dict[str, Any]:
        """Everything; what was measured."""
        options = self._options
        week = self._run(options.store / "week", options.days - WEEK_DAYS, {WEEK_DAYS: (("B", IN_WEEK),)})
        asked = {WEEK_DAYS: (("A", FIRST_WEEK),), options.days: (("B", LAST_WEEK), ("A", A_YEAR_ON))}
        told = self._run(options.store / "year", 0, asked, week)
        beside = told["beside"] = self._beside()
        for clock in ("p95_ms", "cpu_p95_ms"):
            told[f"{clock[:-3]}_ratio"] = round(beside["year"][clock] / beside["week"][clock], 3)
        return told

    def _beside(self, rounds: int = 3) -> dict[str, dict[str, float]]:
        """How long the same questions take in the two stores, put to one after the other in turns."""
        spent: dict[str, list[Took]] = {"week": [], "year": []}
        folder, settings = self._options.store, self._settings
        with (
            opened(folder / "week", settings, self._encode, State()) as week,
            opened(folder / "year", settings, self._encode, State()) as year,
        ):
            askers = {"week": week.asker(), "year": year.asker()}
            for _ in range(rounds):
                for one in self._asked["B"]:
                    for name, put in askers.items():
                        spent[name].append(took(put, one))
        return {name: percentiles(every[10:] or every) for name, every in spent.items()}

    def _run(
        self,
        folder: Path,
        first: int,
        asked: Mapping[int, Sequence[tuple[str, str]]],
        week: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Fills a store from a day of the year on; asks after so many days; what was measured."""
        state = State()
        if (folder / STATE).is_file():
            state = State(**json.loads((folder / STATE).read_text(encoding="utf-8")))
        began_s, done = time.monotonic(), state.days_done
        days = max(asked)
        with opened(folder, self._settings, self._encode, state) as house:
            for place in range(done, days):
                if self._stop.is_asked:
                    raise KeyboardInterrupt
                self._day(house, first + place)
                for name, title in asked.get(place + 1, ()):
                    state.asked[title] = self._ask(house, name)
                house.end_day()
                _tell(state, days, done, began_s)
            return self._told(house, state.asked | (week or {}).get("asked", {}))

    def _day(self, house: YearHouse, place: int) -> None:
        day = self._first + timedelta(days=place)
        for recording in self._material.of_day(day, place):
            house.record(recording)
        end_ns = round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + 86_400) * NS_PER_S
        for name, first in (("A", 0), ("B", self._options.days - WEEK_DAYS)):
            if first <= place < first + WEEK_DAYS:
                for dialogue in self._halves[name]:
                    house.tell(dialogue.puts[place - first], end_ns - NS_PER_S)
        house.tend()

    def _ask(self, house: YearHouse, name: str) -> dict[str, Any]:
        # The turns of two dialogues have the same refs.
        of = {one: f"{d.place}/{ref}" for d in self._halves[name] for one, ref in d.refs.items()}
        asked = [
            Asked(one.chat, one.text, one.category, frozenset(f"{one.chat}/{ref}" for ref in one.evidence))
            for one in self._asked[name]
        ]
        return house.ask(asked, of)

    def _told(self, house: YearHouse, asked: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        state, settings = house.state, self._settings.retention
        with house.reader.snapshot() as db:
            steps = {
                step_name(step): {"items": items, "n_bytes": n_bytes}
                for step, items, n_bytes in db.execute("SELECT step, items, n_bytes FROM let_go_total")
            }
            kinds = dict(
                db.execute(
                    "SELECT kind || ' at ' || demoted, COUNT(*) FROM observation GROUP BY 1"
                ).fetchall()
            )
            tombstones = int(db.execute("SELECT COUNT(*) FROM tombstone").fetchone()[0])
            acts = int(db.execute("SELECT COUNT(*) FROM let_go").fetchone()[0])
            held = house.retention.kept(db)
        budget = settings.index_bytes + settings.thumbnails_bytes
        b_week, b_year = (asked.get(one, {"R@10": 0.0}) for one in (IN_WEEK, LAST_WEEK))
        shares = {
            name: round(state.cpu_s.get(name, 0.0) / max(state.recorded_s, 1), 6)
            for name in ("commit", *WORK)
        }
        files = sum(path.stat().st_size for path in house._folder.rglob("*") if path.is_file())
        return {
            "tool": "bench_year",
            "version": 1,
            "days": self._options.days,
            "hours": self._options.hours,
            "camera_hours": self._options.camera_hours,
            "turn_s": self._options.turn_s,
            "recorded_h": round(state.recorded_s / 3600, 1),
            "observations": state.observations,
            "budget_bytes": budget,
            "largest_bytes": state.largest,
            "files_bytes": files,
            "classes": held.as_dict(),
            "budget_held": state.largest["index after"] <= settings.index_bytes
            and state.largest["thumbnails after"] <= settings.thumbnails_bytes,
            "R@10_ratio": round(b_year["R@10"] / max(b_week["R@10"], 1e-9), 4),
            "share_of_a_core": shares,
            "consolidation_share": round(sum(shares[name] for name in WORK), 5),
            "longest_ms": {name: round(spent * 1e3, 1) for name, spent in state.longest_s.items()},
            "asked": asked,
            "let_go": steps,
            "let_go_rows": acts,
            "tombstones": tombstones,
            "kinds": kinds,
            "series": state.series,
            "load": round(os.getloadavg()[0], 1),
        }


def _tell(state: State, days: int, before: int, began_s: float) -> None:
    """A line of progress."""
    spent_s = time.monotonic() - began_s
    left_s = spent_s / max(1, state.days_done - before) * (days - state.days_done)
    last = state.series[-1]
    line = (
        f"{state.days_done} of {days} days, index {last['index'] / 1e6:.0f} MB, thumbnails"
        f" {last['thumbnails'] / 1e6:.0f} MB, {last['rows']:.0f} rows, {last['let_go']:.0f} let go,"
        f" {spent_s:.0f} s, ETA {left_s / 60:.1f} min"
    )
    print(f"\r{line}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def settings_of(options: argparse.Namespace) -> MemorySettings:
    """The settings that ship, with another budget where one is named."""
    settings = MemorySettings()
    if not options.budget_mb:
        return settings
    n_bytes = options.budget_mb << 20
    told = {"index_bytes": n_bytes * 3 // 4, "thumbnails_bytes": n_bytes // 4}
    held = RetentionSettings.model_validate(settings.retention.model_dump() | told)
    return settings.model_copy(update={"retention": held})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_year",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dialogues", type=Path, required=True, help="of LoCoMo format, with questions")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="chats and meetings")
    parser.add_argument("--films", type=Path, help="a store of films; none: no pictures")
    parser.add_argument("--store", type=Path, required=True, help="folder in which the stores are kept")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--hours", type=float, default=8.0, help="recorded a day")
    parser.add_argument("--camera-hours", type=float, default=1.0, help="of these, with pictures")
    parser.add_argument("--turn-s", type=float, default=12.0, help="seconds from one utterance to the next")
    parser.add_argument("--most-turns", type=int, default=6_000, help="turns that utterances are made of")
    parser.add_argument("--budget-mb", type=int, default=0, help="MiB of index and thumbnails")
    parser.add_argument("--until", type=date.fromisoformat, default=date(2026, 1, 1))
    parser.add_argument("--questions", type=int, default=0, help="of each half; 0: all")
    parser.add_argument("--keys", type=Path, help="folder that keeps vectors of texts for a next run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, writes; 2 where an option is wrong, 130 where it was stopped."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.days < 2 * WEEK_DAYS:
        parser.error(f"--days {options.days}: a first and a last week are {2 * WEEK_DAYS}")
    try:
        settings = settings_of(options)
        with StopSignal() as stop:
            told = BenchYear(options, settings, stop).run()
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the next day", file=sys.stderr)
        return 130
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    print_table(told)
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    if options.svg is not None:
        options.svg.write_text(picture(told["series"], told["budget_bytes"]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
