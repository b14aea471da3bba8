"""`omnirecall serve`: the processes, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import options


def serve(
    store: options.Store = None,
    preset: Annotated[str, typer.Option("--preset", help="archive, live, album or test.")] = "archive",
    config: options.ConfigFile = None,
    web: Annotated[
        bool, typer.Option("--web", help="Serve the page and the interfaces of programs too (gateway).")
    ] = False,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            "--idle-exit",
            metavar="SECONDS",
            help="End after this long without a source or a question; by default only when told to.",
        ),
    ] = None,
) -> None:
    """Run the processes of a store until Ctrl-C or SIGTERM, or until they are idle for long enough.

    What is in hand is finished then. Exit code 0 after that, 4 where they run already.
    """
    import os

    from stream.commands.terminal import note
    from stream.config import load_config
    from stream.process.supervisor import Supervisor

    store_dir = options.store_dir(store)
    environment = dict(os.environ)
    if web:
        environment["OMNIRECALL__GATEWAY__ENABLED"] = "true"
    settings = load_config(preset, config, environment)
    supervisor = Supervisor(store_dir, settings, idle_exit)
    note(f"serving {store_dir}; sockets in {supervisor.run_dir}; Ctrl-C ends")
    gateway = settings.section("gateway")
    if getattr(gateway, "enabled", False):
        port = getattr(gateway, "port", 0) or "that omnirecall status tells"
        note(f"the page is at port {port}; omnirecall pair makes a link that logs you in")
    supervisor.run()
