"""Who is spoken to in a question."""

from __future__ import annotations

import pytest

from memory.recall.roles import spoken_to

NAMES = ("anna", "tom", "lee")


@pytest.mark.parametrize(
    ("question", "hearers"),
    [
        ("What did Anna tell Tom about the car?", {"tom"}),
        ("Which book did Anna recommend to Tom?", {"tom"}),
        ("What kind of painting did ANNA share with Tom on 3 May?", {"tom"}),
        ("What games does Anna suggest for Tom?", {"tom"}),
        ("What book recommendation did Anna give to Tom for the trip?", {"tom"}),
        ("What advice did Anna give Tom?", {"tom"}),
        ("What did Tom say about Anna?", set()),
        ("What have Anna and Tom both painted?", set()),
        ("Who told Tom about the car?", set()),
        ("What did Anna say to her boss?", set()),
        ("Tell Tom about the car", set()),
        ("What did Anna tell Tom and what did Tom tell Anna?", {"tom", "anna"}),
        ("", set()),
    ],
)
def test_who_is_spoken_to(question, hearers):
    assert spoken_to(question, NAMES) == hearers
