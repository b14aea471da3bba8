"""Fitting of weights: the search finds what helps, by other dialogues alone."""

from __future__ import annotations

import numpy as np

from tools.fit_weights import SpanTerms, Terms, ablated, fitted, left_out, mean_recall

NAMES = ("dense", "good", "noise")


def table(chats=3, questions=12, size=60):
    """Evidence has the largest `good`; `dense` and `noise` are random."""
    random = np.random.default_rng(1)
    made = []
    for chat in range(chats):
        for _ in range(questions):
            values = random.normal(size=(size, 3)).astype(np.float32)
            at = int(random.integers(size))
            values[at, 1] = 4
            made.append(Terms(chat, values, (at,), 0))
    return made


def test_evidence_that_is_no_candidate_counts_as_missed():
    one = Terms(0, np.array([[3.0], [2.0], [1.0]], dtype=np.float32), (0,), 1)
    assert one.recall(np.ones(1, dtype=np.float32), (1, 5)) == [0.5, 0.5]


def test_ties_count_against_the_evidence():
    one = Terms(0, np.zeros((6, 1), dtype=np.float32), (0,), 0)
    assert one.recall(np.ones(1, dtype=np.float32), (5, 6)) == [0.0, 1.0]


def test_the_search_turns_up_what_helps():
    rows = table()
    weights = fitted(rows, NAMES, {"dense": 1.0})
    assert weights["dense"] == 1.0
    assert weights["good"] > weights["noise"]
    assert (
        mean_recall(rows, NAMES, weights, (5,))[0] > mean_recall(rows, NAMES, {"dense": 1.0}, (5,))[0] + 0.3
    )


def test_a_dialogue_has_no_say_in_its_own_weights():
    rows = table(2)
    for one in rows:
        if one.chat == 1:
            one.values[:, 1] *= -1  # There it misleads; those weights must still come from dialogue 0.
    told = left_out(rows, NAMES, {"dense": 1.0}, (5,))
    assert told["weights"]["1"]["good"] > 0 == told["weights"]["0"]["good"]


def test_a_scorer_that_helps_is_missed_without_it_and_with_its_values_dealt_out():
    told = ablated(table(), NAMES, lambda _: {"dense": 1.0, "good": 1.5}, (5,))
    assert told["none"]["off"]["R@5"] == 1.0
    assert max(told["good"][how]["R@5"] for how in ("off", "shuffled")) < 0.2
    assert "noise" not in told
    assert told["good"]["gain"]["mean"] > 0


def test_of_stretches_that_are_the_same_the_best_alone_takes_a_place():
    values = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 9.0]], dtype=np.float32)
    hits = np.array([False, True, True])
    same = np.eye(3, dtype=bool)
    apart = SpanTerms(0, values, hits, same)
    assert apart.recall(np.array([1, 0], dtype=np.float32), (1, 2)) == [0.0, 1.0]
    same[0, 1] = same[1, 0] = True
    joined = SpanTerms(0, values, hits, same)
    by_first = np.array([1, 0], dtype=np.float32)
    assert joined.recall(by_first, (1, 2)) == [0.0, 1.0], "the second counts no more, the third is the next"
    assert SpanTerms(0, values[:2], hits[:2], same[:2, :2]).recall(by_first, (2,)) == [0.0]
    told = ablated([joined], ("dense", "good"), lambda _: {"dense": 1.0, "good": 1.0}, (1,), metric="hit@")
    assert told["none"]["off"] == {"hit@1": 1.0}
    assert told["good"]["off"] == {"hit@1": 0.0}
