"""Nouns without their plural endings."""

from __future__ import annotations

import pytest

from stream.plurals import without_plural


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("keys", "key"),
        ("berries", "berry"),
        ("boxes", "box"),
        ("glasses", "glass"),
        ("ties", "tie"),
        ("bus", "bus"),
    ],
)
def test_endings_of_plurals_go_and_others_stay(many, one):
    assert without_plural(many) == one
