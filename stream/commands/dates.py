"""Times that people write: ISO-8601 at once, everything else by dateparser, loaded only then."""

from __future__ import annotations

from datetime import UTC, datetime

from stream.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_ns(text: str | None, option: str) -> int | None:
    """UTC nanoseconds of a time; a time without a zone is local time.

    Args:
        text: "2026-01-01T09:00", "yesterday 14:00", "3 days ago"; None gives None.
        option: Named in the error.

    Raises:
        ConfigError: If it is no time.
    """
    if text is None:
        return None
    when = _parsed(text)
    if when is None:
        raise ConfigError(
            f"{option}: {text!r} is not a time",
            remedy="write it like 2026-01-31T14:00, or in words: yesterday 14:00",
        )
    if when.tzinfo is None:
        when = when.astimezone()
    passed = when - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000_000 + passed.microseconds * 1_000


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    import dateparser

    found: datetime | None = dateparser.parse(text, settings={"PREFER_DATES_FROM": "past"})
    return found
