"""What systemd is told: that the processes serve, that the supervisor's loop turns, that they end.

The protocol is one datagram of `KEY=VALUE` lines to the socket that the service manager names in
`NOTIFY_SOCKET` (sd_notify of systemd). Where nobody asks for it nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceNotice:
    """The way to the service manager that started this process, if one did.

    Args:
        environment: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` with `WATCHDOG_PID` where it watches.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        micros = environment.get("WATCHDOG_USEC", "") if watched else ""
        self.every_s = int(micros) / 2e6 if micros.isdigit() and int(micros) else None
        """Seconds between two signs of life, half of what is allowed; None where none are wanted."""
        self._due_s = 0.0
        self._is_ready = False

    def serving(self) -> None:
        """All serve; told once."""
        if not self._is_ready:
            self._is_ready = True
            self._tell("READY=1\nSTATUS=serving")

    def ending(self) -> None:
        """What is in hand is being finished."""
        self._tell("STOPPING=1\nSTATUS=ending")

    def turned(self, now_s: float) -> None:
        """The loop has turned, at a monotonic time."""
        if self.every_s is not None and now_s >= self._due_s:
            self._due_s = now_s + self.every_s
            self._tell("WATCHDOG=1")

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.settimeout(1.0)
            way.connect(self._address)
            way.send(words.encode("ascii"))
