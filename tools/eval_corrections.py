"""The owner's corrections: `python -m tools.eval_corrections --json OUT`.

Each correction is made in a store of facts told by others, through the real log, ledger and reasoner:
the question is asked, what the owner says is right is put down, and the question is asked again
(`reliability`), in other wordings (`paraphrases`), and questions about other things are asked before and
after (`unrelated`: their answers must be bit-identical, times of computing aside). Then it is undone, and
the first answer must come back (`reverted`). The baseline tells the correction as one more turn of the
chat. Half of the corrections name a slot, half are about what has none (who is in a picture, what a
sound was).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from reasoning.corrections import Correcting, LastTurn
from reasoning.settings import ReasoningSettings
from stream.messages import Answer, CorrectPut, Cue
from tools.update_store import Told, UpdateStore
from tools.update_templates import NAMES

SLOTS = (
    (
        "{n}'s phone number is 555-01{i:02}.",
        "What is {n}'s phone number?",
        (
            "What's the phone number of {n}?",
            "Which phone number does {n} have?",
            "Can you tell me what {n}'s phone number is?",
            "Do you know {n}'s mobile number?",
            "What is the current phone number of {n}?",
        ),
        "No, it's 777-02{i:02}",
        "777-02{i:02}",
    ),
    (
        "{n} lives in Lisbon.",
        "Where does {n} live?",
        (
            "In which city does {n} live?",
            "Where does {n} live now?",
            "Can you tell me where {n} lives?",
            "In what town does {n} live?",
            "What is {n}'s home town?",
        ),
        "No, {n} lives in Vigo{i}",
        "Vigo{i}",
    ),
    (
        "{n}'s manager is Edgar.",
        "Who is {n}'s manager?",
        (
            "Who is the manager of {n}?",
            "Who's {n}'s manager now?",
            "What is {n}'s manager called?",
            "Can you tell me who {n}'s manager is?",
            "Who is {n}'s current manager?",
        ),
        "No, that was Wanda{i}",
        "Wanda{i}",
    ),
)
FREE = (
    (
        "The picture at the lake shows a woman with {n}.",
        "Who is the woman with {n} in the picture at the lake?",
        (
            "Who was the woman with {n} in the lake picture?",
            "In the picture at the lake, who is the woman with {n}?",
            "Who is the woman next to {n} in the picture at the lake?",
            "Who is that woman in the picture with {n} at the lake?",
            "Who's the lady with {n} in the picture at the lake?",
        ),
        "That was my sister Ilse{i}",
        "sister Ilse{i}",
    ),
    (
        "There was a loud bang behind the house of {n}.",
        "What was the loud bang behind the house of {n}?",
        (
            "What was that loud bang behind the house of {n}?",
            "What was the loud bang behind {n}'s house?",
            "What was the bang behind the house of {n}?",
            "What made the loud bang behind the house of {n}?",
            "Behind the house of {n}, what was the loud bang?",
        ),
        "It was only truck number {i} that lost a tyre",
        "truck number {i}",
    ),
)
OTHERS = (
    "What is {n}'s phone number?",
    "Where does {n} live?",
    "Who is {n}'s manager?",
    "Who is the woman with {n} in the picture at the lake?",
    "What was the loud bang behind the house of {n}?",
)
PEOPLE = (*NAMES, "Ruth", "Otto", "Ines", "Paul", "Lena", "Karl", "Vera")


@dataclass(frozen=True, slots=True)
class Case:
    """One correction: what is asked, other wordings, what the owner says, and what must then be told."""

    kind: str
    name: str
    question: str
    paraphrases: tuple[str, ...]
    says: str
    told: str


def cases() -> Iterator[Case]:
    """Every template with every name."""
    for kind, some in (("slot", SLOTS), ("free", FREE)):
        for place, (_, question, others, says, told) in enumerate(some):
            for i, name in enumerate(PEOPLE):
                filled = [one.format(n=name, i=i + 20 * place) for one in (question, says, told)]
                yield Case(kind, name, filled[0], tuple(o.format(n=name) for o in others), *filled[1:])


def facts() -> list[Told]:
    """What others told before."""
    some = [one[0].format(n=name, i=i) for i, name in enumerate(PEOPLE) for one in (*SLOTS, *FREE)]
    return [Told(text, "Anna Lind", day=number / 100) for number, text in enumerate(some)]


def plain(answer: Answer) -> bytes:
    """An answer as bytes, without how long it took."""
    return msgspec.msgpack.encode(msgspec.structs.replace(answer, timings_ms={}))


def measure(case: Case, store: UpdateStore, counts: Counter[str], misses: list[dict[str, str]]) -> None:
    """One correction, from before it to after it was taken back."""
    others = [one.format(n=name) for name in PEOPLE for one in OTHERS if name != case.name]
    others += [one for one in (o.format(n=case.name) for o in OTHERS) if one != case.question]
    asked = others[len(case.told) % 5 :: 7]
    before = {one: plain(store.ask(one)) for one in (case.question, *asked)}
    last = LastTurn(case.question, Cue(), store.ask(case.question))
    done = Correcting(store, ReasoningSettings(), last, time.time_ns).put(CorrectPut(text=case.says))
    for what, questions in (("reliability", (case.question,)), ("paraphrases", case.paraphrases)):
        for one in questions:
            answer = store.ask(one)
            right = case.told in answer.answer and any(i.kind == "correction" for i in answer.citations)
            counts[f"{what} n"] += 1
            counts[what] += right
            counts[f"{what} {case.kind} n"] += 1
            counts[f"{what} {case.kind}"] += right
            if not right:
                misses.append({"asked": one, "want": case.told, "got": answer.answer})
    for one in asked:
        counts["unrelated n"] += 1
        same = plain(store.ask(one)) == before[one]
        counts["unrelated"] += same
        if not same:
            misses.append({"asked": one, "want": "as before", "got": store.ask(one).answer})
    undo = CorrectPut(undoes=done.act.act_id)
    Correcting(store, ReasoningSettings(), None, time.time_ns).put(undo)
    counts["reverted n"] += 1
    counts["reverted"] += plain(store.ask(case.question)) == before[case.question]


def baseline(case: Case, number: int, counts: Counter[str]) -> None:
    """The correction as one more turn, without an act."""
    with tempfile.TemporaryDirectory() as folder:
        store = UpdateStore(Path(folder) / "store")
        store.tell("talk", [*facts(), Told(case.says, "Owner", day=100 + number)])
        for what, questions in (("reliability", (case.question,)), ("paraphrases", case.paraphrases)):
            for one in questions:
                counts[f"{what} n"] += 1
                counts[what] += case.told in store.ask(one).answer
        store.close()


def main() -> int:
    """Measures, prints, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=10_000, help="corrections of a kind at most")
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--misses", type=Path, metavar="OUT")
    told = parser.parse_args()
    began_s = time.perf_counter()
    ours: Counter[str] = Counter()
    turns: Counter[str] = Counter()
    misses: list[dict[str, str]] = []
    every = list(cases())
    every = every[:: max(1, len(every) // told.limit)]
    with tempfile.TemporaryDirectory() as folder:
        store = UpdateStore(Path(folder) / "store")
        store.tell("talk", facts())
        for case in every:
            measure(case, store, ours, misses)
        store.close()
    for number, case in enumerate(every[::5]):
        baseline(case, number, turns)
    names = ("reliability", "paraphrases", "unrelated", "reverted")
    split = tuple(f"{one} {kind}" for one in names[:2] for kind in ("slot", "free"))
    systems = {
        "ours": {one: _share(ours, one) for one in (*names, *split) if ours[f"{one} n"]},
        "as a turn": {one: _share(turns, one) for one in names[:2]},
    }
    document: dict[str, Any] = {
        "tool": "eval_corrections",
        "data": "templates",
        "items": len(every),
        "config": {"limit": told.limit},
        "models": {},
        "seconds": round(time.perf_counter() - began_s, 1),
        "systems": systems,
    }
    for name, shares in systems.items():
        print(f"{name:12}" + "  ".join(f"{one} {share:.3f}" for one, share in shares.items()))
    print(f"{len(every)} corrections, {ours['paraphrases n']} paraphrases, {ours['unrelated n']} unrelated")
    if told.json:
        told.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if told.misses:
        told.misses.write_text(json.dumps(misses, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _share(counts: Counter[str], name: str) -> float:
    return round(counts[name] / max(1, counts[f"{name} n"]), 4)


if __name__ == "__main__":
    sys.exit(main())
