"""The command and what it writes: pages without metadata, hostile albums, sizes, and exit codes."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
import typer
from PIL import Image

from stream.capture.album.read import read_album
from stream.capture.settings import CaptureSettings
from stream.commands import story as command
from stream.commands.story import story
from stream.commands.story_album import story_pictures
from stream.commands.story_document import Kept, document_of, markdown_of, summary, to_json
from stream.commands.story_page import page_of
from stream.errors import ConfigError, SourceRefused
from stream.messages.story import (
    PictureCaption,
    Story,
    StoryChapter,
    StoryClaim,
    StoryDropped,
    StoryFinal,
    StoryProgress,
    StoryRound,
    StorySentence,
)
from tests.stream.test_album import exif_of, scene

SETTINGS = CaptureSettings(photo_time_zone="UTC")
HOSTILE = "<script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">"


def write_album(folder, count=3):
    for n in range(count):
        exif = exif_of(f"2024:05:01 1{n % 10}:00:00", lat=43.46 + 0.01 * n, lon=11.88)
        exif[0x010F] = "SecretCam"
        exif[0x010E] = HOSTILE
        exif[0x013B] = "Secret Author"
        Image.fromarray(scene(n)).save(folder / f"secret-name-{n}.jpg", exif=exif, quality=90)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")


def made(folder, unread=None, **kept):
    album = read_album(folder, SETTINGS, lambda done, total: None)
    pictures = story_pictures(album, with_people=kept.get("names", False))
    numbers = tuple(one.number for one in pictures)
    sentences = [
        StorySentence(
            text=f"Sentence {n}.",
            pictures=(n,),
            citations=(bytes(16),),
            claims=(StoryClaim(kind="time", text="x", verdict="supported"),),
        )
        for n in numbers
    ]
    told = Story(
        title=f"A title {HOSTILE}",
        chapters=tuple(
            StoryChapter(
                title=f"Chapter {n} {HOSTILE}", pictures=(n,), sentences=(sentences[n - 1],), town="Arezzo"
            )
            for n in numbers
        ),
        captions=tuple(PictureCaption(number=n, text=f"Photo {n} {HOSTILE}") for n in numbers),
        rounds=(StoryRound(round=1, checked=4, failed=1, rewritten=1),),
        dropped=(
            StoryDropped(
                round=1, text="Not so.", claims=(StoryClaim(kind="thing", text="x", verdict="unknown"),)
            ),
        ),
    )
    return document_of(album, pictures, told, Kept(**kept), unread or {})


def draw(document, max_bytes=4_000_000):
    return page_of(document, SETTINGS, max_bytes, lambda done, total: None)


class Read(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.text = [], [], ""
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    write_album(folder)
    return folder


def test_a_page_carries_no_metadata_unless_it_is_kept(folder):
    page = draw(made(folder))
    for secret in ("secret-name", "SecretCam", "Secret Author", "43.46", "11.88", "2024:05:01"):
        assert secret not in page
    import base64

    bodies = [base64.b64decode(one) for one in re.findall(r"base64,([A-Za-z0-9+/=]+)", page)]
    assert len(bodies) == 3
    assert not any(b"Exif" in body or b"SecretCam" in body for body in bodies)
    kept = draw(made(folder, gps=True, metadata=True))
    assert "secret-name-0.jpg" in kept
    assert "43.46000, 11.88000" in kept
    assert "SecretCam" in kept


def test_nothing_of_an_album_becomes_markup(folder):
    read = Read(draw(made(folder, metadata=True)))
    assert "script" not in read.tags
    assert not any(name.startswith("on") for _, name, _ in read.attributes)
    assert "<script>" in read.text  # As text it may stand.
    assert all(
        value.startswith(("data:image/jpeg", "#p"))
        for _, name, value in read.attributes
        if name in ("src", "href")
    )
    [policy] = [value for tag, name, value in read.attributes if name == "content" and "default-src" in value]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert "<script" not in markdown_of(made(folder)).replace("\\<script", "")


def test_every_picture_stands_once_and_every_sentence_leads_to_one(folder):
    page = draw(made(folder))
    read = Read(page)
    assert sorted(i for i in read.ids if i.startswith("p")) == ["p1", "p2", "p3"]
    assert len(read.ids) == len(set(read.ids))
    assert {value for tag, name, value in read.attributes if tag == "a" and name == "href"} == {
        "#p1",
        "#p2",
        "#p3",
    }
    assert all(value for tag, name, value in read.attributes if tag == "img" and name == "alt")


def test_the_route_is_sketched_without_positions_and_can_be_hidden(folder):
    page = draw(made(folder))
    assert "Sketch of the route through 3 stops" in page
    points = re.findall(r'<circle cx="(\d+)" cy="(\d+)"', page)
    assert len(set(points)) == 3
    hidden = draw(made(folder, places=False))
    assert "<svg" not in hidden
    assert "GeoNames" not in hidden


def test_a_page_is_as_small_as_asked_for(folder):
    large, small = draw(made(folder)), draw(made(folder), 40_000)
    assert len(small) <= 40_000 < len(large)
    assert small.count("<img") == 3


def test_what_is_not_shown_is_listed_with_its_reason(folder):
    shutil.copy(folder / "secret-name-0.jpg", folder / "twin.jpg")
    document = made(folder)
    page = draw(document)
    assert "1 file: the same file as picture 1" in page
    assert "1 file: cannot be read" in page
    told = to_json(document)
    assert {one["file"] for one in told["left_out"]} == {"broken.jpg", "twin.jpg"}
    assert "broken.jpg: cannot be read" in draw(made(folder, metadata=True))


def test_notes_name_files_only_where_names_are_kept(folder):
    (folder / "secret-name-0.jpg").rename(folder / "secret name 0.jpg")
    unread = {folder / "secret name 0.jpg": "has too many pixels", folder / "secret-burst.jpg": "went away"}
    document = made(folder, unread)
    for shared in (draw(document), markdown_of(document).replace("\\", "")):
        assert "2 files told by time and place alone" in shared
        assert "secret" not in shared
    assert "secret name 0.jpg told by time and place alone: has too many pixels" in to_json(document)["notes"]
    assert "secret-burst.jpg" in draw(made(folder, unread, metadata=True))


def test_json_has_every_sentence_with_its_citations_verdict_and_round(folder):
    told = json.loads(json.dumps(to_json(made(folder))))
    one = told["chapters"][0]["sentences"][0]
    assert one == {
        "text": "Sentence 1.",
        "pictures": [1],
        "citations": ["00" * 16],
        "claims": [{"kind": "time", "text": "x", "verdict": "supported"}],
        "verdict": "supported",
        "round": 1,
        "written_by": "composer",
    }
    assert told["rounds"][0]["failed"] == 1
    assert told["not_said"][0]["text"] == "Not so."
    assert [one["file"] for one in told["pictures"]] == [f"secret-name-{n}.jpg" for n in range(3)]
    assert told["pictures"][0]["town"] == "Arezzo"
    assert "lat" not in told["pictures"][0]
    assert any("1 not true and not told" in line for line in summary(made(folder), None))


# The command.


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"output": "x.pdf"}, "is .html, .md or .json"),
        ({"output": "away/x.html"}, "is no folder"),
        ({"output": "there.html"}, "is there already"),
        ({"style": "noir"}, "no 'noir'"),
        ({"length": "epic"}, "no 'epic'"),
        ({"time_zone": "Mars/Olympus"}, "is no zone"),
    ],
)
def test_wishes_that_cannot_be_met_are_named(tmp_path, told, words):
    (tmp_path / "there.html").write_text("mine")
    told = {**told, "output": tmp_path / told.get("output", "story.html")}
    with pytest.raises(ConfigError, match=re.escape(words)):
        story(tmp_path, store=tmp_path / "store", **told)
    assert (tmp_path / "there.html").read_text() == "mine"


def test_a_folder_without_pictures_starts_nothing(tmp_path):
    (tmp_path / "album").mkdir()
    with pytest.raises(SourceRefused, match="no photos or clips"):
        story(tmp_path / "album", output=tmp_path / "story.html", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "story.html").exists()


class Processes:
    """A connection whose reasoning tells one story; indexing is told apart."""

    def __init__(self, *args, **told):
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def replies(self, endpoint, message, *, silent_s, timeout_s):
        self.asked.append((endpoint, message))
        yield StoryProgress(stage="captions", done=1, total=1)
        sentences = tuple(
            StorySentence(text=f"Told {one.number}.", pictures=(one.number,)) for one in message.pictures
        )
        numbers = tuple(one.number for one in message.pictures)
        yield StoryFinal(
            story=Story(
                title="Told", chapters=(StoryChapter(title="One", pictures=numbers, sentences=sentences),)
            )
        )


@pytest.mark.parametrize(
    ("suffix", "beginning"), [(".html", "<!doctype html>"), (".md", "# Told"), (".json", "{")]
)
def test_the_file_is_of_the_form_that_its_name_says(folder, tmp_path, monkeypatch, suffix, beginning):
    monkeypatch.setattr("stream.commands.connection.Connection", Processes)
    monkeypatch.setattr(command._Run, "_index", lambda self, connection, album: {})
    target = tmp_path / f"story{suffix}"
    story(folder, output=target, store=tmp_path / "store", style="diary")
    assert target.read_text().startswith(beginning)
    assert "Told 3." in target.read_text().replace("\\", "")


def test_a_run_that_is_interrupted_says_how_it_goes_on(folder, tmp_path, monkeypatch, capsys):
    def interrupted(self, more=None):
        raise KeyboardInterrupt

    monkeypatch.setattr("stream.commands.connection.Connection", Processes)
    monkeypatch.setattr("stream.commands.indexing.Indexing.run", interrupted)
    with pytest.raises(typer.Exit) as ended:
        story(folder, output=tmp_path / "story.html", store=tmp_path / "store")
    assert ended.value.exit_code == 130
    assert "goes on from here" in capsys.readouterr().err
