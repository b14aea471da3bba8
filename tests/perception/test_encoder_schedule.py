"""Whose turn it is in the encoder."""

from __future__ import annotations

import pytest

from perception.encoder.schedule import FIRST_GUESS_S, Schedule, Work, cost
from stream.errors import RoleUnavailable, TooLarge

TEXT = "a text of some length, as people write them"


def texts(n, lane="bulk", **more):
    return Work("text", lane, [TEXT] * n, n * len(TEXT), **more)


def images(n, lane="bulk", n_bytes=100):
    return Work("image", lane, [object()] * n, n_bytes)


def schedule(slice_s=0.05, requests=4, n_bytes=1 << 20):
    return Schedule(slice_s, requests, n_bytes)


def drain(plan, seconds_per_unit=None):
    while (cut := plan.take(0)) is not None:
        if seconds_per_unit is not None:
            plan.learn(cut, cut.units * seconds_per_unit)
        yield cut


def test_a_question_is_next_though_bulk_work_waits():
    plan = schedule()
    bulk, question = texts(1000), texts(1, "question")
    plan.add(bulk)
    assert plan.take(0).work is bulk
    plan.add(question)
    assert plan.take(0).work is question
    assert plan.take(0).work is bulk


def test_bulk_slices_keep_to_their_time_once_speed_is_known():
    plan = schedule(slice_s=0.05)
    per_text_s = 0.004
    per_unit_s = per_text_s / cost("text", TEXT)
    plan.add(texts(2000))
    slices = list(drain(plan, per_unit_s))
    late = slices[len(slices) // 2 : -1]
    taken = [cut.units * per_unit_s for cut in late]
    assert max(taken) <= 0.05
    assert min(taken) > 0.04
    assert sum(len(cut.rows) for cut in slices) == 2000


def test_the_first_slice_is_short_before_anything_was_measured():
    plan = schedule(slice_s=0.05)
    plan.add(texts(1000))
    assert plan.take(0).units * FIRST_GUESS_S["text"] <= 0.05


def test_bulk_requests_take_turns():
    plan = schedule(slice_s=0.001)
    many, one = texts(30), images(1)
    plan.add(many)
    plan.add(one)
    assert plan.take(0).work is many
    assert plan.take(0).work is one
    assert plan.take(0).work is many


def test_every_row_is_taken_once_and_short_texts_first():
    plan = schedule(slice_s=0.02)
    work = Work("text", "bulk", ["x" * n for n in (900, 3, 400, 3, 50)], 1400)
    plan.add(work)
    slices = list(drain(plan))
    rows = [row for cut in slices for row in cut.rows]
    assert rows == [1, 3, 4, 2, 0]
    assert slices[0].items == [work.items[row] for row in slices[0].rows]
    assert plan.waiting == 0


def test_one_item_is_never_divided_however_long_it_takes():
    plan = schedule(slice_s=1e-9)
    plan.add(images(3))
    assert [len(cut.rows) for cut in drain(plan)] == [1, 1, 1]


def test_a_full_lane_and_too_many_bytes_are_refused_by_name():
    plan = schedule(requests=2, n_bytes=1000)
    with pytest.raises(TooLarge, match="1001 bytes") as caught:
        plan.add(images(1, n_bytes=1001))
    assert "queue_bytes" in caught.value.remedy
    plan.add(images(1, n_bytes=900))
    with pytest.raises(RoleUnavailable, match="full"):
        plan.add(images(1, n_bytes=200))
    plan.add(images(1, n_bytes=50))
    with pytest.raises(RoleUnavailable, match="bulk lane is full"):
        plan.add(images(1, n_bytes=1))
    plan.add(images(1, "question", n_bytes=1))


def test_bytes_are_given_back_when_work_is_taken_dropped_or_late():
    plan = schedule(slice_s=1e-9, requests=9, n_bytes=100)
    for _ in range(3):
        plan.add(images(1, n_bytes=100))
        assert plan.take(0) is not None
    failing = images(2, n_bytes=100)
    plan.add(failing)
    plan.take(0)
    plan.drop(failing)
    plan.drop(failing)
    plan.add(Work("image", "bulk", [object()], 100, deadline_ns=5))
    assert plan.take(now_ns=6) is None
    assert plan.expired == 1
    plan.add(images(1, n_bytes=100))


def test_a_deadline_that_has_not_passed_is_kept():
    plan = schedule()
    plan.add(Work("text", "question", ["x"], 1, deadline_ns=10))
    assert plan.take(now_ns=9) is not None


def test_long_texts_cost_no_more_than_what_the_network_sees():
    assert cost("text", "x" * 5000) == cost("text", "x" * 50_000)
    assert cost("text", "x" * 500) > cost("text", "x")
