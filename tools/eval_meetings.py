"""Finding what a meeting's question is about: `python -m tools.eval_meetings --data FILE --json OUT`.

QMSum format (`tools.meeting_set`). A question is put to the store of its own meeting. Side by side:
`dense` (flat FAISS, the text encoder), `bm25` (FTS5, `porter unicode61`), `hybrid` (the sum of their
z-scores), `random` and `ours`: the pipeline of `memory.recall` as it ships, in this process.

Every system gives spans, which are runs of turns, best first. `ours` gives what `omnirecall search`
gives, moments: here the turn found and `recall.moment_turns` turns to either side; of two that
share more than half, the better one. A baseline has a setting: it searches single turns and gives
1, 2, 4, 8 or 16 turns around each, or searches windows of 4 or 8 turns (one begins every 2 or 4
turns; the encoder reads the first 256 tokens of one) and gives those; no two of its spans share a
turn. It gets the setting with the best span_hit@5 on all meetings but the scored one. `random` are
spans of the lengths of ours, anywhere.

A span is a hit if it shares at least half of the shorter of the two with a gold span of the question
and is no longer than max(8 turns, 1.5 times that span): the rule of `tools.eval_video`, in turns.
`by.floor_turns` has the same with other floors than 8, settings chosen anew. `span_hit@k` is the
share of questions with a hit among the first k. Intervals (95 %, bootstrap) are drawn over
meetings; so are those of `ours_minus`, which are paired.

`pk` and `window_diff` compare the house's events, as boundaries between turns, with the ends of the
gold topics; beside them as many boundaries at equal distances (`uniform`), anywhere (`random`), and
none at all. 0 is best. `topic` is `spans.chat_segmenter: topic`; it, `texttiling` (`tools.topic_cuts`) and
`uniform_best` get the setting that is best on the other meetings. `topic_keys` cuts by the keys of turns in
the place of their words, which needs `--cache`.

`--fit`: weights of the scorers of turns chosen leaving the scored meeting out, and what each scorer
of the shipped weights is worth: off, and with its values dealt out to other candidates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memory.recall.candidates import QuestionKey
from memory.recall.moments import SAME_SHARE, Moment, moments_of
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings
from stream.capture.turns import Placed
from stream.errors import OmniRecallError
from stream.messages import Cue
from tools import topic_cuts
from tools.chat_stores import (
    ENCODER,
    EVERY,
    TERMS,
    ChatStore,
    Encode,
    PlainSearch,
    Vectors,
    keeping,
    text_encoder,
    z,
)
from tools.fit_weights import SpanTerms, ablated, fitted, left_out
from tools.meeting_metrics import (
    LONGEST_HIT_TURNS,
    Span,
    apart,
    hit_at,
    is_hit,
    pk,
    random_boundaries,
    random_hit_rate,
    uniform,
    window_diff,
)
from tools.meeting_set import Meeting, names_speaker, read_meetings
from tools.video_metrics import interval

KS = (1, 5, 10)
DEPTH = max(KS)
HIT = "span_hit@"
CHOSEN_BY = (1, 3, 5)
"""Weights are chosen by the mean of these: span_hit@5 alone moves in steps of a question."""
BASELINES = ("dense", "bm25", "hybrid")
SYSTEMS = ("ours", *BASELINES, "random")
GIVEN = (1, 2, 4, 8, 16)
WINDOWS = (4, 8)
FLOORS = (4, LONGEST_HIT_TURNS, 16)
RANDOM_CUTTINGS = 20
MOMENTS: Mapping[str, Mapping[str, float]] = {
    "moments of seconds": {"moment_turns": 0},
    "single turns": {"moment_s": 0},
}
"""Settings of recall that an ablation compares with moments of turns."""


class Setting(NamedTuple):
    """How a baseline searches: windows of so many turns, of which it gives so many turns around each."""

    searched: int
    given: int

    def __str__(self) -> str:
        return f"searches {self.searched}, gives {self.given}"


SETTINGS = (*(Setting(1, given) for given in GIVEN), *(Setting(turns, turns) for turns in WINDOWS))


@dataclass(slots=True)
class Found:
    """What every system gave for one question: `spans` by system and setting; ours has one, None."""

    meeting: int
    gold: tuple[Span, ...]
    n_turns: int
    names_speaker: bool
    spans: dict[str, dict[Setting | None, list[Span]]] = field(default_factory=dict)
    moments: dict[str, list[Span]] = field(default_factory=dict)


class Baselines:
    """Flat, lexical and hybrid search of one meeting, in every setting."""

    def __init__(self, meeting: Meeting, encode: Encode) -> None:
        self._n = len(meeting.turns)
        texts = meeting.texts
        self._searches: dict[int, tuple[list[Span], PlainSearch]] = {}
        for turns in (1, *WINDOWS):
            spans = windows(self._n, turns)
            joined = [" ".join(texts[span.begin : span.end]) for span in spans]
            self._searches[turns] = spans, PlainSearch(joined, encode(joined))

    def ranked(self, text: str, key: Vectors) -> dict[str, dict[Setting | None, list[Span]]]:
        """The first spans of each system in each setting."""
        told: dict[str, dict[Setting | None, list[Span]]] = {name: {} for name in BASELINES}
        for searched, (spans, search) in self._searches.items():
            dense, lexical = search.scores(text, key)
            for name, scores in zip(BASELINES, (dense, lexical, z(dense) + z(lexical)), strict=True):
                best = [spans[place] for place in np.argsort(-scores, kind="stable").tolist()]
                for setting in (one for one in SETTINGS if one.searched == searched):
                    more = setting.given - setting.searched
                    told[name][setting] = apart([around(span, more, self._n) for span in best], DEPTH)
        return told


def windows(n_turns: int, turns: int) -> list[Span]:
    """Windows of so many turns, each half over the one before it; the last may be shorter."""
    step = max(1, turns // 2)
    begins = range(0, max(1, n_turns - turns + step), step)
    return [Span(begin, min(n_turns, begin + turns)) for begin in begins if begin < n_turns]


def around(span: Span, more: int, n_turns: int) -> Span:
    """A span with so many more turns around it, an odd one after it, within the meeting."""
    return Span(max(0, span.begin - more // 2), min(n_turns, span.end + more - more // 2))


def span_of(turns: Sequence[Placed], place: int, moment: Moment | None) -> Span:
    """The turns whose middle lies in a moment, the one that stands for it in any case."""
    if moment is None:
        return Span(place, place + 1)
    middles = [one.pts0_ns / 2 + one.pts1_ns / 2 for one in turns]
    begin, end = (bisect_left(middles, bound) for bound in moment)
    return Span(min(begin, place), max(end, place + 1))


class Ours:
    """The store of one meeting, and recall over it."""

    def __init__(self, meeting: Meeting, encode: Encode, folder: Path, settings: MemorySettings) -> None:
        self.store = ChatStore([meeting.chat], encode, folder, settings)
        self._settings = settings
        self._unit = self.store.at_unit_weights(settings)
        self._others = {
            name: Recall(self.store.shelf, settings.recall.model_copy(update=dict(update)))
            for name, update in MOMENTS.items()
        }

    def ranked(self, text: str, key: Vectors) -> list[Span]:
        """The moments that a search gives, best first."""
        return self._spans(self.store.recall, text, key)

    def otherwise(self, text: str, key: Vectors) -> dict[str, list[Span]]:
        """What a search gives with other moments."""
        return {name: self._spans(recall, text, key) for name, recall in self._others.items()}

    def _spans(self, recall: Recall, text: str, key: Vectors) -> list[Span]:
        told = self.store.evidence(recall, text, key, DEPTH, unit="moment")
        spans: list[Span] = []
        for item in sorted(told.items, key=lambda item: -item.score):
            moment = None
            if item.moment_pts0_ns is not None and item.moment_pts1_ns is not None:
                moment = Moment(item.moment_pts0_ns, item.moment_pts1_ns)
            spans.append(span_of(self.store.turns, self.store.place_of[item.observation_id], moment))
        return spans

    def terms(self, meeting: int, text: str, key: Vectors, gold: Sequence[Span]) -> SpanTerms:
        """The terms of all candidates of a question, which are hits, and which are one moment."""
        recall = self._settings.recall
        with self.store.reader.snapshot() as db:
            told = self._unit.ranked(db, Cue(text=text), EVERY, [QuestionKey("dense", ENCODER, key)])
            items = [one.item for one in told]
            moments = moments_of(db, items, int(recall.moment_s * 1e9), recall.moment_turns)
        rows = [[one.terms.get(name, 0.0) for name in TERMS] for one in told]
        values = np.array(rows, dtype=np.float32).reshape(len(rows), len(TERMS))
        ends = np.array([moments[one.n] for one in items], dtype=np.float64).reshape(len(rows), 2)
        begin, end = ends[:, 0], ends[:, 1]
        common = np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin)
        same = common > SAME_SHARE * np.minimum((end - begin)[:, None], end - begin)
        places = [self.store.place_of[one.observation_id] for one in items]
        spans = [
            span_of(self.store.turns, place, moments[item.n])
            for place, item in zip(places, items, strict=True)
        ]
        return SpanTerms(meeting, values, np.array([is_hit(span, gold) for span in spans], dtype=bool), same)

    def boundaries(self) -> list[int]:
        """Where events end, as places of the turns after them."""
        with self.store.reader.snapshot() as db:
            ends = [end for (end,) in db.execute("SELECT pts1_ns FROM span WHERE level = 'event'")]
        middles = [one.pts0_ns / 2 + one.pts1_ns / 2 for one in self.store.turns]
        places = {bisect_left(middles, end) for end in ends}
        return sorted(place for place in places if 0 < place < len(middles))


def hits_of(found: Found, floor: int, chosen: Mapping[str, Mapping[int, Setting]]) -> dict[str, list[float]]:
    """Of each system, whether there is a hit among the first k, by k, in the settings that were chosen."""
    told: dict[str, list[float]] = {}
    for name in ("ours", *BASELINES):
        setting = chosen[name][found.meeting] if name in chosen else None
        spans = found.spans[name][setting]
        told[name] = [hit_at(spans, found.gold, k, floor) for k in KS]
    lengths = [span.turns for span in found.spans["ours"][None]]
    told["random"] = [random_hit_rate(lengths[:k], found.gold, found.n_turns, floor) for k in KS]
    return told


def chosen_settings(rows: Sequence[Found], floor: int) -> dict[str, dict[int, Setting]]:
    """For each baseline and meeting, the setting that finds most at 5 in the other meetings."""
    meetings = np.array([one.meeting for one in rows])
    chosen: dict[str, dict[int, Setting]] = {}
    for name in BASELINES:
        hits = np.array([[hit_at(r.spans[name][s], r.gold, 5, floor) for s in SETTINGS] for r in rows])
        chosen[name] = {}
        for meeting in sorted(set(meetings.tolist())):
            others = hits[meetings != meeting]
            means = (others if len(others) else hits).mean(axis=0)
            chosen[name][meeting] = SETTINGS[int(means.argmax())]
    return chosen


def shares(rows: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Every metric of every system over some questions."""
    told = list(rows)
    return {
        name: {f"{HIT}{k}": round(float(np.mean([r[name][at] for r in told])), 4) for at, k in enumerate(KS)}
        for name in SYSTEMS
    }


def over_meetings(rows: Sequence[Found], values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a mean over questions, drawn over meetings with all of their questions."""
    by_meeting: dict[int, list[float]] = {}
    for one, value in zip(rows, values, strict=True):
        by_meeting.setdefault(one.meeting, []).append(value)
    drawn = list(by_meeting.values())

    def mean(places: Sequence[int]) -> float:
        told = [value for place in places for value in drawn[place]]
        return sum(told) / len(told)

    return interval(drawn, mean)


def span_figures(rows: Sequence[Found]) -> dict[str, Any]:
    """All figures of spans: systems, intervals, what ours has over each, and by groups of questions."""
    chosen = chosen_settings(rows, LONGEST_HIT_TURNS)
    hits = [hits_of(one, LONGEST_HIT_TURNS, chosen) for one in rows]
    groups: dict[str, list[str]] = {
        "names_speaker": [str(one.names_speaker) for one in rows],
        "gold_turns": [_length_group(max(span.turns for span in one.gold)) for one in rows],
    }
    by: dict[str, dict[str, Any]] = {
        group: {
            value: shares(h for h, v in zip(hits, of, strict=True) if v == value) for value in sorted(set(of))
        }
        for group, of in groups.items()
    }
    by["floor_turns"] = {}
    for floor in FLOORS:
        others = chosen_settings(rows, floor)
        by["floor_turns"][str(floor)] = shares(hits_of(one, floor, others) for one in rows)
    at_5 = KS.index(5)
    moments = {
        name: {f"{HIT}{k}": _mean(hit_at(one.moments[name], one.gold, k) for one in rows) for k in KS}
        for name in MOMENTS
    }
    return {
        "systems": shares(hits),
        "intervals": {
            name: {f"{HIT}{k}": over_meetings(rows, [h[name][at] for h in hits]) for at, k in enumerate(KS)}
            for name in SYSTEMS
        },
        "ours_minus": {
            name: {
                f"{HIT}5": _mean(h["ours"][at_5] - h[name][at_5] for h in hits),
                "interval": over_meetings(rows, [h["ours"][at_5] - h[name][at_5] for h in hits]),
            }
            for name in BASELINES
        },
        "by": by,
        "settings": {name: _counted(map(str, told.values())) for name, told in chosen.items()},
        "moments": moments,
    }


def _length_group(turns: int) -> str:
    return "1-8" if turns <= 8 else "9-32" if turns <= 32 else "33 and more"


def _mean(values: Iterable[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _counted(names: Iterable[str]) -> dict[str, int]:
    told = list(names)
    return {name: told.count(name) for name in dict.fromkeys(told)}


def cutting_figures(
    cuttings: Sequence[tuple[Meeting, list[int]]], encode: Encode | None = None
) -> dict[str, dict[str, Any]]:
    """Pk and WindowDiff of events and of controls with as many boundaries: means over meetings.

    Args:
        cuttings: Meetings with gold topics, and where the house's events end.
        encode: For the row of topics by keys.
    """
    rows: dict[str, list[tuple[float, float]]] = {}
    for meeting, ours in cuttings:
        n, gold = len(meeting.turns), meeting.topic_boundaries
        random = [random_boundaries(len(ours), n, seed) for seed in range(RANDOM_CUTTINGS)]
        for name, cuts in (
            ("ours", [ours]),
            ("uniform", [uniform(len(ours), n)]),
            ("random", random),
            ("none", [[]]),
        ):
            both = [(pk(gold, cut, n), window_diff(gold, cut, n)) for cut in cuts]
            rows.setdefault(name, []).append((_mean(a for a, _ in both), _mean(b for _, b in both)))
    meetings = [meeting for meeting, _ in cuttings]
    vectors = None if encode is None else [encode(meeting.texts) for meeting in meetings]
    chosen: dict[str, list[topic_cuts.Setting]] = {}
    for name, by_setting in topic_cuts.cuttings(meetings, vectors).items() if meetings else ():
        rows[name], chosen[name] = topic_cuts.left_out(meetings, by_setting)
    return {
        name: {
            "pk": _mean(a for a, _ in told),
            "window_diff": _mean(b for _, b in told),
            "pk_interval": interval([a for a, _ in told]),
            "window_diff_interval": interval([b for _, b in told]),
        }
        | ({"settings": _counted(map(str, chosen[name]))} if name in chosen else {})
        for name, told in rows.items()
    }


def fit_of(table: Sequence[SpanTerms], settings: MemorySettings) -> dict[str, Any]:
    """Weights by leaving the scored meeting out, from the shipped ones; each scorer off and dealt out."""
    start = settings.recall.chat.model_dump()
    return {
        "left_out": left_out(table, TERMS, start, KS, chosen_by=CHOSEN_BY, metric=HIT),
        "of_all": fitted(table, TERMS, start, CHOSEN_BY),
        "ablation": ablated(table, TERMS, lambda _: start, KS, metric=HIT),
    }


def asked_of(
    meetings: Sequence[Meeting], settings: MemorySettings, encode: Encode, *, fit: bool
) -> Iterator[tuple[list[int], list[Found], list[SpanTerms]]]:
    """Meeting by meeting: where its events end, and what every system finds for its questions."""
    with tempfile.TemporaryDirectory(prefix="omnirecall-eval-") as folder:
        for place, meeting in enumerate(meetings):
            ours = Ours(meeting, encode, Path(folder) / str(place), settings)
            baselines = Baselines(meeting, encode) if meeting.asked else None
            found: list[Found] = []
            table: list[SpanTerms] = []
            for one in meeting.asked:
                key = encode([one.text])[0]
                row = Found(place, one.gold, len(meeting.turns), names_speaker(meeting, one.text))
                row.spans = {"ours": {None: ours.ranked(one.text, key)}}
                if baselines is not None:
                    row.spans |= baselines.ranked(one.text, key)
                row.moments = ours.otherwise(one.text, key)
                found.append(row)
                if fit:
                    table.append(ours.terms(place, one.text, key, one.gold))
            print(f"meeting {place + 1} of {len(meetings)}", file=sys.stderr)
            yield ours.boundaries(), found, table


def measured(
    path: Path, settings: MemorySettings, *, fit: bool = False, cache: Path | None = None
) -> dict[str, Any]:
    """All figures of a file.

    Raises:
        SourceGone: If there is no such file.
        SourceRefused: If it holds no meeting.
    """
    began_s = time.monotonic()
    meetings, n_left_out = read_meetings(path)
    encode = text_encoder() if cache is None else keeping(text_encoder(), cache)
    rows: list[Found] = []
    table: list[SpanTerms] = []
    cuttings: list[tuple[Meeting, list[int]]] = []
    for meeting, (ends, found, terms) in zip(
        meetings, asked_of(meetings, settings, encode, fit=fit), strict=True
    ):
        rows += found
        table += terms
        if meeting.topic_boundaries:
            cuttings.append((meeting, ends))
    told = span_figures(rows) if rows else {"systems": {}}
    cut = cutting_figures(cuttings, None if cache is None else encode)
    for name, values in cut.items():
        told["systems"].setdefault(name, {}).update(
            {metric: values[metric] for metric in ("pk", "window_diff")}
        )
    return {
        "tool": "eval_meetings",
        "data": str(path),
        "items": len(rows),
        "meetings": len(meetings),
        "turns": sum(len(meeting.turns) for meeting in meetings),
        "left_out": n_left_out,
        "config": settings.recall.model_dump() | {"spans": settings.spans.model_dump()},
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": round(time.monotonic() - began_s, 1),
        **told,
        "segmentation": cut,
        "segments": {
            "gold": _mean(len(one.topic_boundaries) + 1 for one, _ in cuttings) if cuttings else None,
            "ours": _mean(len(ours) + 1 for _, ours in cuttings) if cuttings else None,
        },
        "fit": fit_of(table, settings) if fit and table else None,
    }


def _print(told: Mapping[str, Any]) -> None:
    for name, row in told["systems"].items():
        values = " ".join(f"{metric} {value:.3f}" for metric, value in row.items())
        low, high = told.get("intervals", {}).get(name, {}).get(f"{HIT}5", (None, None))
        print(f"{name:8} {values}" + ("" if low is None else f"   {HIT}5 in [{low:.3f}, {high:.3f}]"))
    for name, row in told.get("ours_minus", {}).items():
        print("ours - {:7} {:+.3f} [{:+.3f}, {:+.3f}]".format(name, row[f"{HIT}5"], *row["interval"]))
    for group, values in told.get("by", {}).items():
        for value, systems in values.items():
            figures = ", ".join(f"{name} {row[f'{HIT}5']:.3f}" for name, row in systems.items())
            print(f"{group} {value}: {HIT}5 {figures}")
    for name, row in told.get("moments", {}).items():
        print(f"ours, {name}: " + " ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    for name, counts in told.get("settings", {}).items():
        print(f"{name} " + "; ".join(f"{setting} turns: {n} meetings" for setting, n in counts.items()))
    for name, row in told["segmentation"].items():
        low, high = row["pk_interval"]
        chosen = ", ".join(f"{setting} {n}" for setting, n in row.get("settings", {}).items())
        figures = f"pk {row['pk']:.3f} [{low:.3f}, {high:.3f}] window_diff {row['window_diff']:.3f}"
        print(f"topics by {name:13} {figures} {chosen}")
    print(f"segments: gold {told['segments']['gold']}, ours {told['segments']['ours']}")


def _print_fit(fit: Mapping[str, Any]) -> None:
    print("left_out: " + " ".join(f"{metric} {v:.3f}" for metric, v in fit["left_out"]["recall"].items()))
    print("weights of all: " + " ".join(f"{n} {v:g}" for n, v in fit["of_all"].items()))
    for name, told in fit["ablation"].items():
        figures = (
            f"{how} " + " ".join(f"{metric} {v:.3f}" for metric, v in told[how].items())
            for how in ("off", "shuffled")
            if how in told
        )
        gain = "" if "gain" not in told else f", gain {told['gain']['mean']:+.4f} {told['gain']['interval']}"
        print(f"without {name:10} " + ", ".join(figures) + gain)


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_meetings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--weight", action="append", default=[], metavar="NAME=VALUE", help="of a scorer of turns"
    )
    parser.add_argument("--moment-turns", type=int, help="in the place of recall.moment_turns")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="keep what was encoded for later runs")
    parser.add_argument(
        "--fit", action="store_true", help="choose weights, each meeting's on the others; ablate scorers"
    )
    options = parser.parse_args(argv)
    recall: dict[str, Any] = {
        "chat": {name: float(value) for name, _, value in (w.partition("=") for w in options.weight)}
    }
    if options.moment_turns is not None:
        recall["moment_turns"] = options.moment_turns
    settings = MemorySettings.model_validate({"recall": recall})
    try:
        told = measured(options.data, settings, fit=options.fit, cache=options.cache)
    except OmniRecallError as error:
        print(error, file=sys.stderr)
        return 2
    _print(told)
    if told["fit"]:
        _print_fit(told["fit"])
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
