"""How indexing is told while it goes on and when it is over: bars, lines, a table, JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from stream.commands.indexing import Job

MOST_SHOWN = 20
"""Rows of bad files in the table at the end; each was told when it ended, and JSON has all."""


class Bars:
    """Bars on standard error: one per open file, one for all, with the time left.

    Args:
        drawn: Where they are drawn.
        ended: Called once for each file that is over.
    """

    def __init__(self, drawn: Progress, ended: Callable[[Job], None]) -> None:
        self._drawn = drawn
        self._ended = ended
        self._whole = drawn.add_task("all", total=0.0)
        self._total_s = self._done_s = 0.0
        self._bars: dict[int, tuple[TaskID, float]] = {}
        self._over: set[int] = set()

    def expect(self, jobs: Sequence[Job]) -> None:
        """Notes files that are to come; long ones weigh more."""
        self._total_s += sum(job.length_s for job in jobs)
        self._drawn.update(self._whole, total=self._total_s)

    def waits(self, job: Job | None) -> None:
        """Draws that a file waits until another command's files are read, or no more."""
        from stream.commands.terminal import clean

        words = f"all: {clean(job.path.name)} waits for a place" if job is not None else "all"
        self._drawn.update(self._whole, description=words)

    def told(self, job: Job) -> None:
        """Draws a change of one file."""
        from stream.commands.terminal import clean

        key = id(job)
        if job.is_open and key not in self._bars:
            self._bars[key] = (self._drawn.add_task(clean(job.path.name), total=1.0), 0.0)
        if key in self._bars:
            bar, before = self._bars[key]
            self._drawn.update(bar, completed=job.share)
            self._done_s += (job.share - before) * job.length_s
            self._bars[key] = (bar, job.share)
        if job.is_over and key not in self._over:
            self._over.add(key)
            shown = self._bars.pop(key, None)
            self._done_s += (1.0 - (shown[1] if shown else 0.0)) * job.length_s
            if shown is not None:
                self._drawn.remove_task(shown[0])
            self._ended(job)
        self._drawn.update(self._whole, completed=self._done_s)


@contextmanager
def progress(jobs: Sequence[Job], ended: Callable[[Job], None]) -> Iterator[Bars]:
    """Bars for some files; those that are over already are told at once.

    Args:
        jobs: What is expected.
        ended: Called once for each file that is over.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from stream.commands.terminal import console

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal) as drawn:
        bars = Bars(drawn, ended)
        bars.expect(jobs)
        for job in jobs:
            if job.is_over:
                bars.told(job)
        yield bars


class Teller:
    """Says each event as it comes: a line of text for people, a line of JSON for programs.

    Args:
        as_json: For programs.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def event(self, name: str, words: str, **values: Any) -> None:
        """Something that concerns no single file."""
        from stream.commands.terminal import note, say_json_line

        if self._as_json:
            say_json_line({"event": name, **values})
        elif words:
            note(words)

    def file(self, job: Job) -> None:
        """How a file ended."""
        from stream.commands.terminal import note, say_json_line

        if self._as_json:
            say_json_line({"event": "file", **job_json(job)})
            return
        why = f": {_bare(job)}" if job.reason else ""
        took = f" ({job.seconds:.1f} s)" if job.seconds else ""
        turns = ""
        if job.turns_new is not None and job.turns_known is not None:
            turns = f": {turns_words(job.turns_new, job.turns_known)}"
        note(f"{job.outcome}: {job.path}{took}{turns}{why}")
        for remark in job.notes:
            if remark not in why:  # The reason of a part is among the notes.
                note(f"  {remark}")
        for other in job.like:
            note(f"  near-duplicate of {other.uri}: {other.share:.0%} of the {other.by} are the same")

    def paused(self, reason: str) -> None:
        """That indexing waits for room, or goes on."""
        if reason:
            self.event(
                "paused", f"waiting: {reason}; free some space, and it goes on by itself", reason=reason
            )
        else:
            self.event("resumed", "there is room again; going on")

    def end(self, jobs: Sequence[Job]) -> None:
        """The summary: a table grouped by outcome, the bad ones with their reasons."""
        from stream.commands.terminal import note, say_json_line, table

        counts = Counter(job.outcome for job in jobs)
        if self._as_json:
            say_json_line({"event": "end", "files": len(jobs), "outcomes": dict(counts)})
            return
        if len(jobs) < 2:
            return
        # A dry run leaves files waiting: of those each line has been told.
        if ended := [f"{n} {outcome}" for outcome, n in counts.items() if outcome != "waiting"]:
            note(", ".join(ended))
        bad = [job for job in jobs if job.outcome in ("partial", "rejected", "stopped") and job.reason]
        if bad:
            bad.sort(key=lambda job: job.outcome)
            rows = [(job.outcome, job.path.name, _bare(job), job.remedy) for job in bad[:MOST_SHOWN]]
            table(("outcome", "file", "reason", "what helps"), rows)
        if len(bad) > MOST_SHOWN:
            note(f"and {len(bad) - MOST_SHOWN} more, told above")


def turns_words(n_new: int, n_known: int) -> str:
    """How many turns of a chat are new to the store."""
    turns = "turn" if n_new == 1 else "turns"
    return f"{n_new} new {turns}, {n_known} already there"


def _bare(job: Job) -> str:
    """The reason without the name of the file, where that stands beside it."""
    return job.reason.removeprefix(f"{job.uri} ")


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
        "notes": list(job.notes),
        **_turns_json(job),
        "like": [
            {
                "source": other.uri,
                "id": other.source_id.hex(),
                "share": round(other.share, 3),
                "by": other.by,
                "offset_s": seconds(other.offset_ns),
            }
            for other in job.like
        ],
    }


def _turns_json(job: Job) -> dict[str, object]:
    if job.turns_new is None:
        return {}
    return {"turns_new": job.turns_new, "turns_already_there": job.turns_known}
