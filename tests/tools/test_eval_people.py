"""The figures of `tools.eval_people`, by hand."""

from __future__ import annotations

import json

import pytest

from tools.eval_people import Turn, Uttered, main, scored, speaker_at, systems_of, turns_of


def rows(text):
    """One letter for the source, the speaker and the person of each utterance; a dot is nobody."""
    return [Uttered(s, who, s + who, "" if p == "." else p) for s, who, p in text.split()]


def test_all_right_is_one_everywhere():
    told = scored(rows("aXp aXp aYq bXp bYq"))
    assert (told["persons"], told["speakers"]) == (2, 2)
    assert (told["purity"], told["found"], told["f1"], told["placed"]) == (1, 1, 1, 1)
    assert (told["joined"], told["joined_of"], told["wrong"], told["wrong_of"]) == (1, 2, 0, 2)


def test_one_person_for_two_and_two_for_one():
    told = scored(rows("aXp bYp"))
    assert (told["purity"], told["found"], told["wrong"]) == (0.5, 1, 1)
    told = scored(rows("aXp bXq"))
    assert (told["purity"], told["found"], told["joined"]) == (1, 0.5, 0)


def test_utterances_of_nobody_are_not_together():
    told = scored(rows("aX. aX."))
    assert (told["persons"], told["placed"], told["f1"], told["found"]) == (0, 0, 0, 0.5)


def test_the_baselines_know_nothing():
    told = systems_of(rows("aXp bXp aYq bYq"))
    assert told["one_each"]["joined"] == 0
    assert told["one_for_all"]["wrong"] == 1
    assert told["ours"]["joined"] == 1


def test_who_talks_most_of_a_stretch():
    turns = [Turn("X", 0, 4), Turn("Y", 3, 10)]
    assert speaker_at(turns, 0, 5) == "X"
    assert speaker_at(turns, 3, 9) == "Y"
    assert speaker_at(turns, 20, 30) == ""


def test_the_truth_of_both_forms(tmp_path):
    manifest, rttm = tmp_path / "manifest.jsonl", tmp_path / "ref.rttm"
    manifest.write_text(json.dumps({"file": "one.flac", "speaker": 7}))
    rttm.write_text("SPEAKER two 1 0.5 1.5 <NA> <NA> A <NA> <NA>\n\nSPKR-INFO two\n")
    assert turns_of(manifest, rttm) == {"one": [Turn("7", 0.0, 1e9)], "two": [Turn("A", 0.5, 2.0)]}


@pytest.mark.parametrize("arguments", [[]])
def test_nothing_to_measure(arguments, capsys):
    assert main(arguments) == 2
    assert "--manifest" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text"),
    [("--manifest", '{"file": "one.flac"}'), ("--manifest", "not JSON"), ("--rttm", "SPEAKER two 1 0.5\n")],
)
def test_a_truth_that_is_none_is_named(tmp_path, capsys, option, text):
    path = tmp_path / "truth"
    path.write_text(text)
    assert main([option, str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    assert main([option, str(tmp_path / "nothere")]) == 2
