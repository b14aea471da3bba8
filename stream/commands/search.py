"""`omnirecall search`: evidence only, with its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.messages.evidence import Evidence, EvidenceItem


def search(
    cue: Annotated[
        str,
        typer.Argument(
            help="Words to look for, or a description. Words for times (yesterday evening, last week, in"
            " 2023) limit time, by this machine's clock, and are told; a date of the calendar limits turns of"
            " chats, loosely: 2 days more around a day, 15 before a month and 31 after it; --since and"
            " --until are strict."
        ),
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="How many hits at most.")] = 10,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Only this kind: shot, frame, seen_text, utterance, chapter; repeatable."
        ),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    source: options.Sources = None,
    place: options.Place = "",
    as_of: options.AsOf = None,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Find moments: evidence without an answer, the best first."""
    import msgspec

    from stream.commands.connection import to_store
    from stream.commands.playable import away_uris
    from stream.commands.shapes import coverage_json, hit_json
    from stream.commands.terminal import say_json
    from stream.messages.cue import RecallAsk
    from stream.messages.envelope import new_id
    from stream.messages.evidence import Evidence

    store_dir = options.store_dir(store)
    gates = options.gates(since, until, source, as_of, place)
    text = options.asked(cue, gates, "cue")
    timed, notices = options.timed(text, gates)
    wanted = msgspec.structs.replace(timed, kinds=options.kinds(kind))
    with to_store(store_dir, preset, config, idle_exit) as connection:
        found = connection.ask(
            "memory", Evidence, RecallAsk(cue=wanted, k=k, unit="moment"), trace_id=new_id()
        )
    found = msgspec.structs.replace(found, notices=(*notices, *found.notices))
    hits = sorted(found.items, key=lambda item: -item.score)
    if as_json:
        away = away_uris(item.uri for item in hits)
        say_json(
            {
                "hits": [hit_json(item, store_dir, away) for item in hits],
                "verdict": found.verdict,
                "coverage": coverage_json(found.coverage),
                "considered": found.considered,
                "notices": list(found.notices),
                "timings_ms": found.timings_ms,
            }
        )
    else:
        _show(found)


def said_by(item: EvidenceItem) -> str:
    """What an item says, after the name of who said it, where that is known."""
    return f"{item.speaker}: {item.text}" if item.speaker else item.text


def _show(found: Evidence) -> None:
    from stream.commands.ask import whereabouts
    from stream.commands.playable import away_uris
    from stream.commands.terminal import clean, note, say

    if not found.items:
        say("nothing found")
    away = away_uris(item.uri for item in found.items)
    for item in sorted(found.items, key=lambda item: -item.score):
        say(f"{item.score:6.2f}  {whereabouts(item, away)}")
        say(f"        {clean(said_by(item))}")
    for notice in found.notices:
        note(f"note: {clean(notice)}")
