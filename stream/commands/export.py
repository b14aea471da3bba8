"""`omnirecall export`: what was said as subtitles, or every observation as JSON lines."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.messages.log import LogRow, LogSource
    from stream.messages.observation import Observation

FORMATS = ("srt", "vtt", "jsonl")
PAGE = 500
"""Observations asked for at a time."""
STANDARD_OUTPUT = "-"

Report = Callable[[int, int], None]
"""Told how many observations came, of how many."""


def export(
    format_: Annotated[
        str, typer.Option("--format", help="srt or vtt: what was said; jsonl: every observation.")
    ],
    source: options.Sources = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Only this kind; repeatable. By default all for jsonl, utterance for srt and vtt."
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|DIR",
            help="Where to: a file, a folder for subtitles of several sources, or - for standard output.",
        ),
    ] = STANDARD_OUTPUT,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Write what was said as subtitles (SRT, WebVTT), or observations as JSON lines."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import clean, note, say_json
    from stream.errors import ConfigError

    if format_ not in FORMATS:
        raise ConfigError(f"no format {format_!r}", remedy=f"formats are {', '.join(FORMATS)}")
    if as_json and output == STANDARD_OUTPUT:
        raise ConfigError("--json and the export cannot both go to standard output", remedy="add -o FILE")
    store_dir = options.store_dir(store)
    wanted = (tuple(source or ()), options.kinds(kind))
    with to_store(store_dir, preset, config, idle_exit) as connection, _progress() as report:
        if format_ == "jsonl":
            files = [_jsonl(connection, store_dir, wanted, output, force, report)]
        else:
            files = _subtitles(connection, format_, wanted, output, force, report)
    if as_json:
        say_json({"format": format_, "files": files})
    elif output != STANDARD_OUTPUT:
        for file in files:
            note(f"wrote {clean(str(file['path']))}")


def all_rows(
    connection: Connection, sources: tuple[str, ...], kinds: tuple[str, ...], report: Report
) -> Iterator[tuple[LogRow, LogSource]]:
    """Observations with their sources, in the order of the log, a page in memory at a time."""
    from stream.messages.log import LogAsk, LogRows

    after_n: int | None = 0
    done = total = 0
    while after_n is not None:
        ask = LogAsk(sources=sources, kinds=kinds, after_n=after_n, limit=PAGE)
        page = connection.ask("memory", LogRows, ask, timeout_s=60)
        total = total or page.total
        told = {(source.source_id, source.session): source for source in page.sources}
        for row in page.rows:
            yield row, told[row.observation.source_id, row.observation.session]
        done += len(page.rows)
        report(done, total)
        after_n = page.after_n


# JSON lines.


def _jsonl(
    connection: Connection,
    store_dir: Path,
    wanted: tuple[tuple[str, ...], tuple[str, ...]],
    output: str,
    force: bool,
    report: Report,
) -> dict[str, Any]:
    from stream.commands.shapes import observation_json
    from stream.commands.terminal import json_line

    n_rows = 0
    with _written(output, force=force) as file:
        for row, source in all_rows(connection, *wanted, report):
            file.write(json_line(observation_json(row, source, store_dir)))
            n_rows += 1
    return {"path": _told_path(output), "observations": n_rows}


# Subtitles.


def _subtitles(
    connection: Connection,
    format_: str,
    wanted: tuple[tuple[str, ...], tuple[str, ...]],
    output: str,
    force: bool,
    report: Report,
) -> list[dict[str, Any]]:
    from stream.commands import subtitles
    from stream.errors import ConfigError

    sources, kinds = wanted
    said: dict[tuple[bytes, int], list[Observation]] = {}
    names: dict[tuple[bytes, int], LogSource] = {}
    for row, source in all_rows(connection, sources, kinds or ("utterance",), report):
        own = (source.source_id, source.session)
        said.setdefault(own, []).append(row.observation)
        names[own] = source
    if not said:
        raise ConfigError("nothing of that was heard", remedy="omnirecall status lists what is remembered")
    targets = _targets(list(names.values()), format_, output)
    files: list[dict[str, Any]] = []
    for (own, heard), target in zip(said.items(), targets, strict=True):
        own_source = names[own]
        made = subtitles.cues(heard, source_kind=own_source.kind, time_zone=own_source.time_zone)
        write = subtitles.srt if format_ == "srt" else subtitles.vtt
        with _written(target, force=force) as file:
            for block in write(made):
                file.write(block.encode())
        files.append({"path": _told_path(target), "source": names[own].uris[0], "cues": len(made)})
    return files


def _targets(sources: list[LogSource], format_: str, output: str) -> list[str]:
    """A file for each source; `output` is a folder if it is one, or ends like one.

    Raises:
        ConfigError: If there are several sources and it is none.
    """
    from stream.errors import ConfigError

    folder = Path(output).expanduser()
    if output == STANDARD_OUTPUT or not (folder.is_dir() or output.endswith("/")):
        if len(sources) == 1:
            return [output]
        raise ConfigError(
            f"{len(sources)} sources do not go into one file of subtitles",
            remedy="name one with --source, or a folder with -o (folder/)",
        )
    with _faults_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
    stems = [_stem(source) for source in sources]
    return [
        str(
            folder / (f"{stem}.{format_}" if stems.count(stem) == 1 else f"{stem}-{_short(source)}.{format_}")
        )
        for stem, source in zip(stems, sources, strict=True)
    ]


def _stem(source: LogSource) -> str:
    """What its file is called; of one of several chats of a file, with the name of the chat."""
    file, mark, chat = source.uris[0].rpartition("#")
    if source.kind == "chat" and mark and PurePath(file).suffix:
        name = re.sub(r"[^\w.-]+", "_", chat)
        return f"{PurePath(file).stem}-{name}"
    return PurePath(source.uris[0]).stem or "source"


def _short(source: LogSource) -> str:
    """What tells sources of the same name apart."""
    live = f"-{source.session}" if source.session else ""
    return f"{source.source_id.hex()[:8]}{live}"


# Files.


def _told_path(output: str) -> str:
    return output if output == STANDARD_OUTPUT else str(Path(output).expanduser().absolute())


@contextmanager
def _written(output: str, *, force: bool) -> Iterator[BinaryIO | _Output]:
    """A file that takes its name when the block ends well, or standard output.

    Raises:
        ConfigError: If it is there already or cannot be written.
        DiskFull: If there is no room; nothing is left behind.
    """
    from stream.disk import whole_file
    from stream.errors import ConfigError

    if output == STANDARD_OUTPUT:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # Who reads has had enough, as `head` does; nothing must be flushed there at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    path = Path(output).expanduser().absolute()
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already", remedy="give another name, or --force to replace it")
    with whole_file(path) as unfinished:
        with _faults_named(path):
            file = unfinished.open("wb")
        try:
            yield _Output(file, path)
            with _faults_named(path):
                file.close()
        finally:
            with suppress(OSError):
                file.close()


class _Output:
    """A file whose faults are told by its own name; those of what is written there are not its own."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, block: bytes) -> None:
        with _faults_named(self._path):
            self._file.write(block)


@contextmanager
def _faults_named(path: Path) -> Iterator[None]:
    from stream.disk import unwritable

    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on standard error for what takes more than a page."""
    from stream.commands.terminal import console

    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=screen, transient=True) as drawn:
        bar = drawn.add_task("exporting", total=None)
        yield lambda done, total: drawn.update(bar, completed=done, total=max(1, total))
