"""The JSON that commands print, made of messages. DESIGN's "What people touch" binds it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.commands.playable import away_uris, play_json

if TYPE_CHECKING:
    from collections.abc import Collection

    from stream.errors import OmniRecallError
    from stream.messages.answer import Answer
    from stream.messages.control import RoleStatus, SourceState, SourceStatus
    from stream.messages.evidence import Coverage, EvidenceItem, Gap
    from stream.messages.log import LogRow, LogSource
    from stream.messages.span import TimelineEntry

Json = dict[str, Any]


def iso(t_ns: int | None) -> str | None:
    """ISO-8601 UTC with milliseconds, or None where the time is not known."""
    if t_ns is None:
        return None
    seconds, ns = divmod(t_ns, 1_000_000_000)
    # Integers throughout: a float of nanoseconds since 1970 is off by a quarter of a microsecond.
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000:03}Z"


def seconds(ns: int | None) -> float | None:
    """Nanoseconds as seconds, to the millisecond."""
    return None if ns is None else round(ns / 1e9, 3)


def answer_json(answer: Answer, store_dir: Path) -> Json:
    """`ask --json`."""
    away = away_uris(item.uri for item in answer.citations)
    return {
        "answer": answer.answer,
        "verdict": answer.verdict,
        "confidence": answer.confidence,
        "sentences": [{"text": s.text, "citations": list(s.citations)} for s in answer.sentences],
        "citations": [item_json(item, store_dir, away) for item in answer.citations],
        "conflicts": list(answer.conflicts),
        "coverage": coverage_json(answer.coverage),
        "notices": list(answer.notices),
        "timings_ms": answer.timings_ms,
    }


def item_json(item: EvidenceItem, store_dir: Path, away: Collection[str]) -> Json:
    """One citation; `away` are the files that are not there now (`stream.commands.playable.away_uris`)."""
    return {
        "id": item.observation_id.hex(),
        "source": item.uri,
        "kind": item.kind,
        "level": item.level,
        "t0": iso(item.t0_ns),
        "t1": iso(item.t1_ns),
        "t0_s": seconds(item.pts0_ns),
        "t1_s": seconds(item.pts1_ns),
        "text": item.text,
        "speaker": item.speaker,
        "place": item.place,
        "thumbnail": str(store_dir / "media" / item.thumbnail) if item.thumbnail else None,
        "span": item.span_id.hex(),
        "play": play_json(item.uri, item.pts0_ns, item.pts1_ns, away),
    }


def hit_json(item: EvidenceItem, store_dir: Path, away: Collection[str]) -> Json:
    """One hit of `search --json`: a moment, the observation that stands for it, its score and scorers.

    `t0` to `t1_s` bound the moment; `observed_t0_s` and `observed_t1_s` the observation,
    which may be shorter or longer. `near` are the texts around it, in order of time.
    """
    told = item_json(item, store_dir, away)
    observed = {"observed_t0_s": told["t0_s"], "observed_t1_s": told["t1_s"]}
    if item.moment_pts0_ns is not None and item.moment_pts1_ns is not None:
        origin_ns = None if item.t0_ns is None else item.t0_ns - item.pts0_ns
        for end, pts_ns in (("t0", item.moment_pts0_ns), ("t1", item.moment_pts1_ns)):
            told[end] = None if origin_ns is None else iso(origin_ns + pts_ns)
            told[f"{end}_s"] = seconds(pts_ns)
    near = {"near": list(item.neighbours)}
    return {**told, **observed, **near, "score": item.score, "scorers": item.scorers}


def coverage_json(coverage: Coverage) -> Json:
    """How far the memory reaches."""
    return {
        "through": iso(coverage.through_ns),
        "gaps": [_gap_json(gap) for gap in coverage.gaps],
        "unfinished": list(coverage.unfinished),
        "undated": coverage.undated,
    }


def _gap_json(gap: Gap) -> Json:
    return {
        "source": gap.uri,
        "t0": iso(gap.t0_ns),
        "t1": iso(gap.t1_ns),
        "t0_s": seconds(gap.pts0_ns),
        "t1_s": seconds(gap.pts1_ns),
        "reason": gap.reason,
        "lost": gap.lost,
    }


def entry_json(entry: TimelineEntry, store_dir: Path, away: Collection[str]) -> Json:
    """One span of `timeline --json`."""
    span = entry.span
    return {
        "span": span.span_id.hex(),
        "level": span.level,
        "source": entry.uri,
        "t0": iso(span.t0_ns),
        "t1": iso(span.t1_ns),
        "t0_s": seconds(span.pts0_ns),
        "t1_s": seconds(span.pts1_ns),
        "why": span.why,
        "open": span.why == "open",
        "lines": list(entry.lines),
        "cites": [observation.hex() for observation in entry.cites],
        "merges": span.merges,
        "digest": span.digest,
        "pinned": span.pinned,
        "thumbnail": str(store_dir / "media" / span.thumbnail) if span.thumbnail else None,
        "observations": [observation.hex() for observation in span.observations],
        "play": play_json(entry.uri, span.pts0_ns, span.pts1_ns, away) if entry.uri else None,
    }


def observation_json(row: LogRow, source: LogSource, store_dir: Path) -> Json:
    """One line of `export --format jsonl`: an observation whole, with where its source was met."""
    told = row.observation
    return {
        "id": told.observation_id.hex(),
        "source": source.uris[0] if source.uris else "",
        "uris": list(source.uris),
        "source_id": told.source_id.hex(),
        "session": told.session,
        "track": told.track,
        "kind": told.kind,
        "producer": told.producer_id,
        "commit": row.commit_no,
        "t0": iso(told.t0_ns),
        "t1": iso(told.t1_ns),
        "t0_s": seconds(told.pts0_ns),
        "t1_s": seconds(told.pts1_ns),
        "text": told.text,
        "language": told.language,
        "confidence": told.confidence,
        "speaker": told.speaker,
        "about": told.about,
        "audience": told.audience,
        "place": told.place,
        "lat": told.lat,
        "lon": told.lon,
        "payload": told.payload,
        "media": [
            {
                "path": str(store_dir / "media" / medium.part),
                "role": medium.role,
                "type": medium.media_type,
                "width_px": medium.width_px,
                "height_px": medium.height_px,
            }
            for medium in told.media
        ],
    }


def role_json(role: RoleStatus) -> Json:
    """One process of `status --json`."""
    return {
        "role": role.role,
        "name": role.name,
        "pid": role.pid,
        "state": role.state,
        "restarts": role.restarts,
        "age_s": round(role.age_s, 1),
        "rss_bytes": role.rss_bytes,
        "last_error": role.last_error,
        "counters": role.counters,
    }


def reading_json(source: SourceState) -> Json:
    """One source as capture reads it."""
    return {
        "source": source.uri,
        "state": source.state,
        "id": source.source_id.hex(),
        "reason": source.reason,
        "duration_s": seconds(source.duration_ns),
        "position_s": seconds(source.position_ns),
        "frames": {"read": source.read, "sent": source.sent, "dropped": source.dropped},
        "audio": {"read": source.audio_read, "sent": source.audio_sent, "dropped": source.audio_dropped},
        "errors": source.errors,
    }


def held_json(source: SourceStatus, *, offline: bool = False) -> Json:
    """One source as memory holds it; `offline` if its file is not where it was met last."""
    return {
        "source": source.uri,
        "id": source.source_id.hex(),
        "kind": source.kind,
        "duration_s": seconds(source.duration_ns),
        "observations": source.observations,
        "consolidated": source.consolidated,
        "offline": offline,
        "newest_frame": iso(source.newest_frame_t_ns),
        "tracks": [
            {"track": t.track, "media": t.media, "through_s": seconds(t.through_pts_ns), "eof": t.eof}
            for t in source.tracks
        ],
    }


def error_json(error: OmniRecallError) -> Json:
    """What a command prints when it failed."""
    return {"error": {"type": type(error).__name__, "message": error.message, "remedy": error.remedy}}
