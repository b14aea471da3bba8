"""The time of asking, in the zone of who asks: what words such as "yesterday at three" count from."""

from __future__ import annotations

from datetime import datetime


def now_here() -> datetime:
    """Now, in this machine's zone, which knows summer and winter.

    `datetime.astimezone` gives the offset of today alone: dates of the other half of the year would be
    an hour off. Where the zone cannot be told, that offset is all there is.
    """
    import tzlocal

    try:
        return datetime.now(tzlocal.get_localzone())
    except (LookupError, OSError, ValueError):  # A TZ of no known name, or two files that disagree.
        return datetime.now().astimezone()
