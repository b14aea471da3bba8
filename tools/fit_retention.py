"""The powers of the policy `value`, each dialogue's chosen on the others, and what they owe to length.

`python -m tools.fit_retention --data FILE` `--keys FOLDER` `--json OUT`. LoCoMo format. What is fitted is the
share of the evidence that is kept where items go whole, by value per byte, to 40, 50 and 60 % of the bytes of
keys and words; no question is asked, and recall is not run. `partial` is the rank correlation of a
value with being evidence once the rank of the text's length was taken out of both; `length` is the
policy that keeps the longest texts. `capped` counts no more than the eight rarest words of a text.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.retain.policies import LEAST_NOVEL, Rarities, stated
from memory.retain.subjects import subjects, unlike
from memory.settings import MemorySettings, RetentionWeights
from stream.capture.text import read
from tools.chat_stores import ChatStore, keeping, remembering, text_encoder
from tools.eval_recall import questions_of
from tools.half_stores import opened

TERMS = ("stated", "per_word", "novel")
GRID = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
SHARES = (0.4, 0.5, 0.6)
MOST_WORDS = 8
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The items of a dialogue: logarithms of terms (N, 3), bytes, lengths, and how much evidence each is."""

    terms: Values
    capped: Values
    n_bytes: Values
    lengths: Values
    evidence: Values

    def kept(self, scores: Values, share: float) -> float:
        """The share of the evidence that stays where the least scores per byte go."""
        order = np.argsort(-(scores - np.log(self.n_bytes)), kind="stable")
        stays = np.cumsum(self.n_bytes[order]) <= share * self.n_bytes.sum()
        return float(self.evidence[order][stays].sum() / self.evidence.sum())

    def kept_at_all(self, weights: Mapping[str, float]) -> float:
        """The mean over `SHARES`."""
        scores = self.terms @ np.array([weights[name] for name in TERMS])
        return float(np.mean([self.kept(scores, share) for share in SHARES]))


def dialogues(path: Path, keys: Path | None) -> list[Dialogue]:
    """The items of each dialogue of a file."""
    chats, settings = read(path), MemorySettings()
    asked = questions_of(path, chats)
    encode = remembering(text_encoder()) if keys is None else keeping(text_encoder(), keys)
    found: list[Dialogue] = []
    with tempfile.TemporaryDirectory(prefix="omnirecall-fit-") as folder:
        for place, chat in enumerate(chats):
            made = ChatStore([chat], encode, Path(folder) / str(place), settings)
            refs = {one: made.turns[turn].turn.ref for one, turn in made.place_of.items()}
            made.close()
            wanted: dict[str, float] = {}
            for one in (one for one in asked if one.chat == place):
                for ref in one.evidence:
                    wanted[ref] = wanted.get(ref, 0.0) + 1 / len(one.evidence)
            found.append(_dialogue(Path(folder) / str(place), settings, refs, wanted))
            print(f"dialogue {place + 1} of {len(chats)}", file=sys.stderr)
    return found


def _dialogue(
    folder: Path, settings: MemorySettings, refs: Mapping[bytes, str], wanted: Mapping[str, float]
) -> Dialogue:
    with opened(folder, settings) as store, store.reader.snapshot() as db:
        items, _ = subjects(db, "index", random.Random(0))  # noqa: S311
        # The photo of a turn is evidence by the words of its turn.
        items = [one for one in items if one.kind == "utterance"]
        nats = Rarities().of_texts(db, [stated(one.text) for one in items])
        sums = np.array([max(sum(of), 1.0) for of in nats])
        capped = np.array([max(sum(of[:MOST_WORDS]), 1.0) for of in nats])
        means = np.array([max(sum(of) / len(of), 0.5) if of else 1.0 for of in nats])
        novel = np.maximum(unlike(db, items, sums.tolist()), LEAST_NOVEL)
    return Dialogue(
        np.log(np.stack([sums, means, novel], axis=1)),
        np.log(np.stack([capped, means, novel], axis=1)),
        np.array([float(one.keys_bytes + one.facts_bytes + one.word_bytes) for one in items]),
        np.array([float(len(one.text)) for one in items]),
        np.array([wanted.get(refs.get(one.observation_id, ""), 0.0) for one in items]),
    )


def fitted(some: Sequence[Dialogue]) -> dict[str, float]:
    """The powers that keep most evidence of some dialogues."""
    tried = [dict(zip(TERMS, values, strict=True)) for values in itertools.product(GRID, repeat=len(TERMS))]
    return max(tried, key=lambda weights: float(np.mean([one.kept_at_all(weights) for one in some])))


def partial_correlation(scores: Values, evidence: Values, lengths: Values) -> float:
    """The rank correlation of scores with being evidence, length taken out of both."""
    columns = [
        np.argsort(np.argsort(of, kind="stable")).astype(float) for of in (scores, evidence > 0, lengths)
    ]
    length = np.stack([np.ones(len(lengths)), columns[2]], axis=1)
    rest = [of - length @ np.linalg.lstsq(length, of, rcond=None)[0] for of in columns[:2]]
    return float(np.corrcoef(rest[0], rest[1])[0, 1])


def measured(found: Sequence[Dialogue]) -> dict[str, Any]:
    """Per dialogue: powers chosen on the others, and the evidence that is kept by these and by others."""
    shipped = RetentionWeights()
    fixed = {name: float(getattr(shipped, name)) for name in TERMS}
    rows = []
    for place, one in enumerate(found):
        others = [other for at, other in enumerate(found) if at != place] or list(found)
        weights = fitted(others)
        vector = np.array([weights[name] for name in TERMS])
        value = one.terms @ np.array([fixed[name] for name in TERMS])
        rows.append(
            {
                "weights": weights,
                "left_out": one.kept(one.terms @ vector, 0.5),
                "shipped": one.kept(value, 0.5),
                "capped": one.kept(one.capped @ np.array([fixed[name] for name in TERMS]), 0.5),
                "length": one.kept(np.log(one.lengths + 1) + np.log(one.n_bytes), 0.5),
                "length_per_byte": one.kept(np.log(one.lengths + 1), 0.5),
                "partial": partial_correlation(value, one.evidence, one.lengths),
            }
        )
    return {"tool": "fit_retention", "shipped": fixed, "dialogues": rows}


def main(argv: list[str] | None = None) -> int:
    """Fits, prints, writes."""
    parser = argparse.ArgumentParser(prog="python -m tools.fit_retention", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    told = measured(dialogues(options.data, options.keys))
    for place, row in enumerate(told["dialogues"]):
        weights = " ".join(f"{name} {value:g}" for name, value in row["weights"].items())
        kept = " ".join(f"{name} {value:.3f}" for name, value in row.items() if name != "weights")
        print(f"dialogue {place}: {kept}; chosen on the others: {weights}")
    if options.json is not None:
        options.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
