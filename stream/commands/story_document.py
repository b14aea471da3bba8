"""A story with its album, as Markdown, as JSON, and in a few lines for the terminal.

What is shared is poor in facts by default: numbers of pictures in place of file names, times to the minute as
the story tells them, no positions. JSON is for the owner's programs and has the file names; it is no page
to send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.commands.terminal import clean
from stream.messages.story import Story, StoryPicture

if TYPE_CHECKING:
    from stream.capture.album.choose import Chosen
    from stream.capture.album.read import Album


UNREAD = "told by time and place alone"
"""What becomes of files that the store did not take."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a shared page may carry: towns and the shape of the route by default, nothing else."""

    places: bool = True
    gps: bool = False
    names: bool = False
    metadata: bool = False


@dataclass(frozen=True, slots=True)
class NotTold:
    """A file that the story does not show: its name, why, and which picture stands for it."""

    name: str
    reason: str
    instead: int = 0


@dataclass(frozen=True)
class Document:
    """All that a page is made of. `chosen` and `pictures` go by number: the first has number 1.

    `notes` name no file; `unread` are the files that the store did not take, by name, with the reason.
    """

    story: Story
    chosen: tuple[Chosen, ...]
    pictures: tuple[StoryPicture, ...]
    not_told: tuple[NotTold, ...]
    notes: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    kept: Kept
    n_files: int = 0
    captions: Mapping[int, str] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """The file name of a picture."""
        return self.chosen[number - 1].picture.path.name


def document_of(
    album: Album, pictures: list[StoryPicture], story: Story, kept: Kept, unread: Mapping[Path, str]
) -> Document:
    """Puts a story and its album together.

    Args:
        album: As it was read.
        pictures: As they were told of.
        story: What was told.
        kept: What may be shared.
        unread: Files that the store did not take, with the reason.
    """
    numbers = {one.picture.path: number for number, one in enumerate(album.chosen, start=1)}
    not_told = [
        NotTold(one.path.name, one.reason, numbers.get(one.instead, 0) if one.instead is not None else 0)
        for one in album.left_out
    ]
    return Document(
        story=story,
        chosen=album.chosen,
        pictures=tuple(pictures),
        not_told=tuple(not_told),
        notes=(*album.notes, *story.notes),
        unread=tuple((path.name, why) for path, why in unread.items()),
        kept=kept,
        n_files=len(album.pictures) + sum(one.reason.startswith("cannot be read") for one in not_told),
        captions={one.number: one.text for one in story.captions},
    )


def reasons(document: Document) -> list[tuple[str, int]]:
    """How many files are not shown for each reason, most first."""
    return Counter(one.reason.partition(":")[0] for one in document.not_told).most_common()


# JSON.


def to_json(document: Document) -> dict[str, Any]:
    """For programs: every sentence with pictures, citations, claims, verdict and round."""
    story = document.story
    return {
        "title": story.title,
        "model": story.model or None,
        "chapters": [
            {
                "title": chapter.title,
                "why": chapter.why or None,
                "pictures": list(chapter.pictures),
                "sentences": [
                    {
                        "text": one.text,
                        "pictures": list(one.pictures),
                        "citations": [citation.hex() for citation in one.citations],
                        "claims": [
                            {"kind": claim.kind, "text": claim.text, "verdict": claim.verdict}
                            for claim in one.claims
                        ],
                        "verdict": "supported",
                        "round": one.round,
                        "written_by": one.written_by,
                    }
                    for one in chapter.sentences
                ],
            }
            for chapter in story.chapters
        ],
        "pictures": [_picture_json(document, one) for one in document.pictures],
        "left_out": [
            {"file": one.name, "reason": one.reason, "instead": one.instead or None}
            for one in document.not_told
        ],
        "rounds": [
            {
                name: getattr(one, name)
                for name in ("round", "checked", "failed", "rewritten", "removed", "refined")
            }
            for one in story.rounds
        ],
        "not_said": [
            {
                "round": one.round,
                "text": one.text,
                "instead": one.instead,
                "claims": [
                    {"kind": c.kind, "text": c.text, "verdict": c.verdict, "why": c.why} for c in one.claims
                ],
            }
            for one in story.dropped
        ],
        "notes": notes_of(document),
    }


def _picture_json(document: Document, one: StoryPicture) -> dict[str, Any]:
    own = document.chosen[one.number - 1].picture
    told: dict[str, Any] = {
        "number": one.number,
        "file": own.path.name,
        "source": one.source_id.hex(),
        "media": one.media,
        "caption": document.captions.get(one.number, ""),
        "taken": own.taken.isoformat() if own.taken is not None else None,
        "clock": one.clock or None,
        "town": one.town or None if document.kept.places else None,
    }
    if document.kept.gps:
        told |= {"lat": one.lat, "lon": one.lon}
    return told


# Markdown and words.


def markdown_of(document: Document) -> str:
    """The story as Markdown, pictures by number; with file names only where these are kept."""
    lines = [f"# {_plain(document.story.title)}", ""]
    for chapter in document.story.chapters:
        lines += [f"## {_plain(chapter.title)}", ""]
        lines += [
            f"{_plain(one.text)} ({', '.join(str(number) for number in one.pictures)})"
            for one in chapter.sentences
        ]
        lines.append("")
    lines += ["## Pictures", ""]
    for one in document.pictures:
        name = f" ({_plain(document.name(one.number))})" if document.kept.metadata else ""
        lines.append(f"{one.number}. {_plain(document.captions.get(one.number, ''))}{name}")
    if document.not_told:
        lines += ["", "## Not shown", ""]
        lines += [f"- {_plain(line)}" for line in not_told_lines(document)]
    if notes := shared_notes(document):
        lines += ["", "## Notes", "", *(f"- {_plain(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def not_told_lines(document: Document) -> Iterator[str]:
    """One line for each file that is not shown; by its name where names are kept, else together by reason."""
    if document.kept.metadata:
        for one in document.not_told:
            instead = f" as picture {one.instead}" if one.instead else ""
            yield f"{one.name}: {one.reason}{instead}"
        return
    grouped = Counter((one.reason.partition(":")[0], one.instead) for one in document.not_told)
    for (reason, number), n in grouped.items():
        files = "1 file" if n == 1 else f"{n} files"
        yield f"{files}: {reason}{f' as picture {number}' if number else ''}"


def notes_of(document: Document) -> list[str]:
    """All notes, with the names of the files that they are about."""
    return [*document.notes, *(f"{name} {UNREAD}: {why}" for name, why in document.unread)]


def shared_notes(document: Document) -> list[str]:
    """The notes as they may be shared: without names of files where these are not kept."""
    if document.kept.metadata:
        return notes_of(document)
    n = len(document.unread)
    return [*document.notes, *([f"{'1 file' if n == 1 else f'{n} files'} {UNREAD}"] if n else [])]


def _plain(text: str) -> str:
    """Text in which nothing is Markdown or HTML."""
    told = clean(text)
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!" else c for c in told)


def summary(document: Document, target: Path | None) -> Iterator[str]:
    """What was made, for people."""
    story = document.story
    n_sentences = sum(len(chapter.sentences) for chapter in story.chapters)
    chapters = "1 chapter" if len(story.chapters) == 1 else f"{len(story.chapters)} chapters"
    yield clean(story.title)
    n = len(document.pictures)
    yield f"  {n} of {document.n_files} files told in {n_sentences} sentences, {chapters}"
    for one in story.rounds:
        yield f"  round {one.round}: {one.checked} sentences looked at, {one.failed} not true and not told"
    for reason, n in reasons(document):
        yield f"  not shown: {n}, {clean(reason)}"
    for note in notes_of(document):
        yield f"  note: {clean(note)}"
    if target is not None:
        yield f"wrote {target}"
