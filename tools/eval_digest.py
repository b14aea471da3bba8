"""What digests keep: `python -m tools.eval_digest [--locomo FILE] [--meetings FILE] --json OUT`.

A digest of a sitting (LoCoMo: a session; QMSum: a whole meeting) is at most 12 lines of 30 words. Compared
with it, at as many lines cut alike: the first turns, evenly spread ones, the longest, random ones (20
draws), and variants of the house's own choice: from all turns at once in the place of the digests of
events (`flat`), so that each part of the time is told, and with `--keys` with how central a turn's key
is among all (`central`, needs the encoder). `rouge1` is the F measure of content stems against the
summary that ships with the data, a person's or a model's: of LoCoMo `session_summary`, of QMSum the
first general answer. `asked` is the share of the turns that hold the evidence of later questions
(LoCoMo only) among the lines; nobody knew them when the digest was made. Intervals (95 %, bootstrap) are
over sittings; `ours_minus` are paired.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from memory.log.reader import Logged
from memory.settings import MemorySettings, SpanSettings
from memory.spans.choose import stems_of
from memory.spans.consolidate import observations_in
from memory.spans.digest import CITED_OF_MANY, LINE_WORDS, cited_of
from memory.spans.tree import Tree, ids_in, observations_by_id
from stream.capture.text import read
from stream.capture.turns import Chat
from stream.errors import OmniRecallError
from tools.chat_stores import ChatStore, Encode, Vectors, keeping, text_encoder
from tools.video_metrics import interval

DRAWS = 20
Chooses = Callable[[Sequence[Logged]], list[Logged]]


@dataclass(slots=True)
class Sitting:
    """The turns of one sitting, its summary, and what was asked of it later, by the refs of turns."""

    turns: list[Logged]
    ours: list[Logged]
    summary: str
    asked: set[bytes] = field(default_factory=set)


def head(text: str) -> str:
    """A line as a digest tells it."""
    return " ".join(text.split()[:LINE_WORDS])


def rouge1(lines: Sequence[Logged], summary: str) -> float:
    """F measure of the content stems of lines and of a summary, each stem once."""
    told, wanted = set().union(*(stems_of(head(one.text)) for one in lines)), stems_of(summary)
    common = len(told & wanted)
    return 2 * common / (len(told) + len(wanted)) if common else 0.0


def share_asked(lines: Sequence[Logged], sitting: Sitting) -> float:
    """Share of what was asked later among the lines."""
    return len({one.observation_id for one in lines} & sitting.asked) / len(sitting.asked)


def longest(turns: Sequence[Logged]) -> list[Logged]:
    """The longest turns."""
    return sorted(turns, key=lambda one: -len(one.text))[:CITED_OF_MANY]


def evenly(turns: Sequence[Logged]) -> list[Logged]:
    """Turns at equal distances."""
    n = min(CITED_OF_MANY, len(turns))
    return [turns[place * len(turns) // n] for place in range(n)]


SYSTEMS: Mapping[str, Chooses] = {
    "first": lambda turns: list(turns[:CITED_OF_MANY]),
    "evenly": evenly,
    "longest": longest,
    "flat": cited_of,
    "spread over time": lambda turns: cited_of(turns, spread_over_time=True),
}


def sittings_of(chat: Chat, summaries: Mapping[int, str], evidence: set[str], folder: Path) -> list[Sitting]:
    """The sittings of a chat as the house makes them, those that have a summary."""
    spans = SpanSettings(time_zone="UTC", episode_max_s=10**7)
    store = ChatStore([chat], lambda texts: np.zeros((len(texts), 1), np.float32), folder, MemorySettings())
    tree = Tree(spans, 10**10)
    with store._store.views() as db:
        tree.ready(db)
        while tree.advance(db, 2**62, 32).more:
            pass
        rows = db.execute(
            "SELECT source_id, session, pts0_ns, pts1_ns, cited FROM span WHERE level = 'episode'"
            " ORDER BY pts0_ns"
        ).fetchall()
        found = []
        for number, (source_id, session, pts0_ns, pts1_ns, cited) in enumerate(rows, start=1):
            if not summaries.get(number):
                continue
            turns = [one for one in observations_in(db, source_id, session, pts0_ns, pts1_ns) if one.text]
            asked = {
                one.observation_id
                for one in turns
                if store.turns[store.place_of[one.observation_id]].turn.ref in evidence
            }
            found.append(Sitting(turns, observations_by_id(db, ids_in(cited)), summaries[number], asked))
    store._store.close()
    return found


def locomo(path: Path) -> list[Sitting]:
    """The sessions of dialogues with their summaries."""
    samples = json.loads(path.read_text(encoding="utf-8"))
    samples = samples if isinstance(samples, list) else [samples]
    found: list[Sitting] = []
    for chat, sample in zip(read(path), samples, strict=True):
        told = sample.get("session_summary") or {}
        summaries = {
            int(key.split("_")[1]): str(text) for key, text in told.items() if key.split("_")[1].isdigit()
        }
        evidence = {str(ref) for qa in sample.get("qa", ()) for ref in qa.get("evidence") or ()}
        with tempfile.TemporaryDirectory() as folder:
            found += sittings_of(chat, summaries, evidence, Path(folder) / "store")
    return found


def meetings(path: Path) -> list[Sitting]:
    """Meetings with the answer to their first general question."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found: list[Sitting] = []
    for chat, row in zip(read(path), rows, strict=True):
        general = row.get("general_query_list") or [{}]
        with tempfile.TemporaryDirectory() as folder:
            found += sittings_of(chat, {1: str(general[0].get("answer", ""))}, set(), Path(folder) / "store")
    return found


def measured(
    sittings: Sequence[Sitting],
    systems: Mapping[str, Chooses],
    measure: Callable[[Sequence[Logged], Sitting], float],
) -> dict[str, Any]:
    """Each system's mean with its interval, and how much ours is above it, paired."""
    draw = random.Random(0)  # noqa: S311 - lines, not secrets
    values: dict[str, list[float]] = {"ours": [measure(one.ours, one) for one in sittings]}
    for name, chooses in systems.items():
        values[name] = [measure(chooses(one.turns), one) for one in sittings]
    n_lines = [min(CITED_OF_MANY, len(one.turns)) for one in sittings]
    values["random"] = [
        sum(measure(draw.sample(one.turns, n), one) for _ in range(DRAWS)) / DRAWS
        for one, n in zip(sittings, n_lines, strict=True)
    ]
    told: dict[str, Any] = {}
    for name, own in values.items():
        told[name] = {"mean": round(float(np.mean(own)), 3), "interval": interval(own)}
        if name != "ours":
            over = [ours - other for ours, other in zip(values["ours"], own, strict=True)]
            told[name]["ours_minus"] = round(float(np.mean(over)), 3)
            told[name]["ours_minus_interval"] = interval(over)
    return told


def central_by(encode: Encode, weight: float) -> Chooses:
    """The house's choice with how central a turn's key is among all of the sitting."""

    def chooses(turns: Sequence[Logged]) -> list[Logged]:
        vectors: Vectors = encode([one.text for one in turns])
        return cited_of(turns, vectors=vectors, central=weight)

    return chooses


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--meetings", type=Path)
    parser.add_argument("--keys", type=Path, metavar="DIR", help="also by keys, kept in this folder")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    began_s = time.monotonic()
    systems = dict(SYSTEMS)
    if options.keys is not None:
        encode = keeping(text_encoder(), options.keys)
        systems |= {f"central {weight}": central_by(encode, weight) for weight in (0.5, 1.0, 2.0)}
    result: dict[str, Any] = {"tool": "eval_digest", "lines": CITED_OF_MANY, "words": LINE_WORDS}
    try:
        for name, path, of in (("locomo", options.locomo, locomo), ("meetings", options.meetings, meetings)):
            if path is None:
                continue
            sittings = of(path)
            result[name] = {"sittings": len(sittings)}
            result[name]["rouge1"] = measured(
                sittings, systems, lambda lines, one: rouge1(lines, one.summary)
            )
            with_asked = [one for one in sittings if one.asked]
            if with_asked:
                result[name]["asked"] = measured(with_asked, systems, share_asked)
            for metric in ("rouge1", "asked"):
                for system, row in result[name].get(metric, {}).items():
                    print(f"{name:9} {metric:7} {system:20} {row}")
    except OmniRecallError as error:
        print(f"{error.message}: {error.remedy}", file=sys.stderr)
        return 1
    result["seconds"] = round(time.monotonic() - began_s, 1)
    if options.json is not None:
        options.json.write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
