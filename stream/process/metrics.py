"""Counters, gauges and durations of one process, in Prometheus' terms."""

from __future__ import annotations

import threading
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

C = TypeVar("C", Counter, Gauge, Histogram)


class Metrics:
    """The metrics of a process; safe to use from every thread.

    Args:
        role: Becomes the prefix `omnirecall_<role>_` of the exposed names.
    """

    def __init__(self, role: str) -> None:
        self._prefix = f"omnirecall_{role}_"
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._values: dict[str, float] = {}

    def count(self, name: str, n: float = 1) -> None:
        """Adds to a counter."""
        with self._lock:
            if name not in self._counters:
                self._counters[name] = Counter(self._prefix + name, name, registry=self._registry)
            self._counters[name].inc(n)
            self._values[name] = self._values.get(name, 0) + n

    def gauge(self, name: str, value: float) -> None:
        """Sets a gauge."""
        with self._lock:
            if name not in self._gauges:
                self._gauges[name] = Gauge(self._prefix + name, name, registry=self._registry)
            self._gauges[name].set(value)
            self._values[name] = value

    def observe_s(self, name: str, seconds: float) -> None:
        """Adds a duration in seconds to a histogram; its sum is told as `<name>_s`."""
        with self._lock:
            if name not in self._histograms:
                self._histograms[name] = Histogram(
                    self._prefix + name + "_seconds", name, registry=self._registry, buckets=LATENCY_BUCKETS_S
                )
            self._histograms[name].observe(seconds)
            self._values[name + "_s"] = self._values.get(name + "_s", 0.0) + seconds

    def snapshot(self) -> dict[str, float]:
        """Counters, gauges and sums of durations as they are now."""
        with self._lock:
            return dict(self._values)

    def exposition(self) -> bytes:
        """The same in Prometheus' text format."""
        return generate_latest(self._registry)
