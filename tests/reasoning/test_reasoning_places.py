"""Questions that name a place: which are asked of it, and what is left of them."""

from __future__ import annotations

import pytest

from reasoning.places import named_place

LABELS = ("kitchen", "living room", "room", "Anna's office")


@pytest.mark.parametrize(
    ("asked", "label", "rest"),
    [
        ("What was said in the kitchen?", "kitchen", "What was said?"),
        ("What did she say in the living room yesterday?", "living room", "What did she say yesterday?"),
        ("Where did I put the keys at Anna's office", "Anna's office", "Where did I put the keys"),
        ("In the Kitchen, what was cooked?", "kitchen", "what was cooked?"),
    ],
)
def test_a_place_that_is_named_as_one_is_asked_of(asked, label, rest):
    assert named_place(asked, LABELS) == (label, rest)


@pytest.mark.parametrize(
    "asked",
    ["When was the kitchen painted?", "Who is in the kitchenette?", "In the kitchen?", "What is new?"],
)
def test_other_questions_are_asked_of_anywhere(asked):
    assert named_place(asked, LABELS) is None
