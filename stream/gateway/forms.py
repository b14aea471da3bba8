"""What goes out as JSON: the forms of `--json` (`stream.commands.shapes`), with links for browsers.

A file's path is its name here; thumbnails and moments are addresses of the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from fastapi.exceptions import RequestValidationError

from stream.capture.addresses import kind_of
from stream.commands import shapes
from stream.commands.playable import away_uris
from stream.errors import (
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    DiskFull,
    OmniRecallError,
    RoleUnavailable,
    SourceError,
    SourceGone,
    StoreBusy,
    StoreError,
    TooLarge,
    Unauthorised,
)
from stream.messages import Answer, Evidence, EvidenceItem
from stream.messages.control import SourceState, StatusMemory, StatusRoles
from stream.messages.span import TimelineEntry
from stream.messages.turn import TurnToken

Json = dict[str, Any]
API = "/api/v1"
_NOWHERE = Path()

STATUSES: tuple[tuple[type[OmniRecallError], int], ...] = (
    (ConfigError, 400),
    (SourceGone, 404),
    (SourceError, 422),
    (TooLarge, 413),
    (Unauthorised, 403),
    (DeadlineExceeded, 504),
    (RoleUnavailable, 503),
    (StoreBusy, 503),
    (DiskFull, 507),
    (Cancelled, 409),
    (StoreError, 500),
    (OmniRecallError, 500),
)
"""Which status an error of the tree has; the first that fits."""


def status_of(error: OmniRecallError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def error_form(error: OmniRecallError) -> Json:
    """An error as people and programs get it."""
    return {"error": type(error).__name__, "message": error.message, "remedy": error.remedy}


def malformed(error: RequestValidationError) -> tuple[str, str]:
    """Which field of a request is wrong, and in which way.

    Never the value itself: it may be a token that was sent to the wrong place.
    """
    first = error.errors()[0]
    where = ".".join(str(step) for step in first["loc"][1:]) or "body"
    return where, f"{where}: {first['msg']}"


async def away(items: Iterable[EvidenceItem | TimelineEntry]) -> frozenset[str]:
    """The files that are not there now; a disk that hangs keeps nobody else waiting."""
    uris = {item.uri for item in items if item.uri and "://" not in item.uri}
    return await asyncio.to_thread(away_uris, uris) if uris else frozenset()


async def answer_form(answer: Answer) -> Json:
    """As `ask --json`."""
    told = shapes.answer_json(answer, _NOWHERE)
    gone = await away(answer.citations)
    told["citations"] = [item_form(item, gone) for item in answer.citations]
    return told


def token_form(token: TurnToken) -> Json:
    """The next words of an answer."""
    return {"index": token.index, "text": token.text, "sentence": token.sentence}


async def search_form(found: Evidence) -> Json:
    """As `search --json`."""
    gone = await away(found.items)
    return {
        "hits": [_linked(shapes.hit_json(item, _NOWHERE, gone), item) for item in found.items],
        "verdict": found.verdict,
        "coverage": shapes.coverage_json(found.coverage),
        "considered": found.considered,
        "notices": list(found.notices),
        "timings_ms": found.timings_ms,
    }


async def items_form(items: Sequence[EvidenceItem]) -> list[Json]:
    """Several items, as citations are told."""
    gone = await away(items)
    return [item_form(item, gone) for item in items]


def item_form(item: EvidenceItem, gone: Collection[str]) -> Json:
    """One citation."""
    return _linked(shapes.item_json(item, _NOWHERE, gone), item)


def _linked(told: Json, item: EvidenceItem) -> Json:
    play = told["play"]
    is_playable = bool(item.source_id) and item.source_kind not in ("chat", "dialogue")
    play["uri"] = f"{API}/moments/{item.observation_id.hex()}" if is_playable else None
    return {**told, "thumbnail": picture_link(item.thumbnail), "play": play}


def picture_link(thumbnail: str) -> str | None:
    """The address of a picture that lies under the store's `media/`."""
    return f"{API}/media/{PurePath(thumbnail).stem}" if thumbnail else None


def span_form(entry: TimelineEntry) -> Json:
    """One span of the timeline."""
    span = entry.span
    lines = entry.lines or ((span.digest,) if span.digest else ())
    return {
        "id": span.span_id.hex(),
        "level": span.level,
        "source": entry.uri,
        "t0": shapes.iso(span.t0_ns),
        "t1": shapes.iso(span.t1_ns),
        "t0_s": shapes.seconds(span.pts0_ns),
        "t1_s": shapes.seconds(span.pts1_ns),
        "text": "\n".join(lines),
        "lines": list(lines),
        "cites": [one.hex() for one in entry.cites],
        "thumbnail": picture_link(span.thumbnail),
        "why": span.why,
        "open": span.why == "open",
        "play": f"{API}/moments/{span.span_id.hex()}" if entry.uri else None,
    }


def status_form(identity: str, roles: StatusRoles, memory: StatusMemory | None) -> Json:
    """Processes, sources and store."""
    told: Json = {
        "identity": identity,
        "ready": roles.ready,
        "roles": [shapes.role_json(role) for role in roles.roles],
        "sources": [source_form(source) for source in roles.sources],
        "store": None,
    }
    if memory is not None:
        told["store"] = {
            "bytes": memory.n_bytes,
            "counts": memory.counts,
            "commit_no": memory.commit_no,
            "pending_keys": memory.pending_keys,
            "clips": memory.clips,
        }
    return told


def source_form(source: SourceState) -> Json:
    """One source as it is being read."""
    return {
        "uri": source.uri,
        "kind": source.kind or kind_of(source.uri) or "file",
        "state": source.state,
        "reason": source.reason,
        "remedy": source.remedy,
        "source_id": source.source_id.hex(),
        "session": source.session,
        "read": source.read,
        "sent": source.sent,
        "dropped": source.dropped,
        "audio_read": source.audio_read,
        "audio_sent": source.audio_sent,
        "audio_dropped": source.audio_dropped,
        "errors": source.errors,
        "gaps": source.gaps,
        "position_s": shapes.seconds(source.position_ns),
        "duration_s": shapes.seconds(source.duration_ns),
        "notes": list(source.notes),
    }
