"""Counting, timing, ordering: `python -m tools.eval_operators --films STORE --json OUT`.

Questions of `tools/operator_questions.json`, each put to one film (of the demo film and those of
`tools/annotated_films.json`, in a store that `omnirecall index` made) or to one dialogue of
`tools/consistency_questions.json`. A count is right if it is the very number; a duration within a fifth
of the true one, or 1.5 s; a time, and an order, if what is cited first shares half of the shorter with the
true stretch (or is a true turn), and the answer has an accepted word where there are any. Beside `ours`:
`plain`, the reasoner without these operators. Facts told in text that are counted are in
`tools.eval_updates`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from memory.settings import MemorySettings
from reasoning.words import NUMBER_WORDS
from stream.messages import Answer
from tools.asked_store import AskedStore
from tools.chat_stores import ENCODER, ChatStore, Encode, remembering, text_encoder
from tools.eval_consistency import by_hand, chat_of, opened, stretches_of

LIST = Path(__file__).with_name("operator_questions.json")
_UNITS = {"h": 3600.0, "min": 60.0, "s": 1.0, "second": 1.0, "seconds": 1.0, "minutes": 60.0, "minute": 60.0}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?) (h|min|s|seconds?|minutes?)\b")


def counted(text: str) -> int | None:
    """The number that an answer begins with."""
    lead = re.sub(r"^at least ", "", text.partition(":")[0].casefold())
    for word in re.findall(r"\w+", lead):
        told = {"once": "1", "twice": "2"}.get(word) or NUMBER_WORDS.get(word, word)
        if told.isdigit():
            return int(told)
    return None


def seconds_of(text: str) -> float | None:
    """The length of time that an answer begins with."""
    first = text.partition(":")[0]
    lead = first if _AMOUNT.search(first) else re.sub(r"^.*?: (?=\d)", "", text)
    found = _AMOUNT.findall(lead.partition(" from ")[0])
    return sum(float(n) * _UNITS[unit] for n, unit in found) if found else None


class Truth:
    """What tells whether an answer is right."""

    def __init__(self, places: Mapping[bytes, tuple[float, float]], *, is_chat: bool) -> None:
        self._places, self._is_chat = places, is_chat

    def is_right(self, one: dict[str, Any], answer: Answer) -> bool:
        """As the module says."""
        if answer.verdict == "not_seen" or not answer.citations:
            return False
        text = answer.sentences[0].text
        if "n" in one:
            return counted(text) == int(one["n"])
        if "s" in one:
            told = seconds_of(text)
            true = float(one["s"])
            return told is not None and abs(told - true) <= max(1.5, 0.2 * true)
        if one["accept"] and not any(word.casefold() in answer.answer.casefold() for word in one["accept"]):
            return False
        cited = answer.citations[-1 if one["kind"] == "order" and len(answer.sentences) == 1 else 0]
        if one["kind"] == "order":
            return any(self._holds(one["gold"], item.observation_id) for item in answer.citations)
        return self._holds(one["gold"], cited.observation_id)

    def _holds(self, gold: list[float], observation_id: bytes) -> bool:
        begin, end = self._places[observation_id]
        if self._is_chat:
            return begin in gold
        shared = min(end, gold[1]) - max(begin, gold[0])
        return shared >= 0.5 * min(end - begin, gold[1] - gold[0])


def measure(
    store: AskedStore,
    of: dict[str, str],
    truth: Truth,
    counts: Counter[tuple[str, str, str]],
    misses: list[dict[str, str]],
) -> None:
    """Puts the questions of some sources to a store; `of` has the uri of each."""
    for one in json.loads(LIST.read_text(encoding="utf-8"))["questions"]:
        if one["of"] not in of:
            continue
        answers = {"ours": store.ask(one["question"], (of[one["of"]],))}
        with mock.patch("reasoning.reasoner.computed", return_value=None):
            answers["plain"] = store.ask(one["question"], (of[one["of"]],))
        for system, answer in answers.items():
            is_right = truth.is_right(one, answer)
            counts[system, one["kind"], "right"] += is_right
            counts[system, one["kind"], "n"] += 1
            if system == "ours" and not is_right:
                misses.append({key: str(value) for key, value in one.items()} | {"got": answer.answer})


def measure_dialogues(
    encode: Encode, counts: Counter[tuple[str, str, str]], misses: list[dict[str, str]]
) -> None:
    """The dialogues, all in one store."""
    chats = [chat_of(entry) for entry in by_hand()["dialogues"]]
    with tempfile.TemporaryDirectory() as folder:
        chat_store = ChatStore(chats, encode, Path(folder) / "store", MemorySettings())
        chat_store.learn_claims()
        numbers = [turn.turn.number for turn in chat_store.turns]
        places = {one: (numbers[place], numbers[place]) for one, place in chat_store.place_of.items()}
        store = AskedStore(chat_store.reader, chat_store.recall, encode, ENCODER)
        of = {chat.name: f"/chat/{number}" for number, chat in enumerate(chats)}
        measure(store, of, Truth(places, is_chat=True), counts, misses)
        chat_store.close()


def main() -> int:
    """Measures, prints a table, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=Path, metavar="STORE")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--misses", type=Path, metavar="OUT")
    told = parser.parse_args()
    began_s = time.perf_counter()
    encode = remembering(text_encoder())
    counts: Counter[tuple[str, str, str]] = Counter()
    misses: list[dict[str, str]] = []
    measure_dialogues(encode, counts, misses)
    if told.films:
        store = opened(told.films, encode)
        of = {Path(source.uri).stem: source.uri for source in store.sources()}
        of["demo"] = next((uri for name, uri in of.items() if name.startswith("omnirecall-demo")), "")
        places = {one: (begin, end) for one, (_, begin, end) in stretches_of(store).items()}
        measure(store, of, Truth(places, is_chat=False), counts, misses)
    kinds = sorted({kind for _, kind, _ in counts})
    systems: dict[str, dict[str, float]] = {}
    for system in ("ours", "plain"):
        right = {kind: counts[system, kind, "right"] for kind in kinds}
        n = {kind: counts[system, kind, "n"] for kind in kinds}
        systems[system] = {kind: round(right[kind] / n[kind], 4) for kind in kinds}
        systems[system]["acc"] = round(sum(right.values()) / max(1, sum(n.values())), 4)
        each = "  ".join(f"{kind} {right[kind]}/{n[kind]}" for kind in kinds)
        acc = systems[system]["acc"]
        print(f"{system:6} {sum(right.values())} of {sum(n.values())} right ({acc})  {each}")
    document = {
        "tool": "eval_operators",
        "data": LIST.name,
        "items": sum(counts["ours", kind, "n"] for kind in kinds),
        "config": {},
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": round(time.perf_counter() - began_s, 1),
        "systems": systems,
    }
    if told.json:
        told.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if told.misses:
        told.misses.write_text(json.dumps(misses, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
