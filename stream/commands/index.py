"""`omnirecall index`: files, folders and globs into the store, with progress, resumable, watched."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.commands.estimate import Estimate
    from stream.commands.folders import FolderWatch, Found
    from stream.commands.indexing import Indexing, Job
    from stream.commands.outcomes import Bars, Teller

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""
WORTH_AN_ESTIMATE = 2
"""Of a single file nobody need be told beforehand how many there are."""


def index(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders (with all below) and globs.")
    ],
    recorded_at: Annotated[
        str | None,
        typer.Option("--recorded-at", metavar="TIME", help="When the recording began, if you know better."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and read what comes into the folders, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how much there is and what it will take, and end.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Begin though the disk seems too small.")] = False,
    wait_for_room: Annotated[
        float,
        typer.Option("--wait-for-room", metavar="SECONDS", help="How long to wait when the disk is full."),
    ] = 600.0,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Read media into the store. Stopped half-way, the same command goes on where it stopped."""
    from stream.commands.dates import utc_ns
    from stream.commands.folders import FolderWatch, found_media
    from stream.commands.outcomes import Teller

    recorded_at_ns = utc_ns(recorded_at, "--recorded-at")
    teller = Teller(as_json=as_json)
    # Before anything is listed, so that nothing falls between.
    watched = FolderWatch(paths) if watch else None
    jobs = [_job(one, recorded_at_ns) for one in found_media(paths)]
    store_dir = options.store_dir(store)
    run = _Run(jobs, teller, watched, recorded_at_ns, wait_for_room)
    if dry_run:
        with _connect(store_dir, preset, config, idle_exit, dry_run=True) or nullcontext() as asked:
            _estimated(jobs, store_dir, asked, teller)
        for job in jobs:
            if job.is_over:
                teller.file(job)
        if jobs and all(job.outcome == "rejected" for job in jobs):
            raise typer.Exit(3)
        return
    if watch or any(not job.is_over for job in jobs):
        connection = _connect(store_dir, preset, config, idle_exit)
        assert connection is not None  # noqa: S101 - only a dry run may have none
        with connection, _interruptible():
            told = _estimated(jobs, store_dir, connection, teller)
            _refuse_if_full(told, store_dir, yes=yes)
            run.through(connection)
    else:
        for job in jobs:
            teller.file(job)
    teller.end(jobs)
    run.end()


class _Run:
    """One run of the command: what is read, what came meanwhile, and how it ended."""

    def __init__(
        self,
        jobs: list[Job],
        teller: Teller,
        watched: FolderWatch | None,
        recorded_at_ns: int | None,
        wait_for_room_s: float,
    ) -> None:
        self._jobs = jobs
        self._teller = teller
        self._watched = watched
        self._recorded_at_ns = recorded_at_ns
        self._wait_for_room_s = wait_for_room_s
        self._exit_code = 0

    def through(self, connection: Connection) -> None:
        """Reads everything; what ends it early is told, and becomes the exit code."""
        from stream.commands.indexing import Indexing
        from stream.commands.outcomes import progress
        from stream.errors import OmniRecallError

        with progress(self._jobs, self._teller.file) as bars, _terminated_as_interrupted():
            indexing = Indexing(
                connection,
                self._jobs,
                bars.told,
                self._teller.paused,
                self._wait_for_room_s,
                lambda job: self._waits(bars, job),
            )
            try:
                if self._watched is not None:
                    words = "watching; new files are read once they have stopped growing; Ctrl-C ends it"
                    self._teller.event("watching", words)
                indexing.run(None if self._watched is None else lambda: self._came(bars))
            except KeyboardInterrupt:
                self._stopped(indexing, "", INTERRUPTED)
                self._teller.event("interrupted", "stopped; the same command goes on from here")
            except OmniRecallError as error:
                self._stopped(indexing, error.message, error.exit_code)
                words = "; ".join(part for part in (error.message, error.remedy) if part)
                self._teller.event("gave up", words, reason=error.message, remedy=error.remedy)

    def _waits(self, bars: Bars, job: Job | None) -> None:
        bars.waits(job)
        if job is not None:
            words = f"{job.path} waits for a place: as many files are read already as may be at a time"
            self._teller.event("waits", words, source=job.uri)

    def _stopped(self, indexing: Indexing, reason: str, exit_code: int) -> None:
        indexing.stop(reason)
        self._exit_code = exit_code

    def _came(self, bars: Bars) -> Iterator[Job]:
        """Jobs for the files that have settled in the watched folders since the last look."""
        assert self._watched is not None  # noqa: S101 - only then it is called
        for one in self._watched.poll(time.monotonic()):
            job = _job(one, self._recorded_at_ns)
            self._teller.event("found", f"new: {one.path}", source=job.uri)
            self._jobs.append(job)
            bars.expect([job])
            if job.is_over:
                bars.told(job)
            else:
                yield job

    def end(self) -> None:
        """Ends the command where its exit code is not 0: 3 if not one file could be indexed."""
        from stream.commands.indexing import INDEXED

        if self._exit_code:
            raise typer.Exit(self._exit_code)
        if self._jobs and not any(job.outcome in INDEXED for job in self._jobs):
            raise typer.Exit(3)


def _job(one: Found, recorded_at_ns: int | None) -> Job:
    """A file that is meant; one with a fault is over, and no process need be started for it."""
    from stream.commands.indexing import Job

    job = Job(path=one.path, recorded_at_ns=recorded_at_ns)
    if one.fault:
        job.outcome, job.reason, job.remedy = "rejected", f"{job.uri} {one.fault}", one.remedy
    return job


def _connect(
    store_dir: Path, preset: str, config: Path | None, idle_exit_s: float, *, dry_run: bool = False
) -> Connection | None:
    """To the processes; for an estimate of a store that does not exist, nothing is started."""
    from stream.commands.connection import LOG_FILE, Connection

    if dry_run and not (store_dir / LOG_FILE).is_file():
        return None
    return Connection(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit_s)


def _estimated(
    jobs: Sequence[Job], store_dir: Path, connection: Connection | None, teller: Teller
) -> Estimate:
    """Looks at the lengths, tells the estimate where it is worth it, and gives the jobs their weight."""
    from stream.capture.lengths import lengths_of
    from stream.commands.estimate import PROBE_S, estimate, estimate_json, estimate_words
    from stream.disk import free_bytes
    from stream.messages.control import HistoryAsk, HistoryTold

    todo = [job for job in jobs if not job.is_over]
    history, known = HistoryTold(), set[str]()
    if connection is not None and todo:
        history = connection.ask("memory", HistoryTold, HistoryAsk())
        known = _known(connection, todo)
    new = [job for job in todo if job.uri not in known]
    with _looking(len(new)) as looked:
        lengths_s = lengths_of([job.path for job in new], PROBE_S, looked)
    for place, job in enumerate(new):
        job.length_s = lengths_s.get(place) or 1.0
    told = estimate(new, lengths_s, len(todo) - len(new), history, free_bytes(store_dir))
    if len(todo) >= WORTH_AN_ESTIMATE or connection is None:
        teller.event("estimate", estimate_words(told), **estimate_json(told))
    return told


def _known(connection: Connection, jobs: Sequence[Job]) -> set[str]:
    """The uris under which the store holds a whole file; the file there may be another by now."""
    from stream.commands.indexing import ASKED_AT_ONCE
    from stream.messages.control import SourcesFind, SourcesFound

    known: set[str] = set()
    for first in range(0, len(jobs), ASKED_AT_ONCE):
        uris = tuple(job.uri for job in jobs[first : first + ASKED_AT_ONCE])
        found = connection.ask("memory", SourcesFound, SourcesFind(uris=uris)).sources
        known |= {uri for one in found if one.consolidated for uri in one.uris}
    return known


@contextmanager
def _looking(n_files: int) -> Iterator[Callable[[int], None]]:
    """A bar while many files are looked at; yields what takes the number looked at."""
    from rich.progress import Progress

    from stream.commands.terminal import console

    screen = console(stderr=True)
    hidden = not screen.is_terminal or n_files < WORTH_AN_ESTIMATE
    with Progress(console=screen, disable=hidden, transient=True) as drawn:
        bar = drawn.add_task("looking at files", total=n_files)
        yield lambda n: drawn.update(bar, completed=n)


def _refuse_if_full(told: Estimate, store_dir: Path, *, yes: bool) -> None:
    from stream.commands.terminal import size
    from stream.errors import DiskFull

    if told.fits or yes:
        return
    raise DiskFull(
        f"about {size(told.n_bytes)} are needed for the store {store_dir}, {size(told.free_bytes)} are free",
        remedy="free some space, choose --store DIR, index less, or say --yes",
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Before anything is read, Ctrl-C just ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
