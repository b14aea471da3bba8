"""Fingerprints of what was forgotten, and the search for its bytes in files.

The content itself must not be kept for a search that may go on after a crash, so that of each text,
vector and picture some windows of sixteen bytes are kept as salted 64-bit numbers, and these for as
long as the erasure lasts. A file is searched at every offset for all of them at once: its windows
are hashed with numpy, and a table of bits lets almost all through at first sight.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

WINDOW_BYTES = 16
WINDOWS_OF_TEXT = 8
WINDOWS_OF_BYTES = 2
LEAST_DISTINCT = 5
"""Different bytes in a window; one with fewer, such as a line of dashes, says nothing of where it is from."""
MOST_PRINTS = 1 << 18
"""Kept of one erasure, 2 MiB; of more, a uniform sample."""
TABLE_BITS = 22
BLOCK_BYTES = 8 << 20
"""Of a file, hashed at a time."""
SALT_BYTES = 16

Prints = npt.NDArray[np.uint64]
Alive = Callable[[], None]


def _no_sign() -> None:
    return None


class Printer:
    """Makes fingerprints.

    Args:
        salt: `SALT_BYTES` bytes; those of two salts have nothing in common.
    """

    def __init__(self, salt: bytes) -> None:
        first, second = np.frombuffer(salt, "<u8")
        self._first, self._second = first | np.uint64(1), second | np.uint64(1)

    def of_windows(self, windows: Iterable[bytes]) -> Prints:
        """(N,) of N windows."""
        joined = np.frombuffer(b"".join(windows), "<u8").reshape(-1, 2)
        return self._mix(joined[:, 0], joined[:, 1])

    def phases(self, block: bytes) -> Iterable[Prints]:
        """Those of the windows at every offset of a block, in eight parts."""
        for phase in range(8):
            n_words = (len(block) - phase) // 8
            if n_words >= 2:
                words = np.frombuffer(block, "<u8", n_words, phase)
                yield self._mix(words[:-1], words[1:])

    def _mix(self, low: Prints, high: Prints) -> Prints:
        mixed: Prints = low * self._first + (high ^ (high >> np.uint64(31))) * self._second
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)  # From splitmix64: the top bits depend on all.
        mixed ^= mixed >> np.uint64(32)
        return mixed


class Gathering:
    """Collects the fingerprints of what is about to go, never more than `MOST_PRINTS`."""

    def __init__(self) -> None:
        self.salt = secrets.token_bytes(SALT_BYTES)
        self._printer = Printer(self.salt)
        self._windows: list[bytes] = []
        self._kept: Prints = np.empty(0, np.uint64)

    def text(self, text: str) -> None:
        """A text as UTF-8 and as UTF-16."""
        for encoding in ("utf-8", "utf-16-le"):
            self._add(windows_of(text.encode(encoding, "surrogatepass"), WINDOWS_OF_TEXT))

    def content(self, body: bytes, windows: int = WINDOWS_OF_BYTES) -> None:
        """Bytes as they are: of a vector, a payload, a part of a picture."""
        self._add(windows_of(body, windows))

    def _add(self, windows: list[bytes]) -> None:
        self._windows += windows
        if len(self._windows) >= MOST_PRINTS:
            self._fold()

    def _fold(self) -> None:
        made = self._printer.of_windows(self._windows)
        self._windows = []
        # They are spread evenly, so that the least of them are a uniform sample.
        self._kept = np.unique(np.concatenate([self._kept, made]))[:MOST_PRINTS]

    def prints(self) -> bytes:
        """All of them, as little-endian 64-bit numbers in order."""
        self._fold()
        return self._kept.astype("<u8").tobytes()


def windows_of(body: bytes, most: int) -> list[bytes]:
    """At most `most` windows, spread over some bytes; none where they are too few or too uniform."""
    last = len(body) - WINDOW_BYTES
    if last < 0:
        return []
    wanted = min(most, max(1, -(-len(body) // WINDOW_BYTES)))
    places = {last * n // max(wanted - 1, 1) for n in range(wanted)}
    windows = [body[place : place + WINDOW_BYTES] for place in sorted(places)]
    return [window for window in windows if len(set(window)) >= LEAST_DISTINCT]


class ByteSearch:
    """Looks for fingerprints in bytes.

    Args:
        salt: Theirs.
        prints: As `Gathering.prints` gave them.
        alive: Called between blocks: the work goes on.
    """

    def __init__(self, salt: bytes, prints: bytes, alive: Alive = _no_sign) -> None:
        self._printer = Printer(salt)
        self._prints: Prints = np.frombuffer(prints, "<u8").astype(np.uint64)
        self._shift = np.uint64(64 - TABLE_BITS)
        self._table = np.zeros(1 << TABLE_BITS, bool)
        self._table[(self._prints >> self._shift).astype(np.int64)] = True
        self.alive = alive

    def in_block(self, block: bytes) -> set[int]:
        """The fingerprints that stand in a block."""
        found: set[int] = set()
        if not len(self._prints):
            return found
        for prints in self._printer.phases(block):
            may = prints[self._table[(prints >> self._shift).astype(np.int64)]]
            places = np.minimum(np.searchsorted(self._prints, may), len(self._prints) - 1)
            found.update(may[self._prints[places] == may].tolist())
        return found

    def in_file(self, path: Path) -> set[int]:
        """The fingerprints that stand in a file; none in one that is gone.

        Raises:
            OSError: If it cannot be read.
        """
        found: set[int] = set()
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return found
        with file:
            before = b""
            while block := file.read(BLOCK_BYTES):
                found |= self.in_block(before + block)
                before = (before + block)[-(WINDOW_BYTES - 1) :]
                self.alive()
        return found

    def narrowed(self, salt: bytes, prints: Iterable[int]) -> ByteSearch:
        """The same search for some of them."""
        some = np.array(sorted(prints), dtype="<u8")
        return ByteSearch(salt, some.tobytes(), self.alive)
