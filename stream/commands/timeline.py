"""`omnirecall timeline`: what there is, in order of time, as text, JSON or one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.commands.connection import Connection
    from stream.messages.span import TimelineEntry

PAGE = 200
"""Spans asked for at a time."""


def timeline(
    level: Annotated[
        str, typer.Option("--level", help="Level of the time tree: frame, shot, event, episode or day.")
    ] = "event",
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="Only this source, by file name, uri or id.")
    ] = "",
    place: options.Place = "",
    since: options.Since = None,
    until: options.Until = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page here.")
    ] = None,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Show what was seen and heard, in order of time."""
    from stream.commands.connection import to_store
    from stream.commands.dates import utc_ns
    from stream.commands.page import write_page
    from stream.commands.playable import away_uris
    from stream.commands.shapes import entry_json
    from stream.commands.terminal import note, say_json
    from stream.errors import ConfigError

    if level not in ("frame", "shot", "event", "episode", "day"):
        raise ConfigError(f"no level {level!r}", remedy="levels are frame, shot, event, episode, day")
    store_dir = options.store_dir(store)
    t0_ns, t1_ns = utc_ns(since, "--since"), utc_ns(until, "--until")
    with to_store(store_dir, preset, config, idle_exit) as connection:
        entries = all_entries(connection, level, source=source, place=place, t0_ns=t0_ns, t1_ns=t1_ns)
    if html is not None:
        write_page(html, entries, store_dir)
    if as_json:
        page = str(html.absolute()) if html else None
        away = away_uris(entry.uri for entry in entries)
        say_json({"spans": [entry_json(entry, store_dir, away) for entry in entries], "html": page})
    elif html is not None:
        note(f"wrote {html.absolute()}")
    else:
        _show(entries)


def all_entries(
    connection: Connection,
    level: str,
    *,
    source: str = "",
    place: str = "",
    t0_ns: int | None = None,
    t1_ns: int | None = None,
) -> list[TimelineEntry]:
    """Every span of a level, page by page."""
    import msgspec

    from stream.messages.span import TimelineAsk, TimelineSpans

    entries: list[TimelineEntry] = []
    while True:
        ask = msgspec.convert(
            {
                "level": level,
                "source": source,
                "place": place,
                "t0_ns": t0_ns,
                "t1_ns": t1_ns,
                "offset": len(entries),
                "limit": PAGE,
            },
            TimelineAsk,
        )
        page = connection.ask("memory", TimelineSpans, ask)
        entries += page.entries
        if not page.entries or len(entries) >= page.total:
            return entries


def _show(entries: Sequence[TimelineEntry]) -> None:
    from stream.commands.page import when_of
    from stream.commands.terminal import clean, say

    uri = None
    for entry in entries:
        if entry.uri != uri:
            uri = entry.uri
            say(clean(uri))
        when = when_of(entry)
        lines = entry.lines or (entry.span.digest,)
        if entry.span.why == "open":
            say(f"  {when:>15}  (so far)")
            when = ""
        say(f"  {when:>15}  {clean(lines[0])}")
        for line in lines[1:]:
            say(f"  {'':>15}  {clean(line)}")
    if not entries:
        say("nothing yet")
