"""`omnirecall stop`: ends the processes of a store in order, and says what they were doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from pathlib import Path

    from stream.messages.control import SourceState, StatusRoles

LOOK_S = 0.05
ASK_S = 2.0
"""How long the processes may take to say what they are doing; they are ended all the same."""


def stop(
    store: options.Store = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait until all have ended.")
    ] = 60.0,
    as_json: options.AsJson = False,
) -> None:
    """End the processes of a store: what is in hand is finished, the rest goes on another time.

    Exit code 6 where none runs.
    """
    from stream.commands.terminal import clean, say, say_json
    from stream.errors import RoleUnavailable
    from stream.process.start import is_running

    store_dir = options.store_dir(store)
    if not is_running(store_dir):
        raise RoleUnavailable(f"no process runs on the store {store_dir}", remedy="nothing need be stopped")
    roles = _doing(store_dir)
    took_s = _ended(store_dir, timeout)
    reading = [] if roles is None else [one for one in roles.sources if one.state in ("starting", "reading")]
    names = [] if roles is None else [role.name for role in roles.roles if role.pid]
    if as_json:
        told = [{"source": one.uri, "share": _share(one)} for one in reading]
        document: dict[str, Any] = {"store": str(store_dir), "ended": names, "interrupted": told}
        say_json(document | {"seconds": round(took_s, 3)})
        return
    say(f"ended in {took_s:.1f} s: {', '.join([*names, 'supervisor'])}")
    for one in reading:
        share = _share(one)
        far = f" at {share:.0%}" if share is not None else ""
        say(f"interrupted{far}: {clean(one.uri)}; the same command goes on from there")


def _doing(store_dir: Path) -> StatusRoles | None:
    """What the processes are doing; None where they do not say."""
    from stream.errors import OmniRecallError
    from stream.messages.control import StatusAsk, StatusRoles
    from stream.process.start import run_dir_now
    from stream.wire.caller import Caller

    try:
        with Caller(run_dir_now(store_dir), "supervisor", "stop") as caller:
            return caller.ask_for(StatusRoles, StatusAsk(), timeout_s=ASK_S)
    except OmniRecallError:
        return None


def _ended(store_dir: Path, timeout_s: float) -> float:
    """Tells the supervisor to end, and waits until it has; how long that took in seconds.

    Raises:
        RoleUnavailable: If nobody knows which process it is, or it is another person's.
        DeadlineExceeded: If it has not ended in time.
    """
    import os
    import signal

    from stream.errors import DeadlineExceeded, RoleUnavailable
    from stream.process.start import is_running, owner_pid

    began_s = time.monotonic()
    pid = owner_pid(store_dir)
    while pid is None and is_running(store_dir) and time.monotonic() < began_s + ASK_S:
        time.sleep(LOOK_S)  # It is just starting.
        pid = owner_pid(store_dir)
    if pid is None and is_running(store_dir):
        raise RoleUnavailable(
            f"the processes of {store_dir} are of an earlier release", remedy="end their supervisor by hand"
        )
    try:
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise RoleUnavailable(
            f"the processes of {store_dir} belong to another user",
            remedy=f"have it end pid {pid}",
        ) from None
    while is_running(store_dir):
        if time.monotonic() > began_s + timeout_s:
            raise DeadlineExceeded(
                f"the processes of {store_dir} have not ended within {timeout_s:g} s",
                remedy=f"they were told to; wait, or kill pid {pid}",
            )
        time.sleep(LOOK_S)
    return time.monotonic() - began_s


def _share(source: SourceState) -> float | None:
    """How much of a source was read, 0 to 1; None where its length is not known."""
    if source.duration_ns:
        return min(1.0, source.position_ns / source.duration_ns)
    return None
