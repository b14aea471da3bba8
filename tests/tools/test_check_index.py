"""The tool that damages every index file of a store: a bounded run, and that it notices what is not found."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from memory.keys import files as files_module
from memory.keys.keyers import TextKeyer, add_keys
from memory.keys.speaks import Speaks, answer_with
from memory.log.store import LogStore
from tests.memory.conftest import Take
from tools import check_index

WORDS = np.array(
    "ferry island bread key door apple well storm village bees honey market tram".split()  # noqa: SIM905
)


@pytest.fixture(scope="module")
def store_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checked") / "store"
    rng, film = np.random.default_rng(4), Take()
    store = LogStore(folder)
    said = [film.said(n, n + 0.5, " ".join(rng.choice(WORDS, 5)) + f" {n}") for n in range(900)]
    store.commit([film.put(*said)])
    with store.views() as db:
        drafts = TextKeyer().pending(db, "toy", 0, 1000)
        vectors = rng.standard_normal((len(drafts), 16)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        add_keys(db, drafts, vectors, "toy", 1)
        answer_with(db, Speaks("toy", "toy"))
    store.close()
    return folder


def test_every_damage_is_found_and_answered_as_by_brute_force(store_dir, tmp_path, capsys):
    before = {path: path.read_bytes() for path in store_dir.rglob("*") if path.is_file()}
    report_path = tmp_path / "report.json"
    words = ["--store", str(store_dir), "--places", "40", "--rebuilds", "1", "--json", str(report_path)]
    assert check_index.main(words) == 0, capsys.readouterr().out
    report = json.loads(report_path.read_text())
    assert [one["kind"] for one in report["views"]] == ["flat", "ivf-sq8", "postings"]
    assert all(one["damaged"] == one["found"] == one["equal"] == 40 for one in report["views"])
    assert all((one["files"], one["rebuilt"], one["same"]) == (2, 1, 1) for one in report["views"])
    assert len(report["others"]) == 12
    assert {path: path.read_bytes() for path in store_dir.rglob("*") if path.is_file()} == before


def test_without_checksums_the_tool_says_so(store_dir, monkeypatch, capsys):
    class Blind:
        def __init__(self, *_):
            pass

        def hexdigest(self):
            return "0" * 64

    def damage(path, chooser):
        """In the midst of the vectors: FAISS itself would not load a torn head."""
        body = bytearray(path.read_bytes())
        body[len(body) // 2 + chooser.randrange(64)] ^= 0x40
        path.write_bytes(bytes(body))
        return "flip"

    monkeypatch.setattr(files_module, "hashlib", SimpleNamespace(sha256=Blind))
    monkeypatch.setattr(check_index, "damage", damage)
    monkeypatch.setattr(check_index, "KINDS", ("flat",))
    assert check_index.main(["--store", str(store_dir), "--places", "30", "--rebuilds", "0"]) == 1
    told = capsys.readouterr().out
    assert "believed" in told
    assert "found 0 of 30" not in told, "a damaged manifest is still told by its form or its size"


def test_a_folder_without_a_store_is_said(tmp_path, capsys):
    assert check_index.main(["--store", str(tmp_path)]) == 4
    assert "there is no store" in capsys.readouterr().err
