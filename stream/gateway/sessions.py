"""Sessions of browsers, one-time codes that pair a phone, and the patience with wrong tokens.

Of a session only the hash of its cookie is kept, in a file of the owner's alone, so that a page stays
logged in when the processes are restarted and a copy of the file logs nobody in.
"""

from __future__ import annotations

import json
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from stream.errors import OmniRecallError
from stream.gateway.access import Identity
from stream.gateway.keys import IDENTITIES, Keys, digest_of, write_private

COOKIE = "omnirecall_session"
MOST_SESSIONS = 64
"""The oldest makes way."""
PAIRING_S = 300.0
MOST_CODES = 8
_MINUTE_S = 60.0
_MOST_ADDRESSES = 4_096


@dataclass(frozen=True, slots=True)
class Session:
    """Of one browser: `ends_s` is UTC seconds, `stamp` that of the token it was opened with."""

    identity: Identity
    ends_s: float
    stamp: str


class Sessions:
    """Those that stand.

    Args:
        path: Where they are kept.
        keys: The tokens.
        lasts_s: How long one stands.
    """

    def __init__(self, path: Path, keys: Keys, lasts_s: float) -> None:
        self._path = path
        self._keys = keys
        self._lasts_s = lasts_s
        self._sessions = OrderedDict(_read(path))

    def open(self, identity: Identity) -> str:
        """A new session; what its cookie holds.

        Raises:
            ConfigError, DiskFull: If it cannot be kept.
        """
        secret = secrets.token_urlsafe(32)
        session = Session(identity, time.time() + self._lasts_s, self._keys.stamp(identity))
        self._sessions[digest_of(secret).hex()] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        self._write()
        return secret

    def identity_of(self, secret: str) -> Identity | None:
        """Whose cookie it is; None where it is of no session that stands."""
        session = self._sessions.get(digest_of(secret).hex())
        if session is None or session.ends_s < time.time():
            return None
        return session.identity if session.stamp == self._keys.stamp(session.identity) else None

    def end(self, secret: str) -> None:
        """Ends a session."""
        if self._sessions.pop(digest_of(secret).hex(), None) is not None:
            self._write()

    def _write(self) -> None:
        now_s = time.time()
        told = {
            digest: [one.identity, one.ends_s, one.stamp]
            for digest, one in self._sessions.items()
            if one.ends_s > now_s
        }
        write_private(self._path, json.dumps(told))


def _read(path: Path) -> dict[str, Session]:
    """The sessions of a file; none where it is not there or is not understood: people log in again."""
    try:
        told = json.loads(path.read_text(encoding="ascii"))
        return {
            str(digest): Session(cast(Identity, identity), float(ends_s), str(stamp))
            for digest, (identity, ends_s, stamp) in told.items()
            if identity in IDENTITIES
        }
    except (OSError, ValueError, TypeError, AttributeError, OmniRecallError):
        return {}


class Pairing:
    """One-time codes: each logs one browser in, once, within five minutes."""

    def __init__(self) -> None:
        self._codes: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def code(self, identity: Identity) -> str:
        """A new one."""
        code = secrets.token_urlsafe(16)
        self._codes[digest_of(code)] = (identity, time.monotonic() + PAIRING_S)
        while len(self._codes) > MOST_CODES:
            self._codes.popitem(last=False)
        return code

    def redeem(self, code: str) -> Identity | None:
        """Whom it logs in; it counts no more. None where it is none, or too old."""
        identity, ends_s = self._codes.pop(digest_of(code), (None, 0.0))
        return identity if ends_s > time.monotonic() else None


class Patience:
    """How many wrong tokens an address may try in a minute.

    Args:
        most: After which it has to wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until an address may try again; 0 where it may now."""
        times = self._recent(address)
        return _MINUTE_S - (time.monotonic() - times[0]) if len(times) >= self._most else 0.0

    def wrong(self, address: str) -> None:
        """Notes a wrong token."""
        times = [*self._recent(address), time.monotonic()][-self._most :]
        self._wrong[address] = times
        self._wrong.move_to_end(address)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since_s = time.monotonic() - _MINUTE_S
        return [one for one in self._wrong.get(address, ()) if one > since_s]
