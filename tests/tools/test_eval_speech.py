"""Word error rates and what they are measured on."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ConfigError
from tools.bootstrap import bootstrap
from tools.eval_speech import Line, Run, by_language, invented, main, ours, read_manifest, score, sounds_of
from tools.speech_material import SECONDS, SOUNDS, quiet_files
from tools.wer import Edits, characters, edits, interval, words


def test_edits_are_counted_by_their_kind():
    assert edits(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]) == Edits(4, inserted=1, substituted=1)
    assert edits(["a", "b", "c"], ["c"]) == Edits(3, deleted=2)
    assert edits([], ["a"]) == Edits(0, inserted=1)
    assert edits(["ask", "not", "what"], ["not", "what"]).rate == pytest.approx(1 / 3)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_is_deleted_one_way_is_inserted_the_other(said, heard):
    there, back = edits(said, heard), edits(heard, said)
    assert there.wrong == back.wrong >= abs(len(said) - len(heard))
    assert there.inserted - there.deleted == len(heard) - len(said)
    assert there.wrong == 0 or said != heard


def test_text_is_compared_as_it_sounds_not_as_it_is_written():
    assert words("Mr. Hale said: it's twenty-five!", "en") == words("MISTER HALE SAID IT IS 25", "en")
    assert words("Élève, ça va ?", "fr") == ["élève", "ça", "va"]
    assert characters("你好, 世界。", "zh") == list("你好世界")


def test_the_interval_holds_the_rate_and_is_always_the_same():
    parts = [Edits(10, substituted=n % 3) for n in range(40)]
    low, high = interval(parts)
    assert low < sum(parts, Edits()).rate < high
    assert interval(parts) == (low, high)
    assert interval([]) == (0.0, 0.0)


def test_the_bootstrap_is_repeatable_and_says_where_there_is_nothing():
    values = list(range(20))
    low, high = bootstrap(20, lambda places: sum(values[at] for at in places) / 20)
    assert low < 9.5 < high
    assert bootstrap(20, lambda places: sum(values[at] for at in places) / 20) == (low, high)
    assert all(np.isnan(end) for end in bootstrap(0, lambda _: 0.0))


def still(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    return path


def test_what_has_no_sound_in_a_folder_is_skipped_and_said(tmp_path, capsys):
    sound = still(tmp_path / "a.wav")
    (tmp_path / "notes.txt").write_text("what was recorded, and where")
    assert sounds_of([tmp_path]) == [sound]
    assert "notes.txt" in capsys.readouterr().err
    for named in ("notes.txt", "gone.wav"):
        with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
            sounds_of([tmp_path / named])


@pytest.mark.system
@pytest.mark.model
def test_files_of_equal_bytes_are_one_source_and_both_are_told(tmp_path):
    one, two = still(tmp_path / "one.wav"), still(tmp_path / "two.wav")
    run = ours([one, two], "archive", {})
    assert run.heard == {one: "", two: ""}


def written(tmp_path, *rows):
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_a_manifest_is_read_and_a_bad_line_is_named(tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(b"x")
    good = written(tmp_path, {"file": "a.wav", "text": "One", "speaker": "7"}, "")
    assert read_manifest(good) == [Line(tmp_path / "a.wav", "One", "en")]
    for row in ("{", '{"file": "a.wav"}', '"a.wav"', {"file": "b.wav", "text": "gone"}):
        bad = written(tmp_path, {"file": "a.wav", "text": "One"}, row)
        with pytest.raises(ConfigError, match=r"manifest\.jsonl:2"):
            read_manifest(bad)
    assert main(["--manifest", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])


def test_figures_are_told_per_language_with_characters_where_there_are_no_spaces(tmp_path):
    one, two = tmp_path / "1", tmp_path / "2"
    lines = [Line(one, "it was the best", "en"), Line(two, "你好世界", "zh")]
    run = Run({one: "It was best.", two: "你好世人"}, {one: ["en"], two: ["en"]}, seconds=2.0, cpu_s=1.0)
    figures = score(lines, run, 10.0)
    assert (figures["deletions"], figures["substitutions"], figures["x_realtime"]) == (1, 1, 5.0)
    assert figures["language_right"] == 0.5
    apart = by_language(lines, {"ours": run})
    assert apart["en"]["ours"]["wer"] == 0.25
    assert apart["zh"]["ours"]["cer"] == 0.25
    assert "cer" not in apart["en"]["ours"]
    assert invented({"ours": run})["ours"]["invented_words"] == 4


def test_sound_without_speech_is_ten_minutes_and_always_the_same(tmp_path):
    assert len(SOUNDS) * SECONDS >= 600
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = quiet_files(tmp_path / "a"), quiet_files(tmp_path / "b")
    made = [path for path in first if path.parent == tmp_path / "a"]
    assert len(made) == len(SOUNDS)
    for one, other in zip(made, second, strict=False):
        assert one.read_bytes() == other.read_bytes()
    with wave.open(str(made[0])) as file:
        assert file.getnframes() == SECONDS * 16_000
        dither = np.frombuffer(file.readframes(16_000), "<i2")
    assert 0 < np.abs(dither).max() < 200
