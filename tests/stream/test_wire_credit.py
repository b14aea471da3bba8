"""Credit: never more on the way than granted, in any interleaving."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.wire.credit import CreditGate, CreditWindow


def test_a_new_epoch_replaces_what_was_left():
    gate = CreditGate()
    assert gate.grant(5, 2) is True
    assert gate.spend()
    assert gate.grant(9, 1) is True
    assert gate.left == 1
    assert gate.spend()
    assert not gate.spend()


def test_consuming_what_was_never_granted_is_a_mistake():
    window = CreditWindow(4)
    with pytest.raises(ValueError, match="granted"):
        window.consume()


@given(st.integers(1, 20), st.lists(st.booleans(), max_size=200))
def test_items_in_hand_never_exceed_the_window(size, steps):
    window, gate = CreditWindow(size), CreditGate()
    gate.grant(1, window.due())
    in_hand = 0
    for send in steps:
        if send and gate.spend():
            in_hand += 1
        elif in_hand:
            in_hand -= 1
            window.consume()
            if n := window.due():
                gate.grant(1, n)
        assert in_hand + gate.left <= size
    while in_hand:
        in_hand -= 1
        window.consume()
        if n := window.due():
            gate.grant(1, n)
    assert gate.left >= max(1, size // 2) or size == 1, "a sender must never starve"
