"""What was heard, as observations."""

from __future__ import annotations

import msgspec

from perception.audio.said_by import VERSION, Voice
from perception.audio.sentences import Sentence
from perception.audio.speech import NS_PER_SAMPLE
from perception.audio.voice_encoder import ENCODER_ID
from perception.intake import TrackId
from stream.messages.observation import KeyRef, Observation, observation_id
from stream.messages.utterance_voice import FIELD, VOICE_KEY

PRODUCER = "audio/1"
"""Who says that sound is missing."""

SENTENCES = 1 << 16
"""More sentences than a segment can have: keeps the ordinals of a source's tracks apart."""


def utterance(
    own: TrackId,
    sentence: Sentence,
    producer_id: str,
    offset_ns: int | None,
    trace_id: bytes,
    voice: Voice | None = None,
    part: str = "",
) -> Observation:
    """One sentence, or what one speaker said of it.

    Args:
        own: The track.
        sentence: With its words, placed in the source.
        producer_id: Who heard it.
        offset_ns: UTC time of position 0, None where it is not known.
        trace_id: Of the sound in which its segment ended.
        voice: Whose it is, where that was asked for.
        part: Name of the binary part that will carry the voice key.
    """
    if voice is not None:
        producer_id = f"{producer_id}+{VERSION}"
    anchor_pts_ns = sentence.anchor_sample * NS_PER_SAMPLE
    words = [
        [word.text.strip(), word.start_ns, word.end_ns, round(word.probability, 4)] for word in sentence.words
    ]
    payload: dict[str, object] = {"words": words}
    if voice is not None:
        payload[FIELD] = msgspec.to_builtins(voice.said)
    return Observation(
        observation_id=observation_id(
            own.source_id,
            own.session,
            "utterance",
            producer_id,
            anchor_pts_ns,
            own.track * SENTENCES + sentence.ordinal,
        ),
        source_id=own.source_id,
        session=own.session,
        track=own.track,
        kind="utterance",
        producer_id=producer_id,
        pts0_ns=sentence.pts0_ns,
        pts1_ns=sentence.pts1_ns,
        t0_ns=None if offset_ns is None else offset_ns + sentence.pts0_ns,
        t1_ns=None if offset_ns is None else offset_ns + sentence.pts1_ns,
        text=sentence.text,
        language=sentence.language,
        confidence=round(sentence.confidence, 4),
        payload=payload,
        keys=() if voice is None else (KeyRef(part=part, kind=VOICE_KEY, encoder_id=ENCODER_ID),),
        trace_id=trace_id,
    )
