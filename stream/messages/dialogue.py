"""What was asked, as observations of a source of its own.

They are told where it is asked what was asked, and are evidence for nothing else: their words lie in the
payload and not in `text`, so that no index, digest, claim or gate of another question meets them
(docs/adr/0011-dialogues.md).
"""

from __future__ import annotations

import hashlib

import msgspec

from stream.messages.evidence import EvidenceItem
from stream.messages.observation import ID_BYTES, SourceRecord, TrackRecord

DIALOGUE = "dialogue"
"""Kind of the source: one in each store, of session 0, whose positions are UTC."""
EXCHANGE = "exchange"
"""Kind of its observations: one question with its answer."""
DIALOGUE_URI = "omnirecall://dialogue"
DIALOGUE_ID = hashlib.blake2b(DIALOGUE_URI.encode(), digest_size=ID_BYTES).digest()


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The payload of an exchange. An answer's words are not in it: they are those of what it cited.

    `asked` is the question as it was put; `understood` as it was read, where that differs. `verdict` is
    the answer's. `cited` are the ids of the observations, and of the owner's corrections, that the answer
    cited; `rests_on` those whose words may stand in `understood`. Where one of either is forgotten, this goes
    too.
    """

    asked: str
    understood: str = ""
    verdict: str = ""
    cited: tuple[str, ...] = ()
    rests_on: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[bytes, ...]:
        """All that it rests on, as ids."""
        return tuple(bytes.fromhex(one) for one in dict.fromkeys((*self.cited, *self.rests_on)))


def asked_in(payload: object) -> Asked:
    """What the payload of an exchange says; empty where it cannot be read."""
    try:
        told = msgspec.convert(payload, Asked)
        _ = told.ids
    except (msgspec.ValidationError, ValueError):
        return Asked(asked="")
    return told


def exchange_item(
    observation_id: bytes, pts_ns: tuple[int, int], t_ns: tuple[int | None, int | None], asked: str
) -> EvidenceItem:
    """An exchange as what an answer may cite.

    Args:
        observation_id: Its own.
        pts_ns: Where it stands in the dialogue, from and to.
        t_ns: UTC of both, None where that is not known.
        asked: The question, as long as it is to be told.
    """
    return EvidenceItem(
        observation_id=observation_id,
        span_id=b"",
        source_id=DIALOGUE_ID,
        session=0,
        uri=DIALOGUE_URI,
        kind=EXCHANGE,
        level="",
        pts0_ns=pts_ns[0],
        pts1_ns=pts_ns[1],
        t0_ns=t_ns[0],
        t1_ns=t_ns[1],
        text=asked,
    )


def dialogue_source() -> SourceRecord:
    """The source of all exchanges of a store."""
    return SourceRecord(
        source_id=DIALOGUE_ID,
        session=0,
        kind="dialogue",
        uri=DIALOGUE_URI,
        tracks=(TrackRecord(track=0, media="text"),),
    )
