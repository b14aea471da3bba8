"""Routing to partitions: what is shut out, and which weight is chosen."""

from __future__ import annotations

import numpy as np

from tools.eval_routing import soft_weights, within
from tools.fit_weights import Terms


def question(chat, rows, evidence):
    return Terms(chat, np.array(rows, dtype=np.float32), (evidence,), 0)


def test_partitions_that_are_not_routed_to_are_shut_out():
    one = question(0, [[3, 0, 2], [1, 0, 0], [2, 0, 1]], 0)
    score = np.array([1, 0, 0], dtype=np.float32)
    assert one.recall(score, (1,)) == [1.0]
    assert within(one, 2).recall(score, (1, 2, 3)) == [0.0, 0.0, 1.0]


def test_a_partition_that_tells_gets_a_weight_and_one_that_misleads_none():
    # Twenty others score better; the likeness of its partition tells the evidence apart.
    rows = [[2.0, -1.0, 1]] * 25 + [[1.0, 1.0, 0]]
    telling = [question(chat, rows, 25) for chat in (0, 1)]
    assert all(weight > 0 for weight in soft_weights(telling).values())
    misleading = [question(chat, [[1.0, 1.0, 0]] * 25 + [[1.5, -1.0, 1]], 25) for chat in (0, 1)]
    assert set(soft_weights(misleading).values()) == {0.0}
