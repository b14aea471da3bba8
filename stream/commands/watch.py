"""`omnirecall watch`: questions that stand until something answers them, and the alerts that did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.messages.watch import WatchAlert, WatchTold

TIMEOUT_S = 30.0
SHOWN_DIGITS = 12


def watch(
    question: Annotated[
        str,
        typer.Argument(help='What to wait for: "tell me when a dog is seen", "when anyone mentions rent".'),
    ] = "",
    listed: Annotated[bool, typer.Option("--list", help="Show the questions that stand.")] = False,
    drop: Annotated[
        str, typer.Option("--drop", metavar="ID", help="Wait for this no longer; the beginning is enough.")
    ] = "",
    alerts: Annotated[bool, typer.Option("--alerts", help="Show what was told, the newest last.")] = False,
    cool_down_s: Annotated[
        float,
        typer.Option("--cool-down", metavar="SECONDS", min=0, help="At least so long between two alerts."),
    ] = 60.0,
    hours: Annotated[
        float, typer.Option("--hours", min=0, help="It stands for so long; 0: until it is dropped.")
    ] = 0.0,
    spoken: Annotated[
        bool, typer.Option("--spoken", help="Alerts are said aloud, where the page is open.")
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Have it tell you when something is said, seen or read. It stays through restarts."""
    from stream.commands.connection import to_store

    chosen = [bool(question), listed, bool(drop), alerts]
    if sum(chosen) != 1:
        raise typer.BadParameter("give a question, or one of --list, --drop ID and --alerts")
    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        if question:
            _set(connection, question, cool_down_s, hours, spoken=spoken, as_json=as_json)
        elif drop:
            _drop(connection, drop, as_json=as_json)
        elif listed:
            _list(connection, as_json=as_json)
        else:
            _alerts(connection, as_json=as_json)


def _set(
    connection: Connection, question: str, cool_down_s: float, hours: float, *, spoken: bool, as_json: bool
) -> None:
    import time

    from stream.commands.terminal import say, say_json
    from stream.messages.watch import WatchesTold, WatchSet

    expires_ns = time.time_ns() + int(hours * 3600 * 1e9) if hours else 0
    asked = WatchSet(question=question, cool_down_s=cool_down_s, expires_ns=expires_ns, spoken=spoken)
    told = connection.ask("reasoning", WatchesTold, asked, timeout_s=TIMEOUT_S).watches
    if as_json:
        say_json({"watches": [watch_json(one) for one in told]})
        return
    for one in told:
        say(watch_line(one))


def _drop(connection: Connection, written: str, *, as_json: bool) -> None:
    from stream.commands.terminal import say, say_json
    from stream.errors import ConfigError
    from stream.messages.watch import WatchDrop, WatchesAsk, WatchesTold

    every = connection.ask("memory", WatchesTold, WatchesAsk(), timeout_s=TIMEOUT_S).watches
    found = [one for one in every if one.watch_id.hex().startswith(written.strip().lower())]
    if len(found) != 1:
        why = "several standing questions begin with" if found else "no standing question has the id"
        raise ConfigError(f"{why} {written!r}", remedy="omnirecall watch --list")
    asked = WatchDrop(watch_id=found[0].watch_id)
    told = connection.ask("reasoning", WatchesTold, asked, timeout_s=TIMEOUT_S).watches
    if as_json:
        say_json({"watches": [watch_json(one) for one in told]})
        return
    for one in told:
        say(f"no longer waits for: {one.question}")


def _list(connection: Connection, *, as_json: bool) -> None:
    from stream.commands.terminal import say, say_json
    from stream.messages.watch import WatchesAsk, WatchesTold

    told = connection.ask("memory", WatchesTold, WatchesAsk(), timeout_s=TIMEOUT_S).watches
    if as_json:
        say_json({"watches": [watch_json(one) for one in told]})
        return
    for one in told:
        say(watch_line(one))
    if not told:
        say("no question stands")


def _alerts(connection: Connection, *, as_json: bool) -> None:
    from stream.commands.terminal import say, say_json
    from stream.messages.watch import AlertsAsk, AlertsTold

    told = connection.ask("memory", AlertsTold, AlertsAsk(), timeout_s=TIMEOUT_S)
    if as_json:
        say_json({"alerts": [alert_json(one) for one in told.alerts], "after": told.after_n})
        return
    for one in told.alerts:
        say(alert_line(one))
    if not told.alerts:
        say("no alert yet")


def watch_json(one: WatchTold) -> dict[str, Any]:
    """A standing question for programs; times are ISO-8601 UTC or null."""
    from stream.commands.shapes import iso

    return {
        "id": one.watch_id.hex(),
        "question": one.question,
        "state": one.state,
        "cool_down_s": one.cool_down_s,
        "expires": iso(one.expires_ns or None),
        "spoken": one.spoken,
        "set": iso(one.set_ns or None),
        "alerts": one.alerts,
        "alerted": iso(one.alerted_ns or None),
    }


def alert_json(one: WatchAlert) -> dict[str, Any]:
    """An alert for programs, with the observations that it rests on."""
    from stream.commands.shapes import iso, seconds

    return {
        "id": one.alert_id.hex(),
        "watch": one.watch_id.hex(),
        "question": one.question,
        "text": one.text,
        "t": iso(one.t_ns or None),
        "spoken": one.spoken,
        "items": [
            {
                "id": item.observation_id.hex(),
                "source": item.uri,
                "kind": item.kind,
                "t0": iso(item.t0_ns),
                "t0_s": seconds(item.pts0_ns),
                "t1_s": seconds(item.pts1_ns),
                "text": item.text,
                "thumbnail": item.thumbnail,
            }
            for item in one.items
        ],
    }


def watch_line(one: WatchTold) -> str:
    """A standing question on a line."""
    from stream.commands.shapes import iso

    until = f", until {iso(one.expires_ns)}" if one.expires_ns else ""
    told = f", {one.alerts} told" if one.alerts else ""
    return f"{one.watch_id.hex()[:SHOWN_DIGITS]}  {one.question}{until}{told}"


def alert_line(one: WatchAlert) -> str:
    """An alert on a line: when, what, and the observation behind it."""
    from stream.commands.shapes import iso

    cited = f"  [{one.items[0].observation_id.hex()[:SHOWN_DIGITS]}]" if one.items else ""
    return f"{iso(one.t_ns or None)}  {one.text}{cited}"
