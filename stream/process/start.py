"""The processes on demand: connect to those that run on a store, or start them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stream import errors
from stream.disk import unwritable
from stream.errors import OmniRecallError, RoleBroken, RoleUnavailable
from stream.wire.endpoints import run_dir_for

IDLE_EXIT_S = 600.0
START_TIMEOUT_S = 60.0


def is_running(store_dir: Path) -> bool:
    """Whether somebody holds the store's lock; takes microseconds and asks nobody."""
    try:
        file = (store_dir / "lock").open("r", encoding="ascii")
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def ensure_running(
    store_dir: Path,
    *,
    preset: str = "archive",
    config_file: Path | None = None,
    idle_exit_s: float = IDLE_EXIT_S,
    timeout_s: float = START_TIMEOUT_S,
) -> Path:
    """The run folder of a store whose processes are ready, started if need be.

    Two callers at once may both start a supervisor; the lock lets one live, and both
    callers connect to it. Processes that run already keep the configuration they have.

    Args:
        store_dir: The store; made if missing.
        preset: Preset for processes that are started now.
        config_file: The owner's configuration for them.
        idle_exit_s: They end after this long without work.
        timeout_s: How long to wait until they serve.

    Raises:
        RoleUnavailable: If they cannot be started, with the end of their log.
        OmniRecallError: The error by which one of them cannot serve, where it has told one.
    """
    run_dir = run_dir_now(store_dir)
    if is_running(store_dir) and (run_dir / "ready").exists():
        return run_dir
    supervisor = None
    ends_at_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_at_s:
        runs, run_dir = is_running(store_dir), run_dir_now(store_dir)
        if runs and (run_dir / "ready").exists():
            return run_dir
        if runs and (told := _broken(run_dir)):
            role, _, why = told.partition(": ")
            raise named_error(why, f"the {role} process of {store_dir}")
        if supervisor is not None and supervisor.poll() not in (None, 0):
            raise _not_started(store_dir, f"ended with code {supervisor.returncode}")
        # Also where one that was just ending has gone, or ours gave way to it.
        if not runs and (supervisor is None or supervisor.poll() is not None):
            arguments = ["--preset", preset, "--idle-exit", str(idle_exit_s)]
            supervisor = launched(store_dir, arguments, config_file)
        time.sleep(0.01)
    raise _not_started(store_dir, f"not ready after {timeout_s:g} s")


def launched(
    store_dir: Path,
    arguments: Sequence[str],
    config_file: Path | None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """A supervisor of a store that was started now; what it says goes to the end of its log.

    Args:
        store_dir: The store; made if missing.
        arguments: Its options beside the store and the configuration.
        config_file: The owner's configuration.
        environment: Its environment; that of this process where it is None.

    Raises:
        ConfigError, DiskFull: If the store cannot be written.
    """
    command = [sys.executable, "-P", "-m", "stream.process.supervisor", "--store", str(store_dir)]
    command += arguments
    if config_file is not None:
        command += ["--config", str(config_file)]
    logs = store_dir / "logs"
    try:
        for folder in (store_dir, logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (logs / "supervisor.log").touch(mode=0o600)
    except OSError as error:
        raise unwritable(store_dir, error) from error
    with (logs / "supervisor.log").open("ab") as log:
        # A session of its own: Ctrl-C in the terminal ends the command, not the processes.
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def named_error(why: str, what: str) -> OmniRecallError:
    """The error that a process told when it failed for good, as the supervisor keeps it: `Name: words`.

    Args:
        why: That; what names no error of the tree becomes `RoleBroken`.
        what: What cannot serve.
    """
    name, separator, words = why.partition(": ")
    kind = getattr(errors, name, None) if separator else None
    if not (isinstance(kind, type) and issubclass(kind, OmniRecallError)):
        kind, words = RoleBroken, why
    message, _, remedy = words.partition("; try: ")
    return kind(f"{what} cannot serve: {message}", remedy=remedy or "omnirecall doctor")


def owner_pid(store_dir: Path) -> int | None:
    """The process that holds the store's lock; None where none does or told no pid."""
    told = _lock_lines(store_dir)
    return int(told[0]) if told and told[0].isdigit() and is_running(store_dir) else None


def run_dir_now(store_dir: Path) -> Path:
    """Where the sockets of a store are: those of its processes, wherever these were started.

    A terminal, a service and a job at night have other temporary folders (`XDG_RUNTIME_DIR`, `TMPDIR`);
    where nothing runs, it is the folder of this environment.
    """
    told = _lock_lines(store_dir)
    if len(told) > 1 and is_running(store_dir):
        return Path(told[1])
    return run_dir_for(store_dir)


def _lock_lines(store_dir: Path) -> list[str]:
    """What the owner of the lock wrote, or a former one: its pid, and the folder of its sockets."""
    try:
        return (store_dir / "lock").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def _broken(run_dir: Path) -> str:
    """What the supervisor tells of processes that cannot serve, the first of them; empty if nothing."""
    try:
        return (run_dir / "broken").read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError:
        return ""


def _not_started(store_dir: Path, why: str) -> RoleUnavailable:
    log = store_dir / "logs" / "supervisor.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    told = f": {lines[-1]}" if lines else ""
    return RoleUnavailable(
        f"the processes of {store_dir} could not be started ({why}){told}",
        remedy=f"see {log.parent}, and run omnirecall doctor",
    )
