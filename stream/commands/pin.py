"""`omnirecall pin`: keeps an observation or a span whatever the budget, and takes that back."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import options


def pin(
    target: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Of an observation (search --json) or span (timeline --json), or its beginning.",
        ),
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Take the pin back.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Keep this for good: it is never let go to hold a budget, nor merged. --undo takes it back."""
    from stream.commands.connection import to_store
    from stream.commands.terminal import say, say_json
    from stream.messages.retention import PinAsk, PinTold

    with to_store(options.store_dir(store), preset, config, idle_exit) as connection:
        told = connection.ask("memory", PinTold, PinAsk(target=target.strip().lower(), undo=undo))
    if as_json:
        say_json(
            {
                "id": told.target.hex(),
                "level": told.level,
                "pinned": not undo,
                "changed": told.changed,
            }
        )
        return
    what = f"{told.level} {told.target.hex()}"
    if not told.changed:
        say(f"{what} was {'not pinned' if undo else 'pinned already'}")
    else:
        say(f"{what} is {'no longer pinned' if undo else 'pinned'}")
