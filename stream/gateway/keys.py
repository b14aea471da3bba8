"""The two tokens of a store: files of the owner's alone, made when first wanted.

A token is 32 random bytes; who guesses has nothing to gain from the time that a comparison takes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

from stream.disk import unwritable, whole_file
from stream.errors import ConfigError
from stream.gateway.access import Identity

FOLDER = "gateway"
IDENTITIES: tuple[Identity, ...] = ("owner", "viewer")
TOKEN_BYTES = 32
_LOOK_S = 1.0
"""Seconds between two looks whether a token was made anew meanwhile."""


def gateway_dir(store_dir: Path) -> Path:
    """Where keys, sessions and certificates lie; made with mode 0700.

    Raises:
        ConfigError, DiskFull: If it cannot be made.
    """
    folder = store_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def write_private(path: Path, text: str) -> None:
    """A file that only its owner can read, whole or not at all.

    Raises:
        ConfigError, DiskFull: If it cannot be written.
    """
    with whole_file(path) as unfinished:
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise unwritable(path, error) from error


def token_of(store_dir: Path, identity: Identity) -> tuple[str, bool]:
    """The token of an identity, and whether it was made just now.

    Raises:
        ConfigError: If its file is unreadable, or others may read it.
    """
    path = gateway_dir(store_dir) / f"{identity}.token"
    if not path.exists():
        return new_token(store_dir, identity), True
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(
                f"others may read {path}", remedy=f"omnirecall token --new {identity}, then chmod 600 it"
            )
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read", remedy=f"omnirecall token --new {identity}") from error
    if len(token) < TOKEN_BYTES:
        raise ConfigError(f"{path} holds no token", remedy=f"omnirecall token --new {identity}")
    return token, False


def new_token(store_dir: Path, identity: Identity) -> str:
    """Makes the token of an identity anew; the one before counts no more, nor do its sessions."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    write_private(gateway_dir(store_dir) / f"{identity}.token", token + "\n")
    return token


def digest_of(secret: str) -> bytes:
    """What is kept and compared in place of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Keys:
    """The tokens as the gateway checks them; files that change are read again.

    Args:
        store_dir: The store.
    """

    def __init__(self, store_dir: Path) -> None:
        self._store_dir = store_dir
        self._digests: dict[Identity, bytes] = {}
        self._stamps: dict[Identity, int] = {}
        self._looked_s = -_LOOK_S
        self._look()

    def _look(self) -> None:
        if time.monotonic() - self._looked_s < _LOOK_S:
            return
        self._looked_s = time.monotonic()
        for identity in IDENTITIES:
            path = gateway_dir(self._store_dir) / f"{identity}.token"
            stamp = path.stat().st_mtime_ns if path.exists() else 0
            if not stamp or stamp != self._stamps.get(identity):
                token, _ = token_of(self._store_dir, identity)
                self._digests[identity] = digest_of(token)
                self._stamps[identity] = path.stat().st_mtime_ns

    def identity_of(self, token: str) -> Identity | None:
        """Whose token it is; None where it is nobody's. Both are always compared."""
        self._look()
        told = digest_of(token)
        found: Identity | None = None
        for identity, digest in self._digests.items():
            if hmac.compare_digest(told, digest):
                found = identity
        return found

    def stamp(self, identity: Identity) -> str:
        """What a session of an identity is bound to: it ends when the token is made anew."""
        self._look()
        return hashlib.sha256(b"session" + self._digests[identity]).hexdigest()[:32]
