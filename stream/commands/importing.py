"""Reading text files into a store: as `stream.commands.indexing`, by the process that reads turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from stream.capture.grown import Ask, Grown, Matching, nothing_held
from stream.capture.turns import Chat, placed
from stream.commands.connection import Connection
from stream.commands.folders import found_file
from stream.commands.indexing import Indexing, Job, Outcome, silent
from stream.commands.outcomes import turns_words
from stream.errors import ModelFailed, SourceError
from stream.messages.control import SourceHeld, SourceOpen, SourceState, StatusMemory

if TYPE_CHECKING:
    from stream.commands.outcomes import Teller


KEYS_POLL_S = 0.5
KEYS_STUCK_S = 60.0
"""How long keys may wait for a model that is loading or making others, before waiting gives up."""


class Importing(Indexing):
    """Has text files read, until each has ended.

    Args:
        connection: To the processes of the store.
        jobs: The files.
        told: Called with a job after each change of it, for progress.
        paused: As `Indexing`.
        time_zone: Of times that tell none; empty for the configuration's.
    """

    def __init__(
        self,
        connection: Connection,
        jobs: Sequence[Job],
        told: Callable[[Job], None],
        paused: Callable[[str], None] = silent,
        *,
        time_zone: str = "",
    ) -> None:
        super().__init__(connection, jobs, told, paused)
        self._time_zone = time_zone

    def _open(self, job: Job) -> bool:
        ask = SourceOpen(
            uri=job.uri, as_text=True, recorded_at_ns=job.recorded_at_ns, time_zone=self._time_zone
        )
        return self._started(job, ask)

    def _follow(self, job: Job, state: SourceState, held: SourceHeld | None) -> None:
        """The process itself waits until memory has every source of the file."""
        job.notes = state.notes or job.notes
        job.share = max(job.share, 0.9 * state.sent / state.read if state.read else 0.0)
        if state.state == "rejected":
            self._end(job, "rejected", state.reason, state.remedy)
        elif state.state == "closed":
            self._end(job, "stopped", state.reason, state.remedy)
        elif state.state in ("done", "partial"):
            job.turns_new, job.turns_known = state.sent, state.read - state.sent
            is_known = state.read > 0 and not state.sent
            outcome: Outcome = "done" if state.state == "done" else "partial"
            self._end(job, "already there" if is_known else outcome, state.reason)


def wait_for_keys(connection: Connection, poll_s: float = KEYS_POLL_S) -> StatusMemory:
    """Waits until memory has all keys, with a bar; how it stands then.

    Raises:
        ModelFailed: If none was made for `KEYS_STUCK_S`.
    """
    from rich.progress import Progress

    from stream.commands.terminal import console

    screen = console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal, transient=True) as drawn:
        told = connection.memory()
        bar = drawn.add_task("keys", total=told.pending_keys)
        total, moved_s = told.pending_keys, time.monotonic()
        while told.pending_keys:
            time.sleep(poll_s)
            before, told = told, connection.memory()
            # Very many are counted to a bound: then only the keys that there are tell that some are made.
            if (told.pending_keys, told.counts.get("keys")) != (
                before.pending_keys,
                before.counts.get("keys"),
            ):
                moved_s = time.monotonic()
            elif time.monotonic() - moved_s > KEYS_STUCK_S:
                raise ModelFailed(
                    f"{told.pending_keys} keys are not being made",
                    remedy="omnirecall status and doctor say why; words are found all the same",
                )
            drawn.update(bar, completed=max(0, total - told.pending_keys))
    return told


def jobs_of(files: Sequence[str], recorded_at_ns: int | None) -> list[Job]:
    """One job for each file, each file once; what cannot be read has ended already."""
    jobs: dict[Path, Job] = {}
    for name in files:
        one = found_file(Path(name).expanduser().absolute())
        job = Job(path=one.path, recorded_at_ns=recorded_at_ns)
        if one.fault:
            remedy = one.remedy.replace("a video or sound file", "a file of text")
            job.outcome, job.reason, job.remedy = "rejected", f"{job.uri} {one.fault}", remedy
        jobs.setdefault(one.path, job)
    return list(jobs.values())


def look(job: Job, time_zone: str, teller: Teller, ask: Ask = nothing_held) -> None:
    """Tells what a file holds, and how much of it is new; a bad one ends as rejected.

    Args:
        job: The file.
        time_zone: Of times that tell none.
        teller: Is told.
        ask: Asks memory; without it the store holds nothing.
    """
    from stream.capture.text import read

    if not job.is_over:
        try:
            matching = Matching(ask, job.uri, time_zone, job.recorded_at_ns)
            for chat in read(job.path):
                grown = matching.of(chat)
                job.turns_new = (job.turns_new or 0) + grown.n_new
                job.turns_known = (job.turns_known or 0) + grown.n_known
                told = _chat_json(job, chat, grown, time_zone)
                teller.event("chat", _chat_words(told), **told)
        except SourceError as error:
            job.outcome, job.reason, job.remedy = "rejected", error.message, error.remedy
    if job.is_over:
        teller.file(job)


def _chat_json(job: Job, chat: Chat, grown: Grown, time_zone: str) -> dict[str, Any]:
    from stream.commands.shapes import iso

    turns = placed(chat.turns, ZoneInfo(time_zone) if time_zone else None, job.recorded_at_ns)
    return {
        "source": grown.record.uri,
        "id": grown.record.source_id.hex(),
        "turns": len(turns),
        "new": grown.n_new,
        "already_there": grown.n_known,
        "captions": sum(bool(turn.caption) for turn in chat.turns),
        "speakers": sorted({turn.speaker for turn in chat.turns if turn.speaker}),
        "t0": iso(turns[0].t0_ns),
        "t1": iso(turns[-1].t0_ns),
        "notes": [*chat.notes, *grown.notes],
    }


def _chat_words(told: dict[str, Any]) -> str:
    when = f"{told['t0']} to {told['t1']}" if told["t0"] else "no times of day"
    names = ", ".join(told["speakers"][:5]) + (", …" if len(told["speakers"]) > 5 else "")
    numbers = turns_words(told["new"], told["already_there"])
    lines = [f"{told['source']}: {numbers}; {when}" + (f", by {names}" if names else "")]
    return "\n".join([*lines, *(f"  {note}" for note in told["notes"])])
