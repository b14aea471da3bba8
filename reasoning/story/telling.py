"""One story from its question to its end, in steps that each take a moment, so that progress can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from reasoning.story.captions import KINDS, Caption, captions_of
from reasoning.story.check import Setting, check
from reasoning.story.composer import Composer, Line
from reasoning.story.loop import Draft, Loop
from reasoning.story.outline import Chapter, outline
from reasoning.story.writer import Writer
from stream.errors import ConfigError
from stream.messages.log import LogAsk, LogRows
from stream.messages.observation import Observation
from stream.messages.story import (
    PictureCaption,
    Story,
    StoryAsk,
    StoryChapter,
    StoryFinal,
    StoryPicture,
    StoryProgress,
    StorySentence,
)
from stream.wire.bounds import shortened

SOURCES_AT_ONCE = 40
PAGE = 250
LANGUAGES = ("en",)
CAPTION_CHARS = 300
MOST_DROPPED = 200
"""Sentences that were not told which a story lists, so that it fits into a message."""

Rows = Callable[[LogAsk], LogRows]
"""Asks memory for a page of its log."""


def telling(ask: StoryAsk, rows: Rows, writer: Writer | None = None) -> Iterator[StoryProgress | StoryFinal]:
    """Tells an album: progress, and in the end the story.

    Args:
        ask: The album and how it is to be told.
        rows: Memory's log.
        writer: A language model that writes the draft; None: the composer does.

    Raises:
        ConfigError: If the language is not spoken here.
        OmniRecallError: As `rows`.
    """
    if ask.wish.language not in LANGUAGES:
        raise ConfigError(
            f"stories are written in {', '.join(LANGUAGES)}, not in {ask.wish.language!r}",
            remedy="leave --language out",
        )
    if not ask.pictures:
        yield StoryFinal(story=Story(title=ask.wish.title or "An album without pictures"))
        return
    observations: dict[bytes, list[Observation]] = {}
    yield from _remember(ask.pictures, rows, observations)
    yield from told_of(ask, observations, writer)


def _remember(
    pictures: Sequence[StoryPicture], rows: Rows, found: dict[bytes, list[Observation]]
) -> Iterator[StoryProgress]:
    wanted = list(dict.fromkeys(source for one in pictures for source in (one.source_id, *one.beside)))
    for first in range(0, len(wanted), SOURCES_AT_ONCE):
        names = tuple(source.hex() for source in wanted[first : first + SOURCES_AT_ONCE])
        after_n: int | None = 0
        while after_n is not None:
            page = rows(LogAsk(sources=names, kinds=KINDS, after_n=after_n, limit=PAGE))
            for row in page.rows:
                found.setdefault(row.observation.source_id, []).append(row.observation)
            after_n = page.after_n
        yield StoryProgress(
            stage="captions", done=min(first + SOURCES_AT_ONCE, len(wanted)), total=len(wanted)
        )


def told_of(
    ask: StoryAsk, observations: Mapping[bytes, Sequence[Observation]], writer: Writer | None = None
) -> Iterator[StoryProgress | StoryFinal]:
    """As `telling`, with the observations of all pictures by source at hand."""
    captions = captions_of(ask.pictures, observations)
    chapters = outline(list(captions.values()), ask.wish.length)
    yield StoryProgress(stage="outline", done=len(chapters), total=len(chapters))
    composer = Composer(ask.wish, list(captions.values()))
    loop = Loop(captions, observations, [[c.number for c in one.captions] for one in chapters])
    drafts: list[list[Draft]] = []
    for place, chapter in enumerate(chapters):
        if ask.lines:
            drafts.append(_given(ask, chapter))
        else:
            drafts.append(_drafted(composer, writer, chapter, place))
        yield StoryProgress(stage="draft", done=place + 1, total=len(chapters))

    def rewrite(number: int, place: int, draft: Draft) -> list[Draft]:
        own = [captions[n] for n in draft.numbers if n in captions]
        if draft.written_by == "model" and writer is not None and number == 1:
            failed = draft.finding.failed if draft.finding is not None else ()
            written = writer.chapter(own, [f"{one.text}: {one.why}" for one in failed])
            if written:
                return written
        told = {n for one in drafts[place] if one is not draft for n in one.numbers}
        untold = [one for one in own if one.number not in told] or own[:1]
        return [_draft(line) for line in composer.instead(untold)]

    for done in loop.run(drafts, rewrite):
        yield StoryProgress(stage="check", done=done.round, total=done.failed)
    _cover(loop, composer, chapters, drafts)
    yield StoryFinal(story=_story(ask, loop, composer, chapters, drafts, writer))


def _drafted(composer: Composer, writer: Writer | None, chapter: Chapter, place: int) -> list[Draft]:
    composed = [_draft(line) for line in composer.chapter(chapter, place)]
    if writer is None:
        return composed
    written = writer.chapter(chapter.captions)
    told = {number for one in written for number in one.numbers}
    # What the model leaves out is told all the same: no picture gets lost in its choice.
    rest = [one for one in composed if not set(one.numbers) <= told] if written else composed
    return sorted([*written, *rest], key=lambda one: (max(one.numbers), min(one.numbers)))


def _given(ask: StoryAsk, chapter: Chapter) -> list[Draft]:
    """The sentences of a draft that are about pictures of a chapter; each goes with its first picture."""
    own = {one.number for one in chapter.captions}
    return [
        Draft(one.text, one.pictures, "owner") for one in ask.lines if one.pictures and one.pictures[0] in own
    ]


def _draft(line: Line) -> Draft:
    return Draft(line.text, tuple(sorted(one.number for one in line.captions)))


def _cover(loop: Loop, composer: Composer, chapters: Sequence[Chapter], drafts: list[list[Draft]]) -> None:
    """Pictures whose sentences were all removed are told by what is known of them, where that is true."""
    album = list(loop.captions.values())
    for place, chapter in enumerate(chapters):
        told = {n for one in drafts[place] if one.finding and one.finding.is_true for n in one.numbers}
        missing = [loop.captions[one.number] for one in chapter.captions if one.number not in told]
        if not missing:
            continue
        own = [loop.captions[one.number] for one in chapter.captions]
        for line in composer.instead(missing):
            draft = _draft(line)
            draft.round = len(loop.rounds) + 1
            draft.finding = check(draft.text, line.captions, Setting(album, own))
            drafts[place].append(draft)
        drafts[place].sort(key=lambda one: (max(one.numbers), min(one.numbers)))


def _story(
    ask: StoryAsk,
    loop: Loop,
    composer: Composer,
    chapters: Sequence[Chapter],
    drafts: Sequence[Sequence[Draft]],
    writer: Writer | None,
) -> Story:
    told: list[StoryChapter] = []
    album = list(loop.captions.values())
    for place, chapter in enumerate(chapters):
        own = [loop.captions[one.number] for one in chapter.captions]
        title = composer.chapter_title(
            replace(chapter, captions=tuple(own)), place, {one.title for one in told}
        )
        first = own[:1]
        if not title.startswith("Part ") and not check(title, first, Setting(album, own)).is_true:
            title = f"Part {place + 1}"
        told.append(
            StoryChapter(
                title=title,
                pictures=tuple(one.number for one in own),
                sentences=loop.told(drafts[place]),
                why=chapter.why,
                town=own[0].picture.town if ask.wish.places else "",
            )
        )
    notes = list(writer.notes) if writer is not None else []
    return Story(
        title=composer.title(),
        chapters=tuple(told),
        captions=tuple(_caption(one) for one in album),
        rounds=tuple(loop.rounds),
        dropped=tuple(loop.dropped[:MOST_DROPPED]),
        notes=tuple(notes),
        model=writer.model_id if writer is not None else "",
    )


def _caption(one: Caption) -> PictureCaption:
    return PictureCaption(number=one.number, text=shortened(one.text, CAPTION_CHARS))


def sentences_of(story: Story) -> list[StorySentence]:
    """All sentences of a story in their order."""
    return [one for chapter in story.chapters for one in chapter.sentences]
