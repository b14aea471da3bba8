"""The replay of citations: what it learns, where it looks, and its controls."""

from __future__ import annotations

import numpy as np
import pytest

from memory.recall.learner import REACH
from tools.learn_weights import EVERY, Replayed, curves, lesson, summary, use_replay


def questions(chats=2, n=130, size=40, good=1):
    """The evidence stands out by term `good`; term 0 is noise; the third is off."""
    random = np.random.default_rng(1)
    rows = []
    for chat in range(chats):
        for _ in range(n):
            values = random.normal(size=(size, 3)).astype(np.float32)
            at = int(random.integers(size))
            values[at, good] += 1.5
            refs = tuple(f"D{chat}:{place}" for place in range(size))
            wrong = frozenset({refs[int(np.argmax(values[:, 1 - good]))]})
            rows.append(
                Replayed(chat, values, refs, frozenset({refs[at]}), {"right": {refs[at]}, "wrong": wrong})
            )
    return rows


FIXED = np.array([1.0, 1.0, 0.0])


def test_right_citations_make_recall_better_on_the_dialogue_that_is_left_out():
    told = curves(questions(), FIXED, "right", 30)
    assert summary(told)["end"] > summary(told)["fixed"]
    assert summary(told)["least"] > -0.01
    for one in told.values():
        assert len(one["curve"]) == -(-130 // EVERY)
        assert one["weights"][1] > 1 > one["weights"][0]
        assert one["weights"][2] == 0.0


def test_wrong_citations_cannot_move_the_weights_out_of_bounds():
    told = curves(questions(n=400), FIXED, "wrong", 30)
    for one in told.values():
        assert 1 / REACH - 1e-3 <= one["weights"][1] < 1 < one["weights"][0] <= REACH + 1e-3
    assert summary(told)["end"] < summary(told)["fixed"], "the control: what is cited matters"


def test_a_dialogue_teaches_nothing_about_itself():
    own, other = questions(1, 60), questions(1, 60, good=0)
    rows = [*own, *(Replayed(1, o.values, o.refs, o.evidence, o.cited) for o in other)]
    told = curves(rows, FIXED, "right", 30)
    assert told["0"]["weights"][0] > 1, "dialogue 0 is ranked by what dialogue 1 taught"
    assert told["1"]["weights"][1] > 1


def test_what_was_not_shown_teaches_nothing():
    (row,) = questions(1, 1)
    last = row.refs[int(np.argmin(row.values @ FIXED))]
    assert not lesson(row, FIXED, frozenset({last}), 5).any()
    assert lesson(row, FIXED, frozenset({last}), len(row.refs)).any()


@pytest.fixture
def asked_again():
    """Every turn is asked about twice in turn, each time by questions in which it does not stand out."""
    random = np.random.default_rng(2)
    refs = tuple(f"D0:{place}" for place in range(40))
    rows = []
    for n in range(80):
        cited = frozenset({refs[(n // 2) % 5]})
        rows.append(
            Replayed(0, random.normal(size=(40, 3)).astype(np.float32), refs, cited, {"right": cited})
        )
    return rows


def test_strength_by_use_finds_what_was_asked_before_and_dealt_at_random_it_does_not(asked_again):
    pairs = np.array(use_replay(asked_again, FIXED, "right", 6.0))
    dealt = np.array(use_replay(asked_again, FIXED, "right", 6.0, seed=0))
    assert len(pairs) == 80
    off, on = pairs.mean(axis=0)
    assert on > off + 0.3
    assert dealt[:, 1].mean() < off + 0.2
    assert (pairs[:, 0] == dealt[:, 0]).all()
