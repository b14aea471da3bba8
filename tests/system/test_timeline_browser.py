"""The timeline in a real browser: pictures are drawn, hostile text is not obeyed, nothing is fetched."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from stream.commands.page import write_page
from stream.messages.span import Span, TimelineEntry

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
HOSTILE = "<script>document.title='obeyed'</script><img src=x onerror=\"document.title='obeyed'\">&amp;"
RED_BGR = (40, 40, 220)


def browse(tmp_path, page, *flags):
    """Runs chromium over a page; returns what it printed."""
    done = subprocess.run(
        [shutil.which("chromium"), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return done.stdout.decode()


@pytest.fixture
def page(tmp_path):
    picture = np.full((90, 160, 3), RED_BGR, np.uint8)
    media = tmp_path / "store" / "media" / "ab"
    media.mkdir(parents=True)
    (media / "ab12.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    span = Span(
        span_id=b"1" * 16,
        level="event",
        parent_id=b"",
        source_id=b"2" * 16,
        session=0,
        pts0_ns=0,
        pts1_ns=5_000_000_000,
        t0_ns=None,
        t1_ns=None,
        why="cut",
        thumbnail="ab/ab12.jpg",
    )
    entry = TimelineEntry(
        span=span, uri="/films/a <b>film</b>.mp4", lines=(HOSTILE, "It was the best of times.")
    )
    path = tmp_path / "timeline.html"
    write_page(path, [entry], tmp_path / "store")
    return path


def test_words_stand_as_they_are_and_scripts_are_not_run(tmp_path, page):
    drawn = browse(tmp_path, page, "--dump-dom")
    assert "It was the best of times." in drawn
    assert "&lt;script&gt;" in drawn
    assert "<title>obeyed" not in drawn
    assert "<script" not in drawn


@pytest.mark.parametrize("width_px", [390, 1100])
def test_the_picture_is_seen_on_a_phone_and_on_a_desk(tmp_path, page, width_px):
    shot = tmp_path / "shot.png"
    browse(tmp_path, page, f"--window-size={width_px},700", f"--screenshot={shot}")
    seen = cv2.imread(str(shot))
    is_red = np.all(np.abs(seen.astype(int) - RED_BGR) < 12, axis=2)
    assert is_red.sum() > 1_500, "the thumbnail is drawn"
    assert is_red[:, -3:].sum() == 0, "and does not run out of the page"


def test_the_page_loads_nothing_from_anywhere(page):
    loaded = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            loaded.extend(value for name, value in attrs if name in ("src", "href", "srcset", "action"))

    text = page.read_text(encoding="utf-8")
    Reader().feed(text)
    assert len(loaded) == 1
    assert loaded[0].startswith("data:image/jpeg;base64,")
    assert "default-src 'none'" in text
