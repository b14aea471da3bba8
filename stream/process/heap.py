"""What a process gives back of the memory that it has freed."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's numbers of the parameters, of malloc.h."""


def give_back_blocks_from(n_bytes: int, *, spare_bytes: int | None = None) -> bool:
    """Has blocks of at least so many bytes mapped on their own, so that freeing one gives it back at once.

    By itself glibc raises that size to the largest block that was ever freed, up to 32 MB, and
    takes smaller ones from a heap that only shrinks from its end. A process that now and then
    makes copies of something that grows then keeps far more than it uses.

    Args:
        n_bytes: Of the smallest such block. Each is filled with zeros by the system, page by page, when it
            is first written: of arrays that every question makes, that costs more than what is done to them.
        spare_bytes: What may lie free at the end of the heap before that is given back; None: as it is.

    Returns:
        Whether it was done; False where the C library is another one, which is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    if spare_bytes is not None and not mallopt(M_TRIM_THRESHOLD, spare_bytes):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, n_bytes))
