"""Whose voice an utterance is: what its payload says under `voice`, where audio.speakers is on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

FIELD = "voice"
"""Name in the payload of an utterance."""

VOICE_KEY = "voice"
"""Kind of the key that an utterance has of its voice."""


class UtteranceVoice(msgspec.Struct, frozen=True, kw_only=True):
    """What the voice key of an utterance rests on.

    `seconds` of voice are behind it. `turn` is the number of the speaker inside the source's own
    diarisation, counted from 0 in the order in which they were first heard, and -1 where it is not
    known. `overlap`, 0 to 1, is the share of it in which the sound is like no one voice alone: two
    talk, or noise is over it.
    """

    seconds: float
    turn: int = -1
    overlap: float = 0.0


def voice_of(payload: Mapping[str, object]) -> UtteranceVoice | None:
    """What an utterance's payload says of its voice; None where it says nothing, or something else."""
    try:
        return msgspec.convert(payload[FIELD], UtteranceVoice)
    except (KeyError, msgspec.ValidationError):
        return None
