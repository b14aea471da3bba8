"""What commands print: JSON of the promised form, and text that no terminal or browser obeys."""

from __future__ import annotations

import json
import os
import threading
from html.parser import HTMLParser

import msgspec
import pytest

from stream.commands.ask import show, whereabouts
from stream.commands.page import MAX_THUMBNAIL_BYTES, page_of, write_page
from stream.commands.playable import away_uris, play_json, play_uri
from stream.commands.search import said_by
from stream.commands.shapes import answer_json, entry_json, error_json, hit_json, iso
from stream.commands.terminal import clean, position, say, say_json, size, table
from stream.commands.timeline import _show
from stream.commands.timeline import _show as timeline_text
from stream.errors import ConfigError, ModelMissing
from stream.messages import Answer, Coverage, EvidenceItem, Gap, Sentence, Span
from stream.messages.span import TimelineEntry

S = 1_000_000_000
HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold red]x[/] </p><script>alert(1)</script> \u202egnp.exe \x00\x9b31m"

ITEM = EvidenceItem(
    observation_id=b"\x01" * 16,
    span_id=b"\x02" * 16,
    source_id=b"\x03" * 16,
    session=0,
    uri="/films/a.mp4",
    kind="utterance",
    level="event",
    pts0_ns=31 * S,
    pts1_ns=33 * S + 500_000_000,
    t0_ns=1_767_258_031_123_456_789,
    t1_ns=None,
    text="It was the best of times.",
    thumbnail="ab/abcd.jpg",
    score=1.5,
    scorers={"dense": 1.0, "lexical": 0.5},
)
ANSWER = Answer(
    answer="At 0:31 someone said: it. Still being read: b.mp4.",
    verdict="answered",
    sentences=(Sentence(text="At 0:31 someone said: it.", citations=(0,)),),
    citations=(ITEM,),
    coverage=Coverage(
        through_ns=None,
        gaps=(Gap(uri="/films/a.mp4", pts0_ns=0, pts1_ns=S, t0_ns=None, t1_ns=None, reason="lost"),),
        unfinished=("/films/b.mp4",),
        undated=2,
    ),
    timings_ms={"recall": 3.0},
)


def test_an_answer_has_the_promised_form(tmp_path):
    document = answer_json(ANSWER, tmp_path)
    assert list(document) == [
        "answer", "verdict", "confidence", "sentences", "citations", "conflicts", "coverage", "notices",
        "timings_ms",
    ]  # fmt: skip
    assert document["sentences"] == [{"text": "At 0:31 someone said: it.", "citations": [0]}]
    assert document["citations"] == [
        {
            "id": "01" * 16,
            "source": "/films/a.mp4",
            "kind": "utterance",
            "level": "event",
            "t0": "2026-01-01T09:00:31.123Z",
            "t1": None,
            "t0_s": 31.0,
            "t1_s": 33.5,
            "text": "It was the best of times.",
            "speaker": "",
            "place": "",
            "thumbnail": str(tmp_path / "media" / "ab/abcd.jpg"),
            "span": "02" * 16,
            "play": {"uri": "file:///films/a.mp4#t=31,33.5", "t0_s": 31.0, "t1_s": 33.5, "offline": True},
        }
    ]
    assert document["coverage"]["through"] is None
    assert document["coverage"]["gaps"][0]["t1_s"] == 1.0
    json.dumps(document)


def test_a_hit_is_a_citation_with_its_score(tmp_path):
    hit = hit_json(ITEM, tmp_path, ())
    assert (hit["score"], hit["scorers"]) == (1.5, {"dense": 1.0, "lexical": 0.5})
    more = {"score", "scorers", "observed_t0_s", "observed_t1_s", "near"}
    assert hit.keys() - more == answer_json(ANSWER, tmp_path)["citations"][0].keys()


def test_a_hit_says_who_and_what_stood_around_it(tmp_path):
    said = msgspec.structs.replace(ITEM, speaker="Ana", neighbours=("Before.", "After."))
    assert said_by(said) == f"Ana: {ITEM.text}"
    assert said_by(ITEM) == ITEM.text
    assert hit_json(said, tmp_path, ())["near"] == ["Before.", "After."]


def test_a_hit_lies_where_its_moment_lies_and_says_where_its_observation_does(tmp_path):
    assert (hit_json(ITEM, tmp_path, ())["t0_s"], hit_json(ITEM, tmp_path, ())["t1_s"]) == (31.0, 33.5)
    moment = msgspec.structs.replace(ITEM, moment_pts0_ns=28 * S, moment_pts1_ns=36 * S)
    hit = hit_json(moment, tmp_path, ())
    assert (hit["t0_s"], hit["t1_s"]) == (28.0, 36.0)
    assert (hit["t0"], hit["t1"]) == ("2026-01-01T09:00:28.123Z", "2026-01-01T09:00:36.123Z")
    assert (hit["observed_t0_s"], hit["observed_t1_s"]) == (31.0, 33.5)


def test_times_are_cut_to_milliseconds_and_never_rounded_up():
    assert iso(999_999_999) == "1970-01-01T00:00:00.999Z"
    assert iso(-1) == "1969-12-31T23:59:59.999Z"
    assert iso(None) is None


def test_errors_have_a_version_and_a_remedy(capsys):
    say_json(error_json(ModelMissing("no model", remedy="pull it")))
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "error": {"type": "ModelMissing", "message": "no model", "remedy": "pull it"},
    }


def is_harmless(text):
    return all(c == "\n" or (c.isprintable() and ord(c) not in range(0x80, 0xA0)) for c in text)


def test_stored_text_cannot_steer_the_terminal(capsys):
    say(HOSTILE)
    table(("a", "b"), [(HOSTILE, "[link=http://x]y[/link]")])
    hostile = msgspec.structs.replace(
        ANSWER,
        answer=HOSTILE,
        sentences=(Sentence(text=HOSTILE, citations=(0,)),),
        citations=(msgspec.structs.replace(ITEM, uri=f"/films/{HOSTILE}", text=HOSTILE),),
        conflicts=(HOSTILE,),
    )
    show(hostile)
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert "[bold red]" in printed
    assert "[link=http://x]y[/link]" in printed


def test_json_cannot_steer_the_terminal_either(capsys):
    say_json({"text": HOSTILE})
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert printed.isascii()
    assert json.loads(printed)["text"] == HOSTILE


def test_an_answer_for_people_has_numbers_for_its_citations(capsys):
    show(ANSWER)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "At 0:31 someone said: it. [1] Still being read: b.mp4."
    assert lines[1] == (
        "  [1] utterance  2026-01-01 09:00:31 UTC  /films/a.mp4 @ 0:31-0:33 (offline)  id 0101010101"
    )


def test_a_citation_names_who_said_it(capsys):
    named = tuple(msgspec.structs.replace(one, speaker="Anna\x1b[2J") for one in ANSWER.citations)
    show(msgspec.structs.replace(ANSWER, citations=named))
    assert capsys.readouterr().out.splitlines()[1].startswith("  [1] Anna [2J: utterance  2026")


def test_small_words():
    assert clean("a\tb\n c") == "a b c"
    assert clean("a\nb", lines=True) == "a\nb"
    assert [size(n) for n in (0, 999, 1400, 2_500_000_000)] == ["0 B", "999 B", "1.4 kB", "2.5 GB"]
    assert [position(n) for n in (None, 0, 62 * S, 3723 * S)] == ["", "0:00", "1:02", "1:02:03"]


# Where it plays.


def test_a_moment_plays_from_the_file_that_is_there(tmp_path):
    film = tmp_path / "a film #1?.mp4"
    film.write_bytes(b"film")
    play = play_json(str(film), 83 * S + 200_000_000, 90 * S, away_uris([str(film)]))
    assert play["uri"] == film.as_uri() + "#t=83.2,90"
    assert "%231%3F.mp4#t=" in play["uri"]
    assert not play["offline"]
    film.unlink()
    assert play_json(str(film), 0, S, away_uris([str(film)]))["offline"]


def test_a_moment_without_length_plays_on():
    assert play_uri("/a.mp4", 1_999_999_999, 1_999_999_999) == "file:///a.mp4#t=1.999"
    assert play_uri("/a.mp4", 0, 500) == "file:///a.mp4#t=0"


def test_a_live_source_does_not_play():
    play = play_json("rtsp://camera/1", 0, S, away_uris(["rtsp://camera/1"]))
    assert (play["uri"], play["offline"]) == (None, True)


def test_a_name_that_is_not_utf8_plays(tmp_path):
    film = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    film.write_bytes(b"film")
    play = play_json(film.as_uri(), 0, S, away_uris([film.as_uri()]))
    assert not play["offline"]
    assert play["uri"] == film.as_uri() + "#t=0,1"


def test_a_disk_that_hangs_holds_nobody_up_and_the_others_are_told(tmp_path, monkeypatch):
    there = tmp_path / "there.mp4"
    there.write_bytes(b"film")
    ends, asked = threading.Event(), []

    def look(uri):
        asked.append(uri)
        if "hanging" in uri:
            ends.wait(60)
        return "gone" in uri

    monkeypatch.setattr("stream.commands.playable._is_away", look)
    monkeypatch.setattr("stream.commands.playable.LOOK_S", 0.3)
    uris = ["/hanging/1.mp4", *[f"/gone/{n}.mp4" for n in range(30)], str(there), "/gone/0.mp4"]
    assert away_uris(uris) == {f"/gone/{n}.mp4" for n in range(30)}
    assert len(asked) == len(set(asked)), "each place once"
    ends.set()


def test_turns_of_chats_are_told_by_their_dates(capsys):
    turn = {"uri": "/talks/a.jsonl", "source_kind": "chat", "time_zone": "Europe/Berlin", "speaker": "Ana"}
    item = msgspec.structs.replace(ITEM, **turn)
    assert whereabouts(item, ()) == "utterance  2026-01-01 10:00:31 CET  /talks/a.jsonl  id 0101010101"
    spans = [
        msgspec.structs.replace(entry(uri=uri, t0_s=3600, t0_ns=ITEM.t0_ns), source_kind=kind)
        for uri, kind in (("/talks/a.jsonl", "chat"), ("/films/b.mp4", "file"))
    ]
    timeline_text(spans)
    told = capsys.readouterr().out
    assert "2026-01-01 09:00:31 UTC  a line" in told
    assert "1:00:00-1:00:05  a line" in told


# The page.


def entry(uri="/films/a.mp4", t0_s=0, thumbnail="", lines=("a line",), t0_ns=None):
    span = Span(
        span_id=b"\x02" * 16,
        level="event",
        parent_id=b"",
        source_id=b"\x03" * 16,
        session=0,
        pts0_ns=t0_s * S,
        pts1_ns=(t0_s + 5) * S,
        t0_ns=t0_ns,
        t1_ns=None,
        why="cut",
        thumbnail=thumbnail,
    )
    return TimelineEntry(span=span, uri=uri, lines=tuple(lines))


class Reader(HTMLParser):
    """Collects tags, attributes and the text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_hostile_text_is_text_on_the_page(tmp_path):
    reader = read(
        page_of([entry(uri=f'/films/{HOSTILE}" onload="x', lines=[HOSTILE, "<img src=http://x>"])], tmp_path)
    )
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert any("<script>alert(1)</script>" in text for text in reader.text)
    assert is_harmless("".join(reader.text))


def test_the_page_needs_nothing_from_anywhere(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.jpg").write_bytes(b"\xff\xd8picture")
    page = page_of([entry(thumbnail="a.jpg")], tmp_path)
    reader = read(page)
    for tag, name, value in reader.attributes:
        if name in ("src", "href", "srcset", "action", "data", "poster"):
            assert tag == "img"
            assert value.startswith("data:image/jpeg;base64,")
    assert "url(" not in page
    assert "@import" not in page
    policy = next(v for t, n, v in reader.attributes if t == "meta" and n == "content" and "default-src" in v)
    assert "default-src 'none'" in policy


def test_each_moment_links_to_its_original_or_is_marked_as_offline(tmp_path):
    film = tmp_path / "a.mp4"
    film.write_bytes(b"film")
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.jpg").write_bytes(b"\xff\xd8picture")
    here = read(page_of([entry(uri=str(film), t0_s=62, thumbnail="a.jpg")], tmp_path))
    links = [value for tag, name, value in here.attributes if (tag, name) == ("a", "href")]
    assert links == [film.as_uri() + "#t=62,67"] * 2
    assert "offline" not in here.text
    away = read(page_of([entry(t0_s=62, thumbnail="a.jpg")], tmp_path))
    assert "a" not in away.tags
    assert "offline" in away.text


@pytest.mark.parametrize("uri", ["javascript:alert(1)", "http://x/a.mp4", "javascript://%0aalert(1)"])
def test_only_files_are_linked(tmp_path, uri):
    for tag, name, value in read(page_of([entry(uri=uri)], tmp_path)).attributes:
        assert (tag, name) != ("a", "href"), value


def test_the_page_is_for_everybody(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "a.jpg").write_bytes(b"\xff\xd8picture")
    page = page_of([entry(thumbnail="a.jpg", t0_s=62, t0_ns=1_767_258_000 * S)], tmp_path)
    reader = read(page)
    assert ("html", "lang", "en") in reader.attributes
    assert [value for tag, name, value in reader.attributes if (tag, name) == ("img", "alt")] == [
        "Picture at 1:02\u20131:07"
    ]
    assert "prefers-color-scheme: dark" in page
    assert {"h1", "h2", "main", "time", "title"} <= set(reader.tags)
    assert "2026-01-01 09:00:00 UTC" in "".join(reader.text)


@pytest.mark.parametrize(
    "thumbnail", ["../secret.jpg", "/etc/hostname", "notes.txt", "missing.jpg", "big.jpg", "link.jpg"]
)
def test_only_pictures_of_the_store_are_put_on_the_page(tmp_path, thumbnail):
    media = tmp_path / "media"
    media.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (media / "notes.txt").write_bytes(b"secret")
    (media / "big.jpg").write_bytes(b"s" * (MAX_THUMBNAIL_BYTES + 1))
    (media / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert "img" not in read(page_of([entry(thumbnail=thumbnail)], tmp_path)).tags


def test_the_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "t.html"
    write_page(path, [entry()], tmp_path)
    assert path.read_text().endswith("</html>\n")
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ConfigError, match="cannot write"):
        write_page(tmp_path / "none" / "t.html", [entry()], tmp_path)


def day(why="midnight"):
    """A day is of no source; its lines say what they are taken from."""
    span = msgspec.structs.replace(
        entry().span,
        level="day",
        source_id=b"",
        why=why,
        pts0_ns=20_515 * 86_400 * S,
        t0_ns=20_515 * 86_400 * S,
    )
    return TimelineEntry(span=span, uri="", lines=("said: hello",), cites=(b"\x05" * 16,))


def test_a_day_is_of_no_source_on_the_page_and_in_json(tmp_path, capsys):
    page = page_of([day()], tmp_path)
    assert "2026-03-03" in page
    assert "offline</span>" not in page
    document = entry_json(day("open"), tmp_path, ())
    assert (document["play"], document["open"], document["source"]) == (None, True, "")
    assert document["cites"] == ["05" * 16]
    _show([day("open")])
    assert capsys.readouterr().out.split() == ["2026-03-03", "(so", "far)", "said:", "hello"]


def test_a_span_as_json(tmp_path):
    document = entry_json(entry(t0_s=3), tmp_path, ())
    assert (document["t0_s"], document["t1_s"], document["t0"]) == (3.0, 8.0, None)
    assert document["lines"] == ["a line"]
    json.dumps(document)
