"""Which utterances want an answer: `python -m tools.eval_turns [--data FILE] [--locomo FILE] [--qmsum FILE]`.

`--data` has utterances written by hand with what is right (JSON lines: text, wants, kind, and what goes on
around them). LoCoMo's and QMSum's questions are such as are asked of a memory; what their people say to each
other wants no answer: it is judged among people, and once more as if it were the only thing that was said.
Prints precision and recall of each set, and by kind.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from reasoning.live.wanted import CURLY, Around, wants_answer
from reasoning.settings import TurnSettings

OWN = Path(__file__).parents[1] / "tests" / "data" / "wants_answer.jsonl"
_SENTENCE = re.compile(r"(?<=[.?!])\s+")
_MARKS = re.compile(r"\{[^}]*\}")


class Said(NamedTuple):
    """An utterance, whether it wants an answer, of which kind it is, and what goes on around it."""

    text: str
    wants: bool
    kind: str
    around: Around


def own(path: Path) -> Iterator[Said]:
    """The utterances that were written by hand."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        around = Around(
            is_held=row.get("held", False),
            goes_on=row.get("dialogue", False),
            among_people=row.get("people", False),
        )
        yield Said(row["text"], row["wants"], row["kind"], around)


def as_recognised(text: str) -> str:
    """A sentence as a recogniser may write it: lower case, without marks."""
    return re.sub(r"[^\w' ]+", " ", text.replace(CURLY, "'")).lower().strip()


def dialogues(questions: Iterable[str], said: Iterable[str]) -> Iterator[Said]:
    """Questions of a memory, asked by somebody alone; and what people say to each other, each twice."""
    for text in questions:
        yield Said(as_recognised(text), True, "questions of the memory", Around())
    for text in said:
        for sentence in _SENTENCE.split(_MARKS.sub(" ", text)):
            words = as_recognised(sentence)
            if len(words.split()) >= 2:
                kind = "asked" if sentence.rstrip().endswith("?") else "told"
                yield Said(words, False, f"{kind} among people", Around(among_people=True))
                yield Said(words, False, f"{kind} as if alone", Around())


def locomo(path: Path) -> Iterator[Said]:
    """LoCoMo's questions and turns."""
    for talk in json.loads(path.read_text(encoding="utf-8")):
        turns = [
            turn for key, value in talk["conversation"].items() if isinstance(value, list) for turn in value
        ]
        yield from dialogues((one["question"] for one in talk["qa"]), (turn["text"] for turn in turns))


def qmsum(path: Path) -> Iterator[Said]:
    """QMSum's questions and the meetings' turns."""
    for line in path.read_text(encoding="utf-8").splitlines():
        talk = json.loads(line)
        asked = (one["query"] for one in talk["specific_query_list"])
        yield from dialogues(asked, (turn["content"] for turn in talk["meeting_transcripts"]))


def figures(every: Iterable[Said], *, shows: bool = False) -> dict[str, object]:
    """Precision and recall, and of each kind how many were taken for such that want an answer."""
    names = TurnSettings().names
    right, kinds, taken = Counter[str](), Counter[str](), Counter[str]()
    for said in every:
        told = wants_answer(said.text, said.around, names)
        kinds[said.kind] += 1
        taken[said.kind] += told.wants
        right[f"{'' if said.wants else 'un'}wanted {'taken' if told.wants else 'left'}"] += 1
        if shows and told.wants != said.wants:
            print(f"  wrong ({told.reason}): {said.text} [{said.kind}]")
    hits, false, missed = right["wanted taken"], right["unwanted taken"], right["wanted left"]
    return {
        "items": sum(kinds.values()),
        "precision": round(hits / max(1, hits + false), 4),
        "recall": round(hits / max(1, hits + missed), 4),
        "taken": {kind: f"{taken[kind]}/{n}" for kind, n in kinds.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Prints the figures of each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=OWN)
    parser.add_argument("--locomo", type=Path)
    parser.add_argument("--qmsum", type=Path)
    parser.add_argument("--shows", action="store_true", help="print what is judged wrongly in --data")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    told = {"own": figures(own(options.data), shows=options.shows)}
    if options.locomo:
        told["locomo"] = figures(locomo(options.locomo))
    if options.qmsum:
        told["qmsum"] = figures(qmsum(options.qmsum))
    print(json.dumps(told, indent=1))
    if options.json:
        options.json.write_text(json.dumps({"tool": "eval_turns", **told}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
