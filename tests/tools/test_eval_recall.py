"""The evaluation of recall: its questions, its measure, and a run on a made-up dialogue."""

from __future__ import annotations

import json

import pytest

from memory.settings import MemorySettings
from stream.capture.text import read
from tools.eval_recall import SYSTEMS, Asked, measured, questions_of, shares


@pytest.fixture
def dialogue(tmp_path):
    said = ["I bought a canoe.", "My sister plays the harp.", "It rained all day.", "We baked rye bread."]
    turns = [{"speaker": "Ana", "dia_id": f"D1:{n}", "text": text} for n, text in enumerate(said, start=1)]
    qa = [
        {"question": "Who plays the harp?", "answer": "gold", "evidence": ["D1:2"], "category": 4},
        {"question": "What was bought on 3 May?", "evidence": ["D1:1; D9:9"], "category": 2},
        {"question": "Unanswerable", "evidence": ["D1:1"], "category": 5},
        {"question": "No evidence", "evidence": [], "category": 1},
    ]
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"sample_id": "a", "qa": qa, "conversation": conversation}]))
    return path


def test_only_answerable_questions_with_evidence_that_is_there_count(dialogue):
    asked = questions_of(dialogue, read(dialogue))
    assert [(one.category, one.evidence, one.names_date) for one in asked] == [
        ("4", {"D1:2"}, False),
        ("2", {"D1:1"}, True),
    ]


@pytest.mark.parametrize(
    ("text", "dated"),
    [
        ("What did he do on May 7, 2023?", True),
        ("Where was she in July 2023?", True),
        ("What may 2 people do?", False),
        ("Who marches?", False),
    ],
)
def test_a_question_that_names_a_date(text, dated):
    assert Asked(0, text, "1", frozenset({"D1:1"})).names_date is dated


def test_the_share_of_the_evidence_among_the_first():
    found = shares(["a", "b", "c", "d", "e", "f"], frozenset({"b", "f"}))
    assert (found["R@1"], found["R@5"], found["R@10"]) == (0.0, 0.5, 1.0)


@pytest.mark.model
def test_a_day_that_is_asked_for_alone_is_found_by_its_words(dialogue):
    days = measured(dialogue, MemorySettings(), keys=True)["days"]
    assert days["items"] > 0
    assert days["ours"] > days["without"] == 0.0


@pytest.mark.model
def test_all_systems_are_measured_and_gold_answers_are_not_read(dialogue):
    told = measured(dialogue, MemorySettings())
    assert told["items"] == 2
    for name in SYSTEMS:
        assert told["systems"][name]["R@5"] == 1.0
    assert told["systems"]["ours"]["R@1"] >= 0.5
    assert "gold" not in json.dumps(told)
