"""The one table of roles: which class a process runs, and which settings it owns.

Dotted paths are resolved by importlib when a process starts, so `stream` starts the
other packages without importing them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from stream.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Role:
    """One row: `service` and `settings` as `module:name`.

    `starts` is `always` (with the supervisor), `enabled` (so, where its settings say it), `media` (with
    the first source) or `source` (one process per source). `nice` is the CPU niceness: what answers people
    goes before what works ahead. `drains` orders the end: low numbers stop first.
    """

    service: str
    settings: str
    starts: Literal["always", "enabled", "media", "source"]
    nice: int
    drains: int


ROLES: dict[str, Role] = {
    "capture": Role(
        "stream.capture.service:CaptureService", "stream.capture.settings:CaptureSettings", "source", 5, 0
    ),
    "live": Role(
        "stream.capture.live_service:LiveService", "stream.capture.settings:CaptureSettings", "source", 5, 0
    ),
    "text": Role(
        "stream.capture.text_service:TextService", "stream.capture.settings:TextSettings", "source", 5, 0
    ),
    # People are told first that all ends, while those who answer them still can.
    "gateway": Role(
        "stream.gateway.service:GatewayService", "stream.gateway.settings:GatewaySettings", "enabled", 0, 0
    ),
    "video": Role(
        "perception.video.service:VideoService", "perception.video.settings:VideoSettings", "media", 10, 1
    ),
    "audio": Role(
        "perception.audio.service:AudioService", "perception.audio.settings:AudioSettings", "media", 5, 1
    ),
    "reasoning": Role(
        "reasoning.service:ReasoningService", "reasoning.settings:ReasoningSettings", "always", 0, 2
    ),
    "memory": Role("memory.service:MemoryService", "memory.settings:MemorySettings", "always", 0, 3),
    "encoder": Role(
        "perception.encoder.service:EncoderService",
        "perception.encoder.settings:EncoderSettings",
        "always",
        0,
        4,
    ),
}

SECTION_OF = {"live": "capture"}
"""Roles that share the section of another."""

SECTIONS: dict[str, str] = {
    "cpu": "stream.process.settings:CpuSettings",
    "supervisor": "stream.process.settings:SupervisorSettings",
    **{name: role.settings for name, role in ROLES.items() if name not in SECTION_OF},
}
"""Every section of the configuration and the class of its schema."""


def resolve(dotted: str) -> Any:
    """The object that `module:name` names.

    Raises:
        ConfigError: If the module or the name does not exist.
    """
    module_name, _, name = dotted.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{dotted} cannot be loaded: {error}", remedy="omnirecall doctor") from error
