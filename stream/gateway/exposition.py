"""The counters of all processes in Prometheus' text format."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, UntypedMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from stream.messages.control import StatusRoles
from stream.process.metrics import Metrics

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")


def exposition(roles: StatusRoles, own: Metrics) -> bytes:
    """What the supervisor tells of every process, and what the gateway counted itself.

    Counters of other processes come as they were at their last heartbeat; their kind is not known here.
    Sources are told by the beginning of their id: an address may hold a password.
    """
    registry = CollectorRegistry()
    registry.register(_Told(roles))
    return generate_latest(registry) + own.exposition()


class _Told(Collector):
    def __init__(self, roles: StatusRoles) -> None:
        self._roles = roles

    def collect(self) -> Iterable[Metric]:
        yield from self._processes()
        yield from self._counters()
        yield from self._sources()

    def _processes(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("omnirecall_process_up", "whether it serves", labels=("role", "name"))
        rss = GaugeMetricFamily("omnirecall_process_rss_bytes", "resident memory", labels=("role", "name"))
        restarts = GaugeMetricFamily(
            "omnirecall_process_restarts", "times it was started again", labels=("role", "name")
        )
        for role in self._roles.roles:
            labels = (role.role, role.name)
            up.add_metric(labels, float(role.state == "serving"))
            rss.add_metric(labels, role.rss_bytes)
            restarts.add_metric(labels, role.restarts)
        yield from (up, rss, restarts)

    def _counters(self) -> Iterable[Metric]:
        families: dict[str, UntypedMetricFamily] = {}
        for role in self._roles.roles:
            if role.role == "gateway":
                continue  # Its own are added as they are now.
            for counter, value in role.counters.items():
                name = f"omnirecall_{_NO_NAME.sub('_', role.role)}_{_NO_NAME.sub('_', counter)}"
                if name not in families:
                    families[name] = UntypedMetricFamily(name, counter, labels=("name",))
                families[name].add_metric((role.name,), value)
        yield from families.values()

    def _sources(self) -> Iterable[Metric]:
        fields = ("read", "sent", "dropped", "audio_read", "audio_sent", "audio_dropped", "errors")
        for field in fields:
            family = GaugeMetricFamily(
                f"omnirecall_source_{field}", f"{field} of a source", labels=("source", "state")
            )
            for source in self._roles.sources:
                family.add_metric((source.source_id.hex()[:12], source.state), getattr(source, field))
            yield family
