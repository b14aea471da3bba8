"""Cues: what is parsed, what is said in them, and what they cover. And the encodings of text files."""

from __future__ import annotations

import pytest

from stream.capture.cues import MOST_CUES, Cue, RawCue, ass_cue, cover, in_order, parsed, spoken
from stream.capture.languages import is_language, language_of, may_be_same, rank_of
from stream.capture.legible import legible

S = 10**9
SRT = """1
00:00:01,000 --> 00:00:03,000
<i>Hello</i> there,
{\\an8}all of you.

2
00:00:xx,000 --> 00:00:06,000
Nobody knows when.

3
0:00:07.5 --> 0:00:08,000 X1:10 X2:20
A line

with a hole in it.
4
00:00:05,000 --> 00:00:06,000
Too late.

5
00:00:09,000 --> 00:00:08,000
Backwards.
"""
VTT = """WEBVTT - a title

NOTE
this is for nobody --

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:0%
<v.loud Anna Lee>Fish &amp; <b>chips</b>

NOTE another one

00:03.000 --> bad
lost

01:00:05.000 --> 01:00:06.000
ok<01:00:05.500><c> then</c>
"""


def texts(cues, markup="plain"):
    return [cue.text for cue in spoken(cues, markup)]


def raw(text, at_s=0, end_s=None, speaker=""):
    return RawCue(at_s * S, (end_s or at_s + 1) * S, text, speaker)


def test_a_broken_block_is_counted_and_spoils_no_neighbour():
    cues, broken = parsed(SRT, "subrip")
    assert broken == 1
    ordered, outside = in_order(cues, 10 * S)
    assert outside == 0
    assert [(c.number, c.pts0_ns, c.pts1_ns, c.text) for c in spoken(ordered, "subrip")] == [
        (0, 1 * S, 3 * S, "Hello there, all of you."),
        (1, 5 * S, 6 * S, "Too late."),
        (2, 7_500_000_000, 8 * S, "A line with a hole in it."),
        (3, 9 * S, 10 * S, "Backwards."),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_webvtt_with_notes_styles_names_and_hours(ending):
    cues, broken = parsed(VTT.replace("\n", ending), "webvtt")
    assert broken == 1
    said = spoken(in_order(cues, None)[0], "webvtt")
    assert [(c.pts0_ns, c.text, c.speaker) for c in said] == [
        (1 * S, "Fish & chips", "Anna Lee"),
        (3605 * S, "ok then", ""),
    ]


def test_cues_are_put_into_the_source():
    cues = [raw("before", -3, -1), raw("begins before", -1, 1), raw("ends behind", 8, 12), raw("behind", 11)]
    ordered, outside = in_order(cues, 10 * S)
    assert [(c.text, c.pts0_ns, c.pts1_ns) for c in ordered] == [
        ("begins before", 0, 1 * S),
        ("ends behind", 8 * S, 10 * S),
    ]
    assert outside == 2


def test_cues_without_an_end_last_until_the_next_or_three_seconds():
    ordered, _ = in_order(
        [RawCue(0, 0, "a"), RawCue(S, 0, "b"), RawCue(S, 0, "c"), RawCue(9 * S, 0, "d")], None
    )
    assert [(c.pts0_ns, c.pts1_ns) for c in ordered] == [(0, S), (S, 4 * S), (S, 4 * S), (9 * S, 12 * S)]


def test_the_same_cue_twice_is_one():
    assert len(in_order([raw("shadow"), raw("shadow"), raw("other")], None)[0]) == 2


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("[door closes]", None),
        ("(LAUGHS)", None),
        ("♪ ♪", None),
        ("♪ Happy birthday to you ♪", "Happy birthday to you"),
        ("# Happy birthday #", "Happy birthday"),
        ("(laughs) That is good.", "That is good."),
        ("That is good. (laughs)", "That is good."),
        ("Call me (maybe)", "Call me (maybe)"),
        ("The treaty (of 1949) holds.", "The treaty (of 1949) holds."),
        ("[ANNA] Come\n[music\nplays] in", "Come in"),
        ("- Hi.\n- Hello.", "Hi. Hello."),
        (">> Good evening.", "Good evening."),
        ("2 < 3 and <3", "2 < 3 and <3"),
        ("{y:i}Old\u200e style", "Old style"),
        ("…", None),
        ("&lt;Stop&gt;&nbsp;now", "<Stop> now"),
    ],
)
def test_what_nobody_says_goes_and_words_stay(shown, said):
    assert texts([raw(shown)]) == ([] if said is None else [said])


def test_names_in_capitals_are_speakers_where_they_recur():
    cues = [raw("ANNA: Come in."), raw("WARNING: wet floor", 1), raw("ANNA: Sit down.", 2)]
    cues.append(raw("- ANNA: Tea?\n- BEN: Yes.", 3))
    said = spoken(cues, "plain")
    assert [(c.speaker, c.text) for c in said] == [
        ("ANNA", "Come in."),
        ("", "WARNING: wet floor"),
        ("ANNA", "Sit down."),
        ("", "ANNA: Tea? BEN: Yes."),
    ]


def test_two_voices_in_one_cue_are_no_speaker():
    (cue,) = spoken([raw("<v Anna>Hi\n<v Ben>Hello")], "webvtt")
    assert (cue.speaker, cue.text) == ("", "Hi Hello")


def test_ass_events():
    cue = ass_cue(0, S, "3,0,Default,Anna  Lee,0,0,0,,Well{\\i1}, yes\\Nno,\\hmaybe")
    assert cue is not None
    (said,) = spoken([cue], "ass")
    assert (said.text, said.speaker) == ("Well, yes no, maybe", "Anna Lee")
    assert ass_cue(0, S, "too,few") is None
    drawing = ass_cue(0, S, "3,0,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}")
    assert drawing is not None
    assert texts([drawing], "ass") == []


def test_captions_that_scroll_are_told_once():
    rolled = [raw("one", 0), raw("one\ntwo", 1), raw("two", 2), raw("two\nthree", 3)]
    assert texts(rolled) == ["one", "two", "three"]
    again = [raw(f"line {i}", i) for i in range(20)]
    again[5] = raw("line 4", 5)
    assert len(texts(again)) == 20  # Somebody says it twice.


def test_cover_is_share_and_longest_hole():
    def cue(at_s, end_s):
        return Cue(0, at_s * S, end_s * S, "x")

    found = cover([cue(10, 20), cue(15, 25), cue(60, 90)], 100 * S)
    assert found.share == pytest.approx(0.30)  # A cue counts for at most 15 s.
    assert found.longest_hole_ns == 35 * S
    assert cover([], 100 * S).longest_hole_ns == 100 * S
    assert cover([cue(0, 4)], None).share == 1.0


def test_an_absurd_number_of_cues_is_not_held():
    text = "00:00:01,000 --> 00:00:02,000\nx\n" * (MOST_CUES + 1000)
    assert MOST_CUES < len(parsed(text, "subrip")[0]) <= MOST_CUES + 2


def test_text_that_begins_many_things_and_ends_none_takes_no_time():
    for start in ("<v ", "{\\", "[", "(", "<i", "&#"):
        cues, _ = parsed("00:00:01,000 --> 00:00:02,000\n" + start * 1_000_000, "subrip")
        spoken(cues, "subrip")


GERMAN = "Der Bär läuft über die Straße, weil er müde ist – „wirklich“?"  # noqa: RUF001
FRENCH = "Où est-il allé, ce garçon ? L’été était à l'hôtel."  # noqa: RUF001
RUSSIAN = "Привет, как дела? Всё хорошо, он ушёл домой."
POLISH = "Dzień dobry, jak się pan miewa? Świetnie, dziękuję. Żółć."
JAPANESE = "こんにちは、お元気ですか。はい、元気です。"


@pytest.mark.parametrize(
    ("text", "encoding", "language"),
    [
        (GERMAN, "utf-8", ""),
        (GERMAN, "utf-8-sig", ""),
        (RUSSIAN, "utf-16", ""),
        ("\ufeff" + FRENCH, "utf-16-be", ""),
        (FRENCH, "utf-16-le", ""),
        (GERMAN, "cp1252", ""),
        (FRENCH, "cp1252", ""),
        (FRENCH, "cp1252", "fre"),
        (RUSSIAN, "cp1251", ""),
        (RUSSIAN, "koi8_r", ""),
        (POLISH, "cp1250", "pl"),
        (JAPANESE, "shift_jis", ""),
        ("plain", "ascii", "ja"),
    ],
)
def test_encodings_are_told_from_the_bytes(text, encoding, language):
    found = legible(text.encode(encoding), language)
    assert found is not None
    assert found[0] == text.removeprefix("\ufeff")


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02" * 100, b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff\xfe\x00\xd8", b"a\x07b"]
)
def test_what_is_no_text(data):
    assert legible(data) is None


def test_languages():
    assert [language_of(c) for c in ("eng", "GER", "pt-BR", "und", "", "xq")] == [
        "en",
        "de",
        "pt",
        "",
        "",
        "xq",
    ]
    assert may_be_same("eng", "en-GB")
    assert may_be_same("", "de")
    assert not may_be_same("en", "ger")
    assert rank_of("deu", ("en", "de")) == 1
    assert rank_of("fr", ("en", "de")) == 2
    assert is_language("de")
    assert not is_language("part2")


def test_who_speaks_is_told_in_a_few_words():
    event = f"1,0,Default,{'Anna ' * 5000},0,0,0,,Hello"
    assert ass_cue(0, S, event).speaker == ("Anna " * 40)[:200]
    (cue,) = spoken([raw(f"<v {'Lee ' * 5000}>Hello</v>")], "webvtt")
    assert len(cue.speaker) <= 200


def test_a_name_that_is_a_page_is_none_and_lines_stay_apart():
    (cue,) = spoken([raw(f"<v {'Lee ' * 5000}>Hello")], "webvtt")
    assert (cue.speaker, cue.text.endswith("Hello")) == ("", True)
    (cue,) = spoken([raw("<v Anna\nLee>Hello # no\n\n\nmusic")], "webvtt")
    assert cue.speaker == ""
    (cue,) = spoken([raw("# la la la #\nHello")], "subrip")
    assert cue.text == "la la la Hello"
