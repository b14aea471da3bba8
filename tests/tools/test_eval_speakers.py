"""Diarisation error, equal error rate, and the baselines that stand beside ours."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.capture.file import chunks
from stream.errors import ConfigError
from stream.models import demo_media
from tools.diarisation import SpokenTurn, assignment, equal_error_rate, errors, read_rttm, read_uem
from tools.eval_speakers import recordings_of
from tools.eval_speech import main

HZ = 16_000


def turns(*some):
    return [SpokenTurn(a, b, who) for a, b, who in some]


def test_the_parts_of_the_error_are_counted():
    truth = turns((0, 4, "ann"), (4, 8, "bob"))
    right, taken_for = errors(truth, turns((0, 4, "x"), (4, 8, "y")), (0, 10))
    assert right.rates() == {"der": 0.0, "missed": 0.0, "false": 0.0, "confused": 0.0}
    assert taken_for == {"x": "ann", "y": "bob"}
    one, _ = errors(truth, turns((0, 8, "x")), (0, 10))
    assert one.rates() == {"der": 0.5, "missed": 0.0, "false": 0.0, "confused": 0.5}
    late, _ = errors(truth, turns((0, 3, "x"), (4, 10, "y")), (0, 10))
    assert late.rates() == {"der": 0.375, "missed": 0.125, "false": 0.25, "confused": 0.0}
    assert errors(truth, turns((0, 3, "x"), (4, 10, "y")), (0, 8))[0].rates()["false"] == 0


def test_two_at_once_count_twice():
    truth = turns((0, 4, "ann"), (2, 6, "bob"))
    found, _ = errors(truth, turns((0, 3, "x"), (3, 6, "y")), (0, 6))
    assert (found.total, found.missed, found.false, found.confused) == (8, 2, 0, 0)


def test_a_collar_forgives_what_lies_at_a_boundary():
    truth = turns((0, 4, "ann"), (4, 8, "bob"))
    found = turns((0, 4.2, "x"), (4.2, 8, "y"))
    assert errors(truth, found, (0, 8))[0].confused == pytest.approx(0.2)
    forgiven, _ = errors(truth, found, (0, 8), 0.25)
    assert forgiven.confused == 0
    assert forgiven.total == pytest.approx(7.0)


def test_nobody_and_nothing_are_no_error():
    assert errors([], [], (0, 5))[0].rates()["der"] == 0
    assert errors(turns((0, 5, "ann")), [], (0, 5))[0].rates()["missed"] == 1


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**31))
def test_the_assignment_is_the_best_one(n, m, seed):
    from itertools import permutations

    gains = np.random.default_rng(seed).integers(0, 9, (n, m)).astype(float)
    pairs = assignment(gains)
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == min(n, m)
    small = gains if n <= m else gains.T
    best = max(
        sum(small[row, column] for row, column in enumerate(columns))
        for columns in permutations(range(small.shape[1]), small.shape[0])
    )
    assert sum(gains[pair] for pair in pairs) == best


def test_the_equal_error_rate_lies_where_both_errors_are_equal():
    is_same = np.array([True] * 4 + [False] * 4)
    assert equal_error_rate(np.array([8.0, 7, 6, 5, 4, 3, 2, 1]), is_same)[0] == 0
    assert equal_error_rate(np.array([8.0, 7, 6, 2, 5, 4, 3, 1]), is_same)[0] == 0.25
    assert equal_error_rate(-np.arange(8.0), ~is_same)[0] == 1
    with pytest.raises(ConfigError, match="one kind"):
        equal_error_rate(np.zeros(3), np.ones(3, bool))


def test_what_is_no_reference_is_named_with_its_line(tmp_path):
    path = tmp_path / "ref.rttm"
    path.write_text(";; a comment\nSPEAKER a 1 0.5 2.0 <NA> <NA> ann <NA> <NA>\nSPEAKER a 1 0.5\n")
    with pytest.raises(ConfigError, match=r"ref\.rttm:3"):
        read_rttm(path)
    path.write_text("SPEAKER a 1 0.5 2.0 <NA> <NA> ann <NA> <NA>\n")
    assert read_rttm(path) == {"a": turns((0.5, 2.5, "ann"))}
    uem = tmp_path / "all.uem"
    uem.write_text("a NA 0 x\n")
    with pytest.raises(ConfigError, match=r"all\.uem:1"):
        read_uem([uem])
    uem.write_text("a NA 0.0 3.0\n")
    with pytest.raises(ConfigError, match="no sound"):
        recordings_of(tmp_path)
    with pytest.raises(ConfigError, match="nothere"):
        read_rttm(tmp_path / "nothere")


def write(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(HZ)
        file.writeframes(np.asarray(samples, "<i2").tobytes())


def other(samples):
    """A second voice of the same words: a quarter higher and faster."""
    places = np.arange(0, len(samples) - 1, 1.25)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.int16)


@pytest.mark.model
def test_two_voices_are_measured_and_beat_the_baselines(tmp_path, capsys):
    path = demo_media().file("two-cities", "two_cities.wav")
    reader = np.concatenate([chunk.samples for chunk in chunks(path, 0)])
    # His pauses lie where these cuts are.
    first, second, third = reader[: 9 * HZ], other(reader[9 * HZ : 20 * HZ]), reader[20 * HZ : 29 * HZ]
    write(tmp_path / "talk.wav", np.concatenate([first, second, third]))
    a, b, c = np.cumsum([len(first), len(second), len(third)]) / HZ
    rows = [(0.0, a, "reader"), (a, b - a, "other"), (b, c - b, "reader")]
    (tmp_path / "ref.rttm").write_text(
        "".join(
            f"SPEAKER talk 1 {at:.3f} {length:.3f} <NA> <NA> {who} <NA> <NA>\n" for at, length, who in rows
        )
    )
    (tmp_path / "all.uem").write_text(f"talk NA 0.0 {c:.3f}\n")
    lines = []
    for n, (samples, who) in enumerate([(first, "reader"), (third, "reader"), (second, "other")]):
        write(tmp_path / f"{n}.wav", samples)
        lines.append(json.dumps({"file": f"{n}.wav", "speaker": who, "text": ""}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
    out = tmp_path / "out.json"
    arguments = ["--speakers", "--diarise", str(tmp_path), "--manifest", str(tmp_path / "manifest.jsonl")]
    assert main([*arguments, "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    systems = result["systems"]
    assert systems["ours"]["eer"] == 0
    assert systems["ours"]["confused"] < 0.1 < systems["one_speaker"]["confused"]
    assert systems["one_at_a_time"]["confused"] <= systems["ours"]["confused"]
    assert result["diarisation"]["by"]["talk"]["ours"]["speakers"] == 2
    assert result["cpu_s_per_s"]["voice keys"] > 0
    assert "all as one recording" in capsys.readouterr().out


def test_a_manifest_without_speakers_is_refused(tmp_path, capsys):
    write(tmp_path / "a.wav", np.zeros(HZ))
    (tmp_path / "manifest.jsonl").write_text(json.dumps({"file": "a.wav", "text": ""}))
    assert main(["--speakers", "--manifest", str(tmp_path / "manifest.jsonl")]) == 1
    assert "speaker" in capsys.readouterr().err
