"""The weights of recall, learnt online from what answers cite (off by default, `recall.learn`).

What stays of fast weights trained by predicted gradients where no network is trained: a pairwise
logistic ranker over the terms of the score. Of the items shown for a question, what the answer
cited ought to stand above the rest. The weights move by a multiplicative step, so that a term
that is off stays off and none changes its sign; steps are small, fade, and keep each weight within
a factor of `REACH` of the fixed one. Every step is kept in a journal (`weight_step`), and the
weights in use are the fixed ones and the sum of the steps: without the steps of a turn, or
without any, they are what they were. One row per scorer stands for all turns that are further back
than `MOST_STEPS`.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from memory.log.reader import marks, pages
from memory.recall.pipeline import weights_of
from memory.settings import RecallSettings
from stream.messages import Citations, ShownItem
from stream.messages.citations import WeightRow, WeightStep

STEP = 0.01
"""Size of a step for a gradient of 1, in log weight. Chosen with `PULL` and `REACH` so that in no
stream tried, on coarse fixed weights and on fitted ones, recall fell by a point: not by right
citations, and not by those that answers made by themselves, a third of them right
(tools.eval_citations)."""
PULL = 0.01
"""Share of what was learnt that each turn takes back: what is not taught again and again fades."""
LARGEST_STEP = 0.05
"""No single turn moves a log weight further."""
REACH = 1.25
"""A weight is between the fixed one divided by this and times this."""
MOST_SHOWN = 64
"""Items of a recall that are looked at, best first."""
LARGEST_TERM = 1e3
"""No term adds more: a z-score over some hundred candidates times a weight."""
LEAST_STEP = 1e-6
"""What moves no weight by more is not written."""
MOST_STEPS = 32_768
"""Rows of the journal, those of some 2,000 turns or more. What was taught before can be taken back only with
all the rest; after so many turns of its own kind of source, `PULL` has left a billionth of it."""
FOLDED = b""
"""Stands for the id of a turn where one row holds the steps of many; a turn's own has a byte at least."""
KINDS = ("other", "chat")
"""Kinds of source with weights of their own: everything but chats, and chats."""

Terms = npt.NDArray[np.float64]


def log_step(shown: Terms, cited: Sequence[int]) -> Terms:
    """The step of the logarithms of the weights.

    The derivative of a score by a log weight is what the term adds to the score, so nothing but
    that is needed. The mean step is taken off: all weights larger by one factor rank the same.

    Args:
        shown: (N, T), what each term added to the score of each item, at the weights in use.
        cited: Rows that were cited.

    Returns:
        (T,); zeros where there is nothing to compare.
    """
    n_terms = shown.shape[1]
    others = [row for row in range(len(shown)) if row not in set(cited)]
    if not cited or not others or n_terms < 2:
        return np.zeros(n_terms)
    scores = shown.sum(axis=1)
    gradient = np.zeros(n_terms)
    for row in cited:
        margins = np.clip(scores[row] - scores[others], -50.0, 50.0)
        gradient += ((shown[row] - shown[others]) / (1.0 + np.exp(margins))[:, None]).mean(axis=0)
    gradient /= len(cited)
    step: Terms = STEP * (gradient - gradient.mean())
    return step


def moved(logs: Terms, step: Terms) -> Terms:
    """The logarithms of learnt over fixed weights after a step, both (T,): pulled back, and within bounds.

    Without a step they stay.
    """
    if not step.any():
        return logs
    reach = math.log(REACH)
    pulled = logs * (1.0 - PULL) + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
    after: Terms = np.clip(pulled, -reach, reach)
    return after


class Learner:
    """Fixed weights and what was learnt on top of them; holds no state but the settings.

    Args:
        settings: The fixed weights. Others of them start anew: what was learnt on top of
            other weights stays in the journal and has no effect.
    """

    def __init__(self, settings: RecallSettings) -> None:
        told = dict(zip(KINDS, (weights_of(settings), weights_of(settings.chat)), strict=True))
        self.fixed: dict[str, dict[str, float]] = {
            kind: {name: weight for name, weight in sorted(weights.items()) if weight > 0}
            for kind, weights in told.items()
        }
        packed = json.dumps(self.fixed, sort_keys=True).encode()
        self._basis = hashlib.blake2b(packed, digest_size=8).hexdigest()
        self._learns = settings.learn

    def weights(self, db: sqlite3.Connection) -> dict[str, dict[str, float]]:
        """By kind of source and scorer: the fixed weights with all that was learnt."""
        learnt = self._learnt(db)
        return {
            kind: {name: weight * math.exp(learnt.get((kind, name), 0.0)) for name, weight in weights.items()}
            for kind, weights in self.fixed.items()
        }

    def learn(self, db: sqlite3.Connection, told: Citations, commit_no: int) -> None:
        """Writes the steps that the citations of a turn give, within the caller's transaction."""
        items = {one.observation_id for shown in told.shown for one in shown[:MOST_SHOWN]}
        kinds = _kinds_of(db, sorted(items))
        cited = frozenset(told.cited)
        learnt = self._learnt(db)
        for kind, fixed in self.fixed.items():
            step = np.zeros(len(fixed))
            for shown in told.shown:
                own = [one for one in shown[:MOST_SHOWN] if kinds.get(one.observation_id) == kind]
                step += _step_of(own, cited, list(fixed))
            logs = np.array([learnt.get((kind, name), 0.0) for name in fixed])
            for name, before, after in zip(fixed, logs.tolist(), moved(logs, step).tolist(), strict=True):
                if abs(after - before) >= LEAST_STEP:
                    old, new = (fixed[name] * math.exp(log) for log in (before, after))
                    db.execute(
                        "INSERT INTO weight_step (turn_id, commit_no, basis, kind, scorer, old, new, step)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (told.turn_id, commit_no, self._basis, kind, name, old, new, after - before),
                    )
        _fold(db)

    def revert(self, db: sqlite3.Connection, turn_id: bytes = b"") -> int:
        """Takes back what was learnt from one turn, or all of it, also on other fixed weights.

        Returns:
            How many steps are gone.
        """
        where, values = ("WHERE turn_id = ?", (turn_id,)) if turn_id else ("", ())
        return db.execute(f"DELETE FROM weight_step {where}", values).rowcount  # noqa: S608

    def rows(self, db: sqlite3.Connection) -> tuple[WeightRow, ...]:
        """Every weight, fixed and learnt."""
        return tuple(
            WeightRow(kind=kind, scorer=name, fixed=self.fixed[kind][name], learnt=weight)
            for kind, weights in self.weights(db).items()
            for name, weight in weights.items()
        )

    def steps(self, db: sqlite3.Connection, limit: int) -> tuple[WeightStep, ...]:
        """The newest steps on these fixed weights, the newest first."""
        rows = db.execute(
            "SELECT turn_id, commit_no, kind, scorer, old, new FROM weight_step WHERE basis = ?"
            " AND turn_id <> ? ORDER BY n DESC LIMIT ?",
            (self._basis, FOLDED, limit),
        )
        names = ("turn_id", "commit_no", "kind", "scorer", "old", "new")
        return tuple(WeightStep(**dict(zip(names, row, strict=True))) for row in rows)

    @property
    def learns(self) -> bool:
        """Whether the switch is on: citations are learnt from, and what was learnt is in use."""
        return self._learns

    def _learnt(self, db: sqlite3.Connection) -> dict[tuple[str, str], float]:
        """The log of learnt over fixed weight, by kind of source and scorer."""
        reach = math.log(REACH)
        rows = db.execute(
            "SELECT kind, scorer, SUM(step) FROM weight_step WHERE basis = ? GROUP BY kind, scorer",
            (self._basis,),
        )
        return {(kind, name): min(reach, max(-reach, total)) for kind, name, total in rows}


def _fold(db: sqlite3.Connection) -> None:
    """Makes one row per scorer of the oldest turns where the journal has outgrown its bound by a quarter.

    No more than `MOST_STEPS` rows at a time: a longer journal gets there in several turns.
    """
    first, last = db.execute(
        "SELECT (SELECT MIN(n) FROM weight_step), (SELECT MAX(n) FROM weight_step)"
    ).fetchone()
    if first is None or last - first < MOST_STEPS + MOST_STEPS // 4:
        return
    # Turns are folded whole: from the first row of the one that holds the cut on, all is kept.
    (kept_from,) = db.execute(
        "SELECT MIN(n) FROM weight_step WHERE turn_id ="
        " (SELECT turn_id FROM weight_step WHERE n > ? AND turn_id <> ? ORDER BY n LIMIT 1)",
        (min(last - MOST_STEPS, first + MOST_STEPS), FOLDED),
    ).fetchone()
    folded = db.execute(
        "SELECT MAX(n), MAX(commit_no), basis, kind, scorer, SUM(step) FROM weight_step WHERE n < ?"
        " GROUP BY basis, kind, scorer",
        (kept_from,),
    ).fetchall()
    db.execute("DELETE FROM weight_step WHERE n < ?", (kept_from,))
    db.executemany(
        "INSERT INTO weight_step (n, turn_id, commit_no, basis, kind, scorer, old, new, step)"
        " VALUES (?, ?, ?, ?, ?, ?, 1.0, ?, ?)",
        [(n, FOLDED, *of, math.exp(step), step) for n, *of, step in folded],
    )


def _step_of(shown: Sequence[ShownItem], cited: frozenset[bytes], names: Sequence[str]) -> Terms:
    """The step that one recall gives; none from terms that are no numbers."""
    terms = np.array(
        [[one.scorers.get(name, 0.0) for name in names] for one in shown], dtype=np.float64
    ).reshape(len(shown), len(names))
    if not np.isfinite(terms).all() or np.abs(terms).max(initial=0.0) > LARGEST_TERM:
        return np.zeros(len(names))
    return log_step(terms, [row for row, one in enumerate(shown) if one.observation_id in cited])


def _kinds_of(db: sqlite3.Connection, ids: Sequence[bytes]) -> Mapping[bytes, str]:
    """Which of `KINDS` each observation is of; those that are gone are left out."""
    found: dict[bytes, str] = {}
    for some in pages(ids):
        found |= dict(
            db.execute(
                "SELECT o.observation_id, CASE WHEN s.kind = 'chat' THEN 'chat' ELSE 'other' END"  # noqa: S608
                " FROM observation AS o JOIN source AS s ON s.source_id = o.source_id"
                f" AND s.session = o.session WHERE o.observation_id IN ({marks(some)})",
                some,
            )
        )
    return found
