"""Finding an event by a few keys in the place of all of them.

`python -m tools.eval_compress --locomo FILE --meetings FILE`. An event is a run of turns (`--turns`, within
a session or meeting); a question is right with an event that holds a turn of its evidence (LoCoMo) or of
its gold span (QMSum). All events of a set are one haystack, in order of their best key's likeness to the
question. Compared at equal bytes, so many keys per event on the average: `mean`: a mean vector per event,
of finer events where there are bytes for more: the longest are cut evenly, and a part counts as its
event; `kmeans`: so many centres per event; `ours`: self-matching keys as `memory.keys.prototypes` makes
them. What ours is made of: `unweighted`, in which all turns count alike, and `even`, whose parts are cut
evenly, with its weighted means. `all` are the keys of all turns. `R@k` is the share of the right events
among the first k, at most k of them; intervals (95 %, bootstrap) are over questions, `ours_minus` paired.
`--cache DIR` keeps what was encoded.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from memory.keys.prototypes import (
    EVENTS_AT_A_TIME,
    Vectors,
    Weights,
    self_matching,
    weighted_mean,
    weights_of,
)
from stream.capture.text import read
from stream.capture.turns import placed
from stream.errors import OmniRecallError
from tools.chat_stores import Encode, keeping, text_encoder
from tools.meeting_set import read_meetings
from tools.video_metrics import interval

BUDGETS = (1.5, 2.0, 3.0, 4.0)
"""Keys per event."""
KS = (1, 5, 10)
ROUNDS = 8
SITTING_NS = 3_600 * 1_000_000_000
UNANSWERABLE = 5
"""The category of LoCoMo whose questions have no answer."""


@dataclass(slots=True)
class Haystack:
    """The content of each event, how much it counts, the keys of questions, the right events of each."""

    contents: list[Vectors]
    weights: list[Weights]
    questions: Vectors
    right: list[set[int]]


Keys = list[Vectors]
System = Callable[[Haystack, float], Keys]


def runs(n: int, turns: int) -> list[tuple[int, int]]:
    """`n` turns as runs of about so many."""
    parts = max(1, round(n / turns))
    bounds = [round(part * n / parts) for part in range(parts + 1)]
    return [(begin, end) for begin, end in itertools.pairwise(bounds) if end > begin]


def locomo(path: Path, encode: Encode, turns: int) -> Haystack:
    """Dialogues, cut at sittings; their answerable questions with evidence."""
    samples = json.loads(path.read_text(encoding="utf-8"))
    samples = samples if isinstance(samples, list) else [samples]
    made = Haystack([], [], np.empty((0, 0), np.float32), [])
    asked: list[str] = []
    for chat, sample in zip(read(path), samples, strict=True):
        said = placed(chat.turns, ZoneInfo("UTC"))
        texts = [f"{one.turn.text} {one.turn.caption}".strip() for one in said]
        vectors, weights = encode(texts), weights_of(texts)
        event_of: dict[str, int] = {}
        cuts = [n for n in range(1, len(said)) if said[n].pts0_ns - said[n - 1].pts1_ns > SITTING_NS]
        for begin, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
            for a, b in runs(end - begin, turns):
                event_of |= {one.turn.ref: len(made.contents) for one in said[begin + a : begin + b]}
                made.contents.append(vectors[begin + a : begin + b])
                made.weights.append(weights[begin + a : begin + b])
        for qa in sample.get("qa", ()):
            right = {event_of[ref] for ref in qa.get("evidence") or () if ref in event_of}
            if right and qa.get("category") != UNANSWERABLE:
                asked.append(str(qa["question"]))
                made.right.append(right)
    made.questions = encode(asked)
    return made


def meetings(path: Path, encode: Encode, turns: int) -> Haystack:
    """Meetings and their specific questions."""
    made = Haystack([], [], np.empty((0, 0), np.float32), [])
    asked: list[str] = []
    for meeting in read_meetings(path)[0]:
        vectors = encode(meeting.texts)
        weights = weights_of([one.turn.text for one in meeting.turns])
        cut = runs(len(meeting.turns), turns)
        first = len(made.contents)
        for begin, end in cut:
            made.contents.append(vectors[begin:end])
            made.weights.append(weights[begin:end])
        for one in meeting.asked:
            asked.append(one.text)
            made.right.append(
                {
                    first + place
                    for place, (begin, end) in enumerate(cut)
                    if any(span.begin < end and begin < span.end for span in one.gold)
                }
            )
    made.questions = encode(asked)
    return made


def parts_of(lengths: Sequence[int], total: int) -> list[int]:
    """Into how many parts each event is cut, the longest parts first, so that there are `total`."""
    parts = [1] * len(lengths)
    heap = [(-float(length), place) for place, length in enumerate(lengths)]
    heapq.heapify(heap)
    for _ in range(total - len(lengths)):
        _, place = heap[0]
        parts[place] = min(parts[place] + 1, lengths[place])
        heapq.heapreplace(heap, (-lengths[place] / parts[place], place))
    return parts


def cut_evenly(stack: Haystack, per_event: float, *, weighted: bool) -> Keys:
    """A mean of each part of events that are cut evenly."""
    lengths = [len(content) for content in stack.contents]
    parts = parts_of(lengths, round(per_event * len(lengths)))
    keys = []
    for content, weights, n in zip(stack.contents, stack.weights, parts, strict=True):
        own = weights if weighted else np.ones_like(weights)
        bounds = [round(part * len(content) / n) for part in range(n + 1)]
        stretches = [(a, b) for a, b in itertools.pairwise(bounds) if b > a]
        keys.append(np.concatenate([weighted_mean(content[a:b], own[a:b]) for a, b in stretches]))
    return keys


def centres(stack: Haystack, per_event: float) -> Keys:
    """Centres of each event by spherical k-means; the longer events have one more where it is not whole."""
    parts = parts_of([len(content) for content in stack.contents], round(per_event * len(stack.contents)))
    return [_kmeans(content, k) for content, k in zip(stack.contents, parts, strict=True)]


def _kmeans(content: Vectors, k: int) -> Vectors:
    made = _mean(content)
    while len(made) < min(k, len(content)):
        farthest = int((content @ made.T).max(axis=1).argmin())
        made = np.concatenate([made, content[farthest : farthest + 1]])
    for _ in range(ROUNDS):
        nearest = (content @ made.T).argmax(axis=1)
        groups = [content[nearest == place] for place in range(len(made))]
        made = np.concatenate(
            [_mean(group) if len(group) else made[n : n + 1] for n, group in enumerate(groups)]
        )
    return made


def _mean(content: Vectors) -> Vectors:
    return weighted_mean(content, np.ones(len(content), np.float32))


def matched(stack: Haystack, per_event: float, *, weighted: bool) -> Keys:
    """Self-matching keys, made of neighbouring events together, as in a store."""
    keys: Keys = []
    for at in range(0, len(stack.contents), EVENTS_AT_A_TIME):
        contents = stack.contents[at : at + EVENTS_AT_A_TIME]
        weights = stack.weights[at : at + EVENTS_AT_A_TIME]
        if not weighted:
            weights = [np.ones_like(one) for one in weights]
        keys += self_matching(contents, weights, round(per_event * len(contents))).keys
    return keys


SYSTEMS: dict[str, System] = {
    "ours": lambda stack, per_event: matched(stack, per_event, weighted=True),
    "mean": lambda stack, per_event: cut_evenly(stack, per_event, weighted=False),
    "kmeans": centres,
    "unweighted": lambda stack, per_event: matched(stack, per_event, weighted=False),
    "even": lambda stack, per_event: cut_evenly(stack, per_event, weighted=True),
}


def found(stack: Haystack, keys: Keys) -> npt.NDArray[np.float64]:
    """(Q, len(KS)): `R@k` of each question."""
    every = np.concatenate(keys)
    owner = np.repeat(np.arange(len(keys)), [len(some) for some in keys])
    told = np.zeros((len(stack.right), len(KS)))
    for place, (question, right) in enumerate(zip(stack.questions, stack.right, strict=True)):
        best = np.full(len(keys), -1.0)
        np.maximum.at(best, owner, every @ question)
        order = np.argsort(-best, kind="stable").tolist()
        told[place] = [len(right & set(order[:k])) / min(k, len(right)) for k in KS]
    return told


def measured(stack: Haystack) -> dict[str, Any]:
    """Each system at each budget, with how much ours is above it."""
    told: dict[str, Any] = {"events": len(stack.contents), "questions": len(stack.right), "budgets": {}}
    for per_event in BUDGETS:
        values: dict[str, npt.NDArray[np.float64]] = {}
        rows: dict[str, Any] = {}
        for name, system in SYSTEMS.items():
            keys = system(stack, per_event)
            values[name] = found(stack, keys)
            rows[name] = {f"R@{k}": round(float(values[name][:, n].mean()), 3) for n, k in enumerate(KS)}
            rows[name]["bytes_per_event"] = round(sum(some.size for some in keys) * 2 / len(stack.contents))
            for n, k in enumerate(KS):
                over = (values["ours"][:, n] - values[name][:, n]).tolist()
                if name != "ours":
                    rows[name][f"ours_minus@{k}"] = round(float(np.mean(over)), 3)
                    rows[name][f"ours_minus_interval@{k}"] = interval(over)
        told["budgets"][str(per_event)] = rows
    for name, keys in (("one mean", SYSTEMS["mean"](stack, 1.0)), ("all", stack.contents)):
        own = found(stack, list(keys)).mean(axis=0)
        told[name] = {f"R@{k}": round(float(own[n]), 3) for n, k in enumerate(KS)}
    told["dominates_mean_at"] = sum(
        all(rows["mean"][f"ours_minus@{k}"] >= 0 for k in KS[1:]) and rows["mean"][f"ours_minus@{KS[-1]}"] > 0
        for rows in told["budgets"].values()
    )
    return told


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--meetings", type=Path)
    parser.add_argument("--turns", type=int, default=12, help="turns of an event")
    parser.add_argument("--cache", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    began_s = time.monotonic()
    encode = text_encoder() if options.cache is None else keeping(text_encoder(), options.cache)
    result: dict[str, Any] = {"tool": "eval_compress", "turns": options.turns}
    try:
        for name, path, of in (("locomo", options.locomo, locomo), ("meetings", options.meetings, meetings)):
            if path is None:
                continue
            result[name] = told = measured(of(path, encode, options.turns))
            print(
                f"{name}: {told['events']} events, {told['questions']} questions;"
                f" all {told['all']}, one mean {told['one mean']}"
            )
            for budget, rows in told["budgets"].items():
                for system, row in rows.items():
                    print(f"{name:9} {budget:>4} keys {system:10} {row}")
            print(f"{name}: above the mean at {told['dominates_mean_at']} of {len(BUDGETS)} budgets")
    except OmniRecallError as error:
        print(f"{error.message}: {error.remedy}", file=sys.stderr)
        return 1
    result["seconds"] = round(time.monotonic() - began_s, 1)
    if options.json is not None:
        options.json.write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
