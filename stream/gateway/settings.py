"""Settings of the gateway."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from stream.gateway.names import is_loopback


class GatewaySettings(BaseModel):
    """Where the gateway listens, and what it lets people and programs do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=False, description="start the gateway with the other processes")
    host: str = Field(
        default="127.0.0.1",
        description="IP address that it listens on; other than loopback it needs TLS, or `without_tls`",
    )
    port: int = Field(default=8765, ge=0, le=65_535, description="TCP port; 0: any that is free")
    tls: bool = Field(
        default=False, description="speak HTTPS, by `certificate` or one that is made in the store"
    )
    certificate: Path | None = Field(default=None, description="PEM file of a certificate of yours")
    certificate_key: Path | None = Field(default=None, description="PEM file of its private key")
    without_tls: bool = Field(
        default=False,
        description="listen beyond loopback without TLS, as behind a proxy that speaks it: tokens and what"
        " you see and say go over the network as they are",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="further names by which it may be called (Host header), without port: those of a proxy",
    )
    browser_sources: bool = Field(
        default=True, description="take the camera and microphone of the owner's browser"
    )
    remember: bool = Field(default=False, description="let the owner add notes over HTTP")
    mcp_writes: bool = Field(
        default=False, description="offer remember and forget to the owner's MCP clients, too"
    )
    webhooks: tuple[str, ...] = Field(
        default=(),
        description="http(s) addresses that alerts of standing questions are posted to, signed with the"
        " secret in the store's gateway/webhook.secret",
    )
    sockets: int = Field(default=16, ge=1, le=256, description="live pages at the same time")
    connections: int = Field(default=256, ge=8, le=4_096, description="HTTP connections at the same time")
    body_bytes: int = Field(
        default=1 << 20, ge=1_024, le=64 << 20, description="largest body of a request, in bytes"
    )
    chunk_bytes: int = Field(
        default=4 << 20, ge=65_536, le=32 << 20, description="largest piece of browser media, in bytes"
    )
    session_days: float = Field(default=30.0, gt=0, le=365, description="days until a browser logs in again")
    wrong_tokens: int = Field(
        default=10, ge=1, description="wrong tokens in a minute after which an address has to wait"
    )
    ask_s: float = Field(default=30.0, gt=0, description="seconds that an answer may take")
    moments_bytes: int = Field(
        default=512 << 20, ge=1 << 20, description="bytes of cut moments that are kept for browsers"
    )
    moment_s: float = Field(default=120.0, gt=0, description="longest moment that is cut, in seconds")

    @field_validator("host")
    @classmethod
    def _is_an_address(cls, host: str) -> str:
        if host != "localhost":
            ipaddress.ip_address(host)
        return host

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)
