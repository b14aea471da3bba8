"""Policies: what goes first. `value` is in use; the others are the controls that it is measured against.

FIFO and random deletion are what a plain ring and plain eviction do; Ebbinghaus is the forgetting curve
of MemoryBank, e^(-t / S) with S grown by use; least redundant keeps what its neighbours do not say.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from memory.keys.facts import asks, facts_of
from memory.keys.lexicon import Lexicon
from memory.recall.words import Stemmer, rarity
from memory.retain.subjects import Subject, unlike
from memory.settings import RetentionWeights

Values = npt.NDArray[np.float64]
DAY_NS = 86_400 * 10**9
MOST_STEMS = 50_000
"""Stems whose rarity is remembered."""
STALE_SHARE = 1.25
"""Rarities are asked anew once the store has grown so far."""
LEAST_NOVEL = 0.05
"""Of the same thing once more."""
FULL_USE = 3.0
"""Answers that cite an observation, from which more count no more."""


@dataclass(slots=True)
class Judged:
    """What a policy says of some subjects: scores, larger for what is to stay, and the parts of each."""

    scores: Values
    parts: dict[str, Values] = field(default_factory=dict)

    def why(self, place: int) -> str:
        """The parts of one score, as they stand in the log of letting go."""
        return " ".join(f"{name} {values[place]:.3g}" for name, values in self.parts.items() if values[place])


class RetentionPolicy(Protocol):
    """Says what is to stay."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """Scores of subjects, larger for what is to stay."""
        ...


class Rarities:
    """How rare stems are in a store, remembered while it does not grow much. For one thread.

    Args:
        lexicon: The postings of a large store.
    """

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self._lexicon = lexicon
        self._stemmer = Stemmer()
        self._known: dict[str, float] = {}
        self._of_texts = 0

    def of_texts(self, db: sqlite3.Connection, texts: Sequence[str]) -> list[list[float]]:
        """The rarities of the different stems of each text, in nats, largest first."""
        n_texts = int(db.execute("SELECT COALESCE(MAX(n), 0) FROM observation").fetchone()[0])
        if n_texts > STALE_SHARE * self._of_texts or len(self._known) > MOST_STEMS:
            self._known.clear()
            self._of_texts = n_texts
        stems = self._stemmer.stems(texts)
        unknown = set().union(*stems) - self._known.keys() if stems else set()
        if unknown:
            self._known.update(rarity(db, sorted(unknown), self._lexicon))
        return [sorted((self._known[stem] for stem in of), reverse=True) for of in stems]


class Value:
    """What it states by rare words, unlike what stays around it, and cited; age only of equals.

    Rarities are of the store's own texts, so that small talk and what is said again and again weigh
    little, however long it is. What only asks, states nothing.

    Args:
        rarities: Of the store.
        weights: Of the terms.
    """

    def __init__(self, rarities: Rarities, weights: RetentionWeights) -> None:
        self._rarities, self._weights = rarities, weights

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        weights = self._weights
        nats = self._rarities.of_texts(db, [stated(one.text) for one in found])
        # A picture without words is worth a word.
        sums = np.array([max(sum(of), 1.0) for of in nats])
        mean = np.array([max(sum(of) / len(of), 0.5) if of else 1.0 for of in nats])
        novel = np.maximum(unlike(db, found, sums.tolist()), LEAST_NOVEL)
        used = np.array([min(one.cited / FULL_USE, 1.0) for one in found])
        value = sums**weights.stated * mean**weights.per_word * novel**weights.novel
        # A day takes a millionth: of equals the older goes.
        days = np.array([(now_ns - one.t_ns) / DAY_NS for one in found])
        scores = value * (1.0 + weights.used * used) * np.exp(-1e-6 * np.maximum(days, 0.0))
        return Judged(scores, {"states": sums, "per_word": mean, "novel": novel, "used": used})


def stated(text: str) -> str:
    """The sentences of a text that state something; empty where it only asks."""
    return " ".join(one for one in facts_of(text, "") if not asks(one))


class Fifo:
    """The oldest goes first."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del db
        ages = np.array([(now_ns - one.t_ns) / DAY_NS for one in found])
        return Judged(-ages, {"days": ages})


class Chance:
    """Any may go; the same whenever it is asked.

    Args:
        seed: Of the draw.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed.to_bytes(8, "big", signed=True)

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del db, now_ns
        drawn = [
            int.from_bytes(hashlib.blake2b(self._seed + one.observation_id, digest_size=4).digest(), "big")
            for one in found
        ]
        draws = np.array(drawn, dtype=np.float64) / 2**32
        return Judged(draws, {"draw": draws})


class Ebbinghaus:
    """What was met long ago and never used goes first: e^(-t / S), S a day and one more for each use."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del db
        ages = np.array([(now_ns - one.t_ns) / DAY_NS for one in found])
        strengths = np.array([1.0 + one.cited for one in found])
        # By its logarithm, which years do not bring to 0.
        return Judged(-ages / strengths, {"days": ages, "strength": strengths})


class LeastRedundant:
    """What its neighbours say, too, goes first; of two the later."""

    def judge(self, db: sqlite3.Connection, found: Sequence[Subject], now_ns: int) -> Judged:
        """As `RetentionPolicy.judge`."""
        del now_ns
        novel = unlike(db, found, [0.0] * len(found))
        return Judged(novel, {"novel": novel})


def policy_of(name: str, weights: RetentionWeights, lexicon: Lexicon | None = None) -> RetentionPolicy:
    """The policy of a name."""
    others: Mapping[str, RetentionPolicy] = {
        "fifo": Fifo(),
        "random": Chance(),
        "ebbinghaus": Ebbinghaus(),
        "least_redundant": LeastRedundant(),
    }
    return others[name] if name in others else Value(Rarities(lexicon), weights)
