"""The page and the real processes: chromium with real photographs as its camera and real speech as its
microphone sees, hears, answers, cites a moment that plays, alerts, pauses and forgets.

No recording of the demo's media asks a question. The voice says a sentence while the button is held, which
makes it a question: the answer cites when the same was said before. A question in words is typed.
"""

from __future__ import annotations

import json
import time

import pytest

from tests.system.live_film import film_camera, film_voice
from tests.system.page_driver import Complaints, chromium, new_page, until_page
from tools.house import House

pytestmark = [pytest.mark.browser, pytest.mark.system, pytest.mark.model]

TOLD = {
    "gateway__enabled": "true",
    "gateway__port": "0",
    # Live sources keep no clips unless the owner wants them: a citation plays where they are kept.
    "memory__clips__enabled": "true",
    # A browser that encodes beside them leaves little of two cores: only a role that is lost is replaced.
    "supervisor__start_s": "240",
    "supervisor__silent_s": "60",
}
LONG_S = 240.0
"""Only against a hang; nothing here measures time."""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with House(tmp_path_factory.mktemp("live") / "store", "live", TOLD) as own:
        own.wait_for(lambda: (own.run_dir / "gateway.json").exists(), LONG_S, "the gateway serves")
        yield own


@pytest.fixture(scope="module")
def complaints():
    return Complaints()


@pytest.fixture(scope="module")
def page(house, complaints, tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    shown = (("coffee", "coffee.png"), ("cat", "chelsea.png"))
    camera = film_camera(folder / "camera.mjpeg", shown, 15.0)
    with chromium(camera, film_voice(folder / "voice.wav")) as browser:
        told = json.loads((house.run_dir / "gateway.json").read_text())
        address = f"{told['scheme']}://127.0.0.1:{told['port']}"
        context = browser.new_context(
            base_url=address, locale="en-GB", viewport={"width": 1280, "height": 860}
        )
        context.grant_permissions(["camera", "microphone"], origin=address)
        opened = new_page(context, complaints)
        opened.set_default_timeout(LONG_S * 1000)
        opened.goto(address)
        opened.fill("#secret", (house.store_dir / "gateway" / "owner.token").read_text().strip())
        opened.press("#secret", "Enter")
        opened.wait_for_selector("#connection[data-state=open]")
        yield opened


def go(page, view):
    page.click(f".tabs a[href='#{view}']")


def answered(page, n):
    """Waits for the end of the nth answer."""
    until_page(page, f"document.querySelectorAll('.answered .said:not(.waiting)').length >= {n}", LONG_S)
    until_page(page, "document.querySelector('#stop').hidden", LONG_S)


def test_it_sees_hears_answers_alerts_pauses_and_forgets(house, page, complaints):
    watch_for(page, "the winter of despair")
    sees_and_hears(house, page)
    answers_by_voice_and_the_citation_plays(page)
    answers_what_is_typed(page)
    is_alerted_once(page)
    pauses(house, page)
    forgets(page)
    assert [one for one in complaints.all if "404" not in one] == []


def watch_for(page, what):
    go(page, "alerts")
    page.fill("#watch-question", what)
    page.press("#watch-question", "Enter")
    page.wait_for_selector(f"#watches li:has-text('{what}')")


def sees_and_hears(house, page):
    go(page, "live")
    page.click("#camera-switch")
    page.click("#microphone-switch")
    until_page(page, "document.querySelector('#preview').currentTime > 0.5", LONG_S)
    until_page(page, "document.querySelector('#meter').value > 20", LONG_S)
    until_page(page, "/best of times/i.test(document.querySelector('#transcript').textContent)", LONG_S)
    until_page(page, "/winter of despair/i.test(document.querySelector('#transcript').textContent)", LONG_S)
    uri = "browser:" + page.evaluate("localStorage.getItem('omnirecall.camera-name')")
    told = house.source(uri)
    assert told.state == "reading"
    assert told.read > 0
    assert told.audio_dropped == 0


def answers_by_voice_and_the_citation_plays(page):
    page.focus("#hold")
    page.keyboard.down(" ")
    before = page.locator("#transcript .heard").count()
    until_page(page, f"document.querySelectorAll('#transcript .heard').length > {before}", LONG_S)
    page.keyboard.up(" ")
    answered(page, 1)
    plays(page)


def plays(page):
    """Plays the first moment of an answer. Of what was just said a clip is there once its event has ended."""
    ends_s = time.monotonic() + LONG_S
    while True:
        page.click(".cites .moment")
        try:
            until_page(page, "document.querySelector('#player-video').currentTime > 0.5", 15.0)
            return
        except AssertionError:
            if time.monotonic() > ends_s:
                raise
        finally:
            page.keyboard.press("Escape")
            page.wait_for_selector("dialog[open]", state="detached")


def answers_what_is_typed(page):
    n = page.locator(".answered .said:not(.waiting)").count()
    page.fill("#question", "What did the voice say about winter?")
    page.press("#question", "Enter")
    answered(page, n + 1)
    last = page.locator(".answered").last.inner_text()
    assert "despair" in last.lower()
    assert page.locator(".answered").last.locator(".cites .moment img").count() > 0, "with a picture"


def is_alerted_once(page):
    page.wait_for_selector("#alert-count:visible")
    assert page.inner_text("#alert-count") == "1"
    go(page, "alerts")
    until_page(page, "document.querySelectorAll('#alert-items > li').length === 1", LONG_S)


def pauses(house, page):
    tracks = "window.seen = [...document.querySelector('#preview').srcObject.getTracks()]; true"
    go(page, "live")
    page.evaluate(tracks)
    page.click("#pause")
    until_page(page, "window.seen.every(track => track.readyState === 'ended')", LONG_S)
    page.wait_for_selector("#paused-banner:visible")
    uri = "browser:" + page.evaluate("localStorage.getItem('omnirecall.camera-name')")
    house.wait_for(lambda: house.source(uri).state == "paused", LONG_S, "the source rests")


def forgets(page):
    go(page, "system")
    page.select_option("#forget-what", "60")
    page.click("#forget button")
    page.wait_for_selector("#forget-sheet[open]")
    page.click("#forget-yes")
    page.wait_for_selector("#forget-told:has-text('found nothing of it')")
    go(page, "timeline")
    page.fill("#cue", "winter of despair")
    page.press("#cue", "Enter")
    page.wait_for_selector("#timeline-told:has-text('Nothing')")
