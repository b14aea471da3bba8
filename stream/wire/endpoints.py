"""Where sockets lie: one private folder per store, and short ipc addresses in it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import zmq

from stream.errors import ConfigError

MAX_IPC_PATH_BYTES = 107
"""`sun_path` of a Unix socket on Linux; libzmq refuses longer ones."""

MAX_PART_BYTES = 64 << 20
"""Larger parts are dropped by libzmq before they are held, and their sender is disconnected."""

Address = str


def run_dir_for(store_dir: Path) -> Path:
    """The folder of sockets of a store: `$XDG_RUNTIME_DIR/omnirecall/<store hash>/`.

    Without XDG_RUNTIME_DIR it lies in the temporary folder under the user's id. The
    folder is not made here.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        base = Path(runtime) / "omnirecall"
    else:
        base = Path(tempfile.gettempdir()) / f"omnirecall-{os.getuid()}"
    real = os.path.realpath(store_dir)
    return base / hashlib.blake2b(real.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()


def make_run_dir(run_dir: Path) -> None:
    """Makes the folder with mode 0700, and refuses one that belongs to somebody else.

    Raises:
        ConfigError: If the folder is another user's, or a link planted in its place.
    """
    for folder in (run_dir.parent, run_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != os.getuid():
            raise ConfigError(
                f"{folder} does not belong to this user",
                remedy="set XDG_RUNTIME_DIR to a folder of your own",
            )
        if status.st_mode & 0o077:
            folder.chmod(0o700)


def ipc_address(run_dir: Path, endpoint: str) -> Address:
    """The ZeroMQ address of an endpoint.

    Raises:
        ConfigError: If the path is longer than a Unix socket's may be.
    """
    path = run_dir / endpoint
    if len(os.fsencode(path)) > MAX_IPC_PATH_BYTES:
        raise ConfigError(
            f"socket path {path} is longer than {MAX_IPC_PATH_BYTES} bytes",
            remedy="set XDG_RUNTIME_DIR to a shorter path",
        )
    return f"ipc://{path}"


def open_socket(kind: int, *, linger_ms: int, queue: int) -> zmq.Socket[bytes]:
    """A socket of this process.

    Args:
        kind: A socket type of zmq.
        linger_ms: How long unsent messages keep the process from ending.
        queue: High-water mark in messages, both ways; 0 where credit, windows or
            deadlines bound what is on the way.
    """
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(kind)
    set_bounds(socket, linger_ms=linger_ms, queue=queue)
    return socket


def set_bounds(socket: zmq.Socket[Any], *, linger_ms: int, queue: int) -> None:
    """The bounds of `open_socket`, for a socket that was made otherwise."""
    socket.setsockopt(zmq.LINGER, linger_ms)
    socket.setsockopt(zmq.SNDHWM, queue)
    socket.setsockopt(zmq.RCVHWM, queue)
    # Per part; the codec bounds their number and their sum.
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
