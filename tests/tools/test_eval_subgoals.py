"""The evaluation of sub-goals, end to end on made-up dialogues."""

from __future__ import annotations

import json
import random

import pytest

from reasoning.goals import goals_of
from tools.eval_recall import Asked
from tools.eval_subgoals import CHAIN, JOINTS, joined, main, pairs_of

THINGS = (
    *("canoe", "harp", "kettle", "lantern", "wagon", "pillow", "ladder", "basket", "trumpet", "carpet"),
    *("mirror", "candle", "hammer", "bottle", "saddle", "anchor"),
)

FILLED = "It stood behind the counter of that small shop beside the river where nobody else ever looks."
"""More than is left of what is folded."""


@pytest.fixture
def dialogues(tmp_path):
    """Each thing is told of once, by Ana or Bo, and asked after once; two questions are of several turns."""
    turns = [
        {
            "speaker": ("Ana", "Bo")[n % 2],
            "dia_id": f"D1:{n + 1}",
            "text": f"I bought a {thing} for {n + 5} euros. {FILLED}",
        }
        for n, thing in enumerate(THINGS)
    ]
    qa = [
        {
            "question": f"How much did {('Ana', 'Bo')[n % 2]} pay for the {thing}?",
            "answer": "gold",
            "evidence": [f"D1:{n + 1}"],
            "category": 4,
        }
        for n, thing in enumerate(THINGS)
    ]
    qa += [
        {
            "question": "What did Ana and Bo both buy?",
            "answer": "gold",
            "evidence": ["D1:1", "D1:2"],
            "category": 1,
        },
        {"question": "What did Ana buy?", "answer": "gold", "evidence": ["D1:1", "D1:3"], "category": 1},
    ]
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"sample_id": "a", "qa": qa, "conversation": conversation}]))
    return path


@pytest.mark.parametrize("place", range(len(JOINTS)))
def test_every_joint_makes_a_question_of_two_parts(place):
    asked = joined("What did Ana buy?", "When did Bo leave?", place)
    assert [goal.part.lower() for goal in goals_of(asked)] == ["what did ana buy", "when did bo leave"]


def test_pairs_are_of_single_hop_questions_each_used_once():
    asked = [Asked(0, str(n), "4" if n % 3 else "1", frozenset({"D1:1"})) for n in range(30)]
    pairs = pairs_of(asked, 7, random.Random(1))  # noqa: S311
    used = [one.text for pair in pairs for one in pair]
    assert len(pairs) == 7
    assert len(set(used)) == 14
    assert all(int(text) % 3 for text in used)


@pytest.mark.model
def test_all_of_it_is_measured(dialogues, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert main(["--data", str(dialogues), "--chains", "3", "--budget", "700", "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    systems = told["systems"]
    assert told["items"]["pairs"] == len(THINGS) // 2
    assert told["items"]["multi-hop"] == 2
    pairs = systems["pairs"]
    assert pairs["ours"]["as_two"] == 1.0
    assert pairs["ours"]["both_cited"] == pairs["apart"]["both_cited"] >= pairs["one"]["both_cited"]
    assert systems["referring"]["ours"]["R@10"] >= systems["referring"]["as it stands"]["R@10"]
    chains = systems["chains"]
    assert len(THINGS) > CHAIN
    assert chains["unfolded"]["success"] == chains["whole"]["success"] == 1.0
    assert chains["folded"]["success"] < 1.0
    assert chains["unfolded"]["evidence_peak_tokens"] <= 700 < chains["whole"]["evidence_peak_tokens"]
    assert chains["unfolded"]["peak_tokens"] <= 0.65 * chains["whole"]["peak_tokens"]
    assert systems["multi-hop"]["on"]["taken_apart"] == 0.5
    assert "gold" not in out.read_text()
    assert "multi-hop" in capsys.readouterr().out
