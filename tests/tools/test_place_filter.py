"""What neighbours in time say of a place: a filter over the graph of places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import ConfigError
from tools.place_filter import PlaceFilter, PlaceGraph, WalkRules, smoothed


def corridor(n, floors):
    """Floors of `n` views in a row, nothing between them."""
    return PlaceGraph(n * floors, [(f * n + i, f * n + i + 1) for f in range(floors) for i in range(n - 1)])


def walk(n, floors, seed, noise):
    """A walk along floor 1 whose floors look alike: (likeness, truth)."""
    draw = np.random.default_rng(seed)
    truth = np.arange(n, 2 * n)
    likeness = noise * draw.normal(size=(n, n * floors))
    for step in range(n):
        likeness[step, [floor * n + step for floor in range(floors)]] += 0.3
        likeness[step, truth[step]] += 0.1
    return likeness, truth


def test_a_row_of_pictures_tells_what_none_of_them_does():
    n, floors = 20, 5
    alone = together = past = 0.0
    for seed in range(10):
        likeness, truth = walk(n, floors, seed, 0.15)
        graph, times = corridor(n, floors), list(range(n))
        alone += (likeness.argmax(axis=1) == truth).mean()
        together += (smoothed(graph, likeness, times).argmax(axis=1) // n == 1).mean()
        online = PlaceFilter(graph)
        past += np.mean([online.take(row, 1.0).argmax() // n == 1 for row in likeness])
    assert alone < 5
    assert together > 8
    assert together >= past > alone


def test_what_comes_later_is_known_of_footage_and_not_online():
    graph = corridor(3, 2)
    unsure = np.zeros((3, 6))
    unsure[2, 5] = 1.0
    assert smoothed(graph, unsure, [0, 1, 2])[0].argmax() // 3 == 1
    assert PlaceFilter(graph).take(unsure[0], 1.0) == pytest.approx(np.full(6, 1 / 6))


def test_a_bad_picture_moves_the_belief_less():
    graph = corridor(4, 2)
    row = np.zeros(8)
    row[6] = 0.5
    good, bad = PlaceFilter(graph).take(row, 1.0), PlaceFilter(graph).take(row, 1.0, quality=0.1)
    assert good[6] > bad[6] > 1 / 8


def test_a_longer_time_reaches_further():
    graph = corridor(10, 1)
    near, far = PlaceFilter(graph), PlaceFilter(graph)
    row = np.full(10, -np.inf)
    row[0] = 0.0
    near.take(row, 0.0)
    far.take(row, 0.0)
    assert far.expected(6.0)[5] > near.expected(1.0)[5]


def test_the_graph_grows_while_one_walks():
    graph = PlaceGraph(2, [(0, 1)])
    online = PlaceFilter(graph)
    online.take(np.array([1.0, 0.0]), 1.0)
    graph.link(1, 2)
    belief = online.take(np.array([0.0, 0.0, 3.0]), 1.0)
    assert len(belief) == 3
    assert belief.argmax() == 2


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 8))
def test_beliefs_are_probabilities_whatever_is_seen(seed, nodes, pictures):
    draw = np.random.default_rng(seed)
    graph = PlaceGraph(nodes, draw.integers(0, nodes, (nodes, 2)).tolist())
    likeness = draw.normal(size=(pictures, nodes)) * draw.choice([0.1, 100.0])
    likeness[draw.random(likeness.shape) < 0.2] = -np.inf
    belief = smoothed(graph, likeness, np.cumsum(draw.random(pictures) * 20).tolist())
    assert np.isfinite(belief).all()
    assert (belief >= 0).all()
    assert belief.sum(axis=1) == pytest.approx(np.ones(pictures))


def test_odds_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ConfigError, match="sum to 1"):
        WalkRules(stay=0.5, step=0.5, jump=0.5)
