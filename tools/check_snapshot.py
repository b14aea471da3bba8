"""A snapshot that is taken while a chat is imported, restored elsewhere, gives the same answers.

A part of `tools.check_forget`: asks the store and the restored one the same questions as of the commit of
the snapshot.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from pathlib import Path

from memory.snapshot.restore import restore
from memory.snapshot.take import take
from stream.messages import Cue, RecallAsk
from stream.messages.control import SourceOpen, SourceState
from stream.messages.evidence import Evidence
from tools.house import House

SESSIONS = 6
"""Of the first conversation, and half as many of the second: each turn costs some keys."""
SETTINGS: dict[str, object] = {"memory__index_save_s": 1}
_WORDS = (
    *("ferry", "island", "morning", "grandmother", "bread", "Sunday", "key", "door", "apple", "tree"),
    *("well", "thunder", "power", "village", "symphony", "midnight", "bicycle", "chain", "wire"),
    *("neighbour", "bees", "honey", "market", "museum", "Monday", "umbrella", "tram", "river", "lamp"),
)


def check_snapshot(folder: Path, locomo: Path | None, n_questions: int, seed: int) -> tuple[int, int, int]:
    """Takes one while a chat is imported, and asks the store and the restored one the same.

    Returns:
        Its commit, how many questions were asked, and how many were answered alike.
    """
    rng = random.Random(seed)  # noqa: S311
    store, copy, new = folder / "chats", folder / "of-chats", folder / "chats-restored"
    first, second, questions = _chats(folder, locomo, rng)
    with House(store, "test", SETTINGS) as house:
        _import(house, first, wait=True)
        _say("the first chat is there")
        _import(house, second, wait=False)
        before = house.memory().commit_no
        house.wait_for(lambda: house.memory().commit_no > before, 60, "the second chat comes in")
        manifest = take(store, copy)
        _say(f"snapshot at commit {manifest.commit_no}")
        settle(house)
        _say(f"the store went on to commit {house.memory().commit_no}")
        shutil.rmtree(new, ignore_errors=True)
        restore(copy, new)
        asked = rng.sample(questions, min(n_questions, len(questions)))
        _say(f"asking {len(asked)} questions")
        answers = [_answer(house, question, manifest.commit_no) for question in asked]
    _say("asking the restored store")
    with House(new, "test", SETTINGS) as house:
        settle(house)
        same = sum(
            _answer(house, question, manifest.commit_no) == answer
            for question, answer in zip(asked, answers, strict=True)
        )
    return manifest.commit_no, len(asked), same


def settle(house: House) -> None:
    """Waits until all events and keys are made."""

    def is_settled() -> bool:
        told = house.memory()
        done = all(source.consolidated for source in told.sources)
        return bool(told.sources) and done and not told.pending_keys and bool(told.indexes)

    house.wait_for(is_settled, 240, "events and keys are made")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _answer(house: House, question: str, as_of: int) -> list[bytes]:
    ask = RecallAsk(cue=Cue(text=question, as_of_commit=as_of), k=10)
    found = house.caller("memory").ask_for(Evidence, ask, timeout_s=30)
    best = sorted(found.items, key=lambda item: (-round(item.score, 3), item.observation_id))
    return [item.observation_id for item in best]


def _import(house: House, path: Path, *, wait: bool) -> None:
    ask = SourceOpen(uri=str(path), as_text=True, time_zone="UTC")
    house.caller("supervisor").ask_for(SourceState, ask, timeout_s=10)
    if wait:
        house.wait_for(lambda: house.memory().sources, 60, "the chat is there")
        settle(house)


def _chats(folder: Path, locomo: Path | None, rng: random.Random) -> tuple[Path, Path, list[str]]:
    """Two files of chats, and questions about the first."""
    first, second = folder / "first.json", folder / "second.json"
    if locomo is not None:
        one, other, *_ = json.loads(locomo.read_text(encoding="utf-8"))
        for path, sample, n in ((first, one, SESSIONS), (second, other, SESSIONS // 2)):
            left_out = {f"session_{number}" for number in range(n + 1, 100)}
            talk = {name: told for name, told in sample["conversation"].items() if name not in left_out}
            path.write_text(json.dumps([sample | {"conversation": talk}]), encoding="utf-8")
        return first, second, [qa["question"] for qa in one["qa"]]
    texts: list[str] = []
    for path, n in ((first, 60), (second, 90)):
        path = path.with_suffix(".jsonl")
        rows = []
        for turn in range(n):
            text = " ".join(rng.choices(_WORDS, k=9)).capitalize() + "."
            texts.append(text)
            rows.append(
                {"text": text, "speaker": "Ana", "time": f"2024-03-{1 + turn // 60:02}T10:{turn % 60:02}:00"}
            )
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    words = [" ".join(text.split()[:4]) for text in texts[:60]]
    return (
        first.with_suffix(".jsonl"),
        second.with_suffix(".jsonl"),
        [f"Who spoke of {one}?" for one in words],
    )
