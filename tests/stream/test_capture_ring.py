"""The ring: bounded, exact in its accounts, and nothing silently lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.ring import Ring


@dataclass(frozen=True)
class Item:
    """Knows which earlier items it speaks for, itself last."""

    numbers: tuple[int, ...]
    n_bytes: int = 10

    def absorb(self, lost: Item) -> Item:
        return replace(self, numbers=lost.numbers + self.numbers)


def item(number: int, n_bytes: int = 10) -> Item:
    return Item((number,), n_bytes)


def told(ring: Ring[Item]) -> list[tuple[int, ...]]:
    found = []
    while (taken := ring.take()) is not None:
        found.append(taken.numbers)
    return found


def test_first_in_first_out():
    ring: Ring[Item] = Ring("wait", 3, 100)
    for number in range(3):
        assert ring.put(item(number))
    assert told(ring) == [(0,), (1,), (2,)]
    assert ring.take() is None


def test_oldest_gives_way_and_the_next_tells_of_it():
    ring: Ring[Item] = Ring("oldest", 2, 100)
    for number in range(5):
        ring.put(item(number))
    counts = ring.counts()
    assert (counts.read, counts.sent, counts.dropped, counts.waiting) == (5, 0, 3, 2)
    assert told(ring) == [(0, 1, 2, 3), (4,)]


def test_bytes_are_a_bound_as_well():
    ring: Ring[Item] = Ring("oldest", 100, 25)
    for number in range(4):
        ring.put(item(number))
    assert ring.counts().waiting_bytes == 20
    assert told(ring) == [(0, 1, 2), (3,)]


def test_item_larger_than_the_ring_passes_alone():
    ring: Ring[Item] = Ring("oldest", 10, 25)
    ring.put(item(0))
    ring.put(item(1, 1000))
    assert told(ring) == [(0, 1)]


def test_newest_gives_way_after_one_wait():
    ring: Ring[Item] = Ring("newest", 2, 100, wait_s=0.2)
    for number in range(2):
        ring.put(item(number))
    before_s = time.monotonic()
    for number in range(2, 12):
        assert ring.put(item(number))
    assert 0.15 < time.monotonic() - before_s < 1.9  # One wait, not ten.
    assert ring.counts().dropped == 10
    assert ring.take() == item(0)
    ring.put(item(12))
    assert told(ring) == [(1,), (*range(2, 12), 12)]


def test_what_is_lost_at_the_very_end_is_told_too():
    ring: Ring[Item] = Ring("newest", 1, 100)
    for number in range(3):
        ring.put(item(number))
    assert ring.take_lost() == Item((1, 2))
    assert ring.take_lost() is None


def test_reader_waits_and_loses_nothing():
    ring: Ring[Item] = Ring("wait", 2, 1000)
    thread = threading.Thread(target=lambda: [ring.put(item(number)) for number in range(200)])
    thread.start()
    found = []
    while len(found) < 200:
        taken = ring.take()
        if taken is not None:
            found.append(taken.numbers)
        assert ring.counts().waiting <= 2
    thread.join(5)
    assert found == [(number,) for number in range(200)]


def test_closing_wakes_a_waiting_reader():
    ring: Ring[Item] = Ring("wait", 1, 100)
    ring.put(item(0))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(ring.put(item(1))))
    thread.start()
    time.sleep(0.05)
    ring.close()
    thread.join(5)
    assert answers == [False]
    assert ring.counts().read == 1
    assert told(ring) == [(0,)]


def test_whoever_sends_is_told_of_arrivals():
    arrivals: list[int] = []
    ring: Ring[Item] = Ring("oldest", 1, 100, arrived=lambda: arrivals.append(1))
    ring.put(item(0))
    ring.put(item(1))
    assert len(arrivals) == 2


def test_a_ring_of_nothing_is_refused():
    with pytest.raises(ValueError):
        Ring("wait", 0, 10)


actions = st.lists(st.one_of(st.integers(1, 60), st.none()), max_size=60)


@given(
    actions=actions, overflow=st.sampled_from(["oldest", "newest"]),
    max_items=st.integers(1, 5), max_bytes=st.integers(1, 150),
)  # fmt: skip
def test_accounts_are_exact_at_every_moment(actions, overflow, max_items, max_bytes):
    """An integer puts an item of so many bytes, None takes one."""
    ring: Ring[Item] = Ring(overflow, max_items, max_bytes)
    numbers = 0
    heard: list[int] = []
    waiting: list[int] = []
    for action in actions:
        if action is None:
            taken = ring.take()
            assert (taken is None) == (not waiting)
            if taken is not None:
                heard += taken.numbers
                waiting.pop(0)
        else:
            ring.put(item(numbers, action))
            numbers += 1
        counts = ring.counts()
        waiting = [0] * counts.waiting
        assert counts.read == numbers == counts.sent + counts.dropped + counts.waiting
        assert counts.waiting <= max_items
        assert counts.waiting_bytes <= max_bytes or counts.waiting == 1
    for taken in iter(ring.take, None):
        heard += taken.numbers
    lost = ring.take_lost()
    heard += lost.numbers if lost is not None else ()
    assert heard == list(range(numbers))  # Everything is told of, once, in order.


def test_accounts_hold_while_threads_race():
    ring: Ring[Item] = Ring("oldest", 4, 1000)
    thread = threading.Thread(target=lambda: [ring.put(item(number)) for number in range(5000)])
    heard: list[int] = []
    thread.start()
    while thread.is_alive() or ring.counts().waiting:
        counts = ring.counts()
        assert counts.read == counts.sent + counts.dropped + counts.waiting
        taken = ring.take()
        heard += taken.numbers if taken is not None else ()
    assert heard == list(range(5000))
