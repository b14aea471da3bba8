"""Utterances as subtitles: cut, wrapped, written, and read again, by libavformat too."""

from __future__ import annotations

import re
from itertools import pairwise

import av
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.commands.subtitles import CUE_CHARS, CUE_MS, LINE_CHARS, Cue, cues, cues_of, srt, vtt, wrapped
from stream.messages import Observation

S = 1_000_000_000
MS = 1_000_000


def said(t0_s, t1_s, text, words=None, speaker=""):
    """An utterance; `words` as [text, start_s, end_s]."""
    payload = {"words": [[w, round(a * S), round(b * S), 0.9] for w, a, b in words]} if words else {}
    return Observation(
        observation_id=b"1" * 16, source_id=b"2" * 16, session=0, track=1, kind="utterance", producer_id="t",
        pts0_ns=round(t0_s * S), pts1_ns=round(t1_s * S), text=text, speaker=speaker, payload=payload,
    )  # fmt: skip


def spoken(text, t0_s=0.0, word_s=0.4, **more):
    """An utterance with a time for each word."""
    words = text.split()
    timed = [(word, t0_s + n * word_s, t0_s + (n + 1) * word_s) for n, word in enumerate(words)]
    return said(t0_s, t0_s + len(words) * word_s, text, timed, **more)


STAMP = re.compile(r"(\d\d):(\d\d):(\d\d)[,.](\d{3}) --> (\d\d):(\d\d):(\d\d)[,.](\d{3})")


def read_srt(text):
    """A strict reader: numbers, times and lines, CRLF throughout."""
    assert "\n" not in text.replace("\r\n", "")
    read = []
    for number, block in enumerate(text.split("\r\n\r\n")[:-1], start=1):
        head, times, *lines = block.split("\r\n")
        assert head == str(number)
        assert lines
        assert all(line.strip() for line in lines)
        h0, m0, s0, f0, h1, m1, s1, f1 = map(int, STAMP.fullmatch(times).groups())
        read.append((((h0 * 60 + m0) * 60 + s0) * 1000 + f0, ((h1 * 60 + m1) * 60 + s1) * 1000 + f1, lines))
    return read


def by_libav(path):
    """Times in ms and text, as libavformat reads them."""
    with av.open(str(path)) as opened:
        return [
            (round(p.pts * p.time_base * 1000), round(p.duration * p.time_base * 1000), bytes(p).decode())
            for p in opened.demux()
            if p.size
        ]


# Cutting.


def test_a_short_utterance_is_one_cue():
    assert cues_of(said(1, 2.5, "Hello there.")) == [Cue(1000, 2500, "Hello there.")]
    assert cues_of(said(1, 2.5, "  ")) == []


def test_a_long_one_is_cut_by_its_words_where_it_breathes():
    text = (
        "We planted three apple trees beside the old well, and in the spring they bloomed. "
        "My grandmother bakes rye bread on Sundays."
    )
    one, two = cues_of(spoken(text))
    assert one.text == "We planted three apple trees beside the old well, and in the spring they bloomed."
    assert two.text == "My grandmother bakes rye bread on Sundays."
    assert (one.t0_ms, one.t1_ms, two.t0_ms, two.t1_ms) == (0, 6000, 6000, 8800)


def test_no_word_is_left_alone_for_want_of_balance():
    made = cues_of(
        spoken("the all recipes member who shared this fine recipe for scrambled eggs done right comments")
    )
    assert len(made) == 2
    assert min(len(cue.text) for cue in made) > 30


def test_slow_speech_is_cut_by_time():
    made = cues_of(spoken("one two three four five six", word_s=3.0))
    assert [cue.text for cue in made] == ["one two", "three four", "five six"]
    assert all(cue.t1_ms - cue.t0_ms <= CUE_MS for cue in made)


def test_without_times_of_words_it_is_cut_evenly():
    text = "word " * 60
    made = cues_of(said(0, 30, text))
    assert " ".join(cue.text for cue in made).split() == text.split()
    assert made[-1].t1_ms == pytest.approx(30_000, abs=200)
    other = [("something", 0, 1), ("else", 1, 2)]
    assert [cue.text for cue in cues_of(said(0, 30, text, other))] == [cue.text for cue in made]


def test_scripts_without_spaces():
    text = "今日は天気がとてもいいので公園まで散歩に行きました。" * 6
    made = cues_of(said(0, 20, text))
    assert "".join(cue.text for cue in made) == text
    words = [(c, n * 0.1, n * 0.1 + 0.1) for n, c in enumerate(text)]
    timed = cues_of(said(0, len(text) * 0.1, text, words))
    assert "".join(cue.text for cue in timed) == text
    for cue in (*made, *timed):
        assert len(wrapped(cue.text)) <= 2


@pytest.mark.parametrize(
    "words", [[], "words", [["a"]], [[1, 2, 3]], [["a", "b", "c"]], {"a": 1}, [[None] * 4]]
)
def test_odd_payloads_do_no_harm(words):
    odd = said(0, 2, "Hello there.")
    odd = Observation(**{f: getattr(odd, f) for f in odd.__struct_fields__} | {"payload": {"words": words}})
    assert cues_of(odd) == [Cue(0, 2000, "Hello there.")]


def test_two_at_once_never_overlap_and_nothing_is_lost():
    one = said(0, 4, "The first one speaks.")
    two = said(1, 3, "The second one too.")
    three = said(1, 3, "And a third.")
    made = cues([three, one, two])
    assert {cue.text for cue in made} == {one.text, two.text, three.text}
    assert all(before.t1_ms <= after.t0_ms for before, after in pairwise(made))


def test_lines_are_even():
    assert wrapped("short") == ["short"]
    assert wrapped("This will make a believer out of you, and of me too.") == [
        "This will make a believer",
        "out of you, and of me too.",
    ]
    assert wrapped("x" * 60) == ["x" * 30, "x" * 30]


# Writing.


def test_srt_as_players_know_it(tmp_path):
    made = [
        Cue(1_500, 2_000, "One --> two."),
        Cue(3_723_004, 3_725_000, "A line that is too long for one line of a cue."),
    ]
    text = "".join(srt(made))
    assert text == (
        "1\r\n00:00:01,500 --> 00:00:02,000\r\nOne -> two.\r\n\r\n"
        "2\r\n01:02:03,004 --> 01:02:05,000\r\nA line that is too long\r\nfor one line of a cue.\r\n\r\n"
    )
    path = tmp_path / "x.srt"
    path.write_bytes(text.encode())
    assert [(t0, length) for t0, length, _ in by_libav(path)] == [(1_500, 500), (3_723_004, 1_996)]


def test_vtt_escapes_and_names_voices(tmp_path):
    made = [Cue(0, 900, "<b>1 & 2</b> --> 3", "Ann <x> & Bo"), Cue(1_000, 2_000, "Grüße")]
    text = "".join(vtt(made))
    assert text == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.900\n"
        "<v Ann &lt;x&gt; &amp; Bo>&lt;b&gt;1 &amp; 2&lt;/b&gt; --&gt; 3\n\n"
        "00:00:01.000 --> 00:00:02.000\nGrüße\n\n"
    )
    path = tmp_path / "x.vtt"
    path.write_bytes(text.encode())
    assert [(t0, length) for t0, length, _ in by_libav(path)] == [(0, 900), (1_000, 1_000)]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=300) | st.lists(
    st.sampled_from(["yes", "no,", "perhaps.", "Donaudampfschifffahrt" * 3, "-->", "<i>", "&amp;", "1"]),
    max_size=60,
).map(" ".join)


@st.composite
def utterances(draw):
    made = []
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, 10**7))
        length = draw(st.integers(0, 60_000))
        text = draw(TEXTS)
        words = text.split() if draw(st.booleans()) else []
        step = length / max(1, len(words)) / 1000
        timed = [(w, start / 1000 + n * step, start / 1000 + (n + 1) * step) for n, w in enumerate(words)]
        made.append(said(start / 1000, (start + length) / 1000, text, timed))
    return made


@settings(max_examples=200, deadline=None)
@given(utterances())
def test_whatever_was_said_can_be_read_again(heard):
    made = cues(heard)
    assert all(cue.t0_ms < cue.t1_ms for cue in made)
    assert all(before.t1_ms <= after.t0_ms for before, after in pairwise(made))
    assert all(len(cue.text) <= CUE_CHARS for cue in made)
    read = read_srt("".join(srt(made)))
    assert [(t0, t1) for t0, t1, _ in read] == [(cue.t0_ms, cue.t1_ms) for cue in made]
    for cue, (_, _, lines) in zip(made, read, strict=True):
        assert len(lines) <= 2
        assert max(map(len, lines)) <= LINE_CHARS
        assert "".join("".join(lines).split()) == "".join(cue.text.replace("-->", "->").split())
    blocks = "".join(vtt(made)).split("\n\n")[1:-1]
    assert len(blocks) == len(made)
    assert all(block.count("-->") == 1 and "<" not in block for block in blocks)


@settings(max_examples=100, deadline=None)
@given(utterances())
def test_no_letter_is_lost(heard):
    letters = sorted(c for one in heard for c in one.text if c.isalnum())
    assert sorted(c for cue in cues(heard) for c in cue.text if c.isalnum()) == letters


TALK = (("Ana", "Hello."), ("Ana", "Well?"), ("Ben", "Hi."))


def test_srt_tells_who_speaks_where_another_spoke_before():
    talk = [said(2 * n, 2 * n + 1, text, speaker=name) for n, (name, text) in enumerate(TALK)]
    lines = [line for *_, line in read_srt("".join(srt(cues(talk))))]
    assert lines == [["Ana: Hello."], ["Well?"], ["Ben: Hi."]]
    assert "<v Ben>Hi." in "".join(vtt(cues(talk)))


def test_turns_of_a_chat_tell_their_dates_in_its_zone_and_none_lies_before_the_first():
    at_ns = 1_709_287_200 * S
    turns = [said(-60, -55, "Earlier.", speaker="Ana"), said(0, 5, "Later.", speaker="Ana")]
    turns = [msgspec.structs.replace(one, t0_ns=at_ns + one.pts0_ns) for one in turns]
    made = cues(turns, source_kind="chat", time_zone="Europe/Berlin")
    assert [(cue.t0_ms, cue.date) for cue in made] == [
        (0, "2024-03-01 10:59:00 CET"),
        (60_000, "2024-03-01 11:00:00 CET"),
    ]
    first, _ = read_srt("".join(srt(made)))
    assert first[2] == ["[2024-03-01 10:59:00 CET]", "Ana: Earlier."]
    assert "[2024-03-01 11:00:00 CET]\n" in "".join(vtt(made)).replace("<v Ana>", "")
    assert cues(turns[1:], source_kind="file")[0].date == ""
