"""What tests of the page share: a real browser, and a gateway that says what it is told to."""

from __future__ import annotations

import cv2
import pytest

from tests.stream.capture_clips import nature, pan, write_clip
from tests.system.fake_gateway import FakeGateway
from tests.system.page_driver import chromium


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, for all tests of a file."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def gateway(tmp_path, browser):
    """A gateway with one picture and one moment; its pages are closed afterwards."""
    picture = tmp_path / "picture.jpg"
    cv2.imwrite(str(picture), nature(1, 320, 180))
    with FakeGateway(picture, write_clip(tmp_path / "moment.mp4", pan(50))) as served:
        yield served
        for context in browser.contexts:
            context.close()
