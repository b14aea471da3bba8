"""`omnirecall index`: files, folders and globs into the store, with progress, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.indexing import Job

MEDIA_SUFFIXES = frozenset(
    """
    .mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .mts .m2ts .wmv .flv .ogv .3gp .vob .mxf
    .jpg .jpeg .png .webp .tif .tiff .bmp
    .wav .mp3 .m4a .aac .flac .ogg .oga .opus .wma .aif .aiff .amr
    """.split()  # noqa: SIM905 - a list this long is read more easily as text
)
"""What is taken from a folder; a file that is named outright is tried whatever its name."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def index(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders (with all below) and globs.")
    ],
    recorded_at: Annotated[
        str | None,
        typer.Option("--recorded-at", metavar="TIME", help="When the recording began, if you know better."),
    ] = None,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Read media into the store. Stopped half-way, the same command goes on where it stopped."""
    from stream.commands.connection import Connection
    from stream.commands.dates import utc_ns
    from stream.commands.indexing import Indexing, Job
    from stream.commands.terminal import note

    recorded_at_ns = utc_ns(recorded_at, "--recorded-at")
    jobs = [Job(path=path, recorded_at_ns=recorded_at_ns) for path in found_media(paths)]
    _refuse_missing(jobs)
    store_dir = options.store_dir(store)
    with (
        Connection(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit) as connection,
        progress(jobs, _outcome_teller(as_json=as_json)) as told,
    ):
        indexing = Indexing(connection, jobs, told)
        try:
            indexing.run()
        except KeyboardInterrupt:
            indexing.stop()
            told()
            note("stopped; the same command goes on from here")
            raise typer.Exit(INTERRUPTED) from None
    _tell_end(jobs, as_json=as_json)
    if jobs and all(job.outcome == "rejected" for job in jobs):
        raise typer.Exit(3)


def found_media(paths: Sequence[str]) -> list[Path]:
    """The files that are meant, each once, folders in order of name.

    Raises:
        SourceGone: If nothing at all is meant.
    """
    from stream.errors import SourceGone

    found = [file for path in paths for file in _files_of(path)]
    if not found:
        raise SourceGone(
            f"no media in {', '.join(paths)}", remedy="name files, or a folder that holds films or recordings"
        )
    return list(dict.fromkeys(Path(file).absolute() for file in found))


def _files_of(path: str) -> Iterator[Path]:
    named = Path(path).expanduser()
    if named.is_dir():
        yield from sorted(
            file for file in named.rglob("*") if file.suffix.lower() in MEDIA_SUFFIXES and file.is_file()
        )
    elif not named.exists() and any(c in path for c in "*?["):
        import glob

        for match in sorted(glob.glob(str(named), recursive=True)):  # noqa: PTH207 - absolute patterns too
            yield from _files_of(match)
    else:
        yield named


def _refuse_missing(jobs: Sequence[Job]) -> None:
    """Files that are not there end at once: no process need be started for them."""
    for job in jobs:
        if not job.path.is_file():
            job.outcome, job.reason = "rejected", f"{job.path} is not a file"
            job.remedy = "check the path"


# Progress --------------------------------------------------------------------------------


@contextmanager
def progress(jobs: Sequence[Job], ended: Callable[[Job], None]) -> Iterator[Callable[[], None]]:
    """Bars on standard error while files are read: one per open file, one for all, with the time left.

    Args:
        jobs: Watched, not changed.
        ended: Called once for each file that is over.

    Yields:
        What is to be called after each change.
    """
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from stream.commands.terminal import clean, console

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    over: set[int] = set()
    bars: dict[int, TaskID] = {}
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal) as drawn:
        whole = drawn.add_task("all", total=float(len(jobs)))

        def told() -> None:
            for number, job in enumerate(jobs):
                if job.is_open and number not in bars:
                    bars[number] = drawn.add_task(clean(job.path.name), total=1.0)
                if number in bars:
                    drawn.update(bars[number], completed=job.share)
                if job.is_over and number not in over:
                    over.add(number)
                    if number in bars:
                        drawn.remove_task(bars.pop(number))
                    ended(job)
            drawn.update(whole, completed=sum(1.0 if job.is_over else job.share for job in jobs))

        told()
        yield told


def _outcome_teller(*, as_json: bool) -> Callable[[Job], None]:
    from stream.commands.terminal import note, say_json_line

    def tell(job: Job) -> None:
        if as_json:
            say_json_line({"event": "file", **job_json(job)})
        else:
            why = f": {job.reason}" if job.reason else ""
            took = f" ({job.seconds:.1f} s)" if job.seconds else ""
            note(f"{job.outcome}: {job.path}{took}{why}")

    return tell


def job_json(job: Job) -> dict[str, object]:
    """How one file ended, for programs."""
    from stream.commands.shapes import seconds

    return {
        "source": job.uri,
        "id": job.source_id.hex(),
        "outcome": job.outcome,
        "reason": job.reason,
        "remedy": job.remedy,
        "duration_s": seconds(job.duration_ns),
        "seconds": round(job.seconds, 3),
    }


def _tell_end(jobs: Sequence[Job], *, as_json: bool) -> None:
    from collections import Counter

    from stream.commands.terminal import note, say_json_line

    counts = Counter(job.outcome for job in jobs)
    if as_json:
        say_json_line({"event": "end", "files": len(jobs), "outcomes": dict(counts)})
    elif len(jobs) > 1:
        note(", ".join(f"{n} {outcome}" for outcome, n in counts.items()))
