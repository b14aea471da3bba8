"""Text files of turns: their forms, their times, and what is committed of them."""

from __future__ import annotations

import json
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from stream.capture.text import read
from stream.capture.turns import MOST_CHARS, placed, puts_of, record_of
from stream.errors import SourceGone, SourceRefused

S = 1_000_000_000
UTC = ZoneInfo("UTC")


def written(path, *rows):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def committed(chat, zone=UTC):
    turns = placed(chat.turns, zone)
    puts = list(puts_of(record_of(chat, turns, "/a.jsonl", "", "container"), chat, turns))
    return [one for put in puts for one in put.observations], puts


def test_lines_of_turns_become_utterances_with_who_whom_and_when(tmp_path):
    turn = {"text": "The key is under the mat.", "speaker": "Ana", "time": "2024-03-01T10:00:00Z"}
    turn |= {"about": "key", "audience": "Ben", "caption": "a door mat"}
    (chat,) = read(written(tmp_path / "a.jsonl", turn, {"text": "Thanks!", "speaker": "Ben"}))
    observations, puts = committed(chat)
    assert [one.kind for one in observations] == ["utterance", "caption", "utterance"]
    first, caption, second = observations
    assert (first.speaker, first.about, first.audience) == ("Ana", "key", "Ben")
    assert first.t0_ns == 1_709_287_200 * S
    assert (caption.text, caption.t0_ns) == ("a door mat", first.t0_ns)
    assert second.t0_ns == first.t1_ns, "a turn without a time follows the one before"
    assert puts[-1].marks[0].eof
    assert puts[0].sources[0].kind == "chat"


def test_a_time_without_a_zone_is_of_the_zone_that_is_told_and_ids_stay(tmp_path):
    rows = [{"text": "one", "time": "2024-03-30T10:00:00"}, {"text": "two", "time": "2024-04-01T10:00:00"}]
    (chat,) = read(written(tmp_path / "a.jsonl", *rows))
    utc, berlin = (committed(chat, ZoneInfo(name))[0] for name in ("UTC", "Europe/Berlin"))
    assert utc[0].t0_ns - berlin[0].t0_ns == 3600 * S
    assert utc[1].t0_ns - berlin[1].t0_ns == 7200 * S
    assert [one.observation_id for one in utc] == [one.observation_id for one in berlin]


@pytest.mark.parametrize(
    ("time", "iso"),
    [
        (1_709_287_200, "2024-03-01T10:00:00"),
        (1_709_287_200_123, "2024-03-01T10:00:00.123000"),
        (1_709_287_200.5, "2024-03-01T10:00:00.500000"),
        ("1709287200", "2024-03-01T10:00:00"),
        ("1709287200123", "2024-03-01T10:00:00.123000"),
        ("20240301", "2024-03-01T00:00:00"),
        (100_000_000_000, "1973-03-03T09:46:40"),
    ],
)
def test_unix_times_are_of_seconds_or_milliseconds(tmp_path, time, iso):
    (chat,) = read(written(tmp_path / "a.jsonl", {"text": "x", "time": time}))
    assert chat.turns[0].time.replace(tzinfo=None).isoformat() == iso


@pytest.mark.parametrize("time", [99_999_999_999, 9e15, 1_709_287_200_123_456, "170928720", 10**30])
def test_numbers_that_are_no_time_of_these_years_are_left_out_and_told(tmp_path, time):
    (chat,) = read(written(tmp_path / "a.jsonl", {"text": "good"}, {"text": "x", "time": time}))
    assert len(chat.turns) == 1
    assert "line 2 has a time" in chat.notes[0]


def test_the_same_stamp_keeps_the_order_of_the_file(tmp_path):
    rows = [{"text": str(n), "time": 1_700_000_000} for n in range(20)]
    (chat,) = read(written(tmp_path / "a.jsonl", *rows))
    turns = placed(chat.turns, UTC)
    assert [one.turn.text for one in turns] == [str(n) for n in range(20)]
    assert all(a.pts0_ns < b.pts0_ns for a, b in pairwise(turns))


def test_lines_that_are_no_turns_are_left_out_and_told(tmp_path):
    bad = ["{broken", {"text": 7}, {"text": "x", "time": "soon"}, {"text": "x", "t0_s": -1}, {"text": ""}]
    (chat,) = read(written(tmp_path / "a.jsonl", {"text": "good"}, *bad, {"text": "y" * (MOST_CHARS + 9)}))
    assert [len(turn.text) for turn in chat.turns] == [4, MOST_CHARS]
    assert "5 line(s) were left out" in chat.notes[0]
    assert "line 2" in chat.notes[0]
    assert chat.n_bad == 5


def test_locomo_takes_words_dates_and_captions_and_nothing_else(tmp_path):
    sample = {
        "sample_id": "c1",
        "qa": [{"question": "secret question", "answer": "secret answer"}],
        "observation": {"secret": "secret fact"},
        "conversation": {
            "speaker_a": "Ana",
            "session_2_date_time": "9:05 am on 2 June, 2023",
            "session_2": [{"speaker": "Ben", "dia_id": "D2:1", "text": "Later."}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ana", "dia_id": "D1:1", "text": "Look.", "blip_caption": "a red boat"},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Lovely."},
            ],
        },
    }
    (chat,) = read(written(tmp_path / "a.json", [sample]))
    observations, _ = committed(chat)
    assert [one.payload["ref"] for one in observations] == ["D1:1", "D1:1", "D1:2", "D2:1"]
    assert observations[0].t0_ns == 1_683_554_160 * S
    assert "secret" not in " ".join(one.text for one in observations)
    two = read(written(tmp_path / "b.json", [sample, sample | {"sample_id": "c2"}]))
    assert [one.name for one in two] == ["c1", "c2"]
    assert {one.content_id for one in two} == {chat.content_id}, "the same words are the same content"


def test_meetings_and_subtitles(tmp_path):
    meeting = {"meeting_transcripts": [{"speaker": "Chair", "content": "We begin."}], "topic_list": ["no"]}
    chats = read(written(tmp_path / "m.jsonl", meeting, meeting))
    assert [(one.name, one.turns[0].speaker) for one in chats] == [("1", "Chair"), ("2", "Chair")]
    assert placed(chats[0].turns, UTC)[0].t0_ns is None
    srt = "1\n00:00:02,000 --> 00:00:04,000\nHello there.\n\n2\n00:00:09,500 --> 00:00:11,000\nGood bye.\n"
    (chat,) = read(written(tmp_path / "film.en.srt", srt))
    assert chat.language == "en"
    assert [(one.pts0_ns, one.pts1_ns) for one in placed(chat.turns, UTC)] == [
        (2 * S, 4 * S),
        (9_500_000_000, 11 * S),
    ]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("just words", "of a known form"),
        ('{"a": 1}', "of a known form"),
        ("[" * 100_000, "nested|known form"),
        ("WEBVTT\n\n00:01.000 --> broken", "no cue"),
        ('{"text": 5}', "no turn"),
    ],
)
def test_what_is_no_chat_is_refused_by_name(tmp_path, body, told):
    path = written(tmp_path / "bad.json", body)
    with pytest.raises(SourceRefused, match=told) as caught:
        read(path)
    assert str(path) in caught.value.message
    with pytest.raises(SourceGone):
        read(tmp_path / "none.json")
