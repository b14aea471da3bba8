"""Questions with their answers as observations of the dialogue: `exchange_put`.

The words of an answer are not among them: the ids of what it cited are. So nothing that is forgotten is said
again, and no answer can be evidence for another (`stream.messages.dialogue`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reasoning.dialogue import Exchange
from stream.messages import Answer, CommitPut, EvidenceItem, Observation, TrackMark, observation_id
from stream.messages.dialogue import DIALOGUE_ID, EXCHANGE, Asked, dialogue_source, exchange_item
from stream.wire.bounds import shortened

PRODUCER = "dialogue/1"
ASKED_CHARS = 2_000
"""Of a longer question its beginning is kept."""
MOST_CITED = 16


def exchange_of_turn(
    turn_id: bytes, asked: str, turn: Exchange, answer: Answer, asked_ns: int, told_ns: int
) -> Observation:
    """The observation of a turn that is over.

    Args:
        turn_id: The turn; tells two that were asked in the same instant apart.
        asked: The question as it was put.
        turn: As the dialogue keeps it.
        answer: What was told.
        asked_ns: UTC of the question.
        told_ns: UTC of the answer.
    """
    understood = " ".join(turn.question.asked.split())
    payload = Asked(
        asked=shortened(asked, ASKED_CHARS),
        understood=shortened(understood, ASKED_CHARS) if understood != " ".join(asked.split()) else "",
        verdict=answer.verdict,
        cited=_ids(answer.citations)[:MOST_CITED],
        rests_on=_ids((*turn.checked, *(taken.item for taken in turn.rests_on))),
    )
    ordinal = int.from_bytes(turn_id[:4], "big")
    return Observation(
        observation_id=observation_id(DIALOGUE_ID, 0, EXCHANGE, PRODUCER, asked_ns, ordinal),
        source_id=DIALOGUE_ID,
        session=0,
        track=0,
        kind=EXCHANGE,
        producer_id=PRODUCER,
        pts0_ns=asked_ns,
        pts1_ns=max(asked_ns, told_ns),
        t0_ns=asked_ns,
        t1_ns=max(asked_ns, told_ns),
        payload=msgspec.msgpack.decode(msgspec.msgpack.encode(payload)),
    )


def put_of(exchange: Observation) -> CommitPut:
    """What makes an exchange durable: the source of all of them, it, and how far the dialogue has come."""
    mark = TrackMark(source_id=DIALOGUE_ID, session=0, track=0, through_pts_ns=exchange.pts1_ns, eof=True)
    return CommitPut(outbox_seq=0, sources=(dialogue_source(),), observations=(exchange,), marks=(mark,))


def item_of(exchange: Observation, asked: str) -> EvidenceItem:
    """An exchange as what an answer may cite, as memory gives it."""
    return exchange_item(
        exchange.observation_id,
        (exchange.pts0_ns, exchange.pts1_ns),
        (exchange.t0_ns, exchange.t1_ns),
        shortened(asked, ASKED_CHARS),
    )


def _ids(items: Iterable[EvidenceItem]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.observation_id.hex() for item in items))
