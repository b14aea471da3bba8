"""`omnirecall reindex`: keys of texts by another model, or spans from the log, anew while questions go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options
from stream.commands.index import INTERRUPTED

if TYPE_CHECKING:
    from stream.commands.connection import Connection
    from stream.commands.outcomes import Teller
    from stream.messages.control import ReindexTold

BEGIN_TIMEOUT_S = 240.0
POLL_S = 0.5
PATIENCE_S = 60.0
"""How long processes that were killed may take to come back."""
STUCK_S = 20.0
"""How long a problem may last without any key being made; then the command says it and ends."""


def reindex(
    text: Annotated[
        str,
        typer.Option(
            "--text",
            metavar="MODEL",
            help="The model of texts: all-minilm-l6-v2 (or :fp32, :int8), a folder, or a hub id. "
            "By default the one chosen before, else that of the configuration.",
        ),
    ] = "",
    configured: Annotated[
        bool, typer.Option("--configured", help="Back to the model of the configuration: ends a choice.")
    ] = False,
    keep_old: Annotated[
        bool | None,
        typer.Option(
            "--keep-old/--remove-old", help="Whether the keys that were replaced stay. By default not."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--status",
            "--dry-run",
            help="Say how it stands, with a model how many keys it would make, and end; nothing is changed.",
        ),
    ] = False,
    views: Annotated[
        bool,
        typer.Option(
            "--views", help="Make shots, events, episodes and days anew from the log instead; keys stay."
        ),
    ] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Make the keys anew by another model; until it is done, the old ones answer. Again goes on."""
    from msgspec.structs import replace

    from stream.commands.connection import to_store
    from stream.commands.outcomes import Teller
    from stream.errors import ConfigError
    from stream.messages.control import ReindexAsk, ReindexTold

    if text and configured:
        raise ConfigError("--text and --configured name two models", remedy="leave one of them out")
    if views and (text or configured or keep_old is not None):
        raise ConfigError("--views makes no keys", remedy="run omnirecall reindex once with each")
    teller = Teller(as_json=as_json)
    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        ask = ReindexAsk(text=text, configured=configured)
        if not dry_run:
            ask = replace(ask, begin=True, keep_old=keep_old, views=views)
        try:
            told = connection.ask("memory", ReindexTold, ask, timeout_s=BEGIN_TIMEOUT_S)
            if dry_run:
                teller.event("state", words_of(told, would=bool(text or configured)), **json_of(told))
                return
            teller.event("state", words_of(told), **json_of(told))
            told = _follow(connection, told, teller, views=views)
        except KeyboardInterrupt:
            teller.event("interrupted", "stopped following; it goes on by itself while the processes run")
            raise typer.Exit(INTERRUPTED) from None
    words = f"spans: all of {told.views_total} events stand, made anew" if views else words_of(told)
    teller.event("end", words, **json_of(told))


def _follow(connection: Connection, told: ReindexTold, teller: Teller, *, views: bool = False) -> ReindexTold:
    """Draws how it goes until it is over.

    Raises:
        ModelError: If it cannot go on.
        RoleUnavailable, DeadlineExceeded: If memory stays away.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from stream.commands.terminal import console
    from stream.errors import ModelError

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    moved_s = time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=screen, disable=not screen.is_terminal) as drawn:
        bar = drawn.add_task("spans" if views else "keys", total=None)
        while views and not told.views_over:
            drawn.update(bar, completed=told.views_made, total=told.views_total or None)
            time.sleep(POLL_S)
            before, told = told, _asked(connection)
            if told.views_made != before.views_made:
                teller.event("progress", "", **json_of(told))
        if views:
            return told
        while not told.over:
            drawn.update(bar, completed=told.made, total=told.total or None, description=_doing(told))
            time.sleep(POLL_S)
            before, told = told, _asked(connection)
            if (told.made, told.replaced) != (before.made, before.replaced):
                moved_s = time.monotonic()
                teller.event("progress", "", **json_of(told))
            elif told.problems and time.monotonic() - moved_s > STUCK_S and told.made < told.total:
                raise ModelError(told.problems[0], remedy="bring the model back, then: omnirecall reindex")
        drawn.update(bar, completed=told.made, total=told.total or None)
    return told


def _asked(connection: Connection) -> ReindexTold:
    """How it goes; a memory that was killed is given time to come back."""
    from stream.errors import DeadlineExceeded, RoleUnavailable
    from stream.messages.control import ReindexAsk, ReindexTold

    ends_at_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return connection.ask("memory", ReindexTold, ReindexAsk(), timeout_s=10.0)
        except (RoleUnavailable, DeadlineExceeded):
            if time.monotonic() > ends_at_s:
                raise
        time.sleep(POLL_S)


def _doing(told: ReindexTold) -> str:
    removing = told.answering == told.wanted and told.replaced and not told.keep_old
    return "taking old keys away" if removing else "keys"


def words_of(told: ReindexTold, *, would: bool = False) -> str:
    """How it stands, for people; or how it `would` go by a model that was not chosen yet."""
    lines = [
        f"answering: {told.answering_keys} keys of {told.answering}"
        if told.answering
        else "answering: words alone; there are no keys yet"
    ]
    left, turns = told.total - told.made, told.turns_total - told.turns_made
    facts = f", those of what {turns} turns of chats state among them" if turns else ""
    if would:
        lines.append(f"would be made: {left} keys of {told.wanted}{facts}")
    elif told.wanted and told.wanted != told.answering:
        lines.append(f"being made: {told.made} of {told.total} keys of {told.wanted}")
    if not would and not told.over and left:
        lines.append(f"to be made: {left}{facts}")
    if told.unencodable:
        lines.append(f"left out: {told.unencodable} texts on which the model fails")
    for encoder_id, n in told.replaced.items():
        lines.append(f"replaced: {n} keys of {encoder_id}, {'kept' if told.keep_old else 'to be removed'}")
    if not told.views_over:
        lines.append(f"spans: {told.views_made} of some {told.views_total} events made anew")
    return "\n".join([*lines, *(f"problem: {problem}" for problem in told.problems)])


def json_of(told: ReindexTold) -> dict[str, Any]:
    """How it stands, for programs."""
    return {
        "answering": told.answering,
        "answering_model": told.answering_model,
        "answering_keys": told.answering_keys,
        "wanted": told.wanted,
        "wanted_model": told.wanted_model,
        "made": told.made,
        "total": told.total,
        "turns_made": told.turns_made,
        "turns_total": told.turns_total,
        "unencodable": told.unencodable,
        "replaced": told.replaced,
        "keep_old": told.keep_old,
        "over": told.over,
        "views_made": told.views_made,
        "views_total": told.views_total,
        "views_over": told.views_over,
        "problems": list(told.problems),
    }
