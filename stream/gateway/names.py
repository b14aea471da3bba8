"""The names under which this machine is called: those a Host header may have, and a certificate tells."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
"""What listens on these is reached by every address of this machine."""


def is_loopback(host: str) -> bool:
    """Whether this machine alone reaches what listens there; `host` is `localhost` or an IP address."""
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def machine_names(host: str) -> tuple[str, ...]:
    """Names and addresses of this machine, loopback first; only these where nobody else can come.

    Args:
        host: What the gateway listens on.
    """
    names = list(LOOPBACK)
    if is_loopback(host):
        return tuple(dict.fromkeys([*names, host]))
    name = socket.gethostname()
    names += [name, f"{name}.local"]
    if host not in ANYWHERE:
        return tuple(dict.fromkeys([*names, host]))
    return tuple(dict.fromkeys([*names, *lan_addresses()]))


def lan_addresses() -> tuple[str, ...]:
    """Addresses of this machine that others can reach, the likeliest first."""
    found: list[str] = []
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # A datagram socket that is connected sends nothing; it tells the address of the route out.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as way:
            way.connect((anywhere, 9))
            found.append(str(way.getsockname()[0]))
    with contextlib.suppress(OSError):
        found += [str(one[4][0]) for one in socket.getaddrinfo(socket.gethostname(), None)]
    return tuple(one for one in dict.fromkeys(found) if _is_reachable(one))


def _is_reachable(address: str) -> bool:
    try:
        told = ipaddress.ip_address(address)
    except ValueError:
        return False  # Of a link, with its name behind it.
    return not (told.is_loopback or told.is_unspecified or told.is_link_local)


def host_of(authority: str) -> str | None:
    """The host of a Host header or an origin, without its port; None where it is none."""
    name, bracket, rest = authority.rpartition("]")
    if bracket:
        port = rest[1:]
        if not name.startswith("[") or (rest and not (rest.startswith(":") and port.isdigit())):
            return None
        return name[1:].lower()
    host, _, port = authority.partition(":")
    if (":" in authority and not port.isdigit()) or not host or any(c in host for c in "/\\@ \t"):
        return None
    return host.lower().rstrip(".")


def in_url(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host
