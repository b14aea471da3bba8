"""The Verifier on made pairs: `python -m tools.eval_verify --data FILE… --json OUT`.

FILE is a chat or meeting in any format that `omnirecall import` reads, or a transcript
(`{"segs": [[t0_s, t1_s, text, …], …]}`). Conversations are split by their name: rules and thresholds
were chosen on the half `dev`, `held_out` is what counts (`--split`). `caught` is the share of
contradictions that are not found supported, `false_alarms` that of true claims; `named` is the share
of contradictions that are called so, `unknown_caught` the share of unknown claims not supported.
Baselines flag what is less alike than a threshold: the share of the claim's stems in the evidence,
and the cosine of MiniLM; each at the threshold that is best for it on the very pairs that are scored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import log
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from reasoning.language.choose import verifier_of
from reasoning.settings import InferenceSettings
from reasoning.tokens import told_of
from reasoning.verifier import Finding, Verifier
from reasoning.words import all_stems
from stream.capture.text import read
from stream.capture.turns import placed
from stream.errors import SourceRefused
from tools.chat_stores import text_encoder
from tools.verify_pairs import Pair, PairMaker, Said

MOST_FALSE_ALARMS = 0.05
LEAST_TURNS = 6


def conversations_of(path: Path) -> list[list[Said]]:
    """The conversations of a file, each in order of time.

    Raises:
        SourceRefused: If it is of no known format.
    """
    segments = _segments(path)
    if segments:
        name = path.name
        return [[Said(name, "", str(text), int(t0_s * 1e9)) for t0_s, _, text, *_ in segments]]
    found = []
    for number, chat in enumerate(read(path)):
        name = f"{path.name}#{number}"
        turns = placed(chat.turns, ZoneInfo("UTC"))
        found.append(
            [
                Said(name, one.turn.speaker, one.turn.text, one.pts0_ns, _day(one.t0_ns))
                for one in turns
                if one.turn.text
            ]
        )
    return found


def _segments(path: Path) -> list[list[Any]]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return []
    return list(told["segs"]) if isinstance(told, dict) and "segs" in told else []


def _day(t0_ns: int | None) -> str:
    return "" if t0_ns is None else time.strftime("on %Y-%m-%d at %H:%M", time.gmtime(t0_ns / 1e9))


def is_held_out(conversation: str) -> bool:
    """Whether a conversation is of the half that no rule was chosen on."""
    return hashlib.sha256(conversation.encode()).digest()[0] % 2 == 1


def pairs_of(paths: Sequence[Path], split: str, n: int, seed: int) -> list[Pair]:
    """About `n` pairs from each file, spread over its conversations of the split.

    Raises:
        SourceRefused: If no conversation of the split can be made pairs of.
    """
    pairs: list[Pair] = []
    for path in paths:
        long = [one for one in conversations_of(path) if len(one) >= LEAST_TURNS]
        chosen = [
            one for one in long if split == "all" or is_held_out(one[0].conversation) == (split == "held_out")
        ]
        for one in chosen:
            pairs += PairMaker(one, seed).pairs(max(20, n // len(chosen)))
    if not pairs:
        raise SourceRefused(f"no conversation of the split {split} is long enough", remedy="give more --data")
    return pairs


def rates(pairs: Sequence[Pair], flagged: Sequence[bool]) -> dict[str, float]:
    """Shares of what is flagged, by label."""

    def share(label: str) -> float:
        own = [flag for pair, flag in zip(pairs, flagged, strict=True) if pair.label == label]
        return round(sum(own) / len(own), 4) if own else 0.0

    return {
        "caught": share("contradiction"),
        "false_alarms": share("true"),
        "unknown_caught": share("unknown"),
    }


def at_best(pairs: Sequence[Pair], scores: Sequence[float], most: float) -> dict[str, float]:
    """A baseline at the threshold that catches most with at most `most` false alarms."""
    best = {"caught": 0.0, "false_alarms": 0.0, "unknown_caught": 0.0, "threshold": float("-inf")}
    for threshold in sorted(set(scores)):
        told = rates(pairs, [score < threshold for score in scores])
        if told["false_alarms"] <= most and told["caught"] >= best["caught"]:
            best = {**told, "threshold": round(float(threshold), 4)}
    return best


def overlap(pair: Pair) -> float:
    """Share of the claim's stems that the evidence has, speakers among it."""
    own = all_stems(pair.claim)
    theirs = all_stems(" ".join(f"{one.speaker} {one.text}" for one in pair.evidence))
    return len(own & theirs) / len(own) if own else 1.0


def cosines(pairs: Sequence[Pair]) -> list[float]:
    """Likeness of meaning between each claim and the evidence most like it."""
    texts = sorted({p.claim for p in pairs} | {_shown(e) for p in pairs for e in p.evidence})
    keys = dict(zip(texts, text_encoder()(texts), strict=True))
    return [float(max(np.dot(keys[p.claim], keys[_shown(e)]) for e in p.evidence)) for p in pairs]


def _shown(premise: Any) -> str:
    return f"{premise.speaker}: {premise.text}" if premise.speaker else str(premise.text)


def rarity_of(paths: Sequence[Path]) -> Callable[[str], float]:
    """How rare a stem is among the turns, from 0.3 to 1.5."""
    texts = [one.text for path in paths for talk in conversations_of(path) for one in talk]
    counts = Counter(stem for text in texts for stem in {t.stem for t in told_of(text).tokens})
    scale = log(len(texts) + 1)
    return lambda stem: 0.3 + 1.2 * (1 - log(counts.get(stem, 0) + 1) / scale)


def by_kind(pairs: Sequence[Pair], flagged: Sequence[bool], findings: Sequence[Finding]) -> dict[str, Any]:
    """What is flagged of each label and kind; kinds of true claims are counted one by one."""
    rows: dict[str, list[tuple[bool, bool]]] = {}
    for pair, flag, finding in zip(pairs, flagged, findings, strict=True):
        for how in pair.how.split("+"):
            rows.setdefault(f"{pair.label}: {how}", []).append((flag, finding.verdict == "contradicted"))
    return {
        name: {
            "n": len(row),
            "flagged": round(sum(flag for flag, _ in row) / len(row), 3),
            "contradicted": round(sum(named for _, named in row) / len(row), 3),
        }
        for name, row in sorted(rows.items())
    }


def measured(options: argparse.Namespace) -> tuple[dict[str, Any], list[tuple[Pair, Finding]]]:
    """All figures, and each pair with what was found."""
    began_s = time.monotonic()
    pairs = pairs_of(options.data, options.split, options.pairs, options.seed)
    verifier = Verifier(rarity_of(options.data) if options.rarity else None)
    start_s = time.monotonic()
    findings = [verifier.check(pair.claim, pair.evidence) for pair in pairs]
    ms = (time.monotonic() - start_s) * 1e3 / len(pairs)
    flagged = [one.verdict != "supported" for one in findings]
    kinds = by_kind(pairs, flagged, findings)
    named = [f.verdict == "contradicted" for f in findings]
    systems: dict[str, dict[str, Any]] = {
        "ours": {**rates(pairs, flagged), "named": rates(pairs, named)["caught"], "ms": round(ms, 3)},
        "overlap": at_best(pairs, [overlap(pair) for pair in pairs], MOST_FALSE_ALARMS),
        "embedding": at_best(pairs, cosines(pairs), MOST_FALSE_ALARMS),
    }
    if options.inference:
        own = verifier_of(InferenceSettings(model=options.inference))
        systems["ours with inference"] = rates(
            pairs, [own.check(pair.claim, pair.evidence).verdict != "supported" for pair in pairs]
        )
    told = {
        "tool": "eval_verify",
        "data": ", ".join(str(path) for path in options.data),
        "items": len(pairs),
        "config": {"split": options.split, "seed": options.seed, "rarity": options.rarity},
        "models": {"embedding": "all-minilm-l6-v2"},
        "labels": dict(Counter(pair.label for pair in pairs)),
        "systems": systems,
        "by": {"kind": kinds},
        "seconds": round(time.monotonic() - began_s, 1),
    }
    return told, list(zip(pairs, findings, strict=True))


def main(argv: list[str] | None = None) -> int:
    """Measures, prints a table, writes JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_verify", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--split", choices=("dev", "held_out", "all"), default="held_out")
    parser.add_argument("--pairs", type=int, default=300, help="from each file, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rarity", action="store_true", help="weigh words by how rare they are in the data")
    parser.add_argument(
        "--errors", type=int, default=0, help="wrong ones to print; look at those of dev only"
    )
    parser.add_argument(
        "--inference", default="", help="a model of inference (a folder, or an id of a hub) as well"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    told, found = measured(options)
    for name, row in told["systems"].items():
        print(f"{name:10} " + " ".join(f"{metric} {value}" for metric, value in row.items()))
    for kind, row in told["by"]["kind"].items():
        print(f"{kind:32} n {row['n']:4} flagged {row['flagged']:.3f} contradicted {row['contradicted']:.3f}")
    print(f"{told['items']} pairs: {told['labels']}")
    wrong = [(p, f) for p, f in found if (p.label == "true") != (f.verdict == "supported")]
    wrong.sort(key=lambda one: one[0].label)
    for pair, finding in wrong[: options.errors]:
        print(f"\n{pair.label} ({pair.how}) → {finding.verdict} {finding.reasons}\n  {pair.claim}")
        print("\n".join(f"    {_shown(one)}" for one in pair.evidence))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
