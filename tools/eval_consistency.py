"""The same question in other words: `python -m tools.eval_consistency --films STORE --json OUT`.

Five other wordings of each question, and of those questions whose first answer is right (its evidence on
top is the true one), the share of wordings that bring the same observation to the top (`same`), any true
one (`right`), and the same verdict (`verdict`). By hand: `tools/consistency_questions.json`, dialogues and
questions of its own, and questions about the demo film and the films of `tools/annotated_films.json`, where
`--films` is a store that holds them (`omnirecall index`). With `--data` a file in the LoCoMo format, with
`--videos` a folder of `tools.eval_video` and `--store` the store that it made: there wordings are made by the
rewrites of `tools.paraphrases`. Beside `ours` (the reasoner on recall): `dense` (text keys alone), `bm25`,
`hybrid` (their z-sum). Each is measured on the questions that it answers right itself. Intervals: 95 %,
bootstrap over questions, since the wordings of one go together.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from memory.keys.index import IndexShelf
from memory.log.reader import LogReader
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings
from stream.capture.text import read
from stream.capture.turns import Chat, Turn
from tools.asked_store import AskedStore
from tools.chat_stores import ENCODER, ChatStore, Encode, remembering, text_encoder
from tools.eval_recall import questions_of
from tools.paraphrases import five
from tools.video_metrics import Stretch, interval, is_hit
from tools.video_set import read_set

LIST = Path(__file__).with_name("consistency_questions.json")
SYSTEMS = ("ours", "dense", "bm25", "hybrid")
PLAIN = {"dense": "flat", "bm25": "bm25", "hybrid": "hybrid"}


@dataclass(frozen=True, slots=True)
class Worded:
    """A question, its other wordings, and what tells whether an observation is true evidence."""

    text: str
    others: tuple[str, ...]
    is_true: Callable[[bytes], bool]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """What a system brought to the top, and the verdict."""

    top: bytes
    verdict: str


@dataclass
class Shares:
    """Per question whose first answer is right: the shares of its wordings."""

    asked: int = 0
    same: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    verdict: list[float] = field(default_factory=list)

    def add(self, first: Given, others: Sequence[Given], one: Worded) -> bool:
        """Counts a question; whether its first answer is right."""
        self.asked += 1
        if not first.top or not one.is_true(first.top):
            return False
        n = len(others)
        self.same.append(sum(other.top == first.top for other in others) / n)
        self.right.append(sum(bool(other.top) and one.is_true(other.top) for other in others) / n)
        self.verdict.append(sum(other.verdict == first.verdict for other in others) / n)
        return True

    def told(self) -> dict[str, Any]:
        """As the JSON has it."""
        found: dict[str, Any] = {"n": self.asked, "first_right": len(self.same)}
        for name in ("same", "right", "verdict"):
            values = getattr(self, name)
            found[name] = round(float(np.mean(values)), 4) if values else None
            found[f"{name}_interval"] = interval(values) if values else None
        return found


class Bench:
    """Asks one store in every wording.

    Args:
        store: The store.
        misses: Gets what another wording brought to the top.
    """

    def __init__(self, store: AskedStore, misses: list[dict[str, str]]) -> None:
        self._store, self._misses = store, misses
        self._every, self._search = store.plain_search()
        self._texts = dict(self._every)

    def measure(self, questions: Iterable[Worded], found: dict[str, Shares]) -> None:
        """All questions, by all systems."""
        for one in questions:
            wordings = (one.text, *one.others)
            given = [self._given(wording, one.sources) for wording in wordings]
            for name in SYSTEMS:
                shares = found.setdefault(name, Shares())
                is_right = shares.add(given[0][name], [row[name] for row in given[1:]], one)
                if name == "ours" and is_right:
                    self._note(one, given)

    def _given(self, wording: str, sources: tuple[str, ...]) -> dict[str, Given]:
        answer = self._store.ask(wording, sources)
        top = self._store.on_top(wording, answer, sources)
        found = {"ours": Given(top.observation_id if top else b"", answer.verdict)}
        scores = self._search.systems(wording, self._store.key(wording))
        for name, plain in PLAIN.items():
            found[name] = Given(self._every[int(np.argmax(scores[plain]))].observation_id, "")
        return found

    def _note(self, one: Worded, given: Sequence[dict[str, Given]]) -> None:
        first = given[0]["ours"]
        for wording, row in zip(one.others, given[1:], strict=True):
            if row["ours"] != first:
                self._misses.append(
                    {
                        "first": one.text,
                        "then": wording,
                        "want": f"{first.verdict}: {self._texts.get(first.top, '')[:160]}",
                        "got": f"{row['ours'].verdict}: {self._texts.get(row['ours'].top, '')[:160]}",
                        "same": str(row["ours"].top == first.top),
                    }
                )


# Written by hand.


def by_hand() -> dict[str, Any]:
    """The dialogues and questions of this tool."""
    told: dict[str, Any] = json.loads(LIST.read_text(encoding="utf-8"))
    return told


def chat_of(entry: dict[str, Any]) -> Chat:
    """A dialogue of the list."""
    turns = [
        Turn(number, text, speaker, time=datetime.fromisoformat(f"{when}:00+00:00"), ref=str(number))
        for number, (when, speaker, text) in enumerate(entry["turns"])
    ]
    return Chat(entry["name"], tuple(turns))


def measure_dialogues(encode: Encode, misses: list[dict[str, str]]) -> dict[str, Shares]:
    """The dialogues, all in one store, as a memory holds them."""
    told = by_hand()
    found: dict[str, Shares] = {}
    chats = [chat_of(entry) for entry in told["dialogues"]]
    starts = dict(
        zip(
            (chat.name for chat in chats),
            np.cumsum([0, *(len(chat.turns) for chat in chats)]).tolist(),
            strict=False,
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        chat_store = ChatStore(chats, encode, Path(folder) / "store", MemorySettings())
        chat_store.learn_claims()
        questions = [
            _worded(one, _among(chat_store, {starts[one["of"]] + place for place in one["gold"]}))
            for one in told["questions"]
            if one["of"] in starts
        ]
        store = AskedStore(chat_store.reader, chat_store.recall, encode, ENCODER)
        Bench(store, misses).measure(questions, found)
        chat_store.close()
    return found


def measure_films(store: AskedStore, misses: list[dict[str, str]]) -> dict[str, Shares]:
    """The demo film and the annotated films that the store holds."""
    names = {Path(source.uri).stem: source.source_id for source in store.sources()}
    names["demo"] = next((one for name, one in names.items() if name.startswith("omnirecall-demo")), b"")
    stretches = stretches_of(store)
    questions = [
        _worded(one, _within(stretches, names[one["of"]], *one["gold"]))
        for one in by_hand()["questions"]
        if one["of"] in names
    ]
    found: dict[str, Shares] = {}
    Bench(store, misses).measure(questions, found)
    return found


def _worded(one: dict[str, Any], is_true: Callable[[bytes], bool]) -> Worded:
    return Worded(one["question"], tuple(one["paraphrases"]), is_true)


def _among(store: ChatStore, places: set[int]) -> Callable[[bytes], bool]:
    return lambda observation_id: store.place_of.get(observation_id) in places


def _within(
    stretches: dict[bytes, tuple[bytes, float, float]], source_id: bytes, begin_s: float, end_s: float
) -> Callable[[bytes], bool]:
    """Whether an observation is of a film and half of the shorter of it and a true stretch is shared."""

    def is_true(observation_id: bytes) -> bool:
        of, t0_s, t1_s = stretches.get(observation_id, (b"", 0.0, 0.0))
        shared = min(t1_s, end_s) - max(t0_s, begin_s)
        return of == source_id and shared >= 0.5 * min(t1_s - t0_s, end_s - begin_s)

    return is_true


def stretches_of(store: AskedStore) -> dict[bytes, tuple[bytes, float, float]]:
    """Source, begin and end in seconds of every observation."""
    with store.reader.snapshot() as db:
        rows = db.execute("SELECT observation_id, source_id, pts0_ns, pts1_ns FROM observation").fetchall()
    return {one: (source, begin / 1e9, end / 1e9) for one, source, begin, end in rows}


# By path.


def measure_chats(path: Path, encode: Encode, most: int, misses: list[dict[str, str]]) -> dict[str, Shares]:
    """A file in the LoCoMo format, each dialogue a store of its own."""
    chats = read(path)
    found: dict[str, Shares] = {}
    asked = questions_of(path, chats)
    asked = asked[:: max(1, len(asked) // most)]
    for place, chat in enumerate(chats):
        with tempfile.TemporaryDirectory() as folder:
            chat_store = ChatStore([chat], encode, Path(folder) / "store", MemorySettings())
            chat_store.learn_claims()
            refs = [one.turn.ref for one in chat_store.turns]
            questions = [
                Worded(
                    one.text,
                    tuple(five(one.text)),
                    _among(chat_store, {refs.index(ref) for ref in one.evidence}),
                )
                for one in asked
                if one.chat == place
            ]
            store = AskedStore(chat_store.reader, chat_store.recall, encode, ENCODER)
            Bench(store, misses).measure(questions, found)
            chat_store.close()
        print(f"chat {place + 1} of {len(chats)}", file=sys.stderr, flush=True)
    return found


def measure_videos(store: AskedStore, folder: Path, misses: list[dict[str, str]]) -> dict[str, Shares]:
    """A folder of videos with questions."""
    videos = read_set(folder)
    names = {Path(source.uri).name: source.source_id for source in store.sources()}
    of = {film.name: names[film.path.name] for film in videos.films}
    uri = {names[film.path.name]: film.name for film in videos.films}
    stretches = stretches_of(store)

    def is_true(true: Stretch) -> Callable[[bytes], bool]:
        def told(observation_id: bytes) -> bool:
            source, begin_s, end_s = stretches.get(observation_id, (b"", 0.0, 0.0))
            return source == of[true.video] and is_hit(Stretch(uri[source], begin_s, end_s), true)

        return told

    questions = [
        Worded(one.question, tuple(five(one.question)), is_true(one.true))
        for one in videos.answerable
        if one.true is not None
    ]
    found: dict[str, Shares] = {}
    Bench(store, misses).measure(questions, found)
    return found


def opened(folder: Path, encode: Encode) -> AskedStore:
    """A store by its folder."""
    recall = Recall(IndexShelf(folder / "views"), MemorySettings().recall)
    return AskedStore(LogReader(folder), recall, encode)


def main() -> int:
    """Measures, prints a table, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=Path, metavar="STORE")
    parser.add_argument("--data", type=Path, metavar="FILE")
    parser.add_argument("--most", type=int, default=10_000, help="questions of --data at most, spread evenly")
    parser.add_argument("--videos", type=Path, metavar="DIR")
    parser.add_argument("--store", type=Path, help="that tools.eval_video made of --videos")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--misses", type=Path, metavar="OUT")
    told = parser.parse_args()
    began_s = time.perf_counter()
    encode = remembering(text_encoder())
    misses: dict[str, list[dict[str, str]]] = {}
    parts = {"dialogues": measure_dialogues(encode, misses.setdefault("dialogues", []))}
    if told.films:
        parts["films"] = measure_films(opened(told.films, encode), misses.setdefault("films", []))
    if told.videos and told.store:
        parts["videos"] = measure_videos(
            opened(told.store, encode), told.videos, misses.setdefault("videos", [])
        )
    if told.data:
        parts["chats"] = measure_chats(told.data, encode, told.most, misses.setdefault("chats", []))
    document = document_of(parts, told, time.perf_counter() - began_s)
    for name, systems in {"all": document["systems"], **document["by"]["part"]}.items():
        for system, row in systems.items():
            figures = "  ".join(f"{one} {row[one]} {row[f'{one}_interval']}" for one in ("same", "right"))
            print(
                f"{name:10} {system:7} {row['first_right']:4} of {row['n']:4} right; {figures}"
                + (f"  verdict {row['verdict']}" if system == "ours" else "")
            )
    if told.json:
        told.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if told.misses:
        told.misses.write_text(json.dumps(misses, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def document_of(
    parts: dict[str, dict[str, Shares]], told: argparse.Namespace, seconds: float
) -> dict[str, Any]:
    """All figures: of all questions together, and by part."""
    total = {name: Shares() for name in SYSTEMS}
    for part in parts.values():
        for name, shares in part.items():
            total[name].asked += shares.asked
            for one in ("same", "right", "verdict"):
                getattr(total[name], one).extend(getattr(shares, one))
    return {
        "tool": "eval_consistency",
        "data": str(told.data or ""),
        "items": total["ours"].asked,
        "config": {"most": told.most, "videos": str(told.videos or "")},
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": round(seconds, 1),
        "systems": {name: shares.told() for name, shares in total.items()},
        "by": {
            "part": {
                part: {name: shares.told() for name, shares in systems.items()}
                for part, systems in parts.items()
            }
        },
    }


if __name__ == "__main__":
    sys.exit(main())
