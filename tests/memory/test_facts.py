"""Facts of turns: sentences that state something, and their keys."""

from __future__ import annotations

import pytest

from memory.keys.facts import MOST_FACTS, facts_of


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (
            "Wow! I went to the pottery class on Monday. How are you?",
            ["Ann: I went to the pottery class on Monday."],
        ),
        ("How are you?", ["Ann: How are you?"]),
        ("Hi!", ["Ann: Hi!"]),
        ("My dog ran away. We found him again!", ["Ann: My dog ran away.", "Ann: We found him again!"]),
        ("Wirklich? Das Fenster über der Tür steht offen.", ["Ann: Das Fenster über der Tür steht offen."]),
    ],
)
def test_a_turn_is_cut_into_what_it_states(text: str, facts: list[str]) -> None:
    assert facts_of(text, "Ann") == facts


def test_a_turn_without_a_speaker_has_its_facts_alone() -> None:
    assert facts_of("My dog ran away.", "") == ["My dog ran away."]


def test_the_facts_of_a_long_turn_are_bounded_and_lose_nothing() -> None:
    sentences = [f"The visitor number {place} came here." for place in range(40)]
    facts = facts_of(" ".join(sentences), "Ann")
    assert len(facts) == MOST_FACTS
    assert facts[-1].endswith(" ".join(sentences[MOST_FACTS - 1 :]))
