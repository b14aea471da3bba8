"""Decisions of supervision as pure functions of time, so that they are tested without waiting.

Heartbeats and their liveness after the Paranoid Pirate pattern of the ZeroMQ guide
(chapter 4); the breaker after Frigate's watchdog (five restarts in sixty seconds).
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

from stream.process.settings import SupervisorSettings


class State(Enum):
    """What the supervisor thinks of a child."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    WAITING = "waiting"  # ended; will be started again at its time
    BROKEN = "broken"  # restarted too often, or failed for good; left alone
    ENDED = "ended"  # ended as it should


def fault(
    state: State, *, age_s: float, silent_s: float, working_s: float, settings: SupervisorSettings
) -> str:
    """Why a running child must be replaced; empty if it need not be.

    Args:
        state: Its state.
        age_s: Seconds since it was started (since it was asked to drain, when draining).
        silent_s: Seconds since it was last heard of.
        working_s: Age of its oldest work, by its last heartbeat.
        settings: The limits.
    """
    if state is State.STARTING:
        return f"did not serve within {settings.start_s:g} s" if age_s > settings.start_s else ""
    if state is State.DRAINING:
        limit_s = settings.drain_s + 2.0
        return f"did not finish within {limit_s:g} s" if age_s > limit_s else ""
    if state is State.SERVING and silent_s > settings.silent_s:
        return f"silent for {silent_s:.1f} s"
    if state is State.SERVING and working_s > settings.hung_s:
        return f"one piece of work has taken {working_s:.0f} s"
    return ""


def backoff_s(restarts: int, settings: SupervisorSettings) -> float:
    """Wait before restart number `restarts` (from 1): doubles up to the longest."""
    return float(min(settings.backoff_max_s, settings.backoff_s * 2.0 ** (restarts - 1)))


def breaker_is_open(restarted_at_s: list[float], now_s: float, settings: SupervisorSettings) -> bool:
    """Whether a child has been restarted so often lately that it is left alone."""
    recent = [at_s for at_s in restarted_at_s if now_s - at_s <= settings.breaker_s]
    return len(recent) >= settings.breaker_restarts


def has_ended(sender: str) -> bool:
    """Whether the process that signs as `name-pid` is no more; one that nobody has waited for is not.

    A restarted perception process knows nothing of tracks whose credit is spent, and
    they nothing of its restart; announcing them all the time instead would make a
    process that is only slow begin them anew.
    """
    pid = sender.rpartition("-")[2]
    if not pid.isdigit():
        return False
    return not _is_there(int(pid)) or _is_zombie(int(pid))


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _is_zombie(pid: int) -> bool:
    """Whether nothing but its number is left; one that somebody waited for meanwhile is as little there."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return not _is_there(pid)
    return status.rpartition(")")[2].split()[:1] in (["Z"], ["X"])
