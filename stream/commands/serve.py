"""`omnirecall serve`: the processes, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import options


def serve(
    store: options.Store = None,
    preset: Annotated[str, typer.Option("--preset", help="archive, live, album or test.")] = "archive",
    config: options.ConfigFile = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            "--idle-exit",
            metavar="SECONDS",
            help="End after this long without a source or a question; by default only when told to.",
        ),
    ] = None,
) -> None:
    """Run the processes of a store until Ctrl-C, or until they are idle for long enough."""
    from stream.commands.terminal import note
    from stream.config import load_config
    from stream.process.supervisor import Supervisor

    store_dir = options.store_dir(store)
    supervisor = Supervisor(store_dir, load_config(preset, config), idle_exit)
    note(f"serving {store_dir}; sockets in {supervisor.run_dir}; Ctrl-C ends")
    supervisor.run()
