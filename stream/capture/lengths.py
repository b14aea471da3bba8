"""How long media files are, by what their containers say: cheap, bounded, and apart.

`python -P -m stream.capture.lengths` reads paths from standard input, each ended by a NUL
byte, and writes one JSON line per file: `[number, seconds or null]`. `lengths_of` runs it as
a child: a file on which a demuxer crashes or hangs costs that child and this file, and the
command that wants an estimate goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LEAST_BYTES_PER_S = 500
"""Even a telephone's speech coder takes 600 bytes a second: a header that says more lies."""
END_S = 1.0
"""Seconds in which a child that was killed ends."""
HANG_S = 5.0
"""A file that takes longer is left out: the estimate is not worth a hanging disk."""


def length_s(path: Path) -> float | None:
    """Seconds by the container, at most what its bytes can hold; None if it does not say.

    Raises:
        SourceError: As `stream.capture.container.opened`.
    """
    from stream.capture.container import opened, regular_file

    n_bytes = regular_file(path)
    with opened(path) as container:
        duration_us = container.duration
    if not duration_us or duration_us < 0:
        return None
    return min(float(duration_us) / 1e6, n_bytes / LEAST_BYTES_PER_S)


def lengths_of(
    paths: Sequence[Path], budget_s: float, looked: Callable[[int], None] = lambda _: None
) -> dict[int, float | None]:
    """Lengths by place in `paths`; None where a file does not say, absent where the time was up.

    Args:
        paths: Files.
        budget_s: Seconds that all of it may take.
        looked: Called with the number of files looked at so far.
    """
    ends_at_s = time.monotonic() + budget_s
    found: dict[int, float | None] = {}
    while len(found) < len(paths) and time.monotonic() < ends_at_s:
        first = len(found)
        for number, seconds in _run_child(paths[first:], ends_at_s):
            found[first + number] = seconds
            looked(len(found))
        if len(found) < len(paths) and time.monotonic() < ends_at_s:
            found[len(found)] = None  # The child ended or hung on this one.
            looked(len(found))
    return found


def _run_child(paths: Sequence[Path], ends_at_s: float) -> Iterator[tuple[int, float | None]]:
    command = [sys.executable, "-P", "-m", "stream.capture.lengths"]
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield from _lines_of(child, paths, ends_at_s)
    finally:
        child.kill()
        # One that hangs in the kernel, on a disk that is gone, cannot be waited for: it is left.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_S)
        if child.stdout is not None:
            child.stdout.close()


def _lines_of(
    child: subprocess.Popen[bytes], paths: Sequence[Path], ends_at_s: float
) -> Iterator[tuple[int, float | None]]:
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    try:
        child.stdin.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
        child.stdin.close()
    except BrokenPipeError:
        return
    n_told, rest = 0, b""
    while n_told < len(paths):
        left_s = min(HANG_S, ends_at_s - time.monotonic())
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, left_s))
        block = os.read(child.stdout.fileno(), 1 << 16) if ready else b""
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            number, seconds = json.loads(line)
            n_told += 1
            yield number, seconds


def main() -> int:
    """The child: looks at each path and says its length at once."""
    from stream.errors import SourceError

    for number, name in enumerate(sys.stdin.buffer.read().split(b"\0")[:-1]):
        try:
            seconds = length_s(Path(os.fsdecode(name)))
        except SourceError:
            seconds = None
        print(json.dumps([number, seconds]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
