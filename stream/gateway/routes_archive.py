"""What is kept: the timeline, places, people, pictures and the moments themselves."""

from __future__ import annotations

from fastapi import APIRouter

from stream.gateway.gateway import Gateway


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    return APIRouter(prefix="/api/v1", tags=["archive"])
