"""The evaluation of citations, end to end on a made-up dialogue."""

from __future__ import annotations

import json

import pytest

from memory.settings import MemorySettings
from tools.eval_citations import CITERS, gathered, main

SAID = ["I bought a canoe.", "My sister plays the harp.", "It rained all day.", "We baked rye bread."]
ASKED = [
    ("Who plays the harp?", "D1:2"),
    ("What was baked?", "D1:4"),
    ("Who bought a canoe?", "D1:1"),
    ("How was the weather?", "D1:3"),
]


@pytest.fixture
def dialogues(tmp_path):
    turns = [{"speaker": "Ana", "dia_id": f"D1:{n}", "text": text} for n, text in enumerate(SAID, start=1)]
    qa = [
        {"question": question, "answer": "gold", "evidence": [ref], "category": 4} for question, ref in ASKED
    ]
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    path = tmp_path / "d.json"
    samples = [{"sample_id": name, "qa": qa, "conversation": conversation} for name in "ab"]
    path.write_text(json.dumps(samples))
    return path


@pytest.mark.model
def test_what_is_confirmed_is_the_evidence_and_what_answers_cite_is_theirs(dialogues):
    rows = gathered(dialogues, MemorySettings())
    assert [row.chat for row in rows] == [0] * 4 + [1] * 4
    assert all(row.cited["confirmed"] == row.evidence for row in rows)
    assert rows[0].cited["answers"] == {"D1:2"}, "the harp is named, and cited"
    assert all(row.cited["answers"] <= set(row.refs) for row in rows)


@pytest.mark.model
def test_both_mechanisms_are_measured_by_both_citers(dialogues, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--data", str(dialogues), "--json", str(out)]) == 0
    document = json.loads(out.read_text())
    assert document["items"] == 8
    assert set(document["citers"]) == set(CITERS)
    for told in document["citers"].values():
        assert told["learn"]["least"] <= 0.0 or told["learn"]["fixed"] == 1.0
        assert set(told["learn"]["by_dialogue"]) == {"0", "1"}
        assert {"off", "on", "shuffled"} <= told["use"]["2.0"].keys()
    assert "gold" not in out.read_text()
    assert "confirmed" in capsys.readouterr().out
