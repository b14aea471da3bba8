"""The only types that processes share: typed, frozen, versioned.

`docs/protocol.md` is generated from this package (`python -m tools.write_protocol`).
"""

from stream.messages import control, forget, log, media, people, places, retention, story, turn, views, watch
from stream.messages.act import Act
from stream.messages.answer import Answer, Sentence
from stream.messages.citations import Citations, ShownItem
from stream.messages.claims import ClaimsAsk, ClaimsTold, ClaimTold, CorrectDone, CorrectPut
from stream.messages.cue import Cue, RecallAsk
from stream.messages.envelope import TOPICS, Envelope, Message, Part, new_id
from stream.messages.evidence import Coverage, Evidence, EvidenceItem, Gap
from stream.messages.observation import (
    CommitAck,
    CommitPut,
    KeyRef,
    MediaRef,
    Observation,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)
from stream.messages.span import Span

__all__ = [
    "TOPICS",
    "Act",
    "Answer",
    "Citations",
    "ClaimTold",
    "ClaimsAsk",
    "ClaimsTold",
    "CommitAck",
    "CommitPut",
    "CorrectDone",
    "CorrectPut",
    "Coverage",
    "Cue",
    "Envelope",
    "Evidence",
    "EvidenceItem",
    "Gap",
    "KeyRef",
    "MediaRef",
    "Message",
    "Observation",
    "Part",
    "RecallAsk",
    "Sentence",
    "ShownItem",
    "SourceRecord",
    "Span",
    "TrackMark",
    "TrackRecord",
    "control",
    "forget",
    "log",
    "media",
    "new_id",
    "observation_id",
    "people",
    "places",
    "retention",
    "story",
    "turn",
    "views",
    "watch",
]
