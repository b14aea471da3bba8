"""The bench of recall on a small store: what it fills, keeps and measures."""

from __future__ import annotations

import json
import sqlite3

import numpy as np

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
