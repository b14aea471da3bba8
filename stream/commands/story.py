"""`omnirecall story`: a folder of photos and clips told as a page, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.capture.album.read import Album
    from stream.commands.connection import Connection
    from stream.commands.indexing import Job
    from stream.commands.story_document import Kept
    from stream.messages.story import Story, StoryWish

INTERRUPTED = 130
TELL_S = 3600.0
"""The longest that telling a story may take, with a slow language model."""
SILENT_S = 180.0
"""Without a word of progress for so long, nobody is at work any more."""
FORMATS = {".html": "html", ".htm": "html", ".md": "markdown", ".json": "json"}


def story(
    album: Annotated[Path, typer.Argument(metavar="ALBUM", help="The folder with the photos and clips.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to: .html, .md or .json. Default: story.html."
        ),
    ] = None,
    style: Annotated[str, typer.Option("--style", help="plain, diary (I) or travel (you).")] = "plain",
    length: Annotated[str, typer.Option("--length", help="short, medium or long.")] = "medium",
    language: Annotated[str, typer.Option("--language", help="ISO 639 code; this release writes en.")] = "en",
    title: Annotated[
        str, typer.Option("--title", help="The title; by default the place and the dates.")
    ] = "",
    hide_places: Annotated[
        bool, typer.Option("--hide-places", help="Name no towns and draw no route: by default both are told.")
    ] = False,
    keep_gps: Annotated[
        bool, typer.Option("--keep-gps", help="Write positions beside the pictures: by default none are.")
    ] = False,
    keep_names: Annotated[
        bool,
        typer.Option("--keep-names", help="Tell the names of people that labels beside the photos have."),
    ] = False,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Write file names and cameras: by default neither is.")
    ] = False,
    max_size: Annotated[
        float, typer.Option("--max-size", metavar="MB", min=0.2, help="Bytes of the page at most, in 10^6.")
    ] = 12.0,
    time_zone: Annotated[
        str,
        typer.Option("--time-zone", metavar="ZONE", help="Of photos that tell none, such as Europe/Rome."),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    store: options.Store = None,
    preset: options.Preset = "album",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Tell an album as a story in which every sentence is true to its pictures.

    The pictures are read into the store first, as index does; stopped half-way, the same command goes on.
    """
    from stream.commands.story_document import Kept
    from stream.messages.story import StoryWish

    written_to = _target(output, force=force, as_json=as_json)
    wish = StoryWish(
        style=cast(Any, _one_of("--style", style, ("plain", "diary", "travel"))),
        length=cast(Any, _one_of("--length", length, ("short", "medium", "long"))),
        language=language,
        title=title,
        places=not hide_places,
    )
    kept = Kept(places=not hide_places, gps=keep_gps, names=keep_names, metadata=keep_metadata)
    _Run(album, wish, kept, written_to, max_size, as_json).through(
        options.store_dir(store), preset, config, idle_exit, time_zone
    )


def _target(output: Path | None, *, force: bool, as_json: bool) -> Path | None:
    """The file to write; none where JSON goes to standard output alone.

    Raises:
        ConfigError: If it is of no known form, or there already.
    """
    from stream.errors import ConfigError

    if output is None and as_json:
        return None
    target = (output or Path("story.html")).expanduser().absolute()
    if target.suffix.lower() not in FORMATS:
        raise ConfigError(f"{target.name}: a story is .html, .md or .json", remedy="name the file so")
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent} is no folder", remedy="make it, or write elsewhere")
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already", remedy="add --force, or write elsewhere")
    return target


def _one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    from stream.errors import ConfigError

    if value not in known:
        raise ConfigError(f"{option}: there is no {value!r}", remedy=f"one of {', '.join(known)}")
    return value


class _Run:
    """One run of the command, stage by stage."""

    def __init__(
        self, folder: Path, wish: StoryWish, kept: Kept, target: Path | None, max_size: float, as_json: bool
    ) -> None:
        self._folder = folder.expanduser().absolute()
        self._wish = wish
        self._kept = kept
        self._target = target
        self._max_bytes = int(max_size * 1e6)
        self._as_json = as_json

    def through(
        self, store_dir: Path, preset: str, config: Path | None, idle_exit_s: float, time_zone: str
    ) -> None:
        """Reads, indexes, tells, and writes."""
        from stream.capture.album.read import MOST_PIXELS, read_album
        from stream.capture.settings import CaptureSettings, zone_name
        from stream.commands.connection import Connection
        from stream.commands.story_album import story_pictures
        from stream.commands.story_document import document_of
        from stream.errors import ConfigError

        try:
            settings = CaptureSettings(max_pixels=MOST_PIXELS, photo_time_zone=zone_name(time_zone))
        except ValueError as error:
            raise ConfigError(
                f"--time-zone: {time_zone!r} is no zone", remedy="such as Europe/Rome"
            ) from error
        with _stage("looking at the pictures") as told:
            album = read_album(self._folder, settings, told)
        pictures = story_pictures(album, with_people=self._kept.names)
        with Connection(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit_s) as connection:
            unread = self._index(connection, album)
            story = self._tell(connection, pictures)
        document = document_of(album, pictures, story, self._kept, unread)
        self._write(document, settings)

    def _index(self, connection: Connection, album: Album) -> dict[Path, str]:
        """Has the pictures read into the store; those that were not, with the reason."""
        from stream.commands.indexing import INDEXED, Indexing, Job
        from stream.commands.outcomes import progress
        from stream.commands.terminal import note

        jobs = [
            Job(path=one.path, recorded_at_ns=one.t_ns if one.owner_time else None) for one in album.pictures
        ]
        with progress(jobs, lambda job: None) as bars:
            indexing = Indexing(
                connection, jobs, bars.told, lambda why: note(f"waiting: {why}") if why else None
            )
            try:
                indexing.run()
            except KeyboardInterrupt:
                indexing.stop()
                note("stopped; the same command goes on from here")
                raise typer.Exit(INTERRUPTED) from None
        return {job.path: _why(job) for job in jobs if job.outcome not in INDEXED}

    def _tell(self, connection: Connection, pictures: Any) -> Story:
        from stream.messages.story import StoryAsk, StoryFinal, StoryProgress

        ask = StoryAsk(pictures=tuple(pictures), wish=self._wish)
        stages = {"captions": "captions", "outline": "outline", "draft": "draft", "check": "looking again"}
        with _stages() as told:
            for reply in connection.replies("reasoning", ask, silent_s=SILENT_S, timeout_s=TELL_S):
                if isinstance(reply, StoryFinal):
                    return reply.story
                if isinstance(reply, StoryProgress):
                    told(stages.get(reply.stage, reply.stage), reply.done, reply.total)
        raise AssertionError("replies end by an error or the story")

    def _write(self, document: Any, settings: Any) -> None:
        from stream.commands.story_document import markdown_of, summary, to_json
        from stream.commands.story_page import page_of
        from stream.commands.terminal import json_line, say, say_json

        if self._target is not None:
            form = FORMATS[self._target.suffix.lower()]
            if form == "html":
                with _stage("drawing the page") as told:
                    body = page_of(document, settings, self._max_bytes, told).encode()
            elif form == "markdown":
                body = markdown_of(document).encode()
            else:
                body = json_line(to_json(document))
            write_whole(self._target, body)
        if self._as_json:
            say_json({**to_json(document), "output": str(self._target) if self._target else None})
        else:
            for line in summary(document, self._target):
                say(line)


def _why(job: Job) -> str:
    return job.reason.removeprefix(f"{job.uri} ") or job.outcome


def write_whole(path: Path, body: bytes) -> None:
    """Writes a file whole or not at all.

    Raises:
        ConfigError: If it cannot be written.
    """
    import os

    from stream.errors import ConfigError

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(body)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


@contextmanager
def _stage(words: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one stage; yields what takes how far it is."""
    with _stages() as told:
        yield lambda done, total: told(words, done, total)


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from stream.commands.terminal import console

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal) as drawn:
        bar = drawn.add_task("")
        yield lambda words, done, total: drawn.update(
            bar, description=words, completed=done, total=max(1, total, done)
        )
