"""The evaluation of answers: two made-up dialogues, the real encoder, the reasoner that ships."""

from __future__ import annotations

import json

import pytest

from tools.eval_answers import main

SAID = (
    (
        ("Ana", "I bought a red canoe at the harbour in May."),
        ("Ben", "How lovely! Where do you keep your canoe?"),
        ("Ana", "I keep it in my garage, beside the skis."),
        ("Ben", "My sister plays the harp in an orchestra."),
        ("Ana", "How long has your sister been playing?"),
        ("Ben", "She began when she was six. I only play the drums."),
    ),
    (
        ("Cleo", "I baked rye bread with my uncle yesterday."),
        ("Dirk", "Your bread always smells wonderful, Cleo!"),
        ("Cleo", "Thanks, Dirk! The oven is an old one."),
        ("Dirk", "I am learning to fly a glider this summer."),
        ("Cleo", "Is the glider hard to land?"),
        ("Dirk", "I land it on grass, that is soft."),
    ),
)
ASKED = (
    (
        ("What did Ana buy at the harbour?", "D1:1", 4),
        ("Where does Ana keep the canoe?", "D1:3", 4),
        ("What does Ben's sister play?", "D1:4", 4),
        ("What did Ben buy at the harbour?", "D1:1", 5),
        ("Where does Ben keep the canoe?", "D1:3", 5),
        ("What does Ana's sister play?", "D1:4", 5),
    ),
    (
        ("What did Cleo bake?", "D1:1", 4),
        ("What is Dirk learning to fly?", "D1:4", 4),
        ("Where does Dirk land the glider?", "D1:6", 4),
        ("What did Dirk bake?", "D1:1", 5),
        ("What is Cleo learning to fly?", "D1:4", 5),
        ("Where does Cleo land the glider?", "D1:6", 5),
    ),
)


@pytest.fixture
def dialogues(tmp_path):
    samples = []
    for name, said, asked in zip("ab", SAID, ASKED, strict=True):
        turns = [{"speaker": who, "dia_id": f"D1:{n}", "text": text} for n, (who, text) in enumerate(said, 1)]
        conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
        qa = [{"question": q, "evidence": [e], "category": c, "answer": "goldword"} for q, e, c in asked]
        samples.append({"sample_id": name, "qa": qa, "conversation": conversation})
    path = tmp_path / "d.json"
    path.write_text(json.dumps(samples))
    return path


@pytest.mark.model
def test_the_wrong_person_is_told_from_the_right_one_where_likeness_cannot(dialogues, tmp_path):
    out, fit, docs = tmp_path / "out.json", tmp_path / "fit.json", tmp_path / "docs"
    arguments = ["--data", dialogues, "--json", out, "--fit", fit, "--docs", docs]
    assert main([str(one) for one in arguments]) == 0
    told = json.loads(out.read_text())
    assert told["items"] == told["config"]["named"] == 12
    assert told["systems"]["ours"]["auc"] > 0.8
    assert told["systems"]["ours_shipped"]["auc"] > 0.8
    assert abs(told["systems"]["cosine"]["auc"] - 0.5) < 0.2
    assert told["answers"]["ours"]["refused_wrong"] < told["answers"]["ours"]["refused_right"]
    assert "goldword" not in out.read_text()
    (model,) = json.loads(fit.read_text())
    assert 0 < model["not_seen_below"] <= model["uncertain_below"] < 1
    assert "ours_shipped" in (docs / "abstention.md").read_text()
    assert (docs / "abstention.svg").read_text().startswith("<svg")


def test_what_is_no_such_file_is_told_by_name(tmp_path, capsys):
    path = tmp_path / "no.json"
    assert main(["--data", str(path)]) != 0
    assert "no.json" in capsys.readouterr().err


def test_videos_need_a_store(tmp_path, capsys):
    assert main(["--dir", str(tmp_path)]) != 0
    assert "--store" in capsys.readouterr().err
