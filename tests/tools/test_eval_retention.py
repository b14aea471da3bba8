"""The evaluation of retention: ratios by hand, arms on a made-up dialogue, and the fit of its powers."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from memory.retain.kept import Kept
from memory.settings import MemorySettings
from tools.ablate import _retention
from tools.chat_stores import remembering, text_encoder
from tools.eval_retention import Measured, document, main, measure_chats, pooled, ratios
from tools.fit_retention import Dialogue, fitted, measured, partial_correlation
from tools.half_stores import Arm, arms, budget_of

TOPICS = ("canoe", "harp", "rye bread", "beagle", "lighthouse", "telescope", "violin", "orchard")


@pytest.fixture
def dialogue(tmp_path):
    """Small talk at great length, and eight short statements that are asked for."""
    turns, qa = [], []
    for n in range(96):
        text = "Oh, how are you today, is everything well with you, and how is everybody there doing today?"
        if n % 12 == 5:
            topic = TOPICS[n // 12]
            text = f"Nadia bought a {topic} in Tromsoe."
            qa.append({"question": f"Where was the {topic} bought?", "evidence": [f"D1:{n}"], "category": 4})
        turns.append({"speaker": ("Ana", "Ben")[n % 2], "dia_id": f"D1:{n}", "text": text})
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"sample_id": "a", "qa": qa, "conversation": conversation}]))
    return path


def test_a_ratio_is_of_sums_over_questions_and_seeds_are_pooled():
    found = {
        "full": [1.0, 0.5, 0.0],
        "ours": [1.0, 0.5, 0.0],
        "random 0": [1.0, 0.0, 0.0],
        "random 1": [0.0, 0.5, 0.0],
    }
    told = ratios(Measured(found), [0, 0, 1])
    assert told["ours"]["kept_R@10"] == 1.0
    assert told["random"]["kept_R@10"] == 0.5
    assert told["random"]["by_group"] == {"0": 0.5, "1": 1.0}
    assert len(pooled(found)["random"]) == 2


def test_every_control_is_there_with_and_without_steps():
    names = [one.name for one in arms(2)]
    assert names[:2] == ["ours", "ours whole"]
    assert {"random 0", "random 1 in steps", "fifo", "ebbinghaus in steps", "longest"} <= set(names)
    assert len(names) == len(set(names))


def test_a_share_is_of_what_can_go():
    held = Kept({"log": 500, "keys": 100, "words": 20, "index files": 80, "other": 300, "thumbnails": 60})
    assert budget_of(held, 0.5) == {"index": 100, "thumbnails": 30}


@pytest.mark.model
def test_what_is_asked_for_is_kept_where_small_talk_is_long(dialogue, tmp_path):
    every = [Arm("ours", "value", True), Arm("longest", "longest", False), Arm("fifo", "fifo", False)]
    settings = MemorySettings()
    measured_, asked = measure_chats(
        dialogue, settings, remembering(text_encoder()), every, 0.6, tmp_path / "stores"
    )
    told = document(
        measured_,
        [one.chat for one in asked],
        argparse.Namespace(data=dialogue, dir=None, share=0.6, settings=settings),
    )
    systems = told["systems"]
    assert systems["ours"]["kept_R@10"] > systems["longest"]["kept_R@10"]
    assert systems["ours"]["kept_R@10"] >= systems["fifo"]["kept_R@10"]
    for rows in told["took"].values():
        assert all(one["bytes"] <= 0.65 * one["full_bytes"] for one in rows)
        assert all(one["over"] == 0 for one in rows)
    assert "| `ours` |" in _retention(told)
    assert json.dumps(told)


def test_without_data_it_says_what_to_name(capsys):
    assert main([]) == 2
    assert "--data FILE" in capsys.readouterr().err


def test_powers_follow_the_evidence_and_length_is_taken_out():
    rng = np.random.default_rng(0)
    terms = rng.standard_normal((400, 3))
    evidence = (terms[:, 1] > 1.0).astype(float)
    lengths = rng.integers(10, 200, 400).astype(float)
    one = Dialogue(terms, terms, np.full(400, 100.0), lengths, evidence)
    weights = fitted([one])
    assert weights["per_word"] > weights["stated"]
    assert partial_correlation(terms[:, 1], evidence, lengths) > 0.4
    by_length = (lengths > 100).astype(float)
    assert abs(partial_correlation(lengths, by_length, lengths)) < 0.1
    told = measured([one, one])
    assert told["dialogues"][0]["left_out"] > 0.9
