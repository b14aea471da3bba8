"""The page in chromium: sentences mark their pictures, hostile text is not obeyed, it fits a phone."""

from __future__ import annotations

import shutil

import pytest

from tests.stream.test_commands_story import draw, made, write_album

pytestmark = pytest.mark.browser


@pytest.fixture
def page(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    folder = tmp_path / "album"
    folder.mkdir()
    write_album(folder, 4)
    document = made(folder)
    chapters = document.story.chapters
    # All in one chapter, so that there are others to fade.
    import msgspec

    whole = msgspec.structs.replace(
        chapters[0],
        pictures=(1, 2, 3, 4),
        sentences=tuple(one for chapter in chapters for one in chapter.sentences),
    )
    from dataclasses import replace

    document = replace(document, story=msgspec.structs.replace(document.story, chapters=(whole,)))
    (tmp_path / "story.html").write_text(draw(document), encoding="utf-8")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = browser.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
        opened.goto((tmp_path / "story.html").as_uri())
        yield opened
        browser.close()


def opacity(page, number):
    return float(page.locator(f"#p{number}").evaluate("e => getComputedStyle(e).opacity"))


def test_a_sentence_marks_its_pictures_by_focus_and_by_hover(page):
    assert [opacity(page, n) for n in (1, 2, 3, 4)] == [1, 1, 1, 1]
    page.locator("#s2").focus()
    assert opacity(page, 2) == 1
    assert all(opacity(page, n) < 0.5 for n in (1, 3, 4))
    page.locator("#s2").blur()
    page.locator("#s3").hover()
    assert opacity(page, 3) == 1
    assert all(opacity(page, n) < 0.5 for n in (1, 2, 4))


def test_nothing_is_obeyed_and_nothing_is_wider_than_a_phone(page):
    assert page.title().startswith("A title <script>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0 && i.alt)")
