"""TextTiling, and settings chosen on the other meetings."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from memory.recall.words import Stemmer
from tools.topic_cuts import Tiling, left_out

FIRST = "the budget of the project pays for plastic metal and rubber in the factory"
SECOND = "children at school learn reading writing and history from a kind teacher"


def test_texttiling_finds_where_the_words_change_and_moves_the_boundary_to_a_turn():
    texts = [FIRST] * 20 + [SECOND] * 20
    cuts = Tiling(texts, Stemmer()).cuts(20, 4, 1.0)
    assert len(cuts) == 1
    assert abs(cuts[0] - 20) <= 2


def test_texttiling_of_nothing_has_no_boundary():
    assert Tiling([], Stemmer()).cuts(20, 10, 0.0) == []
    assert Tiling(["one word", ""], Stemmer()).cuts(20, 10, 0.0) == []


def test_a_meeting_is_cut_in_the_setting_that_is_best_on_the_others():
    meetings = [SimpleNamespace(topic_boundaries=(10,), turns=[0] * 20) for _ in range(3)]
    by_setting = {(1.0,): [[10], [10], [3]], (2.0,): [[3], [3], [10]]}
    rows, chosen = left_out(meetings, by_setting)
    assert chosen == [(1.0,), (1.0,), (1.0,)]
    assert rows[0][0] == 0.0
    assert rows[2][0] > 0.0
    assert np.isfinite(rows).all()
