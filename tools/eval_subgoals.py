"""What sub-goals are worth: `python -m tools.eval_subgoals --data FILE --json OUT`.

LoCoMo format. Questions of two parts are made at run time of pairs of its single-hop questions about one
dialogue (category 4), joined in several ways. `one` asks the long question as it is, `one, as long` with as
many sentences as two parts may have; `ours` by sub-goals; `apart` asks both by themselves, as if they had
been taken apart without a mistake. R@k is the mean share of the evidence turns of both parts among k items,
k / 2 of each part where there are parts; `cited` the share of parts of which an evidence turn is cited.
`referring`: second parts whose name is a pronoun, looked for as they stand and by the name they refer to.
`chains`: twelve questions one after the other, then all words of an evidence turn that an earlier one cited
are needed again: the whole history, folded, and folded and unfolded. `multi-hop`: LoCoMo's own category 1
with the switch off and on, and how many questions of each category are taken apart at all. Gold answers
are not read.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memory.settings import MemorySettings
from reasoning.goals import goals_of
from reasoning.question import read_question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings, SubgoalSettings
from reasoning.subgoals import CHILDREN, Finished, Trail, children, item_tokens, tokens_of
from stream.capture.text import read
from stream.messages import Cue, EvidenceItem
from stream.messages.answer import Answer
from tools.bootstrap import bootstrap
from tools.chat_stores import ChatStore, Encode, keeping, remembering, text_encoder
from tools.eval_citations import Memory
from tools.eval_recall import Asked, questions_of

JOINTS = ("{a}, and {b}?", "{a}? And {b}?", "{a}, and then {b}?", "{a}; also, {b}?", "Tell me {la} and {b}.")
KS = (10, 20)
CHAIN = 12
PARTS = {"pairs": "one", "referring": "as it stands", "chains": "whole", "multi-hop": "off"}
"""What is measured, and the system that the others are compared to."""
SPLIT = ReasoningSettings(subgoals=SubgoalSettings(enabled=True))
WHOLE = ReasoningSettings(subgoals=SubgoalSettings(enabled=False))
AS_LONG = WHOLE.model_copy(update={"sentences": 2 * WHOLE.sentences})
Row = dict[str, float]


class Dialogue(NamedTuple):
    """One chat's store, and the questions about it."""

    store: ChatStore
    memory: Memory
    asked: Sequence[Asked]
    speakers: tuple[str, ...]

    def ref(self, item: EvidenceItem) -> str:
        """The turn of an item, as the data names it."""
        return self.store.turns[self.store.place_of[item.observation_id]].turn.ref

    def cited(self, answer: Answer) -> set[str]:
        """The turns that an answer cites."""
        return {self.ref(item) for item in answer.citations}

    def ranked(self, text: str, k: int) -> list[str]:
        """The first k turns for a question on the ordinary way."""
        read_as = read_question(text)
        found = self.memory.recall(read_as.cue(read_as.content or text, Cue()), k).items
        best = sorted(found, key=lambda item: -item.score)
        return list(dict.fromkeys(map(self.ref, best)))[:k]

    def answer(self, text: str, settings: ReasoningSettings) -> Answer:
        """What the reasoner answers."""
        self.memory.shown.clear()
        return Reasoner(self.memory, settings).answer(text, Cue())


def joined(one: str, other: str, place: int) -> str:
    """Two questions as one."""
    a, b = (text.strip().rstrip("?. ") for text in (one, other))
    return JOINTS[place % len(JOINTS)].format(a=a, la=_lower(a), b=_lower(b))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def pairs_of(asked: Sequence[Asked], most: int, rng: random.Random) -> list[tuple[Asked, Asked]]:
    """Pairs of single-hop questions, each question at most once."""
    single = [one for one in asked if one.category == "4"]
    rng.shuffle(single)
    return list(zip(single[::2], single[1::2], strict=False))[:most]


def pair_row(own: Dialogue, one: Asked, other: Asked, place: int) -> dict[str, Row]:
    """All systems on one pair."""
    asked = joined(one.text, other.text, place)
    parts = [goal.text for goal in goals_of(asked)]
    apart = [one.text, other.text]
    answers = {
        "one": [own.answer(asked, WHOLE)],
        "one, as long": [own.answer(asked, AS_LONG)],
        "ours": [own.answer(asked, SPLIT)],
        "apart": [own.answer(text, WHOLE) for text in apart],
    }
    looked = {"one": [asked], "one, as long": [asked], "ours": parts, "apart": apart}
    rows: dict[str, Row] = {}
    for system, told in answers.items():
        cited = set[str]().union(*map(own.cited, told))
        hit = [bool(cited & part.evidence) for part in (one, other)]
        row = {
            "cited": sum(hit) / 2,
            "both_cited": float(all(hit)),
            "answered": float(all(answer.verdict == "answered" for answer in told)),
            "not_seen": float(all(answer.verdict == "not_seen" for answer in told)),
            "sentences": float(sum(len(answer.sentences) for answer in told)),
            "evidence_tokens": float(sum(item_tokens(i) for answer in told for i in answer.citations)),
        }
        gold = one.evidence | other.evidence
        for k in KS:
            each = k // len(looked[system])
            found = {ref for text in looked[system] for ref in own.ranked(text, each)}
            row[f"R@{k}"] = len(found & gold) / len(gold)
        rows[system] = row
    rows["ours"]["as_two"] = float(len(parts) == 2)
    return rows


def referring_row(own: Dialogue, one: Asked, other: Asked) -> dict[str, Row] | None:
    """A second part with a pronoun for its name; None where the pair does not name one person alike."""
    names = [name for name in own.speakers if name in one.text and other.text.count(name) == 1]
    if len(names) != 1 or sum(name in other.text for name in own.speakers) != 1:
        return None
    second = re.sub(rf"{names[0]}(['\u2019`]s)?", lambda m: "her" if m[1] else "she", other.text)
    goals = goals_of(joined(one.text, second, 0))
    looked = {"as it stands": second, "ours": goals[-1].text, "by its name": other.text}
    told: dict[str, Row] = {}
    for system, text in looked.items():
        found = own.ranked(text, 10)
        told[system] = {
            "R@10": len(set(found) & other.evidence) / len(other.evidence),
            "cited": float(bool(own.cited(own.answer(text, WHOLE)) & other.evidence)),
        }
    return told


def chain_row(
    own: Dialogue, asked: Sequence[Asked], budget: int, rng: random.Random
) -> dict[str, Row] | None:
    """A chain of questions, and a turn that one of the first half cited needed again."""
    trails = {"whole": Trail(0), "folded": Trail(budget), "unfolded": Trail(budget)}
    planted: list[tuple[int, EvidenceItem]] = []
    for place, one in enumerate(asked):
        answer = own.answer(one.text, WHOLE)
        (goal,) = goals_of(one.text)[:1]
        gold = [item for item in answer.citations if own.ref(item) in one.evidence]
        planted += [(place, item) for item in gold if place < CHAIN // 2]
        for trail in trails.values():
            trail.add(Finished(goal, answer.verdict, answer.sentences, answer.citations))
    if not planted:
        return None
    place, needed = rng.choice(planted)
    unfolded = trails["unfolded"]
    for span in unfolded.spans(place):
        found = children(own.memory.recall, span, asked[place].text, Cue(), CHILDREN)
        unfolded.unfold(place, found)
    told: dict[str, Row] = {}
    for name, trail in trails.items():
        held = {item.text for one in trail.finished for item in one.citations}
        said = sum(tokens_of(one.text) for part in trail.finished for one in part.sentences)
        told[name] = {
            "success": float(needed.text in held),
            "evidence_peak_tokens": float(trail.peak_tokens),
            "peak_tokens": float(trail.peak_tokens + said),
        }
    return told


def single_row(own: Dialogue, one: Asked) -> dict[str, Row]:
    """One of LoCoMo's own questions, with the switch off and on."""
    told: dict[str, Row] = {}
    for system, settings in (("off", WHOLE), ("on", SPLIT)):
        texts = [goal.text for goal in goals_of(one.text)] if system == "on" else [one.text]
        cited = own.cited(own.answer(one.text, settings)) & one.evidence
        found = {ref for text in texts for ref in own.ranked(text, 10 // len(texts))}
        told[system] = {
            "R@10": len(found & one.evidence) / len(one.evidence),
            "cited": float(bool(cited)),
            "cited_share": len(cited) / len(one.evidence),
        }
    told["on"]["taken_apart"] = float(len(goals_of(one.text)) > 1)
    return told


def gathered(args: argparse.Namespace) -> dict[str, list[dict[str, Row]]]:
    """The rows of all parts of the measurement, dialogue by dialogue."""
    chats = read(args.data)
    asked = questions_of(args.data, chats)
    encode: Encode = text_encoder()
    if args.kept:
        encode = keeping(encode, args.kept)
    encode = remembering(encode)
    rows: dict[str, list[dict[str, Row]]] = {part: [] for part in args.parts}
    with tempfile.TemporaryDirectory(prefix="omnirecall-eval-") as folder:
        for place, chat in enumerate(chats):
            store = ChatStore([chat], encode, Path(folder) / str(place), MemorySettings())
            speakers = tuple(sorted({turn.speaker for turn in chat.turns if turn.speaker}))
            own = Dialogue(
                store, Memory(store, encode), [one for one in asked if one.chat == place], speakers
            )
            for part in args.parts:
                rng = random.Random(f"{args.seed} {place} {part}")  # noqa: S311 - draws of a measurement
                rows[part] += measured(own, part, args, rng)
            store.close()
            print(f"dialogue {place + 1} of {len(chats)}", file=sys.stderr)
    return rows


def measured(own: Dialogue, part: str, args: argparse.Namespace, rng: random.Random) -> list[dict[str, Row]]:
    """The rows of one part of the measurement for one dialogue."""
    if part == "multi-hop":
        return [single_row(own, one) for one in own.asked if one.category == "1"]
    if part == "chains":
        single = [one for one in own.asked if one.category == "4"]
        chains = (chain_row(own, rng.sample(single, CHAIN), args.budget, rng) for _ in range(args.chains))
        return [row for row in chains if row is not None]
    pairs = pairs_of(own.asked, args.pairs, rng)
    if part == "pairs":
        return [pair_row(own, one, other, number) for number, (one, other) in enumerate(pairs)]
    rows = (referring_row(own, one, other) for one, other in pairs)
    return [row for row in rows if row is not None]


def summary(rows: Sequence[dict[str, Row]], base: str) -> dict[str, Any]:
    """Means of each system with 95 % intervals, and of the difference to `base`, pair by pair."""
    told: dict[str, Any] = {}
    for system in rows[0] if rows else ():
        told[system] = {}
        for figure in rows[0][system]:
            values = np.array([row[system][figure] for row in rows])
            told[system][figure] = round(float(values.mean()), 4)
            told[system][f"{figure}_95"] = _interval(values)
            if system != base and figure in rows[0][base]:
                less = np.array([row[base][figure] for row in rows])
                told[system][f"{figure}_gain_95"] = _interval(values - less)
    return told


def _interval(values: Any) -> list[float]:
    ends = bootstrap(len(values), lambda places: float(values[list(places)].mean()))
    return [round(end, 4) for end in ends]


def main(argv: Sequence[str] | None = None) -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="a file in LoCoMo's format")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is measured")
    parser.add_argument("--pairs", type=int, default=100, help="pairs of each dialogue at most")
    parser.add_argument("--chains", type=int, default=10, help="chains of each dialogue")
    parser.add_argument("--budget", type=int, default=1500, help="tokens of the evidence of a chain")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--kept", type=Path, help="a folder in which keys are kept for a later run")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    began_s = time.monotonic()
    rows = gathered(args)
    told = {
        "tool": "eval_subgoals",
        "data": args.data.name,
        "items": {name: len(some) for name, some in rows.items()},
        "config": {"pairs": args.pairs, "chains": args.chains, "budget": args.budget, "seed": args.seed},
        "systems": {name: summary(some, PARTS[name]) for name, some in rows.items()},
        "seconds": round(time.monotonic() - began_s, 1),
    }
    for name, systems in told["systems"].items():
        print(f"{name} ({told['items'][name]})")
        for system, figures in systems.items():
            shown = (f"{f} {v:.3f} {figures[f + '_95']}" for f, v in figures.items() if not f.endswith("_95"))
            print(f"  {system:14}" + "  ".join(shown))
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
