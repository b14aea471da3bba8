"""Measuring digests, few keys and a year: on small sets made here, each figure by hand where it can be."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest

from memory.log.reader import Logged, LogReader
from tools import eval_compress, eval_digest, year_store
from tools.eval_compress import Haystack, cut_evenly, found, measured, parts_of


def unit(*rows):
    made = np.array(rows, dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def turn(n, text):
    return Logged(
        n, n.to_bytes(16), 1, b"s" * 16, 0, "utterance", n, n + 1, None, None, text, "", None, "", "", ""
    )


def test_the_share_of_right_events_is_of_as_many_as_fit():
    stack = Haystack(
        contents=[unit([1, 0]), unit([0, 1]), unit([1, 1])],
        weights=[np.ones(1, np.float32)] * 3,
        questions=unit([1, 0.1], [0, 1]),
        right=[{0, 1}, {1}],
    )
    assert found(stack, stack.contents).tolist() == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    stack.right = [{1}, {0}]
    assert found(stack, stack.contents).tolist() == [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]


def test_all_systems_are_compared_at_the_same_bytes():
    draw = np.random.default_rng(2)
    contents = [unit(*draw.normal(size=(n, 8))) for n in (6, 9, 12, 7, 8, 10)]
    stack = Haystack(
        contents=contents,
        weights=[np.ones(len(one), np.float32) for one in contents],
        questions=unit(*draw.normal(size=(5, 8))),
        right=[{n} for n in range(5)],
    )
    told = measured(stack)
    for rows in told["budgets"].values():
        assert set(rows) == set(eval_compress.SYSTEMS)
        assert {rows[name]["bytes_per_event"] for name in ("mean", "kmeans", "even")} == {
            rows["mean"]["bytes_per_event"]
        }
        assert rows["ours"]["bytes_per_event"] <= rows["mean"]["bytes_per_event"]
    assert 0 <= told["dominates_mean_at"] <= 4
    assert sum(parts_of([6, 9, 12], 7)) == 7
    assert parts_of([6, 9, 12], 4) == [1, 1, 2]
    keys = cut_evenly(stack, 1.0, weighted=False)
    np.testing.assert_allclose(keys[0][0], unit(contents[0].mean(axis=0))[0], atol=1e-5)


def test_a_digest_is_measured_by_its_content_words():
    lines = [turn(1, "The ferry leaves at seven."), turn(2, "Um, yeah.")]
    assert eval_digest.rouge1(lines, "A ferry leaves at seven.") == 1.0
    assert eval_digest.rouge1(lines[1:], "A ferry leaves at seven.") == 0.0
    assert eval_digest.rouge1(lines, "ferry rides") == pytest.approx(2 * 1 / (3 + 2))
    sitting = eval_digest.Sitting(lines, lines[:1], "", {lines[0].observation_id, b"x"})
    assert eval_digest.share_asked(lines, sitting) == 0.5


def dialogue(tmp_path):
    """Two sessions of four turns each, in the LoCoMo format."""
    sample = {"sample_id": "a", "conversation": {}, "session_summary": {}, "qa": []}
    things = ("ferry", "bread", "apple trees", "thunderstorm")
    for session in (1, 2):
        sample["conversation"][f"session_{session}_date_time"] = f"1:56 pm on {session + 7} May, 2023"
        sample["conversation"][f"session_{session}"] = [
            {
                "speaker": "Ann",
                "dia_id": f"D{session}:{n}",
                "text": f"Today I saw the {thing} of day {session}.",
            }
            for n, thing in enumerate(things, start=1)
        ]
        sample["session_summary"][f"session_{session}_summary"] = "Ann saw a ferry, bread and apple trees."
    sample["qa"] = [
        {"question": "What did Ann see?", "answer": "bread", "evidence": ["D1:2"], "category": 1},
        {"question": "What did Bo see?", "answer": "", "evidence": ["D1:3"], "category": 5},
    ]
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps([sample]))
    return path


def test_digests_of_a_dialogue_are_those_of_its_sittings(tmp_path, capsys):
    out = tmp_path / "out.json"
    assert eval_digest.main(["--locomo", str(dialogue(tmp_path)), "--json", str(out)]) == 0
    told = json.loads(out.read_text())["locomo"]
    assert told["sittings"] == 2
    assert 0 < told["rouge1"]["ours"]["mean"] <= 1
    assert set(told["rouge1"]) == {"ours", "random", *eval_digest.SYSTEMS}
    assert told["asked"]["ours"]["mean"] == 1.0
    assert "ours" in capsys.readouterr().out


def test_a_dialogue_is_a_haystack_of_runs_with_the_events_of_its_evidence(tmp_path):
    stack = eval_compress.locomo(
        dialogue(tmp_path), lambda texts: unit(*[[1, n] for n in range(len(texts))]), 2
    )
    assert [len(content) for content in stack.contents] == [2, 2, 2, 2]
    assert stack.right == [{0}], "what cannot be answered is not asked"


def test_a_year_is_filled_rolled_up_and_asked(tmp_path, capsys):
    out, store = tmp_path / "out.json", tmp_path / "store"
    words = ["--text", dialogue(tmp_path), "--store", store, "--days", 3, "--hours", 0.2, "--turn-s", 8]
    assert year_store.main([*map(str, words), "--until", "2026-03-05", "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    assert told["spans"]["day"] == 3
    assert told["spans"]["episode"] == 9
    assert told["observations"] == 3 * 3 * 30
    answers = told["questions"]
    assert answers["Summary of 3 March 2026"]["verdict"] == "answered"
    assert answers["Summary of 3 March 2026"]["uncited"] == 0
    reader = LogReader(store)
    with reader.snapshot() as db:
        first, last = db.execute("SELECT MIN(t0_ns), MAX(t0_ns) FROM observation").fetchone()
    reader.close()
    assert [date.fromtimestamp(t / 1e9).isoformat() for t in (first, last)] == ["2026-03-03", "2026-03-05"]
    assert capsys.readouterr().out


def test_what_cannot_be_read_is_named(tmp_path, capsys):
    assert year_store.main(["--text", str(tmp_path / "none.json"), "--store", str(tmp_path / "s")]) == 1
    assert "none.json" in capsys.readouterr().err
