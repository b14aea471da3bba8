"""An observation as evidence: what it says, where it stands, whose it is, within the bounds of the wire."""

from __future__ import annotations

from memory.bounds import NAME_CHARS, TEXT_CHARS
from memory.log.reader import Logged, SourceRow
from stream.messages.evidence import EvidenceItem
from stream.wire.bounds import shortened


def item_of(item: Logged, source: SourceRow, span_id: bytes = b"", level: str = "") -> EvidenceItem:
    """The item of an observation, without what recall says about how it was found.

    Args:
        item: As the log has it.
        source: Its source.
        span_id: The span that it is told of; empty for none.
        level: Of that span.
    """
    is_chat = source.kind == "chat"
    return EvidenceItem(
        observation_id=item.observation_id,
        span_id=span_id,
        source_id=item.source_id,
        session=item.session,
        uri=source.uri,
        kind=item.kind,
        level=level,
        pts0_ns=item.pts0_ns,
        pts1_ns=item.pts1_ns,
        t0_ns=item.t0_ns,
        t1_ns=item.t1_ns,
        text=shortened(item.text, TEXT_CHARS),
        place=shortened(item.place, NAME_CHARS),
        speaker=shortened(item.speaker, NAME_CHARS),
        language=item.language,
        confidence=item.confidence,
        thumbnail=item.thumbnail,
        source_kind=source.kind if is_chat else "",
        time_zone=source.time_zone if is_chat else "",
    )
