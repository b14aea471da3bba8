"""The evaluation of video, end to end, on a tiny folder made of the demo's media."""

from __future__ import annotations

import json
import shutil
import sqlite3

import av
import pytest

from stream.models import demo_media
from tools import eval_order, eval_video, video_store
from tools.video_set import read_set
from tools.video_systems import copy_without

pytestmark = [pytest.mark.system, pytest.mark.model]

CAT_S = (24.0, 31.0)
"""Of the demo's film; a key frame lies at its beginning."""
END_S = 38.0


def cut(film, path, t0_s, t1_s):
    """The packets of a stretch of a film that begins at a key frame, its positions from 0 on."""
    with av.open(str(film)) as read, av.open(str(path), "w") as written:
        streams = {stream: written.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.dts is None:
                continue
            at_s = float(packet.pts * packet.time_base)
            if t0_s - 0.001 <= at_s < t1_s:
                begin = round(t0_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - begin, packet.dts - begin
                packet.stream = streams[packet.stream]
                written.mux(packet)


@pytest.fixture(scope="module")
def folder(film, tmp_path_factory):
    """Two videos, a question that one of them answers, and one that none does."""
    made = tmp_path_factory.mktemp("videos")
    cut(film, made / "cat.mp4", CAT_S[0], END_S)
    shutil.copyfile(demo_media().file("bikes", "bikes.mp4"), made / "street.mp4")
    cat_s = CAT_S[1] - CAT_S[0]
    videos = [("cat", "cat.mp4", END_S - CAT_S[0]), ("street", "street.mp4", 10.0)]
    (made / "videos.json").write_text(
        json.dumps([dict(zip(("video", "file", "duration"), row, strict=True)) for row in videos])
    )
    (made / "boundaries.json").write_text(json.dumps({"cat": {"cuts": [cat_s], "tol": 0.5}}))
    questions = [
        ("1", "cat", "seen", "When is there a cat?", ["cat", "tabby"], 0.0, cat_s),
        ("2", "cat", "not-in-video", "When does the dog bark at the postman?", ["not"], None, None),
    ]
    names = ("id", "video", "kind", "question", "accept", "t0", "t1")
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in questions]
    (made / "qa.jsonl").write_text("\n".join(lines) + "\n")
    return made


def test_a_folder_is_measured_and_its_store_used_again(folder, tmp_path, capsys):
    store, out = tmp_path / "store", tmp_path / "out.json"
    words = ["--dir", str(folder), "--json", str(out), "--store", str(store), "--explain"]
    assert eval_video.main([*words, "--without", "moment"]) == 0
    told = json.loads(out.read_text())
    assert (told["tool"], told["items"]) == ("eval_video", 2)
    assert {"ours", "ours without moment", "naive", "dense", "bm25", "random", "uniform"} <= told[
        "systems"
    ].keys()
    ours = told["systems"]["ours"]
    assert ours["hit@5"] == 1.0
    assert ours["answer_acc"] == 1.0
    assert ours["refused_wrong"] == 0.0
    assert ours["refused_right"] == 1.0, "the dog, and the cat of a store that holds only the street"
    assert ours["event_f1"] == 1.0
    assert told["systems"]["naive"]["hit@5"] == 1.0
    assert told["systems"]["random"]["hit@1"] < 1.0
    assert told["by"]["kind"]["seen"]["ours"]["hit@5"] == told["by"]["video"]["cat"]["ours"]["hit@5"] == 1.0
    assert set(told["without"]["without moment"]["hit@1"]) == {"gain", "interval", "won", "lost"}
    assert "answer_acc" in capsys.readouterr().out

    again = tmp_path / "again.json"
    assert (
        eval_video.main([*words[:2], "--json", str(again), "--store", str(store), "--systems", "ours"]) == 0
    )
    assert "indexed" not in capsys.readouterr().err
    assert told["config"]["store"] == "indexed"
    assert json.loads(again.read_text())["config"]["store"] == "used again"
    assert told["models"]["shot"] == ["shots/3"]
    assert told["config"]["settings"]["memory"]["recall"]["sense"] == 0.0
    assert json.loads(again.read_text())["systems"]["ours"] == ours

    other = tmp_path / "other"
    copy_without(store, other, "cat.mp4")
    whole, left = (sqlite3.connect(folder / "log.sqlite") for folder in (store, other))
    (street,) = left.execute("SELECT DISTINCT source_id FROM observation").fetchone()
    count = "SELECT COUNT(*) FROM observation WHERE source_id = ?"
    assert left.execute(count, (street,)).fetchone() == whole.execute(count, (street,)).fetchone()
    assert left.execute("SELECT * FROM observation_fts WHERE observation_fts MATCH 'tabby'").fetchall() == []
    assert whole.execute("SELECT * FROM observation_fts WHERE observation_fts MATCH 'tabby'").fetchall()
    for db in (whole, left):
        db.close()


def test_what_came_first_is_read_off_the_same_store(folder, tmp_path):
    out = tmp_path / "out.json"
    assert eval_order.main(["--videos", str(folder), "--json", str(out), "--store", str(tmp_path / "s")]) == 0
    told = json.loads(out.read_text())
    assert (told["tool"], told["config"]["store"]) == ("eval_order", "indexed")
    kinds = told["by"]["video_kind"]
    assert set(kinds) == {"picture", "labelled", "mixed"}, "one question makes no pair of its own kind"
    assert told["items"] == sum(row["pairs"] for row in told["cells"]["video_kind"].values()) > 10
    assert kinds["picture"]["ours"]["v_acc"] >= 0.9, "frames of two shots that are nothing alike"
    assert kinds["picture"]["flat"]["v_acc"] >= 0.9
    assert kinds["picture"]["bm25"]["v_acc"] == 0.5, "words find no picture"
    assert told["systems"]["shuffled"]["v_acc"] < told["systems"]["ours"]["v_acc"]
    assert told["systems"]["chance"]["v_acc"] == 0.5


def test_a_store_of_something_else_is_refused(folder, tmp_path, capsys, monkeypatch):
    store, videos = tmp_path / "store", read_set(folder)
    assert video_store.check(store, videos, "archive") is False
    (store / "log.sqlite").touch()
    assert video_store.check(store, videos, "archive") is True
    monkeypatch.setenv("OMNIRECALL__MEMORY__RECALL__DENSE", "0.5")
    assert video_store.check(store, videos, "archive") is True, "weights are asked anew"
    monkeypatch.setenv("OMNIRECALL__VIDEO__TEXT", "false")
    words = ["--dir", str(folder), "--systems", "ours", "--store", str(store)]
    assert eval_video.main(words) == 2
    assert "was made of other settings" in capsys.readouterr().err
    (store / video_store.STAMP).unlink()
    assert eval_video.main(words) == 2
    assert "was not made by this tool" in capsys.readouterr().err


def test_what_cannot_be_measured_is_named(folder, tmp_path, capsys):
    assert eval_video.main(["--dir", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert eval_video.main(["--dir", str(folder), "--without", "luck"]) == 2
    assert "memory.recall has no weight 'luck'" in capsys.readouterr().err
    assert eval_video.main(["--dir", str(folder), "--systems", "theirs"]) == 2
