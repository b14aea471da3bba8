"""The story as one HTML page that needs nothing else: no host, no script, no file beside it.

Pictures are JPEGs of their pixels alone (nothing of the file's own metadata is copied) as data URIs. Which
pictures a sentence is about is shown by the style sheet: it marks them while the sentence is hovered, tapped
or focused (`:has()`), and each sentence leads to its first one. What came from a store or an album is
escaped, and the page's content policy would load and run nothing even if something slipped through.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from stream.commands.story_document import not_told_lines, shared_notes
from stream.commands.story_route import route_of
from stream.commands.terminal import clean
from stream.errors import SourceError

if TYPE_CHECKING:
    from stream.capture.settings import CaptureSettings
    from stream.commands.story_document import Document
    from stream.messages.story import StoryChapter, StorySentence

SIZES: tuple[tuple[int, int], ...] = (
    (1280, 80),
    (1024, 76),
    (800, 74),
    (640, 70),
    (480, 66),
    (320, 60),
    (200, 50),
)
"""Longer side in pixels and JPEG quality, the best first: the first pair with which the page fits is
taken."""
IMAGE_MARKUP_BYTES = 64
"""What an image's element takes beside its data and its words, padding of base64 with it."""
TRIED = 6
"""Pictures by which the size of all is estimated before all are drawn."""

Told = Callable[[int, int], None]

_STYLE = """
:root { color-scheme: light dark; --ink: #23211d; --soft: #625d54; --paper: #fbf9f5; --card: #fff;
  --line: #ddd7cb; --mark: #9c4221; }
@media (prefers-color-scheme: dark) { :root { --ink: #ece7dd; --soft: #b3ab9c; --paper: #1a1815;
  --card: #24211d; --line: #423d35; --mark: #f0a57c; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1.0625rem/1.65 "Iowan Old Style", "Palatino Linotype", Palatino, Georgia, serif; }
header, main, footer { max-width: 54rem; margin: 0 auto; padding: 0 1.1rem; }
header { padding-top: 3.5rem; padding-bottom: 1rem; text-align: center; }
h1 { font-size: clamp(1.9rem, 6vw, 3rem); line-height: 1.15; margin: 0 0 .5rem; font-weight: 600;
  text-wrap: balance; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 .6rem; font-weight: 600; }
.sub { color: var(--soft); margin: 0; font-style: italic; }
section { margin: 3.25rem 0; }
.chapter > h2::before { content: attr(data-n); color: var(--mark); margin-right: .6rem;
  font-variant-numeric: oldstyle-nums; }
.told { margin: 0 0 1rem; max-width: 40rem; }
a.s { color: inherit; text-decoration: none; border-radius: .2rem;
  border-bottom: 1px solid transparent; transition: background-color .2s; }
a.s:hover, a.s:focus { background: color-mix(in srgb, var(--mark) 14%, transparent);
  border-bottom-color: var(--mark); outline: none; }
a.s:focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
.pictures { display: grid; gap: .7rem; grid-template-columns: repeat(6, 1fr); margin: 0 0 1.4rem; }
figure { margin: 0; position: relative; grid-column: span 2; border-radius: .35rem; overflow: hidden;
  background: var(--line); transition: opacity .25s, box-shadow .25s; scroll-margin: 20vh 0; }
figure img { display: block; width: 100%; height: 100%; object-fit: cover; aspect-ratio: 4 / 3; }
.n1 figure { grid-column: span 6; justify-self: center; }
.n1 img { aspect-ratio: auto; width: auto; max-width: 100%; max-height: 32rem; }
.n2 figure, .n4 figure { grid-column: span 3; }
figcaption { position: absolute; left: 0; bottom: 0; padding: .1rem .5rem;
  font: .75rem/1.5 system-ui, sans-serif;
  color: #fff; background: rgb(0 0 0 / 72%); border-top-right-radius: .35rem; }
.clip figcaption::before { content: "\\25B6  "; }
figure:target { box-shadow: 0 0 0 3px var(--mark); }
.route svg { width: 100%; height: auto; max-height: 22rem; }
.route text { fill: var(--paper); font: 600 11px system-ui, sans-serif; text-anchor: middle; }
.route path { fill: none; stroke: var(--mark); stroke-width: 2; stroke-dasharray: 1 6;
  stroke-linecap: round; }
.route circle { fill: var(--mark); }
footer { color: var(--soft); border-top: 1px solid var(--line); padding-top: 1.2rem; padding-bottom: 4rem;
  margin-top: 3rem; font-size: .9rem; }
footer h2 { font-size: 1rem; color: var(--ink); }
footer ul { padding-left: 1.2rem; }
summary { cursor: pointer; }
@media (max-width: 36rem) { .pictures { gap: .4rem; } figure { grid-column: span 3; }
  .n1 figure, .n3 figure:first-child { grid-column: span 6; } header { padding-top: 2rem; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } figure, a.s { transition: none; } }
@media print { body { background: #fff; color: #000; font-size: 11pt; } figure, .told { break-inside: avoid; }
  section { margin: 1.5rem 0; } h2 { break-after: avoid; } details { display: none; } }
"""


def page_of(document: Document, settings: CaptureSettings, max_bytes: int, told: Told) -> str:
    """The page as text.

    Args:
        document: The story with its album.
        settings: Bounds of decoding.
        max_bytes: Of the page; pictures are made as small as that asks for.
        told: Progress.
    """
    # base64 takes a third more, and each picture some markup of its own.
    markup_bytes = len(_assembled(document, {}).encode()) + IMAGE_MARKUP_BYTES * len(document.pictures)
    images = _images(document, settings, max(0, max_bytes - markup_bytes) * 3 // 4, told)
    return _assembled(document, images)


def _assembled(document: Document, images: dict[int, bytes]) -> str:
    parts = [_head(document)]
    shown: set[int] = set()
    if document.kept.places:
        parts.append(route_of(document))
    for number, chapter in enumerate(document.story.chapters, start=1):
        parts.append(_chapter(document, number, chapter, images, shown))
    parts.append(_foot(document))
    return "".join(parts)


# Pictures.


def _images(document: Document, settings: CaptureSettings, room: int, told: Told) -> dict[int, bytes]:
    """JPEGs by number, of `room` bytes at most; what cannot be drawn or has no room is missing."""
    numbers = [one.number for one in document.pictures]
    first = _size_for(document, numbers, settings, room)
    for size in SIZES[first:]:
        images: dict[int, bytes] = {}
        for done, number in enumerate(numbers, start=1):
            body = jpeg_of(document, number, size, settings)
            if body:
                images[number] = body
            told(done, len(numbers))
            if sum(map(len, images.values())) > room and size != SIZES[-1]:
                break
        if sum(map(len, images.values())) <= room:
            return images
    while images and sum(map(len, images.values())) > room:
        images.popitem()
    return images


def _size_for(document: Document, numbers: Sequence[int], settings: CaptureSettings, room: int) -> int:
    """The first of `SIZES` with which some pictures, and so likely all, have room."""
    if not numbers:
        return 0
    tried = numbers[:: max(1, len(numbers) // TRIED)][:TRIED]
    for place, size in enumerate(SIZES):
        sizes = [len(jpeg_of(document, number, size, settings)) for number in tried]
        if sum(sizes) / len(sizes) * len(numbers) <= room:
            return place
    return len(SIZES) - 1


def jpeg_of(document: Document, number: int, size: tuple[int, int], settings: CaptureSettings) -> bytes:
    """A picture's pixels as JPEG without any metadata; empty where it cannot be read (any more)."""
    import cv2
    import numpy as np

    from stream.capture.album.picture import shown

    side_px, quality = size
    try:
        pixels = shown(document.chosen[number - 1].picture, side_px, settings)
    except SourceError:
        return b""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    is_made, body = cv2.imencode(".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), flags)
    return body.tobytes() if is_made else b""


# Markup.


def _head(document: Document) -> str:
    story = document.story
    n = len(document.pictures)
    pictures = "1 picture" if n == 1 else f"{n} pictures"
    chapters = f", {len(story.chapters)} chapters" if len(story.chapters) > 1 else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{_text(story.title)}</title>\n<style>{_STYLE}{_marks(document)}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{_text(story.title)}</h1>\n"
        f'<p class="sub">{pictures}{chapters}</p>\n</header>\n<main>\n'
    )


def _marks(document: Document) -> str:
    """Rules by which a sentence marks its pictures: in its chapter all others fade."""
    rules = []
    number = 0
    for chapter in document.story.chapters:
        for sentence in chapter.sentences:
            number += 1
            if len(sentence.pictures) == len(chapter.pictures):
                continue
            own = "".join(f":not(#p{one})" for one in sentence.pictures)
            rules.append(f".chapter:has(#s{number}:is(:hover,:focus)) figure{own}{{opacity:.22}}")
    return "\n".join(rules)


def _chapter(
    document: Document, number: int, chapter: StoryChapter, images: dict[int, bytes], shown: set[int]
) -> str:
    """A chapter with the pictures that none before it has `shown`."""
    before = sum(len(one.sentences) for one in document.story.chapters[: number - 1])
    parts = [f'<section class="chapter">\n<h2 data-n="{number}">{_text(chapter.title)}</h2>\n']
    for sentences, pictures in _blocks(chapter):
        parts.append('<p class="told">')
        for sentence in sentences:
            before += 1
            parts.append(_sentence(before, sentence))
        parts.append("</p>\n")
        fresh = [one for one in pictures if one not in shown]
        shown.update(fresh)
        if fresh:
            figures = "".join(_figure(document, one, images.get(one, b"")) for one in fresh)
            parts.append(f'<div class="pictures n{min(len(fresh), 5)}">{figures}</div>\n')
    parts.append("</section>\n")
    return "".join(parts)


def _blocks(chapter: StoryChapter) -> Iterator[tuple[list[StorySentence], list[int]]]:
    """Sentences with the pictures below them: a paragraph ends once it has some to show."""
    held: list[StorySentence] = []
    pictures: list[int] = []
    for sentence in chapter.sentences:
        if len(pictures) >= 3 and not set(sentence.pictures) <= set(pictures):
            yield held, pictures
            held, pictures = [], []
        held.append(sentence)
        pictures += [one for one in sentence.pictures if one not in pictures]
    if held:
        yield held, pictures


def _sentence(number: int, sentence: StorySentence) -> str:
    first = sentence.pictures[0] if sentence.pictures else 0
    named = ", ".join(str(one) for one in sentence.pictures)
    title = f"picture {named}" if len(sentence.pictures) == 1 else f"pictures {named}"
    return f'<a class="s" id="s{number}" href="#p{first}" title="{title}">{_text(sentence.text)}</a> '


def _figure(document: Document, number: int, body: bytes) -> str:
    one = document.pictures[number - 1]
    caption = document.captions.get(number, "") or "Photo"
    beside = [str(number)]
    if document.kept.metadata:
        own = document.chosen[number - 1].picture
        beside += [part for part in (own.path.name, own.camera) if part]
    if document.kept.gps and one.lat is not None and one.lon is not None:
        beside.append(f"{one.lat:.5f}, {one.lon:.5f}")
    kind = ' class="clip"' if one.media == "clip" else ""
    label = _text(" · ".join(beside))
    if not body:
        return f'<figure id="p{number}"{kind}><figcaption>{label}: {_text(caption)}</figcaption></figure>'
    encoded = base64.b64encode(body).decode("ascii")
    return (
        f'<figure id="p{number}"{kind}><img src="data:image/jpeg;base64,{encoded}" alt="{_text(caption)}">'
        f"<figcaption>{label}</figcaption></figure>"
    )


def _foot(document: Document) -> str:
    not_told = [f"<li>{_text(line)}</li>" for line in not_told_lines(document)]
    notes = [f"<li>{_text(line)}</li>" for line in shared_notes(document)]
    parts = ["</main>\n<footer>\n"]
    parts.append(
        "<p>Every sentence was checked against its pictures before it was told. Hover, tap or focus one to "
        "see which they are.</p>\n"
    )
    if not_told:
        parts.append(f"<details><summary>Not shown</summary><ul>{''.join(not_told)}</ul></details>\n")
    if notes:
        parts.append(f"<details><summary>Notes</summary><ul>{''.join(notes)}</ul></details>\n")
    if any(one.town for one in document.pictures) and document.kept.places:
        parts.append("<p>Towns: GeoNames, CC BY 4.0.</p>\n")
    return "".join((*parts, "</footer>\n</body>\n</html>\n"))


def _text(text: str) -> str:
    return escape(clean(text), quote=True)
