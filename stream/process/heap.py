"""What a process gives back of the memory that it has freed."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3
"""glibc's number of the parameter, of malloc.h."""


def give_back_blocks_from(n_bytes: int) -> bool:
    """Has blocks of at least so many bytes mapped on their own, so that freeing one gives it back at once.

    By itself glibc raises that size to the largest block that was ever freed, up to 32 MB, and
    takes smaller ones from a heap that only shrinks from its end. A process that now and then
    makes copies of something that grows then keeps far more than it uses.

    Returns:
        Whether it was done; False where the C library is another one, which is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, n_bytes))
