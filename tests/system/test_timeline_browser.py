"""The timeline in a real browser: pictures are drawn, hostile text is not obeyed, nothing is fetched."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from stream.capture.clip import cut
from stream.commands.page import write_page
from stream.messages.span import Span, TimelineEntry
from tests.stream.capture_clips import write_clip

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
    return browse_uri(tmp_path, page.as_uri(), *flags)


def browse_uri(tmp_path, uri, *flags):
    """As `browse`, at any address."""
    done = subprocess.run(
        [shutil.which("chromium"), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, uri],
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


@pytest.fixture
def film(tmp_path):
    """Two seconds of red, two of blue, a keyframe each half second."""
    colours = [(220, 40, 40)] * 50 + [(40, 40, 220)] * 50
    pictures = [np.full((90, 160, 3), colour, np.uint8) for colour in colours]
    return write_clip(tmp_path / "a film #1.mp4", pictures, options={"g": "12", "keyint_min": "12"})


def shot(tmp_path, uri):
    """The middle of what chromium shows at an address, as (b, g, r)."""
    path = tmp_path / "shot.png"
    browse_uri(tmp_path, uri, "--window-size=320,240", f"--screenshot={path}")
    seen = cv2.imread(str(path))
    return seen[seen.shape[0] // 2 - 5, seen.shape[1] // 2].astype(int)


def test_a_link_of_the_page_plays_the_original_from_there(tmp_path, page, film):
    span = Span(
        span_id=b"1" * 16, level="event", parent_id=b"", source_id=b"2" * 16, session=0,
        pts0_ns=3_000_000_000, pts1_ns=3_500_000_000, t0_ns=None, t1_ns=None, why="cut",
    )  # fmt: skip
    write_page(page, [TimelineEntry(span=span, uri=str(film))], tmp_path / "store")
    (link,) = re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))
    assert link.endswith("#t=3,3.5")
    blue, _, red = shot(tmp_path, link)
    assert blue > 2 * red, "it begins at three seconds, which is blue"
    blue, _, red = shot(tmp_path, link.partition("#")[0])
    assert red > 2 * blue, "the control: without the fragment it begins with red"


@pytest.mark.parametrize("exact", [False, True])
def test_a_clip_plays_in_a_browser(tmp_path, film, exact):
    made = cut(film, tmp_path / "x.mp4", 2_500_000_000, 4_000_000_000, exact=exact)
    page = tmp_path / "player.html"
    page.write_text(
        f"""<!doctype html><title>none</title>
        <video muted preload=auto src="{made.path.as_uri()}#t=0.2,1"></video>
        <script>const v = document.querySelector("video"), say = () => {{ document.title =
        ["played", v.videoWidth, v.videoHeight, v.duration.toFixed(1), v.currentTime].join(" ") }};
        v.addEventListener("loadeddata", say); v.addEventListener("seeked", say);
        v.addEventListener("error", () => {{ document.title = "failed " + v.error.message }})</script>""",
        encoding="utf-8",
    )
    title = re.search(r"<title>(.*?)</title>", browse(tmp_path, page, "--dump-dom")).group(1).split()
    assert title[:3] == ["played", "160", "90"]
    assert float(title[3]) == pytest.approx((made.end_ns - made.start_ns) / 1e9, abs=0.15)
    assert float(title[4]) == pytest.approx(0.2, abs=0.05)
