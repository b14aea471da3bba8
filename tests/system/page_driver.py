"""A real browser for tests of the page: chromium with a camera and a microphone made of files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.system.page_scripts import FAKE_VOICE

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-fake-ui-for-media-stream",
    # A busy machine encodes five pictures a second in software, not twenty.
    "--use-fake-device-for-media-stream=fps=5",
    "--autoplay-policy=no-user-gesture-required",
)


@dataclass
class Complaints:
    """What a page complained about."""

    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Write down errors, breaches of the content policy among them, and where it asked."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.text} {message.location.get('url', '')}")

    @property
    def all(self) -> list[str]:
        """Errors of both kinds."""
        return self.console + self.errors


@contextmanager
def chromium(video: Path | None = None, audio: Path | None = None) -> Iterator[Browser]:
    """Debian's chromium; its camera and microphone play files (Motion JPEG, WAV) over and over."""
    flags = list(FLAGS)
    if video is not None:
        flags.append(f"--use-file-for-fake-video-capture={video}")
    if audio is not None:
        flags.append(f"--use-file-for-fake-audio-capture={audio}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=flags, headless=True
        )
        try:
            yield browser
        finally:
            browser.close()


def new_page(
    context: BrowserContext, complaints: Complaints | None = None, *, fake_voice: bool = True
) -> Page:
    """A tab whose complaints are written down."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    if complaints is not None:
        complaints.listen(page)
    if fake_voice:
        page.add_init_script(FAKE_VOICE)
    return page


def until_page(page: Page, expression: str, within_s: float = 60.0) -> None:
    """Waits until an expression is true in the page.

    Playwright's own `wait_for_function` evaluates text inside the page, which the content policy forbids.
    """
    ends_s = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < ends_s, f"never true: {expression}"
        page.wait_for_timeout(25)
