"""Whether partitions pay: `python -m tools.eval_routing --data FILE --json OUT`.

LoCoMo format, all dialogues in one store, and no question names its own. A partition is a dialogue,
routed to by the likeness of the question to the mean key of its turns (a mixture of memories, after
Du et al. 2025, with a mean in the place of a trained router). Over the terms of the same candidates:
`all`, no routing; `soft`, the likeness of the partition as one more term, its weight chosen on the other
dialogues; `top-2`, only the two nearest partitions; `top-1`, the nearest alone (the control); and the
share of questions whose dialogue is the nearest, or among the two nearest. Questions and metrics
are those of `tools.eval_recall`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from memory.recall.candidates import QuestionKey
from memory.settings import MemorySettings
from stream.capture.text import read
from stream.messages import Cue
from tools.chat_stores import ENCODER, EVERY, TERMS, ChatStore, Vectors, remembering, text_encoder, z
from tools.eval_recall import KS, questions_of
from tools.fit_weights import GRID, Terms, recall_of_all
from tools.video_metrics import interval


class Joined:
    """All dialogues in one store, and the mean key of each."""

    def __init__(self, path: Path, folder: Path, settings: MemorySettings) -> None:
        chats = read(path)
        self.encode = remembering(text_encoder())
        self.store = ChatStore(chats, self.encode, folder, settings)
        self._every = self.store.at_unit_weights(settings)
        self._weights = np.array([settings.recall.chat.model_dump()[name] for name in TERMS])
        sizes = [len(chat.turns) for chat in chats]
        self._chat_of = np.repeat(np.arange(len(chats)), sizes)
        self._places = {
            (int(self._chat_of[place]), one.turn.ref): place for place, one in enumerate(self.store.turns)
        }
        means = [self.encode([t.text for t in chat.turns if t.text]).mean(axis=0) for chat in chats]
        self._means: Vectors = np.stack([mean / np.linalg.norm(mean) for mean in means])

    def asked(self, chat: int, text: str, evidence: frozenset[str]) -> tuple[Terms, list[int]]:
        """Score and partition's likeness of each candidate, and all dialogues by likeness.

        The terms are (N, 3): the score as recall ships, the z-score of the partition's likeness, and the
        rank of the partition.
        """
        key = self.encode([text])[0]
        with self.store.reader.snapshot() as db:
            told = self._every.ranked(db, Cue(text=text), EVERY, [QuestionKey("dense", ENCODER, key)])
        scores: dict[int, float] = {}
        for one in told:
            place = self.store.place_of[one.item.observation_id]
            terms = np.array([one.terms.get(name, 0.0) for name in TERMS])
            scores.setdefault(place, float(terms @ self._weights))
        likeness = self._means @ key
        order = np.argsort(-likeness)
        rank = np.argsort(order)
        places = list(scores)
        chats = self._chat_of[places]
        values = np.stack([np.array(list(scores.values())), z(likeness[chats]), rank[chats]], axis=1)
        rows = {place: row for row, place in enumerate(places)}
        found = {self._places[chat, ref] for ref in evidence}
        at = tuple(sorted(rows[place] for place in found & rows.keys()))
        return Terms(chat, values.astype(np.float32), at, len(found) - len(at)), order.tolist()


def within(one: Terms, partitions: int) -> Terms:
    """The same question where other partitions are shut out."""
    values = one.values.copy()
    values[:, 0] -= 1e6 * (values[:, 2] >= partitions)
    return one.dealt(values)


def soft_weights(table: Sequence[Terms]) -> dict[int, float]:
    """The weight of the partition's likeness for each dialogue, chosen on the others."""
    chosen = {}
    for chat in sorted({one.chat for one in table}):
        others = [one for one in table if one.chat != chat] or list(table)
        means = [np.mean(recall_of_all(others, np.array([1, w, 0], np.float32), (5, 10, 20))) for w in GRID]
        chosen[chat] = GRID[int(np.argmax(means))]
    return chosen


def measured(path: Path, settings: MemorySettings) -> dict[str, Any]:
    """All figures of a file."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="omnirecall-routing-") as folder:
        joined = Joined(path, Path(folder), settings)
        asked = questions_of(path, read(path))
        told = [joined.asked(one.chat, one.text, one.evidence) for one in asked]
    table = [terms for terms, _ in told]
    orders = list(zip(table, (order for _, order in told), strict=True))
    weights = soft_weights(table)
    score = np.array([1, 0, 0], np.float32)
    found = {
        "all": recall_of_all(table, score, KS),
        "soft": np.array([t.recall(np.array([1, weights[t.chat], 0], np.float32), KS) for t in table]),
        "top-2": recall_of_all([within(one, 2) for one in table], score, KS),
        "top-1": recall_of_all([within(one, 1) for one in table], score, KS),
    }
    at_10 = KS.index(10)
    return {
        "tool": "eval_routing",
        "data": str(path),
        "items": len(table),
        "config": settings.recall.model_dump(),
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": round(time.monotonic() - began_s, 1),
        "systems": {
            name: {f"R@{k}": round(float(rows[:, at].mean()), 4) for at, k in enumerate(KS)}
            for name, rows in found.items()
        },
        "gains": {
            name: interval((rows[:, at_10] - found["all"][:, at_10]).tolist()) for name, rows in found.items()
        },
        "soft_weights": weights,
        "own_is_nearest": float(np.mean([order[0] == one.chat for one, order in orders])),
        "own_among_two": float(np.mean([one.chat in order[:2] for one, order in orders])),
    }


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_routing", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    told = measured(options.data, MemorySettings())
    for name, row in told["systems"].items():
        low, high = told["gains"][name]
        figures = " ".join(f"{metric} {value:.3f}" for metric, value in row.items())
        print(f"{name:6} {figures}   R@10 against all in [{low:+.3f}, {high:+.3f}]")
    print(f"own dialogue nearest {told['own_is_nearest']:.3f}, among two {told['own_among_two']:.3f}")
    print("soft weights: " + ", ".join(f"{chat}: {w:g}" for chat, w in told["soft_weights"].items()))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
