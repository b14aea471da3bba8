"""What the owner decides: sources, pauses, standing questions, notes, forgetting."""

from __future__ import annotations

from fastapi import APIRouter

from stream.gateway.gateway import Gateway


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    return APIRouter(prefix="/api/v1", tags=["control"])
