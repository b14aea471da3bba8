"""What citations are worth: `python -m tools.eval_citations --data FILE --json OUT`.

LoCoMo format; the questions and stores of `tools.eval_recall`. Two kinds of citers: `confirmed`, where
the gold evidence turns of a question stand for what a person confirmed as right, and `answers`, what
our own answers cite by themselves. For each, R@10 with the weights learnt online
(`memory.recall.learner`), each dialogue by what the others taught, every 50 questions, beside the
fixed weights; and with strength by use, of half of a dialogue's questions, asked after the other
half, without it and with the same strength dealt out at random.
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
from memory.recall.pipeline import Recall
from memory.settings import MemorySettings
from reasoning.citations import citations_of
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from stream.capture.text import read
from stream.messages import ClaimsTold, Cue, Evidence
from stream.messages.control import SourceStatus
from stream.messages.cue import Recent
from tools.chat_stores import ENCODER, EVERY, TERMS, ChatStore, Encode, text_encoder
from tools.eval_recall import Asked, questions_of
from tools.learn_weights import Replayed, curves, summary, use_replay
from tools.video_metrics import interval

CITERS = ("confirmed", "answers")
USE_WEIGHTS = (0.5, 1.0, 2.0, 3.0)
CONTROLS = 3
"""Times that strength is dealt out at random."""


class Memory:
    """A store of one chat as a reasoner needs it; remembers what it gave."""

    def __init__(self, store: ChatStore, encode: Encode) -> None:
        self._store = store
        self._encode = encode
        self.shown: list[Evidence] = []

    def recall(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.recall`."""
        keys = [QuestionKey("dense", ENCODER, self._encode([cue.text])[0])] if cue.text else []
        with self._store.reader.snapshot() as db:
            evidence = self._store.recall(db, cue, k, keys)
        self.shown.append(evidence)
        return evidence

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """None: nothing was asked before."""
        return Evidence()

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """Nothing: no chat is live."""
        return Evidence()

    def digest(self, cue: Cue, k: int) -> Evidence:
        """As `reasoning.asking.Memory.digest`; nobody looked for what a digest tells."""
        with self._store.reader.snapshot() as db:
            return self._store.recall.digest(db, cue, k)

    def claims(self, cue: Cue) -> ClaimsTold:
        """None: what evidence is cited is measured here."""
        return ClaimsTold()

    def sources(self) -> Sequence[SourceStatus]:
        """None: no question of these needs the length of a source."""
        return ()


def replayed(store: ChatStore, encode: Encode, one: Asked, every: Recall) -> Replayed:
    """A question's terms, and what would be cited for it."""

    def ref(observation_id: bytes) -> str:
        return store.turns[store.place_of[observation_id]].turn.ref

    key = QuestionKey("dense", ENCODER, encode([one.text])[0])
    with store.reader.snapshot() as db:
        told = every.ranked(db, Cue(text=one.text), EVERY, [key])
    rows: dict[str, list[float]] = {}
    for scored in told:
        rows.setdefault(ref(scored.item.observation_id), [scored.terms.get(name, 0.0) for name in TERMS])
    values = np.array(list(rows.values()), dtype=np.float32).reshape(len(rows), len(TERMS))
    memory = Memory(store, encode)
    answer = Reasoner(memory, ReasoningSettings()).answer(one.text, Cue())
    cited = citations_of(b"turn", answer, [evidence.items for evidence in memory.shown])
    own = frozenset(ref(observation_id) for observation_id in cited.cited) if cited else frozenset()
    return Replayed(one.chat, values, tuple(rows), one.evidence, {"confirmed": one.evidence, "answers": own})


def gathered(path: Path, settings: MemorySettings) -> list[Replayed]:
    """All questions of a file, dialogue by dialogue, in the order of the file."""
    chats = read(path)
    asked = questions_of(path, chats)
    encode = text_encoder()
    rows: list[Replayed] = []
    with tempfile.TemporaryDirectory(prefix="omnirecall-eval-") as folder:
        for place, chat in enumerate(chats):
            store = ChatStore([chat], encode, Path(folder) / str(place), settings)
            every = store.at_unit_weights(settings)
            rows += [replayed(store, encode, one, every) for one in asked if one.chat == place]
            print(f"chat {place + 1} of {len(chats)}", file=sys.stderr)
    return rows


def figures(rows: Sequence[Replayed], settings: MemorySettings) -> dict[str, Any]:
    """Both mechanisms by both citers."""
    weights = settings.recall.chat.model_dump()
    fixed = np.array([weights[name] for name in TERMS])
    shown = ReasoningSettings().recall_k
    told: dict[str, Any] = {}
    for citer in CITERS:
        learnt = curves(rows, fixed, citer, shown)
        told[citer] = {
            "cited": sum(bool(row.cited[citer]) for row in rows),
            "right": _share_right(rows, citer),
            "learn": summary(learnt) | {"by_dialogue": learnt},
            "use": {str(weight): _use_of(rows, fixed, citer, weight) for weight in USE_WEIGHTS},
        }
    return told


def _share_right(rows: Sequence[Replayed], citer: str) -> float:
    """The share of what was cited that is gold evidence."""
    cited = sum(len(row.cited[citer]) for row in rows)
    return sum(len(row.cited[citer] & row.evidence) for row in rows) / max(1, cited)


def _use_of(rows: Sequence[Replayed], fixed: Any, citer: str, weight: float) -> dict[str, Any]:
    pairs = use_replay(rows, fixed, citer, weight)
    controls = [use_replay(rows, fixed, citer, weight, seed=seed) for seed in range(CONTROLS)]
    return {
        "off": float(np.mean([off for off, _ in pairs])),
        "on": float(np.mean([on for _, on in pairs])),
        "gain_interval": interval([on - off for off, on in pairs]),
        "shuffled": float(np.mean([on for control in controls for _, on in control])),
    }


def main(argv: list[str] | None = None) -> int:
    """Measures, prints tables, writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_citations", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    began_s = time.monotonic()
    settings = MemorySettings()
    rows = gathered(options.data, settings)
    told = figures(rows, settings)
    for citer in CITERS:
        _print(citer, told[citer], len(rows))
    if options.json:
        document = {
            "tool": "eval_citations",
            "data": str(options.data),
            "items": len(rows),
            "config": settings.recall.model_dump(),
            "models": {"text": "all-minilm-l6-v2"},
            "seconds": round(time.monotonic() - began_s, 1),
            "citers": told,
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def _print(citer: str, told: dict[str, Any], n: int) -> None:
    print(f"{citer}: something cited for {told['cited']} of {n} questions, {told['right']:.2f} of it right")
    learn = told["learn"]
    print(
        f"  learn: R@10 fixed {learn['fixed']:.3f}, learnt {learn['end']:.3f};"
        f" lowest point of any dialogue {learn['least']:+.4f}"
    )
    for chat, one in learn["by_dialogue"].items():
        worst = min(one["curve"]) - one["fixed"]
        print(
            f"    dialogue {chat}: fixed {one['fixed']:.3f}, lowest {worst:+.4f},"
            f" end {one['curve'][-1] - one['fixed']:+.4f}"
        )
    for weight, row in told["use"].items():
        low, high = row["gain_interval"]
        print(
            f"  use {weight}: R@10 off {row['off']:.3f}, on {row['on']:.3f} ({low:+.3f} to {high:+.3f}),"
            f" shuffled {row['shuffled']:.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
