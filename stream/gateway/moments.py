"""Moments as a browser plays them (to come)."""

from __future__ import annotations

from pathlib import Path

from stream.gateway.processes import Processes
from stream.gateway.settings import GatewaySettings


class Moments:
    """Cut moments."""

    def __init__(self, folder: Path, processes: Processes, settings: GatewaySettings) -> None:
        self._folder = folder

    def start(self) -> None:
        """Begins."""

    def close(self) -> None:
        """Ends."""
