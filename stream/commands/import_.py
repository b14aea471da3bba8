"""`omnirecall import`: chats, transcripts and meetings into the store, each turn with speaker and time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options
from stream.commands.index import INTERRUPTED

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.commands.indexing import Job
    from stream.commands.outcomes import Teller


def import_(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...", help="JSON lines of turns, LoCoMo dialogues, QMSum meetings, SRT or VTT."
        ),
    ],
    time_zone: Annotated[
        str,
        typer.Option(
            "--time-zone", metavar="ZONE", help="Zone of times that tell none, such as Europe/Berlin."
        ),
    ] = "",
    recorded_at: Annotated[
        str | None,
        typer.Option("--recorded-at", metavar="TIME", help="When it began, for files that tell no times."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what the files hold and what of it is new, and end.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until all keys are made, so that meaning finds them too.")
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Bring in what people wrote and said: chats, transcripts, meetings.

    Again is harmless; of a chat that has grown since, the new turns are added.
    """
    from stream.commands.connection import Connection
    from stream.commands.dates import utc_ns
    from stream.commands.importing import jobs_of
    from stream.commands.outcomes import Teller

    recorded_at_ns = utc_ns(recorded_at, "--recorded-at")
    _check_zone(time_zone)
    teller = Teller(as_json=as_json)
    jobs = jobs_of(files, recorded_at_ns)
    store_dir = options.store_dir(store)
    if dry_run:
        _look(jobs, time_zone, teller, (store_dir, preset, config, idle_exit))
        _tell_total(jobs, teller)
    elif any(not job.is_over for job in jobs):
        with Connection(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit) as connection:
            _run(connection, jobs, time_zone, teller)
            _tell_keys(connection, jobs, teller, wait=wait)
    else:
        for job in jobs:
            teller.file(job)
    teller.end(jobs)
    _end(jobs, dry_run=dry_run)


def _look(
    jobs: list[Job], time_zone: str, teller: Teller, where: tuple[Path, str, Path | None, float]
) -> None:
    """Tells what the files hold and what of it is new; for a store that does not exist nothing is started."""
    from stream.commands.connection import LOG_FILE, Connection
    from stream.commands.importing import look

    store_dir, preset, config, idle_exit_s = where
    if not (store_dir / LOG_FILE).is_file():
        for job in jobs:
            look(job, time_zone, teller)
        return
    with Connection(store_dir, preset=preset, config_file=config, idle_exit_s=idle_exit_s) as connection:
        for job in jobs:
            look(job, time_zone, teller, lambda kind, message: connection.ask("memory", kind, message))


def _tell_total(jobs: list[Job], teller: Teller) -> None:
    """What all files together would add."""
    from stream.commands.outcomes import turns_words

    n_new, n_known = sum(job.turns_new or 0 for job in jobs), sum(job.turns_known or 0 for job in jobs)
    told = {"turns_new": n_new, "turns_already_there": n_known}
    teller.event("total", f"in all {turns_words(n_new, n_known)}; nothing was stored", **told)


def _run(connection: Connection, jobs: list[Job], time_zone: str, teller: Teller) -> None:
    from stream.commands.importing import Importing
    from stream.commands.outcomes import progress

    with progress(jobs, teller.file) as bars:
        importing = Importing(connection, jobs, bars.told, teller.paused, time_zone=time_zone)
        try:
            importing.run()
        except KeyboardInterrupt:
            importing.stop()
            teller.event("interrupted", "stopped; the same command goes on from here")
            raise typer.Exit(INTERRUPTED) from None


def _tell_keys(connection: Connection, jobs: list[Job], teller: Teller, *, wait: bool) -> None:
    """How many keys are still to be made: until then turns are found by their words alone."""
    from stream.commands.importing import wait_for_keys
    from stream.commands.indexing import INDEXED
    from stream.commands.status import to_make

    if not any(job.outcome in INDEXED for job in jobs):
        return
    try:
        memory = wait_for_keys(connection) if wait else connection.memory()
    except KeyboardInterrupt:
        teller.event("interrupted", "stopped; the keys are made all the same")
        raise typer.Exit(INTERRUPTED) from None
    words = f"{to_make(memory)}; until then words find what meaning does not" if memory.pending_keys else ""
    told = {"pending_keys": memory.pending_keys, "pending_turns": memory.pending_turns}
    teller.event("keys", words or ("all keys are made" if wait else ""), **told)


def _check_zone(name: str) -> None:
    from stream.capture.settings import zone_name
    from stream.errors import ConfigError

    try:
        zone_name(name)
    except ValueError as error:
        raise ConfigError(f"--time-zone: {error}", remedy="write it like Europe/Berlin or UTC") from error


def _end(jobs: list[Job], *, dry_run: bool) -> None:
    """Exit code 3 where not one file could be read, as `index` has it."""
    from stream.commands.indexing import INDEXED

    if jobs and all(job.outcome == "rejected" if dry_run else job.outcome not in INDEXED for job in jobs):
        raise typer.Exit(3)
