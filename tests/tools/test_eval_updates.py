"""Stories and corrections through the real log, ledger and reasoner."""

from __future__ import annotations

from collections import Counter

import pytest

from tools.eval_corrections import cases, facts, measure
from tools.eval_updates import is_right, lead_of, stories
from tools.update_store import Told, UpdateStore
from tools.update_templates import FRESH, HELD_OUT, SHOWN, changes


@pytest.fixture
def store(tmp_path):
    made = UpdateStore(tmp_path / "store")
    yield made
    made.close()


def test_stories_are_read_with_the_lines_that_an_answer_depends_on(tmp_path):
    path = tmp_path / "qa1_x.txt"
    path.write_text(
        "1 Lena hiked to the ridge.\n2 Otto sat down.\n3 Where is Lena? \tridge\t1\n"
        "4 Lena flew to Oslo.\n5 Where is Lena? |Oslo|4\n1 Otto left.\n2 Is Otto here? \tno\t1\n",
        encoding="utf-8",
    )
    first, second = stories(path)
    assert first.lines == ("Lena hiked to the ridge.", "Otto sat down.", "Lena flew to Oslo.")
    assert [(one.answer, one.line, one.facts) for one in first.asked] == [
        ("ridge", 2, (0,)),
        ("Oslo", 3, (2,)),
    ]
    assert second.asked[0].text == "Is Otto here?"


def test_a_story_is_answered_as_it_stands_and_others_do_not_leak(store):
    store.tell("one", [Told("Lena hiked to the ridge."), Told("Lena fetched the rope.")])
    store.tell("two", [Told("Lena drove to the harbour.")])
    assert is_right(lead_of(store.ask("Where is Lena?", "one")), "ridge")
    assert is_right(lead_of(store.ask("Where is the rope?", "one")), "ridge")
    assert is_right(lead_of(store.ask("What is Lena carrying?", "one")), "rope")
    assert is_right(lead_of(store.ask("Is Lena in the harbour?", "one")), "no")
    store.tell("one", [Told("Lena dropped the rope."), Told("Lena sailed to the island.")])
    assert is_right(lead_of(store.ask("Where is the rope?", "one")), "ridge")
    assert is_right(lead_of(store.ask("How many things is Lena carrying?", "one")), "none")
    assert is_right(lead_of(store.ask("Where is Lena?", "two")), "harbour")


def test_nothing_but_the_words_before_the_quotation_counts(store):
    store.tell("one", [Told("Lena hiked to the ridge."), Told("Lena flew to Oslo.")])
    lead = lead_of(store.ask("Where is Lena?"))
    assert is_right(lead, "Oslo")
    assert not is_right(lead, "ridge")


def test_there_are_enough_changes_in_each_part():
    parts = Counter(change.relation.half for change in changes())
    assert parts[SHOWN] >= 150
    assert parts[HELD_OUT] >= 150
    assert parts[FRESH] >= 50


def test_a_correction_counts_in_scope_and_is_taken_back(store):
    store.tell("talk", facts())
    counts: Counter[str] = Counter()
    for case in list(cases())[::45]:
        measure(case, store, counts, [])
    for name in ("reliability", "unrelated", "reverted"):
        assert counts[name] == counts[f"{name} n"] > 0
    assert counts["paraphrases"] >= 0.8 * counts["paraphrases n"]
