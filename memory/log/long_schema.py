"""Indexes of observations that last long.

What began long before a time, and reaches into it, is found by them without all that ended before it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

LONG_NS = 60_000_000_000
"""What lasts longer is in them."""
_TABLES = f"""
CREATE INDEX observation_long ON observation (t0_ns) WHERE t1_ns - t0_ns > {LONG_NS};
CREATE INDEX observation_long_at ON observation (source_id, session, pts0_ns)
  WHERE pts1_ns - pts0_ns > {LONG_NS};
"""


def m010_long_observations(db: sqlite3.Connection, run: Callable[[sqlite3.Connection, str], None]) -> None:
    """What lasts long is found by when it began."""
    run(db, _TABLES)
