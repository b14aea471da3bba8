"""What the routes share: settings, keys, the way to the processes, and the live pages."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection

from stream.errors import Unauthorised
from stream.gateway.access import Identity
from stream.gateway.alerting import Alerting
from stream.gateway.guard import Stands
from stream.gateway.keys import Keys, gateway_dir
from stream.gateway.moments import Moments
from stream.gateway.names import ANYWHERE, in_url, lan_addresses, machine_names
from stream.gateway.pages import Pages
from stream.gateway.processes import Processes
from stream.gateway.sessions import Pairing, Patience, Sessions
from stream.gateway.settings import GatewaySettings
from stream.process.metrics import Metrics

DAY_S = 86_400.0


@dataclass(slots=True)
class Gateway:
    """One per process. Belongs to the event loop that serves.

    `hosts` are the names that it is called by, `port` where it listens. `openable` are sources
    that the configuration lets the page open. `lifespans` are entered before the
    first request and left after the last.
    """

    settings: GatewaySettings
    store_dir: Path
    processes: Processes
    metrics: Metrics
    keys: Keys
    sessions: Sessions
    patience: Patience
    pairing: Pairing
    hosts: tuple[str, ...]
    port: int
    pages: Pages
    moments: Moments
    openable: tuple[str, ...] = ()
    lifespans: list[AbstractAsyncContextManager[None]] = field(default_factory=list)

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        return "https" if self.settings.tls else "http"

    def url(self, host: str = "localhost") -> str:
        """Its address under a name."""
        return f"{self.scheme}://{in_url(host)}:{self.port}"

    def lan_url(self) -> str:
        """The address for other machines; that of this one where nobody else can come."""
        if self.settings.is_loopback:
            return self.url()
        if self.settings.host not in ANYWHERE:
            return self.url(self.settings.host)
        return self.url(next(iter(lan_addresses()), "localhost"))


def make_gateway(
    settings: GatewaySettings,
    store_dir: Path,
    processes: Processes,
    metrics: Metrics,
    port: int,
    openable: tuple[str, ...] = (),
) -> Gateway:
    """A gateway with the keys of its store, which are made where there are none.

    Raises:
        ConfigError, DiskFull: If they cannot be read or made.
    """
    keys = Keys(store_dir)
    pages = Pages(settings, processes, metrics)
    pages.on_alert = Alerting(settings.webhooks, store_dir, metrics).post
    folder = gateway_dir(store_dir)
    moments = Moments(folder / "moments", processes, settings)
    processes.forgotten += [moments.clear, pages.forgotten]
    hosts = (*machine_names(settings.host), *settings.allowed_hosts)
    return Gateway(
        settings=settings,
        store_dir=store_dir,
        processes=processes,
        metrics=metrics,
        keys=keys,
        sessions=Sessions(folder / "sessions.json", keys, settings.session_days * DAY_S),
        patience=Patience(settings.wrong_tokens),
        pairing=Pairing(),
        hosts=hosts,
        port=port,
        pages=pages,
        moments=moments,
        openable=openable,
    )


def identity_of(request: Request | HTTPConnection) -> Identity:
    """Who is asking, as the guard found.

    Raises:
        Unauthorised: If the guard was not passed.
    """
    identity: Identity = _found_by_guard(request, "identity")
    return identity


def stands_of(request: Request | HTTPConnection) -> Stands:
    """Whether who is asking may still ask, for what stays open longer than a request; raises as above."""
    stands: Stands = _found_by_guard(request, "stands")
    return stands


def _found_by_guard(request: Request | HTTPConnection, name: str) -> Any:
    found = request.scope.get("state", {}).get(name)
    if found is None:
        raise Unauthorised("nobody knows who is asking")
    return found
