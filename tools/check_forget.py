"""Whether forgetting leaves no byte, survives kills, and stays: on real processes, by an own byte search.

`python -m tools.check_forget [--seed 0] [--markers 100] [--kills 20] [--store DIR] [--json FILE]`.
Markers are put into a store of the real processes, each as text, payload, image vector and picture,
into a spool that a process left behind, and into two snapshots, one of which lies in the store. Then they are
forgotten in batches, in turn by ids, spans, positions, UTC times and whole sources, and memory is killed
with SIGKILL once within each batch. After each kill either all rows of the batch are there or none. At
the end every file is searched for each marker as UTF-8 and UTF-16, for its vectors as float16 and float32
and for pieces of its picture; again after everything was delivered anew, after the views were made anew,
and in a store restored from a snapshot of before. Rows that were not named must be what they were. The
last part takes a snapshot while a chat is being imported, restores it elsewhere, and asks both stores the
same questions (`--locomo FILE`: real ones). Exit code 1 if anything was found, lost or changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.keys.keyers import unpack_vectors
from memory.log.database import LOG_NAME, connect_reader
from memory.log.reader import marks, pages
from memory.snapshot.restore import restore
from memory.snapshot.take import take
from stream.errors import OmniRecallError
from stream.messages import (
    CommitPut,
    Cue,
    KeyRef,
    MediaRef,
    Observation,
    RecallAsk,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)
from stream.messages.evidence import Evidence
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.observation import CommitAck
from stream.messages.span import TimelineAsk, TimelineSpans
from stream.wire.outbox import Outbox
from stream.wire.parts import OutPart, array_part, blob_part
from tools.check_snapshot import check_snapshot, settle
from tools.house import House

S = 1_000_000_000
NOON_NS = 1_700_000_000 * S
PER_BATCH = 5
SHOT_S = 10
WAYS = ("ids", "spans", "positions", "times", "source")
DIMENSION = 128
SETTINGS: dict[str, object] = {
    "supervisor__breaker_restarts": 1_000,
    "supervisor__backoff_s": 0.2,
    "supervisor__backoff_max_s": 0.2,
    "memory__index_save_s": 1,
}
ERASE_S = 120.0
KILL_WITHIN_S = 0.2
"""About as long as an erasure takes here."""
_WORDS = (
    *("ferry", "island", "morning", "grandmother", "bread", "Sunday", "key", "door", "apple", "tree"),
    *("well", "thunder", "power", "village", "symphony", "midnight", "bicycle", "chain", "wire"),
    *("neighbour", "bees", "honey", "market", "museum", "Monday", "umbrella", "tram", "river", "lamp"),
)


@dataclass(slots=True)
class Item:
    """One shot with a picture and a vector, and an utterance within it."""

    observations: tuple[Observation, ...]
    parts: tuple[OutPart, ...]
    needles: list[bytes]
    is_marked: bool


@dataclass(slots=True)
class Film:
    """A source that holds markers; all of it, or items between others."""

    record: SourceRecord
    items: list[Item]
    way: str

    @property
    def marked(self) -> list[Item]:
        """Those that are to go."""
        return [item for item in self.items if item.is_marked]

    def ids(self, *, marked: bool) -> list[bytes]:
        """Observations of those that are to go, or of the others."""
        items = [item for item in self.items if item.is_marked is marked]
        return [one.observation_id for item in items for one in item.observations]


@dataclass(slots=True)
class Report:
    """What was done and found."""

    markers: int = 0
    markers_before: int = 0
    needles: int = 0
    needles_before: int = 0
    kills: int = 0
    killed_at: dict[str, int] = field(default_factory=dict)
    half_visible: int = 0
    finished: int = 0
    verified: int = 0
    erase_s: list[float] = field(default_factory=list)
    traces: dict[str, int] = field(default_factory=dict)
    recalled: int = 0
    refused: int = 0
    expected_refused: int = 0
    rest_unchanged: bool = False
    questions: int = 0
    same_answers: int = 0
    snapshot_commit: int = 0

    @property
    def is_good(self) -> bool:
        """Whether nothing was found, lost or changed."""
        return (
            not any(self.traces.values())
            and self.markers_before == self.markers
            and not (self.half_visible or self.recalled)
            and self.finished == self.verified
            and self.refused == self.expected_refused
            and self.rest_unchanged
            and self.same_answers == self.questions
        )


def item_of(record: SourceRecord, place: int, words: str, picture: bytes, seed: int, *, marked: bool) -> Item:
    """What perception would commit of one shot."""
    vector = np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)
    vector /= np.linalg.norm(vector)
    start = place * SHOT_S * S
    made: list[Observation] = []
    parts = (blob_part(f"p{seed}", picture, "jpeg"), array_part(f"v{seed}", vector))
    for kind, t0, t1, text in (
        ("shot", start, start + SHOT_S * S, f"a photo of {words}"),
        ("utterance", start + 2 * S, start + 8 * S, f"somebody said {words} twice that day"),
    ):
        is_shot = kind == "shot"
        made.append(
            Observation(
                observation_id=observation_id(record.source_id, 0, kind, "check", t0),
                source_id=record.source_id,
                session=0,
                track=0 if is_shot else 1,
                kind=kind,
                producer_id="check",
                pts0_ns=t0,
                pts1_ns=t1,
                t0_ns=None if record.t_origin_ns is None else record.t_origin_ns + t0,
                t1_ns=None if record.t_origin_ns is None else record.t_origin_ns + t1,
                text=text,
                payload={} if is_shot else {"words": words.split()},
                media=(MediaRef(part=f"p{seed}", role="thumbnail", media_type="image/jpeg"),)
                if is_shot
                else (),
                keys=(KeyRef(part=f"v{seed}", kind="image", encoder_id="check-images"),) if is_shot else (),
            )
        )
    needles = [words.encode(), words.encode("utf-16-le"), picture[:48], picture[-48:]]
    return Item(tuple(made), parts, needles + _bytes_of(vector), marked)


def _bytes_of(vector: npt.NDArray[np.float32]) -> list[bytes]:
    half = vector.astype("<f2").tobytes()
    again = unpack_vectors([half], len(vector)).astype("<f4").tobytes()
    return [half[:32], vector.astype("<f4").tobytes()[:32], again[:32]]


def films_of(n_markers: int, rng: random.Random) -> list[Film]:
    """Sources with markers: hexadecimal words that nothing else has."""
    made: list[Film] = []
    seed = 0
    for number in range(n_markers // PER_BATCH):
        way = WAYS[number % len(WAYS)]
        name = f"film-{number}-{rng.randbytes(6).hex()}.mp4"
        record = SourceRecord(
            source_id=hashlib.blake2b(name.encode(), digest_size=16).digest(),
            session=0,
            kind="file",
            uri=f"file:///films/{name}",
            t_origin_ns=NOON_NS + number * 86_400 * S if way == "times" else None,
            tracks=(TrackRecord(track=0, media="video"), TrackRecord(track=1, media="audio")),
        )
        items: list[Item] = []
        n_items = PER_BATCH if way == "source" else 2 * PER_BATCH
        for place in range(n_items):
            is_marked = way == "source" or PER_BATCH // 2 <= place < PER_BATCH // 2 + PER_BATCH
            words = rng.randbytes(12).hex() if is_marked else " ".join(rng.choices(_WORDS, k=8))
            picture = b"\xff\xd8\xff" + rng.randbytes(3_000) + b"\xff\xd9"
            seed += 1
            items.append(item_of(record, place, words, picture, seed, marked=is_marked))
        made.append(Film(record, items, way))
    return made


def puts_of(film: Film) -> list[tuple[CommitPut, list[OutPart]]]:
    """A film in batches, one per item, and its ends."""
    ends = tuple(
        TrackMark(
            source_id=film.record.source_id,
            session=0,
            track=track,
            through_pts_ns=len(film.items) * SHOT_S * S,
            eof=True,
        )
        for track in (0, 1)
    )
    puts = [
        (CommitPut(outbox_seq=n, sources=(film.record,), observations=item.observations), list(item.parts))
        for n, item in enumerate(film.items, start=1)
    ]
    return [*puts, (CommitPut(outbox_seq=len(puts) + 1, sources=(film.record,), marks=ends), [])]


def ask_of(house: House, film: Film) -> ForgetAsk:
    """How an owner names the markers of a film."""
    first = min(item.observations[0].pts0_ns for item in film.marked)
    last = max(item.observations[0].pts1_ns for item in film.marked)
    source = film.record.source_id.hex()
    if film.way == "ids":
        return ForgetAsk(ids=tuple(one.hex() for one in film.ids(marked=True)))
    if film.way == "source":
        return ForgetAsk(sources=(source,))
    if film.way == "positions":
        return ForgetAsk(sources=(source,), pts0_ns=first, pts1_ns=last)
    if film.way == "times":
        origin = film.record.t_origin_ns or 0
        return ForgetAsk(t0_ns=origin + first, t1_ns=origin + last)
    spans = house.caller("memory").ask_for(TimelineSpans, TimelineAsk(source=source), timeout_s=20)
    wanted = [e.span for e in spans.entries if first <= e.span.pts0_ns < last]
    return ForgetAsk(spans=tuple(span.span_id.hex() for span in wanted))


# Looking.


def found_in(folders: Iterable[Path], needles: Sequence[bytes]) -> dict[str, int]:
    """How many needles stand in each file, by the plainest of searches."""
    found: dict[str, int] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.endswith(".lock"):
                body = path.read_bytes()
                if hits := sum(needle in body for needle in needles):
                    found[f"{folder.name}/{path.relative_to(folder)}"] = hits
    return found


_ROWS = (
    "SELECT * FROM observation WHERE observation_id IN ({}) ORDER BY n",
    "SELECT owner, owner_level, kind, encoder_id, dimension, vector, terms FROM key"
    " WHERE owner IN ({}) ORDER BY owner, kind, encoder_id, terms",
    "SELECT m.n, m.ordinal, m.role, f.media_hash, f.n_bytes FROM observation_media AS m"
    " JOIN media AS f ON f.media_hash = m.media_hash JOIN observation AS o ON o.n = m.n"
    " WHERE o.observation_id IN ({}) ORDER BY m.n, m.ordinal",
)


def rows_of(store_dir: Path, ids: Sequence[bytes]) -> str:
    """A hash of the rows of some observations, their keys and media."""
    digest = hashlib.sha256()
    with closing(connect_reader(store_dir / LOG_NAME)) as db:
        for sql in _ROWS:
            for some in pages(ids):
                for row in db.execute(sql.format(marks(some)), some):
                    digest.update(repr(row).encode())
    return digest.hexdigest()


def count_of(store_dir: Path, ids: Sequence[bytes]) -> int:
    """How many of some observations are there."""
    with closing(connect_reader(store_dir / LOG_NAME)) as db:
        return sum(
            len(db.execute("SELECT 1 FROM observation WHERE observation_id = ?", (one,)).fetchall())
            for one in ids
        )


def key_needles(store_dir: Path, ids: Sequence[bytes]) -> list[bytes]:
    """The vectors that the real encoder made of the texts, as files may hold them."""
    found: list[bytes] = []
    with closing(connect_reader(store_dir / LOG_NAME)) as db:
        for one in ids:
            rows = db.execute("SELECT vector, dimension FROM key WHERE owner = ? AND kind <> 'image'", (one,))
            for vector, dimension in rows:
                found.append(bytes(vector)[:32])
                found.append(unpack_vectors([vector], dimension).astype("<f4").tobytes()[:32])
    return list(dict.fromkeys(found))


# The check.


class Check:
    """One run in a folder of its own.

    Args:
        folder: Where stores and snapshots go.
        n_markers: How many.
        n_kills: In how many batches memory is killed.
        seed: Of everything.
    """

    def __init__(self, folder: Path, n_markers: int, n_kills: int, seed: int) -> None:
        self.folder, self.store = folder, folder / "store"
        self.outside = folder / "outside"
        self.inside = self.store / "snapshots" / "one"
        self._rng = random.Random(seed)  # noqa: S311
        self.films = films_of(n_markers, self._rng)
        self._n_kills = n_kills
        self.report = Report(markers=sum(len(film.marked) for film in self.films))
        self.needles = [needle for film in self.films for item in film.marked for needle in item.needles]
        self.needles += [film.record.uri.encode() for film in self.films if film.way == "source"]
        self._rest = [one for film in self.films for one in film.ids(marked=False)]

    def run(self) -> Report:
        """All of it."""
        with House(self.store, "test", SETTINGS) as house:
            self._fill(house)
            self._forget_all(house)
            self._look("forgotten")
            self._deliver_again(house)
            self._look("delivered again")
        shutil.rmtree(self.store / "views")
        with House(self.store, "test", SETTINGS) as house:
            settle(house)
            time.sleep(3)
            self._ask_for_them(house)
        self._look("views made anew")
        restore(self.outside, self.folder / "restored")
        self._look("restored", self.folder / "restored")
        restore(self.outside, self.store, over=True)
        self._look("restored over")
        self.report.rest_unchanged &= rows_of(self.store, self._rest) == self._rows
        return self.report

    def _fill(self, house: House) -> None:
        for film in self.films:
            self._deliver(house, film)
        settle(house)
        marked = [one for film in self.films for one in film.ids(marked=True)]
        self.needles += key_needles(self.store, marked)
        self._rows = rows_of(self.store, self._rest)
        self._leave_spool()
        self.inside.parent.mkdir(parents=True, exist_ok=True)
        take(self.store, self.outside)
        take(self.store, self.inside)
        self._look_before()

    def _look_before(self) -> None:
        """What is to go is there, each marker in most of its forms: else finding none says nothing."""
        everything = b"\0".join(path.read_bytes() for path in sorted(self.store.rglob("*")) if path.is_file())
        self.report.needles = len(self.needles)
        self.report.needles_before = sum(needle in everything for needle in self.needles)
        items = [item for film in self.films for item in film.marked]
        forms = [sum(needle in everything for needle in item.needles) for item in items]
        pairs = zip(forms, items, strict=True)
        # Nothing writes UTF-16, and single precision stands in spools alone: index files are of halves.
        self.report.markers_before = sum(n >= len(item.needles) - 3 for n, item in pairs)

    def _deliver(self, house: House, film: Film) -> int:
        """Sends a film as perception would; returns how many items were refused."""
        refused = 0
        for put, parts in puts_of(film):
            reply = house.caller("memory").ask(put, parts, timeout_s=20)
            assert isinstance(reply.message, CommitAck)
            refused += len(reply.message.rejects)
        return refused

    def _leave_spool(self) -> None:
        """A spool of a process that is gone: some of it was acknowledged and deleted, most waits."""
        with closing(Outbox(self.store / "spool" / "left.sqlite")) as outbox:
            for film in self.films:
                for put, parts in puts_of(film):
                    outbox.put(put, parts)
            for batch in outbox.due()[:10]:
                outbox.acknowledge(batch.message.outbox_seq, 64)

    def _forget_all(self, house: House) -> None:
        settle(house)
        for number, film in enumerate(self.films):
            started_s = time.monotonic()
            if number < self._n_kills:
                self._forget_killed(house, film)
            told = self._forget(house, film)
            self.report.erase_s.append(round(time.monotonic() - started_s, 2))
            self.report.finished += 1
            self.report.verified += told
        self.report.rest_unchanged = rows_of(self.store, self._rest) == self._rows

    def _forget_killed(self, house: House, film: Film) -> None:
        """Begins, kills memory at a random moment, and looks what of it is visible."""
        ids = film.ids(marked=True)
        ask = ask_of(house, film)
        begun = threading.Event()

        def begin() -> None:
            begun.set()
            with suppress(OmniRecallError):  # Memory may be killed before it can tell.
                house.caller("memory").ask_for(
                    ForgetDone, ForgetAsk(**_fields(ask), begin=True), timeout_s=2.0
                )

        asking = threading.Thread(target=begin)
        asking.start()
        begun.wait()
        time.sleep(self._rng.uniform(0.0, KILL_WITHIN_S))
        house.kill("memory")
        self.report.kills += 1
        left = count_of(self.store, ids)
        self.report.half_visible += left not in (0, len(ids))
        with closing(connect_reader(self.store / LOG_NAME)) as db:
            row = db.execute("SELECT stage FROM erasure ORDER BY commit_no DESC LIMIT 1").fetchone()
        stage = "rows" if left else row[0]
        self.report.killed_at[stage] = self.report.killed_at.get(stage, 0) + 1
        asking.join()

    def _forget(self, house: House, film: Film) -> bool:
        """Waits for what was begun; begins if it was not. Whether it ended verified."""
        ids = film.ids(marked=True)
        house.wait_for(lambda: house.memory(), 60, "memory is back")
        if count_of(self.store, ids):
            ask = ask_of(house, film)
            house.caller("memory").ask_for(ForgetDone, ForgetAsk(**_fields(ask), begin=True), timeout_s=60)

        def over() -> bool:
            with closing(connect_reader(self.store / LOG_NAME)) as db:
                return not db.execute("SELECT 1 FROM erasure WHERE stage <> 'done'").fetchone()

        house.wait_for(over, ERASE_S, f"{film.record.uri} is forgotten")
        with closing(connect_reader(self.store / LOG_NAME)) as db:
            row = db.execute("SELECT erasure_id FROM erasure ORDER BY commit_no DESC LIMIT 1").fetchone()
        told = house.caller("memory").ask_for(ForgetDone, ForgetAsk(erasure_id=row[0]), timeout_s=20)
        return told.verified and not count_of(self.store, ids)

    def _deliver_again(self, house: House) -> None:
        """Everything once more, as a perception process that was restarted would send it."""
        for film in self.films:
            self.report.refused += self._deliver(house, film)
            self.report.expected_refused += len(film.ids(marked=True))
            if film.way == "source":
                # Its record in each batch, and its two marks.
                self.report.expected_refused += len(film.items) + 1 + 2
        settle(house)

    def _ask_for_them(self, house: House) -> None:
        gone = {one for film in self.films for one in film.ids(marked=True)}
        for film in self.films:
            words = film.marked[0].observations[1].text
            found = house.caller("memory").ask_for(
                Evidence, RecallAsk(cue=Cue(text=f"Who said: {words}?"), k=10), timeout_s=20
            )
            self.report.recalled += sum(item.observation_id in gone for item in found.items)

    def _look(self, when: str, store: Path | None = None) -> None:
        # The spool of a process that runs is cleaned within seconds.
        found = found_in([store or self.store], self.needles)
        self.report.traces[when] = sum(found.values())
        for path, hits in found.items():
            print(f"{when}: {hits} in {path}", file=sys.stderr)


def _fields(ask: ForgetAsk) -> dict[str, Any]:
    return {name: getattr(ask, name) for name in ask.__struct_fields__ if name != "begin"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the check and prints its report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--markers", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--locomo", type=Path, help="LoCoMo's file: real questions for the snapshot")
    parser.add_argument("--only", choices=("forget", "snapshot"))
    parser.add_argument("--json", type=Path)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="forget-") as name:
        folder = Path(name)
        if told.only == "snapshot":
            report = Report(rest_unchanged=True)
        else:
            report = Check(folder, told.markers, told.kills, told.seed).run()
        if told.only != "forget":
            found = check_snapshot(folder, told.locomo, told.questions, told.seed)
            report.snapshot_commit, report.questions, report.same_answers = found
    document = {name: getattr(report, name) for name in Report.__slots__} | {"good": report.is_good}
    print(json.dumps(document, indent=1))
    if told.json is not None:
        told.json.write_text(json.dumps({"version": 1, **document}, indent=1) + "\n", encoding="utf-8")
    return 0 if report.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
