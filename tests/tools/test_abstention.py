from __future__ import annotations

import numpy as np
import pytest

from tools.abstention import auc, auc_interval, drawn_curves, risk_coverage
from tools.eval_answers import f1
from tools.fit_support import Featured, calibration_error, fitted, left_out, lines_of

NAMES = ("owner", "noise")


def rows(n=60, chats=3):
    random = np.random.default_rng(1)
    made = []
    for place in range(n):
        can = place % 4 != 0
        owner = float(random.normal(1.0 if can else -1.0))
        noise = float(random.normal())
        made.append(Featured(place % chats, {"owner": owner, "noise": noise}, can))
    return made


def test_auc_counts_pairs_and_halves_ties():
    answerable = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.5, 0.5, 0.1]), answerable) == pytest.approx(3.5 / 4)
    assert auc(np.array([1.0, 1.0, 1.0, 1.0]), answerable) == 0.5
    assert np.isnan(auc(np.array([1.0]), np.array([True])))


def test_the_interval_holds_the_figure():
    numbers, answerable = np.arange(40.0), np.arange(40) % 3 != 0
    low, high = auc_interval(numbers, answerable)
    assert low < auc(numbers, answerable) < high


def test_risk_is_of_the_surest_first():
    numbers = np.linspace(1, 0, 20)
    right = np.array([True] * 10 + [False] * 10)
    points = {point["coverage"]: point["risk"] for point in risk_coverage(numbers, right)}
    assert points[0.5] == 0.0
    assert points[1.0] == 0.5
    assert points[0.75] == pytest.approx(5 / 15, abs=1e-4)


def test_a_plot_has_a_line_of_each_system():
    points = risk_coverage(np.linspace(1, 0, 20), np.arange(20) < 10)
    plot = drawn_curves({"ours": points, "cosine": points}, "Risk")
    assert plot.count("<polyline") == 2
    assert ">cosine<" in plot


def test_a_fit_finds_what_parts_and_leaves_noise():
    model = fitted(rows(400), "e", "data", NAMES)
    assert model.weights["owner"] > 1.0
    assert abs(model.weights["noise"]) < 0.5
    assert model.confidence({"owner": 3.0, "noise": 0.0}) > 0.9
    assert model.confidence({"owner": -3.0, "noise": 0.0}) < 0.1


def test_a_dialogue_is_judged_by_the_others_alone():
    table = rows()
    changed = [Featured(0, one.features, not one.answerable) if one.chat == 0 else one for one in table]
    before, after = left_out(table, NAMES), left_out(changed, NAMES)
    own = np.array([one.chat == 0 for one in table])
    assert np.allclose(before[own], after[own])
    assert not np.allclose(before[~own], after[~own])


def test_a_fit_of_one_kind_is_refused():
    with pytest.raises(ValueError, match="cannot"):
        fitted([one for one in rows() if one.answerable], "e", "data", NAMES)


def test_lines_lie_where_the_shares_say():
    confidences = np.linspace(0, 1, 101)
    doubt, refusal = lines_of(confidences, np.ones(101, dtype=bool))
    assert 0 < refusal < doubt < 1


def test_the_calibration_error_of_what_is_always_right_is_small():
    random = np.random.default_rng(2)
    told = random.random(4_000)
    assert calibration_error(told, random.random(4_000) < told) < 0.05
    assert calibration_error(np.full(100, 0.9), np.arange(100) % 10 == 0) == pytest.approx(0.8)


def test_f1_is_of_words_that_count():
    assert f1("At 3 she said that it was the old boat", "an old boat") > 0.6
    assert f1("nothing alike", "an old boat") == 0.0
