"""What the page shows stays what is so: figures under a focused button, alerts and lists after forgetting, and
Escape while an answer is read aloud."""

from __future__ import annotations

import cv2
import pytest

from tests.stream.capture_clips import nature, pan, write_clip
from tests.system.fake_gateway import FakeGateway
from tests.system.page_driver import chromium, until_page
from tests.system.test_page import signed_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture
def gateway(tmp_path, browser):
    picture = tmp_path / "picture.jpg"
    cv2.imwrite(str(picture), nature(1, 320, 180))
    with FakeGateway(picture, write_clip(tmp_path / "moment.mp4", pan(10))) as served:
        yield served
        for context in browser.contexts:
            context.close()


def source(uri, read, state="reading"):
    return {"uri": uri, "state": state, "source_id": "ab", "read": read, "sent": read}


def test_pausing_one_source_keeps_the_focus_and_its_figures_go_on(browser, gateway):
    gateway.sources = [source("rtsp://yard", 3), source("rtsp://door", 5)]
    page = signed_in(browser, gateway, at="#system")
    gateway.state()
    page.focus("#sources button[aria-label^='Pause'][aria-label*='yard']")
    page.keyboard.press("Enter")
    until_page(page, "document.querySelector('#polite').textContent.startsWith('Paused')")
    gateway.sources[1]["read"] = 77
    gateway.state()
    page.wait_for_selector("#sources tbody tr:nth-child(2):has-text('77')")
    until_page(page, "document.activeElement.textContent === 'Resume'")
    page.keyboard.press("Enter")
    until_page(page, "document.querySelector('#polite').textContent.startsWith('Resumed')")
    pauses = [body for path, body in gateway.posted if path == "sources/pause"]
    assert pauses == [{"uri": "rtsp://yard", "paused": True}, {"uri": "rtsp://yard", "paused": False}]
    gateway.sources = [source("rtsp://gate", 1), *gateway.sources]
    gateway.state()
    page.wait_for_selector("#sources tbody tr:nth-child(3)")
    assert "yard" in page.evaluate("document.activeElement.getAttribute('aria-label')"), "it moved down with it"
    gateway.sources[1]["state"] = "done"
    gateway.state()
    until_page(page, "document.activeElement.getAttribute('aria-label') === 'Table of sources'")
