"""The way from a command to the gateway of a store: its address, and links that log a browser in.

A link holds a code that counts once, within five minutes; the gateway makes it for whoever has the owner's
token, which lies in the store.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stream.errors import ConfigError, RoleUnavailable
from stream.gateway.names import ANYWHERE, in_url, is_loopback
from stream.process.start import run_dir_now

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway listens, as it tells in the run folder of its store."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether this machine alone can reach it."""
        return is_loopback(self.host)

    @property
    def here(self) -> str:
        """The host by which this machine reaches it."""
        if self.host in (*ANYWHERE, "127.0.0.1", "::1"):
            return "localhost"
        return self.host

    @property
    def url(self) -> str:
        """What a browser on this machine opens."""
        return f"{self.scheme}://{in_url(self.here)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that logs one browser in, once, for some seconds."""

    url: str
    expires_s: float


def address_of(store_dir: Path) -> Address | None:
    """Where the gateway of a store listens; None where none serves."""
    from stream.gateway.service import GATEWAY_FILE

    try:
        told = json.loads((run_dir_now(store_dir) / GATEWAY_FILE).read_text(encoding="ascii"))
        return Address(str(told["scheme"]), str(told["host"]), int(told["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def link_to(store_dir: Path, address: Address, identity: str = "owner") -> Link:
    """A link for a browser on another machine, or on this one where no other can come.

    Raises:
        RoleUnavailable: If the gateway does not answer.
        ConfigError: If it refuses the token of this store.
    """
    from stream.gateway.keys import token_of

    token, _ = token_of(store_dir, "owner")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection = _connected(store_dir, address)
    try:
        connection.request("POST", "/api/v1/pairing", json.dumps({"identity": identity}), headers)
        reply = connection.getresponse()
        told = json.loads(reply.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RoleUnavailable(
            f"the gateway at {address.url} does not answer: {type(error).__name__}",
            remedy="omnirecall status",
        ) from error
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise ConfigError(f"the gateway refuses a link: {_message(told)}", remedy="omnirecall status")
    return Link(str(told["url"]), float(told["expires_s"]))


def on_this_machine(link: Link, address: Address) -> str:
    """The same link as a browser here opens it: pages of localhost may use a camera."""
    return f"{address.url}/#{urlsplit(link.url).fragment}"


def _connected(store_dir: Path, address: Address) -> http.client.HTTPConnection:
    if address.scheme == "http":
        return http.client.HTTPConnection(address.here, address.port, timeout=TIMEOUT_S)
    return http.client.HTTPSConnection(
        address.here, address.port, timeout=TIMEOUT_S, context=_trust(store_dir)
    )


def _trust(store_dir: Path) -> ssl.SSLContext:
    """Trust in the certificate that the gateway made for itself, else in what this machine trusts."""
    from stream.gateway.keys import FOLDER

    made = store_dir / FOLDER / "certificate.pem"
    context = ssl.create_default_context()
    if made.is_file():
        context.load_verify_locations(made)
    return context


def _message(told: Any) -> str:
    return str(told.get("message", "")) if isinstance(told, dict) else ""


def print_qr(url: str) -> None:
    """A link as a QR code in the terminal, for the camera of a phone."""
    import sys

    import segno

    segno.make(url, error="l").terminal(out=sys.stdout, border=2, compact=True)
