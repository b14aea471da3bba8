"""Answers that know when to be silent: `python -m tools.eval_answers --data FILE --json OUT`.

LoCoMo format (`--data`): every question, category 5 included, which asks the right thing about the wrong
person or about what nobody said, is put to the reasoner that ships over a store of its dialogue, in this
process, with keys of the real encoder. `--together` has all dialogues in one store. `ours` is the confidence
of answers by coefficients fitted on the other dialogues (`ours_shipped`: those that ship). Beside it stand
what memory gives: the top score, its margin, the shared words and the cosine of the best turn; `speaker_rule`
(best turn of the person named less best turn of anybody else); and `demands` (the share of demands met,
without the calibrated part). Rows `without …` leave a feature out, `by speaker alone` takes whoever speaks
for whom a turn tells of.

An answer is right when it cites an evidence turn of an answerable question. `f1` compares its sentences with
the gold answer, which nothing but this tool reads; `gold_told` is the share of the gold's words in it.

video_qa format (`--dir`): each question put to a store of all videos and to one without its own video.
`--fit FILE` writes the calibration; `--docs DIR` writes the page and its plot.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from reasoning.asking import Asking
from reasoning.settings import ReasoningSettings
from reasoning.support.calibration import calibrations
from reasoning.support.demands import FEATURES, person_asked, speakers_in
from reasoning.support.owners import owned
from reasoning.words import FUNCTION_WORDS, stem, words
from stream.capture.text import read
from stream.errors import OmniRecallError, SourceError
from stream.messages import Answer, EvidenceItem
from tools.abstention import Flags, Numbers, auc, auc_interval, risk_coverage
from tools.abstention_page import write_docs
from tools.answer_store import AnswerStore
from tools.chat_stores import ENCODER, Encode, keeping, remembering, text_encoder
from tools.fit_support import (
    Featured,
    calibration_error,
    fitted,
    left_out,
    lines_of,
)

UNANSWERABLE = "5"
BEFORE = ReasoningSettings(confidence=False)
SHIPPED = ReasoningSettings()
BASELINES = ("top_score", "margin", "words", "cosine", "speaker_rule", "demands")
BY_SPEAKER = "by speaker alone"
WITHOUT = (*(f"without {name}" for name in FEATURES), BY_SPEAKER)


@dataclass(slots=True)
class Row:
    """One question, what it was answered, and each number that may tell whether it can be."""

    chat: int
    text: str
    category: str
    evidence: frozenset[str]
    gold: str
    answer: Answer
    before: Answer
    numbers: dict[str, float] = field(default_factory=dict)
    features: dict[str, float] | None = None
    by_speaker: dict[str, float] | None = None
    is_cited: bool = False

    @property
    def answerable(self) -> bool:
        """Whether its dialogue has the answer."""
        return self.category != UNANSWERABLE


def by_speaker(
    text: str, speaker: str, person: str, people: Sequence[str], asked: Mapping[str, float]
) -> float:
    """A turn is of whoever says it."""
    return float(speaker == person)


def baselines(asking: Asking, items: Sequence[EvidenceItem]) -> dict[str, float]:
    """What the evidence says by itself, larger for surer."""
    ranked = sorted((item.score for item in items), reverse=True)
    cosines = {item.observation_id: item.grounding.get("dense", 0.0) for item in items}
    person = person_asked(asking.question.asked, speakers_in(items))
    mine = [cosines[item.observation_id] for item in items if item.speaker == person]
    theirs = [cosines[item.observation_id] for item in items if item.speaker and item.speaker != person]
    return {
        "top_score": ranked[0] if ranked else 0.0,
        "margin": ranked[0] - ranked[1] if len(ranked) > 1 else 0.0,
        "words": max((item.grounding.get("lexical_share", 0.0) for item in items), default=0.0),
        "cosine": max(cosines.values(), default=0.0),
        "speaker_rule": max(mine, default=0.0) - max(theirs, default=0.0) if person else 0.0,
    }


def asked_of(store: AnswerStore, chat: int, told: Mapping[str, Any]) -> Row:
    """One question put to a store."""
    text = str(told["question"])
    asking = store.asking(text, SHIPPED)
    numbers = baselines(asking, list(asking.met.values()))
    features, speaker_only = store.features(asking, (owned, by_speaker))
    row = Row(
        chat=chat,
        text=text,
        category=str(told["category"]),
        evidence=frozenset(re.findall(r"D\d+:\d+", " ".join(map(str, told.get("evidence") or ())))),
        gold=str(told.get("answer", "")),
        answer=store.ask(text, SHIPPED),
        before=store.ask(text, BEFORE),
        numbers=numbers,
        features=features,
        by_speaker=speaker_only,
    )
    share = asking.supported
    row.numbers["demands"] = share if share is not None else float(row.before.verdict == "answered")
    row.numbers["ours_shipped"] = -1.0 if row.answer.confidence is None else row.answer.confidence
    refs = {store.turns[store.place_of[item.observation_id]].turn.ref for item in row.before.citations}
    row.is_cited = bool(refs & row.evidence)
    return row


def rows_of(path: Path, encode: Encode, *, together: bool) -> list[Row]:
    """All questions of a file, each put to the store of its dialogue, or to one of all dialogues.

    Raises:
        SourceError: If the file is not of this format.
    """
    chats = read(path)
    samples = json.loads(path.read_text(encoding="utf-8"))
    samples = samples if isinstance(samples, list) else [samples]
    if len(chats) != len(samples):
        raise SourceError(f"{path}: {len(chats)} dialogues, {len(samples)} lists of questions")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="omnirecall-answers-") as folder:
        whole = AnswerStore(chats, encode, Path(folder) / "all") if together else None
        for place, (chat, sample) in enumerate(zip(chats, samples, strict=True)):
            store = whole or AnswerStore([chat], encode, Path(folder) / str(place))
            rows += [
                asked_of(store, place, told) for told in sample["qa"] if str(told.get("category")) in "12345"
            ]
            print(f"dialogue {place}: {len(sample['qa'])} questions", file=sys.stderr, flush=True)
            if whole is None:
                store.close()
        if whole is not None:
            whole.close()
    return rows


def featured(rows: Sequence[Row], of: Callable[[Row], dict[str, float] | None]) -> list[Featured]:
    """The rows that the calibrated part is about."""
    return [Featured(row.chat, told, row.answerable) for row in rows if (told := of(row)) is not None]


def confidences(
    rows: Sequence[Row], of: Callable[[Row], dict[str, float] | None], names: Sequence[str] = FEATURES
) -> Numbers:
    """The confidence of each row by the others' dialogues; that of its demands where no person is named."""
    told = iter(left_out(featured(rows, of), names).tolist())
    found: list[float] = [next(told) if of(row) is not None else row.numbers["demands"] for row in rows]
    return np.array(found)


def tokens(text: str) -> list[str]:
    """Stems of what is no closed-class word, each as often as it is there."""
    return [stem(word) for word in words(text) if word not in FUNCTION_WORDS]


def f1(told: str, gold: str) -> float:
    """Token F1 of one sentence against the gold."""
    one, other = Counter(tokens(told)), Counter(tokens(gold))
    same = sum((one & other).values())
    return 2 * same / (sum(one.values()) + sum(other.values())) if same else 0.0


def quality(rows: Sequence[Row], of: Callable[[Row], Answer]) -> dict[str, float]:
    """What answers are worth, and how often they are refused."""
    can = [row for row in rows if row.answerable]
    cannot = [row for row in rows if not row.answerable]
    told = [row for row in can if of(row).verdict != "not_seen"]
    gold = [set(tokens(row.gold)) for row in told]
    texts = [set(tokens(of(row).answer)) for row in told]
    return {
        "refused_right": _mean([of(row).verdict == "not_seen" for row in cannot]),
        "doubted_right": _mean([of(row).verdict != "answered" for row in cannot]),
        "refused_wrong": _mean([of(row).verdict == "not_seen" for row in can]),
        "doubted_wrong": _mean([of(row).verdict != "answered" for row in can]),
        "cited": _mean([row.is_cited for row in told]),
        "f1": _mean([max((f1(s.text, row.gold) for s in of(row).sentences), default=0.0) for row in told]),
        "gold_told": _mean([len(g & t) / len(g) for g, t in zip(gold, texts, strict=True) if g]),
    }


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3) if values else float("nan")


def systems_of(rows: Sequence[Row]) -> dict[str, Numbers]:
    """Each number of each row, by system."""
    found = {"ours": confidences(rows, lambda row: row.features)}
    found |= {name: np.array([row.numbers[name] for row in rows]) for name in ("ours_shipped", *BASELINES)}
    for name in FEATURES:
        kept = [other for other in FEATURES if other != name]
        found[f"without {name}"] = confidences(rows, lambda row: row.features, kept)
    found[BY_SPEAKER] = confidences(rows, lambda row: row.by_speaker)
    return found


def document(rows: Sequence[Row], options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """The JSON object that every evaluation of the project writes."""
    answerable = np.array([row.answerable for row in rows])
    chats = np.array([row.chat for row in rows])
    categories = np.array([row.category for row in rows])
    right = np.array([row.answerable and row.is_cited for row in rows])
    systems = systems_of(rows)
    figures: dict[str, Any] = {}
    for name, numbers in systems.items():
        figures[name] = {
            "auc": round(auc(numbers, answerable), 3),
            "interval": auc_interval(numbers, answerable),
        }
    figures["ours"]["calibration_error"] = round(calibration_error(systems["ours"], answerable), 3)
    shown = ("ours", "cosine", "top_score", "speaker_rule")
    return {
        "tool": "eval_answers",
        "data": str(options.data),
        "items": len(rows),
        "config": {"together": options.together, "named": sum(row.features is not None for row in rows)},
        "models": {"text": ENCODER},
        "seconds": round(seconds, 1),
        "systems": figures,
        "answers": {
            "ours": quality(rows, lambda row: row.answer),
            "without confidence": quality(rows, lambda row: row.before),
        },
        "curves": {
            "unanswerable": {name: risk_coverage(systems[name], answerable) for name in shown},
            "wrong": {name: risk_coverage(systems[name], right) for name in shown},
        },
        "by": {
            "dialogue": _by(
                systems, answerable, chats, {str(c): chats == c for c in sorted(set(chats.tolist()))}
            ),
            "category": _by(
                systems,
                answerable,
                chats,
                {
                    c: (categories == c) | ~answerable
                    for c in sorted(set(categories.tolist()) - {UNANSWERABLE})
                },
            ),
        },
    }


def _by(
    systems: Mapping[str, Numbers], answerable: Flags, chats: Any, groups: Mapping[str, Flags]
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        group: {
            name: {"auc": round(auc(numbers[kept], answerable[kept]), 3)} for name, numbers in systems.items()
        }
        for group, kept in groups.items()
    }


def write_fit(rows: Sequence[Row], data: Path, out: Path) -> None:
    """Writes the calibration of all dialogues; its lines are drawn where each was left out."""
    table = featured(rows, lambda row: row.features)
    named = np.array([one.answerable for one in table])
    doubt, refusal = lines_of(left_out(table), named)
    model = fitted(
        table, ENCODER, f"LoCoMo format, {len({one.chat for one in table})} dialogues of {data.name}"
    )
    model = msgspec.structs.replace(model, uncertain_below=doubt, not_seen_below=refusal)
    kept = [one for key, one in calibrations().items() if key != ENCODER] if out.exists() else []
    out.write_bytes(msgspec.json.format(msgspec.json.encode([*kept, model]), indent=1) + b"\n")


def print_table(told: Mapping[str, Any]) -> None:
    """The figures, ours first."""
    print(
        f"{'':22s}{'AUC':>7s}  {'interval':16s}" + "".join(f"{'d' + d:>8s}" for d in told["by"]["dialogue"])
    )
    for name, row in told["systems"].items():
        parts = "".join(f"{of[name]['auc']:8.3f}" for of in told["by"]["dialogue"].values())
        low, high = row["interval"]
        print(f"{name:22s}{row['auc']:7.3f}  [{low:.3f} {high:.3f}]   {parts}")
    print(f"expected calibration error of ours: {told['systems']['ours']['calibration_error']:.3f}")
    for name, row in told["answers"].items():
        print(f"{name:22s}" + " ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    for name, curve in told["curves"]["unanswerable"].items():
        print(f"risk {name:17s}" + " ".join(f"{p['coverage']:.1f}:{p['risk']:.2f}" for p in curve[1::2]))


def explain(rows: Sequence[Row], n: int) -> None:
    """The surest of the unanswerable, and the least sure of the answerable."""
    numbers = confidences(rows, lambda row: row.features)
    order = np.argsort(-numbers, kind="stable").tolist()
    for kind, places in (
        ("unanswerable, sure", [p for p in order if not rows[p].answerable][:n]),
        ("answerable, unsure", [p for p in order[::-1] if rows[p].answerable][:n]),
    ):
        for place in places:
            row = rows[place]
            print(
                f"\n{kind} {numbers[place]:.2f} [{row.category}] {row.text}\n"
                f"  gold {row.gold}; {row.before.answer}"
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.eval_answers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, help="LoCoMo format")
    parser.add_argument("--dir", type=Path, help="video_qa format")
    parser.add_argument("--store", type=Path, help="of the videos, as tools.eval_video has it")
    parser.add_argument("--preset", default="archive")
    parser.add_argument("--together", action="store_true", help="all dialogues in one store")
    parser.add_argument("--cache", type=Path, help="keeps keys of texts there")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="writes the calibration")
    parser.add_argument("--docs", type=Path, metavar="DIR", help="writes the page and its plot")
    parser.add_argument(
        "--explain", type=int, default=0, metavar="N", help="wrong ones to print, of each kind"
    )
    parser.add_argument("--json", type=Path)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measures, prints, writes; an exit code of the errors where something is wrong."""
    options = _parser().parse_args(argv)
    if (options.data is None) == (options.dir is None):
        _parser().error("give one of --data and --dir")
    began_s = time.monotonic()
    try:
        if options.dir is not None:
            from tools.answer_video import measured, shown

            told = measured(options)
            shown(told)
        else:
            encode = text_encoder() if options.cache is None else keeping(text_encoder(), options.cache)
            rows = rows_of(options.data, remembering(encode), together=options.together)
            if options.fit is not None:
                write_fit(rows, options.data, options.fit)
            told = document(rows, options, time.monotonic() - began_s)
            print_table(told)
            explain(rows, options.explain)
            if options.docs is not None:
                write_docs(told, options.docs)
    except OmniRecallError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return error.exit_code
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
