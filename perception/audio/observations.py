"""What was heard, as observations."""

from __future__ import annotations

from perception.audio.sentences import Sentence
from perception.audio.speech import NS_PER_SAMPLE
from perception.intake import TrackId
from stream.messages.observation import Observation, observation_id

PRODUCER = "audio/1"
"""Who says that sound is missing."""

SENTENCES = 1 << 16
"""More sentences than a segment can have: keeps the ordinals of a source's tracks apart."""


def utterance(
    own: TrackId, sentence: Sentence, producer_id: str, offset_ns: int | None, trace_id: bytes
) -> Observation:
    """One sentence.

    Args:
        own: The track.
        sentence: With its words, placed in the source.
        producer_id: Who heard it.
        offset_ns: UTC time of position 0, None where it is not known.
        trace_id: Of the sound in which its segment ended.
    """
    anchor_pts_ns = sentence.anchor_sample * NS_PER_SAMPLE
    words = [
        [word.text.strip(), word.start_ns, word.end_ns, round(word.probability, 4)] for word in sentence.words
    ]
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
        payload={"words": words},
        trace_id=trace_id,
    )
