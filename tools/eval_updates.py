"""Facts that change: `python -m tools.eval_updates --babi DIR --json OUT`.

bAbI stories are told turn by turn into a store as a chat each, and each question is put when it stands
in the story; then changes of `tools.update_templates` (half of its relations held out), and, with
`--locomo`, real dialogues for what is superseded there. Beside `ours` (claims, then evidence): `flat`
(text encoder) and `bm25` answer with the best told sentence, `flat_newest` and `bm25_newest` with the
newest of the best five. `right`: the accepted value stands in what answers (of ours, in the words
before the quotation; of baselines, anywhere in the sentence, and "yes" where it has the place that
is asked). `stale`: wrong, and what answers was told before the last line that the answer depends on.
Tasks 17 (positions) and 19 (paths) need geometry, which nothing here has; they are counted apart.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from stream.capture.text import read
from stream.capture.turns import placed
from stream.messages import Answer
from tools.chat_stores import Encode, remembering, text_encoder
from tools.update_store import DAY_NS, FIRST_NS, Told, UpdateStore
from tools.update_templates import FRESH, HELD_OUT, NAMES, SHOWN, Change, changes

TASKS = (1, 2, 3, 6, 7, 8, 9, 10, 14)
NOT_ABOUT_UPDATES = (17, 19)
TOP = 5
STORIES_PER_STORE = 20
SYSTEMS = ("ours", "flat", "flat_newest", "bm25", "bm25_newest")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a story, after `line` of its lines; `facts` are the places of the lines it depends on."""

    text: str
    answer: str
    line: int
    facts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """Lines that are told, and questions between them."""

    lines: tuple[str, ...]
    asked: tuple[Asked, ...]


def stories(path: Path) -> Iterator[Story]:
    """The stories of a file in the bAbI format."""
    lines: list[str] = []
    asked: list[Asked] = []
    place: dict[int, int] = {}
    for row in path.read_text(encoding="utf-8").splitlines():
        number, _, text = row.strip().partition(" ")
        if not number.isdigit():
            continue
        if number == "1" and lines:
            yield Story(tuple(lines), tuple(asked))
            lines, asked, place = [], [], {}
        if "?" in text:
            question, _, rest = text.partition("?")
            parts = [one for one in re.split(r"[\t|]", rest) if one.strip()]
            answer, facts = parts[0].strip(), parts[1].split() if len(parts) > 1 else []
            known = tuple(place[int(one)] for one in facts if int(one) in place)
            asked.append(Asked(f"{question.strip()}?", answer, len(lines), known))
        else:
            place[int(number)] = len(lines)
            lines.append(text.strip())
    if lines:
        yield Story(tuple(lines), tuple(asked))


# Baselines.


class Plain:
    """The best told sentences for a question, by meaning and by words (BM25, k1 1.2, b .75)."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def picked(self, question: str, lines: Sequence[str]) -> dict[str, int]:
        """The place of the line that each baseline answers with."""
        if not lines:
            return {}
        dense = self._encode(list(lines)) @ self._encode([question])[0]
        lexical = self._bm25(question, lines)
        found: dict[str, int] = {}
        for name, scores in (("flat", dense), ("bm25", lexical)):
            # Of equal scores the newest comes first, which is kind to the baselines.
            best = sorted(range(len(lines)), key=lambda i: (-float(scores[i]), -i))
            found[name], found[f"{name}_newest"] = best[0], max(best[:TOP])
        return found

    def _bm25(self, question: str, lines: Sequence[str]) -> np.ndarray[Any, Any]:
        bags = [Counter(_words(line)) for line in lines]
        mean = sum(sum(bag.values()) for bag in bags) / len(bags)
        scores = np.zeros(len(lines))
        for word in set(_words(question)):
            with_word = sum(1 for bag in bags if word in bag)
            weight = np.log(1 + (len(bags) - with_word + 0.5) / (with_word + 0.5))
            for place, bag in enumerate(bags):
                n = bag[word]
                length = 0.25 + 0.75 * sum(bag.values()) / mean
                scores[place] += weight * n * 2.2 / (n + 1.2 * length) if n else 0.0
        return scores


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]


# Scoring.


def lead_of(answer: Answer) -> str:
    """The words of an answer that say the value, before what it rests on is quoted."""
    text = answer.sentences[0].text if answer.sentences else ""
    return re.sub(r"^As of [^“]*?: ", "", text).partition("“")[0].partition(": ")[0]


def is_right(lead: str, accepted: str) -> bool:
    """Whether the accepted value, or each of several, stands in what was said, on word boundaries."""
    said, want = " ".join(_words(lead)), [" ".join(_words(one)) for one in accepted.split(",")]
    if want in (["nothing"], ["none"]):
        return said.startswith(("nothing", "none"))
    if want in (["yes"], ["no"], ["maybe"]):
        return said.split()[:1] == want
    if len(want) > 1 and len(lead.split(",")) != len(want):
        return False
    return all(f" {one} " in f" {said} " for one in want)


def plain_is_right(line: str, asked: Asked) -> bool:
    """The same for a sentence: of a yes-or-no question, yes where it has the last word of the question."""
    if asked.answer in ("yes", "no"):
        return (asked.answer == "yes") == (_words(asked.text)[-1] in _words(line))
    return is_right(line, asked.answer)


class Tally:
    """Right, stale and asked, per system."""

    def __init__(self) -> None:
        self.n = 0
        self.right: Counter[str] = Counter()
        self.stale: Counter[str] = Counter()

    def add(self, system: str, *, right: bool, stale: bool) -> None:
        """One answer."""
        self.right[system] += right
        self.stale[system] += stale and not right

    def shares(self) -> dict[str, dict[str, float]]:
        """As the evaluation's JSON has it."""
        n = max(1, self.n)
        return {
            one: {"right": round(self.right[one] / n, 4), "stale": round(self.stale[one] / n, 4)}
            for one in SYSTEMS
        }

    def join(self, other: Tally) -> None:
        """Adds another's counts."""
        self.n += other.n
        self.right += other.right
        self.stale += other.stale


def score(
    tally: Tally, store: UpdateStore, plain: Plain, asked: Asked, answer: Answer, lines: Sequence[str]
) -> bool:
    """Counts one question for all systems; whether ours was right."""
    tally.n += 1
    newest = max(asked.facts, default=-1)
    right = is_right(lead_of(answer), asked.answer)
    cited = [
        store.line_of[item.observation_id]
        for item in answer.citations
        if item.observation_id in store.line_of
    ]
    tally.add("ours", right=right, stale=answer.verdict != "not_seen" and bool(cited) and max(cited) < newest)
    for name, place in plain.picked(asked.text, lines).items():
        tally.add(name, right=plain_is_right(lines[place], asked), stale=place < newest)
    return right


# bAbI.


def babi(folder: Path, plain: Plain, limit: int, misses: list[dict[str, Any]]) -> dict[str, Tally]:
    """A tally per task."""
    found: dict[str, Tally] = {}
    for task in (*TASKS, *NOT_ABOUT_UPDATES):
        for path in sorted(folder.glob(f"qa{task}_*.txt"))[:1]:
            began_s = time.perf_counter()
            found[str(task)] = _task(task, list(stories(path))[:limit], plain, misses)
            note = f"task {task}: {found[str(task)].n} questions, {time.perf_counter() - began_s:.0f} s"
            print(note, file=sys.stderr, flush=True)
    return found


def _task(task: int, told: Sequence[Story], plain: Plain, misses: list[dict[str, Any]]) -> Tally:
    tally = Tally()
    for start in range(0, len(told), STORIES_PER_STORE):
        with tempfile.TemporaryDirectory() as folder:
            store = UpdateStore(Path(folder) / "store")
            for number, story in enumerate(told[start : start + STORIES_PER_STORE]):
                _tell_story(store, f"{task}-{start + number}", story, plain, tally, misses)
            store.close()
    return tally


def _tell_story(
    store: UpdateStore, name: str, story: Story, plain: Plain, tally: Tally, misses: list[dict[str, Any]]
) -> None:
    done = 0
    for asked in story.asked:
        if asked.line > done:
            store.tell(name, [Told(line) for line in story.lines[done : asked.line]])
            done = asked.line
        answer = store.ask(asked.text, name)
        if not score(tally, store, plain, asked, answer, story.lines[:done]):
            lines = [story.lines[place] for place in asked.facts]
            misses.append(
                {"of": name, "asked": asked.text, "want": asked.answer, "got": answer.answer, "facts": lines}
            )


# Templates.


@dataclass
class Held:
    """What the templated changes show."""

    tally: Tally
    as_of: Counter[str]
    unrelated: Counter[str]


def templated(plain: Plain, seed: int, misses: list[dict[str, Any]]) -> dict[str, Held]:
    """Changes by half: `shown` and `held_out` relations."""
    found = {name: Held(Tally(), Counter(), Counter()) for name in (SHOWN, HELD_OUT, FRESH)}
    by_relation: dict[str, list[Change]] = {}
    for change in changes(seed):
        by_relation.setdefault(change.relation.name, []).append(change)
    for some in by_relation.values():
        half = found[some[0].relation.half]
        with tempfile.TemporaryDirectory() as folder:
            store = UpdateStore(Path(folder) / "store")
            _relation(store, some, half, plain, seed, misses)
            store.close()
    return found


def _relation(
    store: UpdateStore,
    some: Sequence[Change],
    half: Held,
    plain: Plain,
    seed: int,
    misses: list[dict[str, Any]],
) -> None:
    chance = random.Random(seed)  # noqa: S311
    steady = {f"Who is {name}'s dentist?": f"Doctor {name[::-1].title()}" for name in NAMES}
    told = [
        Told(f"{name}'s dentist is Doctor {name[::-1].title()}.", "Anna Lind", day=0.01) for name in NAMES
    ]
    told += [Told(change.old_text, change.speaker, day=1 + i / 100) for i, change in enumerate(some)]
    before = store.tell("talk", told)
    now = {change.question: change.old for change in some} | steady
    lines = [one.text for one in told]
    for number, change in enumerate(some):
        store.tell("talk", [Told(change.new_text, change.speaker, day=10 + number)])
        lines.append(change.new_text)
        now[change.question] = change.new
        answer = store.ask(change.question)
        asked = Asked(change.question, change.new, len(lines), (len(lines) - 1,))
        if not score(half.tally, store, plain, asked, answer, lines):
            misses.append(
                {
                    "of": change.relation.name,
                    "asked": change.question,
                    "want": change.new,
                    "got": answer.answer,
                    "facts": [change.old_text, change.new_text],
                }
            )
        every: tuple[dict[str, Any], ...] = ({"as_of_commit": before}, {"valid_at_ns": FIRST_NS + 5 * DAY_NS})
        for gates in every:
            half.as_of["n"] += 1
            half.as_of["right"] += is_right(lead_of(store.ask(change.question, **gates)), change.old)
        for question in chance.sample(sorted(set(now) - {change.question}), 3):
            half.unrelated["n"] += 1
            other = store.ask(question)
            kept = is_right(lead_of(other), now[question])
            half.unrelated["lost"] += not kept
            half.unrelated["superseded"] += not kept and store.claims_of(question) not in ("", now[question])


# Real dialogues.


def locomo(path: Path) -> dict[str, Any]:
    """What the ledger makes of real dialogues: claims, how many superseded, and some of these to be read."""
    counts: Counter[str] = Counter()
    shown: list[str] = []
    for number, chat in enumerate(read(path)):
        with tempfile.TemporaryDirectory() as folder:
            store = UpdateStore(Path(folder) / "store")
            turns = [one for one in placed(chat.turns, ZoneInfo("UTC")) if one.turn.text]
            first = turns[0].t0_ns or 0
            told = [
                Told(one.turn.text, one.turn.speaker, ((one.t0_ns or 0) - first) / DAY_NS) for one in turns
            ]
            store.tell(f"chat-{number}", told)
            counts["turns"] += len(told)
            counts.update(store.counts())
            shown += store.superseded()
            store.close()
    return {**counts, "shown": shown}


def main() -> int:
    """Measures, prints a table, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--babi", type=Path, metavar="DIR")
    parser.add_argument("--locomo", type=Path, metavar="FILE")
    parser.add_argument("--stories", type=int, default=10_000, help="stories of a task at most")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="OUT")
    parser.add_argument("--misses", type=Path, metavar="OUT", help="writes what was not right, as JSON")
    told = parser.parse_args()
    began_s = time.perf_counter()
    plain = Plain(remembering(text_encoder()))
    misses: list[dict[str, Any]] = []
    halves = templated(plain, told.seed, misses)
    tasks = babi(told.babi, plain, told.stories, misses) if told.babi else {}
    document = _document(told, halves, tasks, time.perf_counter() - began_s)
    if told.locomo:
        document["locomo"] = locomo(told.locomo)
    _table(document)
    if told.json:
        told.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if told.misses:
        told.misses.write_text(json.dumps(misses, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _document(
    told: argparse.Namespace, halves: dict[str, Held], tasks: dict[str, Tally], seconds: float
) -> dict[str, Any]:
    every = Tally()
    for name, tally in tasks.items():
        if int(name) in TASKS:
            every.join(tally)
    changed = {
        name: {
            "n": half.tally.n,
            **half.tally.shares(),
            "as_of_right": round(half.as_of["right"] / max(1, half.as_of["n"]), 4),
            "unrelated_n": half.unrelated["n"],
            "unrelated_lost": round(half.unrelated["lost"] / max(1, half.unrelated["n"]), 4),
            "unrelated_superseded": round(half.unrelated["superseded"] / max(1, half.unrelated["n"]), 4),
        }
        for name, half in halves.items()
    }
    both = Tally()
    for half in halves.values():
        both.join(half.tally)
    return {
        "tool": "eval_updates",
        "data": str(told.babi or "templates"),
        "items": every.n or both.n,
        "config": {"stories": told.stories, "seed": told.seed, "top": TOP},
        "models": {"text": "all-minilm-l6-v2"},
        "seconds": round(seconds, 1),
        "systems": every.shares() if every.n else both.shares(),
        "by": {
            "task": {name: {"n": tally.n, **tally.shares()} for name, tally in tasks.items()},
            "changes": changed,
        },
    }


def _table(document: dict[str, Any]) -> None:
    head = f"{'':22}{'n':>6}" + "".join(f"{one:>20}" for one in SYSTEMS)
    print(head)
    print(f"{'':28}" + f"{'right':>12}{'stale':>8}" * len(SYSTEMS))

    def row(name: str, n: int, shares: dict[str, Any]) -> None:
        cells = "".join(f"{shares[one]['right']:>12.3f}{shares[one]['stale']:>8.3f}" for one in SYSTEMS)
        print(f"{name:22}{n:>6}{cells}")

    row("all", document["items"], document["systems"])
    for task, shares in document["by"]["task"].items():
        row(f"task {task}" + ("" if int(task) in TASKS else " (not counted)"), shares["n"], shares)
    for half, shares in document["by"]["changes"].items():
        row(f"changes, {half}", shares["n"], shares)
        print(
            f"    as of, valid at: {shares['as_of_right']:.3f} right; of {shares['unrelated_n']} unrelated"
            f" facts {shares['unrelated_superseded']:.3f} superseded, {shares['unrelated_lost']:.3f} not told"
        )
    if "locomo" in document:
        told = document["locomo"]
        print(f"dialogues: {told['turns']} turns, {told['claims']} claims, {told['superseded']} superseded")


if __name__ == "__main__":
    sys.exit(main())
