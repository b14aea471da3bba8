"""eval_places on drawn walks: the formats, what counts, and that a held-out walk is held out."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from memory.places.geometry import LocalFeatures
from stream.errors import SourceCorrupt, SourceGone
from tools.eval_places import main, options_of
from tools.place_material import Frame, Views, frames_of, traversal_of, truth_of
from tools.place_systems import SYSTEMS, Bench, leaky, named, own_walk_out


def walks(n_floors=3, per_walk=8):
    """Two walks on each floor; every sixth picture of a walk is a query."""
    return [
        Frame(
            None,
            f"{floor}-{walk}",
            float(t),
            f"f{floor}",
            "hall" if walk else "lift",
            "query" if t % 6 == 3 else "",
        )
        for floor in range(n_floors)
        for walk in range(2)
        for t in range(per_walk)
    ]


def views_for(frames, seed=0):
    """Keys that tell the walk and the time well, and the floor a little."""
    draw = np.random.default_rng(seed)
    names = sorted({frame.walk for frame in frames})
    floor = {frame.label: draw.normal(size=32) for frame in frames}
    spot = {(name, t): draw.normal(size=32) for name in names for t in range(3)}
    rows = [
        3 * spot[frame.walk, int(frame.t_s) // 3] + floor[frame.label] + 0.5 * draw.normal(size=32)
        for frame in frames
    ]
    keys = np.array(rows, np.float32)
    none = LocalFeatures(np.empty((0, 2), np.uint16), np.empty((0, 128), np.uint8))
    return Views(keys, keys, keys, [none] * len(frames), np.ones(len(frames), np.float32))


def test_a_walk_is_never_looked_for_in_itself():
    frames = walks()
    trial = own_walk_out(frames)
    for queries, references in zip(trial.queries, trial.references, strict=True):
        assert not {frames[row].walk for row in queries} & {frames[row].walk for row in references}
        assert len(queries) + len(references) == len(frames)


def test_queries_of_the_leaky_split_are_no_references_of_each_other():
    frames = walks()
    trial = leaky(frames)
    queries = {int(row) for rows in trial.queries for row in rows}
    assert {frames[row].split for row in queries} == {"query"}
    assert all(not queries & set(references.tolist()) for references in trial.references)


@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_finds_what_is_beside_it(name):
    frames = walks()
    bench = Bench(frames, views_for(frames), np.arange(len(frames)))
    trial = leaky(frames)
    right = []
    for queries, references, belief in zip(
        trial.queries, trial.references, bench.beliefs(SYSTEMS[name], trial), strict=True
    ):
        assert belief.sum(axis=1) == pytest.approx(np.ones(len(queries)))
        told = named(belief, references, lambda row: frames[row].label)
        right += [frames[row].label == label for row, label in zip(queries, told, strict=True)]
    assert np.mean(right) > 0.7


def drawn(seed, shift):
    draw = np.random.default_rng(seed)
    picture = np.full((180, 320, 3), 128, np.uint8)
    for _ in range(60):
        x, y, side = (int(draw.integers(0, most)) for most in (300, 160, 40))
        colour = draw.integers(0, 255, 3).tolist()
        cv2.rectangle(picture, (x + shift, y), (x + shift + side, y + side), colour, -1)
    return picture


@pytest.mark.model
def test_two_traversals_are_measured_by_the_command(tmp_path):
    for name, shift in (("query", 0), ("reference", 12)):
        (tmp_path / name).mkdir()
        for at in range(6):
            cv2.imwrite(str(tmp_path / name / f"image{at + 8}.png"), drawn(at, shift))
    truth = {f"image{at + 8}.png": [f"image{at + 8}.png"] for at in range(6)}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    out = tmp_path / "out.json"
    pair = ["--query", str(tmp_path / "query"), "--reference", str(tmp_path / "reference")]
    assert main([*pair, "--truth", str(tmp_path / "truth.json"), "--json", str(out)]) == 0
    told = json.loads(out.read_text())
    assert told["tool"] == "eval_places"
    assert told["items"] == 6
    assert told["systems"].keys() == SYSTEMS.keys()
    assert told["systems"]["ours"]["R@1"] >= 5 / 6


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("b10.jpg", "b9.jpg", "b100.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [frame.path.name for frame in traversal_of(tmp_path)] == ["b9.jpg", "b10.jpg", "b100.jpg"]


def test_bad_input_is_told(tmp_path, capsys):
    table = tmp_path / "frames.csv"
    with pytest.raises(SourceGone):
        frames_of(table)
    table.write_text("path,label\na.jpg,1\n")
    with pytest.raises(SourceCorrupt, match="area"):
        frames_of(table)
    with table.open("w", newline="") as lines:
        csv.writer(lines).writerows(
            [["path", "label", "area", "split", "clip", "t_s"], ["a", "", "", "", "", "x"]]
        )
    with pytest.raises(SourceCorrupt, match="no number"):
        frames_of(table)
    assert main(["--frames", str(table)]) == 1
    assert "t_s is in seconds" in capsys.readouterr().err
    (tmp_path / "a.jpg").write_bytes(b"")
    frames = traversal_of(tmp_path)
    truth = tmp_path / "truth.json"
    for written in ("[1]", "{", '{"a.jpg": ["z.jpg"]}', '{"z.jpg": []}'):
        truth.write_text(written)
        with pytest.raises(SourceCorrupt):
            truth_of(truth, frames, frames)
    with pytest.raises(SystemExit):
        options_of(["--frames", "a", "--query", "b"])
