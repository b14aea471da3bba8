"""When something was, for people: turns of chats by date, in the zone of their source."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def shown(t_ns: int, time_zone: str = "", *, end_ns: int | None = None) -> str:
    """A UTC time in ns as `2024-03-01 10:00:00 UTC`, or in an IANA zone that is told (`… CET`).

    With `end_ns` a stretch; a day that both ends have is said once.
    """
    begin = _local(t_ns, time_zone)
    name = begin.tzname() or "UTC"
    if end_ns is None or end_ns <= t_ns:
        return f"{begin:%Y-%m-%d %H:%M:%S} {name}"
    end = _local(end_ns, time_zone)
    if end.date() == begin.date() and end.tzname() == begin.tzname():
        return f"{begin:%Y-%m-%d %H:%M:%S}-{end:%H:%M:%S} {name}"
    return f"{begin:%Y-%m-%d %H:%M:%S} {name}-{end:%Y-%m-%d %H:%M:%S} {end.tzname() or 'UTC'}"


def has_date(source_kind: str, t_ns: int | None) -> bool:
    """Whether something is told by its date: a turn of a chat, which has no positions that anybody knows."""
    return source_kind == "chat" and t_ns is not None


def _local(t_ns: int, time_zone: str) -> datetime:
    return datetime.fromtimestamp(t_ns // 1_000_000_000, _zone(time_zone))


def _zone(name: str) -> tzinfo:
    if not name or name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (
        KeyError,
        OSError,
        ValueError,
    ):  # This machine does not know it.
        return UTC
