"""The bench of recall on a small store: what it fills, keeps and measures."""

from __future__ import annotations

import json
import sqlite3

import numpy as np

from tools import bench_apart, bench_recall
from tools.bench_recall import main
from tools.bench_store import DIMENSION, SOURCE_SPANS, is_chat, unit


def test_a_small_store_is_filled_kept_and_measured(tmp_path, capsys):
    vectors = unit(np.random.default_rng(5).standard_normal((300, DIMENSION)).astype(np.float32))
    np.save(tmp_path / "keys.npy", vectors)
    spans = 4 * SOURCE_SPANS
    arguments = [
        "--spans",
        str(spans),
        "--questions",
        "12",
        "--reading-only",
        "--store",
        str(tmp_path / "kept"),
    ]
    arguments += ["--vectors", str(tmp_path / "keys.npy"), "--queries", str(tmp_path / "keys.npy")]
    for _ in range(2):
        assert main([*arguments, "--json", str(tmp_path / "told.json")]) == 0
    (told,) = json.loads((tmp_path / "told.json").read_text())["sizes"]
    assert told["recall_at_10"] == told["recall_at_10_of_queries"] == 1.0, "a flat index is exact"
    assert told["own_text_among_10"]["views"] > 0.9
    stages = {"gates", "candidates", "score", "expand", "verdict"}
    assert set(told["pipeline"]["stages_cpu_p50_ms"]) == stages
    assert set(told["pipeline_of_chats"]["stages_cpu_p50_ms"]) == stages
    db = sqlite3.connect(tmp_path / "kept" / str(spans) / "log.sqlite")
    assert db.execute("SELECT COUNT(*) FROM observation").fetchone() == (spans,), "kept, not filled again"
    (turns,) = db.execute("SELECT COUNT(*) FROM observation WHERE speaker <> ''").fetchone()
    assert turns == SOURCE_SPANS * sum(is_chat(source) for source in range(4))
    db.close()
    assert '"spans": 2000' in capsys.readouterr().out


def test_commits_and_questions_beside_each_other(tmp_path, monkeypatch):
    """Without a pause and at a pace, in one process and in two."""
    for name, value in {"TURNS": 1, "TURN_S": 1.0}.items():
        monkeypatch.setattr(bench_apart, name, value)
    store, spans = tmp_path / "store", 4 * SOURCE_SPANS
    one = bench_recall.Bench(store, spans, bench_recall.words_of([]), None, bench_recall.MOST_FLAT)
    one.measure_each_other(12, (None, 4.0))
    with one._reader.snapshot() as db:
        sizes = len(one._shelf.ready(db, bench_recall.ENCODER))
    one.close()
    assert one.told["each_other"].keys() == {"inside", "own"}
    for name, (closed, paced) in one.told["each_other"].items():
        assert (closed["questions_hz"], paced["questions_hz"]) == (None, 4.0)
        assert closed["commits_hz"] > 0
        assert 0 < paced["n_questions"] <= 5
        assert {
            "commits_slowed",
            "questions_slowed",
            "commits_cpu_slowed",
            "questions_cpu_slowed",
        } <= paced.keys()
        assert ("passing_on_cpu_p50_ms" in paced) == (name == "own")
    db = sqlite3.connect(store / "log.sqlite")
    (keys,) = db.execute("SELECT COUNT(*) FROM key WHERE kind <> 'fact'").fetchone()
    (texts,) = db.execute("SELECT COUNT(*) FROM observation").fetchone()
    db.close()
    assert texts > spans
    assert sizes == keys
