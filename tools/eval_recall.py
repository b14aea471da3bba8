"""Recall of evidence turns of dialogues: `python -m tools.eval_recall --data FILE --json OUT`.

LoCoMo format. Side by side, on the same turns and questions: `flat` (FAISS, the text encoder),
`bm25` (FTS5, `porter unicode61`), `hybrid` (the sum of their z-scores) and `ours`: the
pipeline of `memory.recall` over a store of the imported turns, in this process. A key of the
baselines is date, speaker, words and photo caption. R@k is the mean share of a question's
evidence turns among the first k turns; questions of categories 1 to 4 with evidence count.
Gold answers, summaries and observations that ship with the data are not read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from memory.keys.keyers import DigestKeyer, TextKeyer
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.settings import ChatWeights, MemorySettings
from stream.capture.text import read
from stream.capture.turns import Chat, placed
from stream.messages import Cue
from tools.chat_stores import (
    AS_SHIPPED,
    ENCODER,
    EVERY,
    TERMS,
    ChatStore,
    Encode,
    KeyVariant,
    PlainSearch,
    Vectors,
    remembering,
    text_encoder,
)
from tools.fit_weights import Terms, Weights, ablated, fitted, left_out
from tools.video_metrics import interval

KS = (1, 5, 10, 20, 25)
CHOSEN = ("R@5", "R@10", "R@20")
SYSTEMS = ("flat", "bm25", "hybrid", "ours")
KEY_VARIANTS = {
    "facts": KeyVariant(keyers=(TextKeyer(), DigestKeyer())),
    "the photo in a key": KeyVariant(told=lambda turn: turn.text),
    "the speaker as a word": KeyVariant(emptied="speaker"),
    "the day as a word": KeyVariant(emptied="day"),
}
"""Ways in which keys of turns are made, each left out."""
OTHER_KEYS = {
    "the speaker in a key": KeyVariant(
        told=lambda turn: f"{turn.speaker}: {turn.text} {turn.caption}".strip()
    ),
}
"""Ways that are not taken."""
SWITCHES = (
    ("without named dates", "named_dates", False),
    ("with perspective", "perspective", True),
    ("with 3 events opened", "events", 3),
)
"""Mechanisms of recall that are no scorer, each the other way round than it ships."""
DAY_NS = 86_400_000_000_000
DEPTH = max(KS)
# Capitals: "may" and "march" are words.
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)?,? (?:of )?(?:{_MONTHS})|(?:{_MONTHS}),? \d{{1,4}})\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and the turns that are its evidence."""

    chat: int
    text: str
    category: str
    evidence: frozenset[str]

    @property
    def names_date(self) -> bool:
        """Whether the words of the question name a day, or a month with its year."""
        return _DATE.search(self.text) is not None


def questions_of(path: Path, chats: Sequence[Chat]) -> list[Asked]:
    """The answerable questions; an evidence id that no turn has is left out."""
    samples = json.loads(path.read_text(encoding="utf-8"))
    asked: list[Asked] = []
    for place, sample in enumerate(samples if isinstance(samples, list) else [samples]):
        refs = {turn.ref for turn in chats[place].turns}
        for row in sample["qa"]:
            told = " ".join(map(str, row.get("evidence") or ()))
            evidence = frozenset(re.findall(r"D\d+:\d+", told)) & refs
            if evidence and row.get("category") in (1, 2, 3, 4):
                asked.append(Asked(place, str(row["question"]), str(row["category"]), evidence))
    return asked


class Baselines:
    """Flat, lexical and hybrid search over the turns of one chat."""

    def __init__(self, chat: Chat, encode: Encode) -> None:
        turns = placed(chat.turns, ZoneInfo("UTC"))
        self.refs = [one.turn.ref for one in turns]
        texts = []
        for one in turns:
            day = time.strftime("%d %B %Y", time.gmtime((one.t0_ns or 0) / 1e9))
            texts.append(f"{day} {one.turn.speaker}: {one.turn.text} {one.turn.caption}".strip())
        self._search = PlainSearch(texts, encode(texts))

    def ranked(self, text: str, key: Vectors) -> dict[str, list[str]]:
        """The turns of each system, best first."""
        scores = self._search.systems(text, key)
        return {n: [self.refs[p] for p in np.argsort(-s, kind="stable")] for n, s in scores.items()}


class Ours:
    """A store of one chat, and recall over it."""

    def __init__(
        self,
        chat: Chat,
        encode: Encode,
        folder: Path,
        settings: MemorySettings,
        keys: KeyVariant = AS_SHIPPED,
    ) -> None:
        self.store = ChatStore([chat], encode, folder, settings, keys)

    def ranked(self, text: str, key: Vectors, recall: Recall | None = None) -> list[str]:
        """The turns, best first, each once; `recall` in the place of the store's own."""
        told = self.store.evidence(recall or self.store.recall, text, key, DEPTH)
        items = sorted(told.items, key=lambda item: -item.score)
        return list(dict.fromkeys(self.ref(item.observation_id) for item in items))

    def with_weights(self, settings: MemorySettings, weights: Weights, **switches: int) -> Recall:
        """Recall over the same store with other weights of turns, and other settings of recall."""
        others = {"chat": ChatWeights(**weights), **switches}
        return Recall(self.store.shelf, settings.recall.model_copy(update=others))

    def terms(self, asked: Asked, key: Vectors, recall: Recall) -> Terms:
        """The terms of all candidates of a question, each turn once."""
        with self.store.reader.snapshot() as db:
            told = recall.ranked(db, Cue(text=asked.text), EVERY, [QuestionKey("dense", ENCODER, key)])
        rows: dict[str, list[float]] = {}
        for one in told:
            ref = self.ref(one.item.observation_id)
            rows.setdefault(ref, [one.terms.get(name, 0.0) for name in TERMS])
        places = {ref: place for place, ref in enumerate(rows)}
        values = np.array(list(rows.values()), dtype=np.float32).reshape(len(rows), len(TERMS))
        evidence = tuple(sorted(places[ref] for ref in asked.evidence & places.keys()))
        return Terms(asked.chat, values, evidence, len(asked.evidence) - len(evidence))

    def of_days(self) -> list[float]:
        """For each day of the chat, asked for alone and without an encoder: how many of ten are of it."""
        days = sorted({(one.t0_ns or 0) // DAY_NS for one in self.store.turns})
        found: list[float] = []
        for day in days:
            asked = time.strftime("What happened on %d %B, %Y?", time.gmtime(day * DAY_NS // 10**9))
            with self.store.reader.snapshot() as db:
                items = self.store.recall(db, Cue(text=asked), 10).items
            found.append(sum((one.t0_ns or 0) // DAY_NS == day for one in items) / 10)
        return found

    def ref(self, observation_id: bytes) -> str:
        """What its file calls the turn of an observation."""
        return self.store.turns[self.store.place_of[observation_id]].turn.ref


def shares(ranked: Sequence[str], evidence: frozenset[str]) -> dict[str, float]:
    """The share of the evidence among the first k, by metric."""
    return {f"R@{k}": len(evidence & set(ranked[:k])) / len(evidence) for k in KS}


def means(rows: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Every metric of every system over some questions."""
    metrics = [f"R@{k}" for k in KS]
    return {n: {m: round(sum(r[n][m] for r in rows) / len(rows), 4) for m in metrics} for n in rows[0]}


def fit_of(table: Sequence[Terms], settings: MemorySettings) -> dict[str, Any]:
    """Weights by leaving the scored dialogue out, with and without the length of a text; each off."""
    start = settings.recall.chat.model_dump()
    shown = [name for name in TERMS if name != "length"]
    chosen = left_out(table, TERMS, start, KS)
    return {
        "left_out": chosen,
        "left_out_without_length": left_out([_without_length(one) for one in table], shown, start, KS),
        "of_all": fitted(table, TERMS, start),
        "ablation": ablated(table, TERMS, lambda chat: chosen["weights"][str(chat)], KS[1:4]),
    }


def _without_length(one: Terms) -> Terms:
    kept = [place for place, name in enumerate(TERMS) if name != "length"]
    return Terms(one.chat, one.values[:, kept], one.evidence, one.missing)


@dataclass(slots=True)
class Bench:
    """The questions of a file in order of their dialogues, the stores, and what each system found."""

    asked: list[Asked]
    keys: list[Vectors]
    stores: list[Ours]
    rows: list[dict[str, dict[str, float]]]
    days: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, recalls: Sequence[Recall | None], stores: Sequence[Ours] | None = None) -> None:
        """Asks every question once more, of other pipelines or other stores."""
        for one, key, row in zip(self.asked, self.keys, self.rows, strict=True):
            ours = (stores or self.stores)[one.chat]
            row[name] = shares(ours.ranked(one.text, key, recalls[one.chat]), one.evidence)

    def add_fitted(self, settings: MemorySettings, fit: dict[str, Any]) -> None:
        """The pipeline by weights of the other dialogues, also without a length; and with other switches."""
        for name, chosen in (
            ("ours_left_out", fit["left_out"]),
            ("ours_left_out_no_length", fit["left_out_without_length"]),
        ):
            weights = [{"length": 0.0} | chosen["weights"].get(str(n), {}) for n in range(len(self.stores))]
            self.add(
                name, [one.with_weights(settings, w) for one, w in zip(self.stores, weights, strict=True)]
            )
        shipped = settings.recall.chat.model_dump()
        for name, switch, value in SWITCHES:
            self.add(name, [one.with_weights(settings, shipped, **{switch: value}) for one in self.stores])

    def add_days(self, without: Sequence[Ours]) -> None:
        """What the day as a word is for: a question of nothing but a day, where no encoder answers."""
        ours, less = ([v for one in stores for v in one.of_days()] for stores in (self.stores, without))
        gains = [a - b for a, b in zip(ours, less, strict=True)]
        self.days = {
            "items": len(gains),
            "ours": round(float(np.mean(ours)), 4),
            "without": round(float(np.mean(less)), 4),
            "interval": interval(gains),
        }

    def gains(self) -> dict[str, dict[str, Any]]:
        """By how much ours is better than each variant of it, over R@5, 10 and 20, with its interval."""
        told = {}
        for name in (name for name in self.rows[0] if name.startswith(("without ", "with "))):
            each = [float(np.mean([r["ours"][m] - r[name][m] for m in CHOSEN])) for r in self.rows]
            told[name] = {"mean": round(float(np.mean(each)), 4), "interval": interval(each)}
        return told


def bench_of(path: Path, settings: MemorySettings, encode: Encode, folder: Path) -> Bench:
    """Every question of a file, asked of the baselines and of ours as it ships."""
    chats = read(path)
    asked = sorted(questions_of(path, chats), key=lambda one: one.chat)
    bench = Bench(asked, [encode([one.text])[0] for one in asked], [], [])
    for place, chat in enumerate(chats):
        baselines = Baselines(chat, encode)
        ours = Ours(chat, encode, folder / str(place), settings)
        bench.stores.append(ours)
        for one, key in zip(asked, bench.keys, strict=True):
            if one.chat == place:
                ranked = baselines.ranked(one.text, key) | {"ours": ours.ranked(one.text, key)}
                bench.rows.append({name: shares(ranked[name], one.evidence) for name in SYSTEMS})
        print(f"chat {place + 1} of {len(chats)}", file=sys.stderr)
    return bench


def measured(
    path: Path, settings: MemorySettings, *, fit: bool = False, keys: bool = False
) -> dict[str, Any]:
    """All figures of a file.

    Args:
        path: The file.
        settings: Of memory.
        fit: Also with weights chosen by leaving the scored dialogue out, and without each scorer.
        keys: Also without each way in which keys are made.
    """
    began_s = time.monotonic()
    encode = remembering(text_encoder())
    fit_told: dict[str, Any] | None = None
    with tempfile.TemporaryDirectory(prefix="omnirecall-eval-") as folder:
        bench = bench_of(path, settings, encode, Path(folder))
        if fit:
            every = [ours.store.at_unit_weights(settings) for ours in bench.stores]
            table = [
                bench.stores[one.chat].terms(one, key, every[one.chat])
                for one, key in zip(bench.asked, bench.keys, strict=True)
            ]
            fit_told = fit_of(table, settings)
            bench.add_fitted(settings, fit_told)
        variants = {f"without {name}": variant for name, variant in KEY_VARIANTS.items()}
        variants |= {f"with {name}": variant for name, variant in OTHER_KEYS.items()}
        for name, variant in variants.items() if keys else ():
            chats = read(path)
            stores = [
                Ours(chat, encode, Path(folder) / name / str(place), settings, variant)
                for place, chat in enumerate(chats)
            ]
            bench.add(name, [None] * len(stores), stores)
            if variant.emptied == "day":
                bench.add_days(stores)
            print(name, file=sys.stderr)
    return told_of(path, settings, bench, fit_told) | {"seconds": round(time.monotonic() - began_s, 1)}


def told_of(path: Path, settings: MemorySettings, bench: Bench, fit: dict[str, Any] | None) -> dict[str, Any]:
    """The figures as they are written."""
    rows = bench.rows
    groups: dict[str, dict[str, Any]] = {"category": {}, "names_date": {}}
    for group, of in (
        ("category", [one.category for one in bench.asked]),
        ("names_date", [str(one.names_date) for one in bench.asked]),
    ):
        for value in sorted(set(of)):
            groups[group][value] = means([r for r, v in zip(rows, of, strict=True) if v == value])
    return {
        "tool": "eval_recall",
        "data": str(path),
        "items": len(rows),
        "config": settings.recall.model_dump(),
        "models": {"text": "all-minilm-l6-v2"},
        "systems": means(rows),
        "intervals": {n: {m: interval([r[n][m] for r in rows]) for m in rows[0][n]} for n in rows[0]},
        "gains": bench.gains(),
        "days": bench.days,
        "by": groups,
        "fit": fit,
        "dated": [one.text for one in bench.asked if one.names_date],
    }


def _print_fit(fit: dict[str, Any]) -> None:
    for name in ("left_out", "left_out_without_length"):
        print(f"{name}: " + " ".join(f"{m} {v:.3f}" for m, v in fit[name]["recall"].items()))
        for chat, weights in fit[name]["weights"].items():
            print(f"  weights for dialogue {chat}: " + " ".join(f"{n} {v:g}" for n, v in weights.items()))
    print("weights of all: " + " ".join(f"{n} {v:g}" for n, v in fit["of_all"].items()))
    for name, told in fit["ablation"].items():
        figures = ", ".join(
            f"{how} R@10 {told[how]['R@10']:.3f}" for how in ("off", "shuffled") if how in told
        )
        gain = "" if "gain" not in told else f", gain {told['gain']['mean']:+.4f} {told['gain']['interval']}"
        print(f"without {name:10} {figures}{gain}")


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_recall", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--weight", action="append", default=[], metavar="NAME=VALUE", help="of a scorer, for turns of chats"
    )
    parser.add_argument(
        "--fit", action="store_true", help="choose weights, each dialogue's on the others; ablate scorers"
    )
    parser.add_argument("--keys", action="store_true", help="also without each way in which keys are made")
    options = parser.parse_args(argv)
    weights = {name: float(value) for name, _, value in (w.partition("=") for w in options.weight)}
    told = measured(
        options.data,
        MemorySettings.model_validate({"recall": {"chat": weights}}),
        fit=options.fit,
        keys=options.keys,
    )
    for title, systems in [("all", told["systems"]), *told["by"]["category"].items()]:
        for name, row in systems.items():
            print(f"{title:8} {name:8} " + " ".join(f"{m} {v:.3f}" for m, v in row.items()))
    for value, systems in told["by"]["names_date"].items():
        print(f"names a date: {value}: " + ", ".join(f"{n} R@10 {r['R@10']:.3f}" for n, r in systems.items()))
    for name, gain in told["gains"].items():
        print(f"{name}: gain of ours {gain['mean']:+.4f} {gain['interval']}")
    if told["days"]:
        print("days asked for alone, words only: " + ", ".join(f"{n} {v}" for n, v in told["days"].items()))
    if told["fit"]:
        _print_fit(told["fit"])
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
