"""Before reading: how much there is, how long it will take, and whether the disk has room for it.

From this store's own history where there is one, else from figures measured once on two
shared CPU cores (`DEFAULTS`), and then it is said that it is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stream.messages.control import HistoryTold

if TYPE_CHECKING:
    from stream.commands.indexing import Job

PROBE_S = 20.0
"""Seconds that looking at lengths may take; what is left then is estimated by its bytes."""
DEFAULTS = HistoryTold(
    per_file_s=1.0, per_media_s=0.12, n_bytes_per_media_s=7_000.0, n_bytes_per_file=100_000.0
)
"""`python -m tools.bench_folder` and the demo's clips: 60 short files a minute, films of 20 to
90 s at eight times their speed, 7 kB of store per second of film with speech (6.3 kB of an hour
with `tools.bench_ingest`). A photo: its thumbnail, its keys and a few rows, rounded up."""
BYTES_PER_MEDIA_S = 250_000.0
"""Two megabits per second: what film on the net and from telephones has, where nothing says a length."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be read. Known files are those the store holds under the same path.

    `measured_on` is the number of files that the figures rest on; 0 is a guess.
    """

    n_files: int
    n_known: int
    media_s: float
    seconds: float
    n_bytes: int
    free_bytes: int
    measured_on: int

    @property
    def fits(self) -> bool:
        """Whether the disk has room for it; a guess must be wrong by half before it is held against it."""
        return self.n_bytes * (0.5 if self.is_guess else 1.0) <= self.free_bytes

    @property
    def is_guess(self) -> bool:
        """Whether the store has no history to measure by."""
        return self.measured_on == 0


def estimate(
    jobs: Sequence[Job],
    lengths_s: Mapping[int, float | None],
    n_known: int,
    history: HistoryTold,
    free_bytes: int,
) -> Estimate:
    """What reading `jobs` will take.

    Args:
        jobs: What is to be read.
        lengths_s: Lengths by place in `jobs`; a file without one is taken to be as dense as the others.
        n_known: How many more are known already.
        history: Of the store; without files, `DEFAULTS` stand in.
        free_bytes: On the disk of the store.
    """
    costs = history if history.n_files else DEFAULTS
    sizes = [_n_bytes(job) for job in jobs]
    told_s = sum(seconds for seconds in lengths_s.values() if seconds)
    told_bytes = sum(sizes[place] for place, seconds in lengths_s.items() if seconds)
    density = told_bytes / told_s if told_s and told_bytes else BYTES_PER_MEDIA_S
    # A file that was looked at and says nothing is a photo, no medium, or a short one without an index.
    untold_bytes = sum(size for place, size in enumerate(sizes) if place not in lengths_s)
    media_s = told_s + untold_bytes / density
    n_photos = sum(seconds is None for seconds in lengths_s.values())
    per_photo = costs.n_bytes_per_file or DEFAULTS.n_bytes_per_file
    return Estimate(
        n_files=len(jobs),
        n_known=n_known,
        media_s=media_s,
        seconds=len(jobs) * costs.per_file_s + media_s * costs.per_media_s,
        n_bytes=int(media_s * costs.n_bytes_per_media_s + n_photos * per_photo),
        free_bytes=free_bytes,
        measured_on=history.n_files,
    )


def _n_bytes(job: Job) -> int:
    try:
        return job.path.stat().st_size
    except OSError:
        return 0


def estimate_json(told: Estimate) -> dict[str, Any]:
    """The estimate, for programs."""
    return {
        "files": told.n_files,
        "known": told.n_known,
        "media_s": round(told.media_s, 1),
        "seconds": round(told.seconds, 1),
        "bytes": told.n_bytes,
        "free_bytes": told.free_bytes,
        "fits": told.fits,
        "guess": told.is_guess,
        "measured_on": told.measured_on,
    }


def estimate_words(told: Estimate) -> str:
    """The estimate, for people."""
    from stream.commands.terminal import position, size

    ground = "a guess" if told.is_guess else f"measured on {told.measured_on} files of this store"
    known = f" ({told.n_known} more are known already)" if told.n_known else ""
    return (
        f"{told.n_files} files to read{known}, {position(int(told.media_s * 1e9))} of media: about"
        f" {position(int(told.seconds * 1e9))} and {size(told.n_bytes)} on disk,"
        f" {size(told.free_bytes)} are free ({ground})"
    )
