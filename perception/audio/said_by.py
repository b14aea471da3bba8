"""Utterances with their voices: cut where the speaker changes, each with a key of its own voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from perception.audio.sentences import NANO, Sentence, Word, confidence
from perception.audio.settings import SpeakerSettings
from perception.audio.speakers import UNKNOWN, Speakers, Voiced, key_of, packed, told_apart
from perception.audio.speech import NS_PER_SAMPLE
from perception.audio.voice import VoiceSegment
from perception.audio.voice_encoder import HOP, VoiceEncoder
from stream.messages.media import AUDIO_RATE_HZ
from stream.messages.utterance_voice import UtteranceVoice

VERSION = "speakers/1"
"""Goes into the id of who makes the utterances: where they are cut is another matter without speakers."""

PAUSE_WITHIN_S = 0.4
"""A change of speaker is known to within a window's step; the longest pause so near to it is taken for it."""


@dataclass(frozen=True, eq=False)
class Voice:
    """Whose voice it is: `key` (256,) float32 of unit length."""

    key: NDArray[np.float32] = field(repr=False)
    said: UtteranceVoice


@dataclass(frozen=True, eq=False)
class Uttered:
    """A sentence, or what one speaker said of it, and the voice where it was asked for."""

    sentence: Sentence
    voice: Voice | None = None


@dataclass(frozen=True, eq=False)
class _Piece:
    words: tuple[Word, ...]
    speaker: int

    @property
    def seconds(self) -> float:
        return (self.words[-1].end_ns - self.words[0].start_ns) / NANO


class Diariser:
    """Names the speakers of one track, batch by batch; belongs to the thread that uses it.

    Args:
        encoder: Of voices; may serve many tracks of one thread.
        settings: Thresholds.
        speakers: What the batches before knew. None: it is lost, and nobody gets a number any more, since
            the numbers of the batches before must not be given to others.
    """

    def __init__(self, encoder: VoiceEncoder, settings: SpeakerSettings, speakers: Speakers | None) -> None:
        self._encoder = encoder
        self._settings = settings
        self._speakers = speakers
        self._hop = max(1, round(settings.hop_s * AUDIO_RATE_HZ / HOP)) * HOP

    def state(self) -> bytes | None:
        """What the next batch needs, to be kept with the mark; None where it is lost."""
        return None if self._speakers is None else packed(self._speakers)

    def voiced(self, segments: Sequence[VoiceSegment]) -> list[Voiced]:
        """The windows of segments with their speakers.

        Raises:
            ModelFailed: If the network refuses them.
        """
        batch = [
            self._encoder.windows(segment.samples, segment.start_sample, self._hop) for segment in segments
        ]
        known = Speakers() if self._speakers is None else self._speakers
        voiced, after = told_apart(batch, known, self._settings)
        if self._speakers is not None:
            self._speakers = after
            return voiced
        return [replace(one, speakers=np.full(len(one.speakers), UNKNOWN)) for one in voiced]

    def take(self, segments: Sequence[VoiceSegment], sentences: Sequence[Sentence]) -> tuple[Uttered, ...]:
        """The sentences of a batch, cut where the speaker changes. Segments without words are nobody's.

        Raises:
            ModelFailed: If the network refuses the sound.
        """
        anchors = {sentence.anchor_sample for sentence in sentences}
        spoken = [segment for segment in segments if segment.start_sample in anchors]
        uttered: list[Uttered] = []
        for segment, voiced in zip(spoken, self.voiced(spoken), strict=True):
            ordinal = 0
            for sentence in sentences:
                if sentence.anchor_sample != segment.start_sample:
                    continue
                for piece in pieces_of(sentence.words, voiced, self._settings.least_piece_s):
                    own = replace(
                        sentence, ordinal=ordinal, words=piece.words, confidence=confidence(piece.words)
                    )
                    uttered.append(Uttered(own, _voice(piece, voiced)))
                    ordinal += 1
        return tuple(uttered)


def pieces_of(words: Sequence[Word], voiced: Voiced, least_s: float) -> list[_Piece]:
    """The words of each speaker in turn; what is shorter than `least_s` stays with its longer neighbour."""
    speakers = [voiced.speaker_at((word.start_ns + word.end_ns) / 2 / NS_PER_SAMPLE) for word in words]
    cuts = [at for at in range(1, len(words)) if speakers[at] != speakers[at - 1]]
    edges = [0, *sorted({_at_pause(words, cut) for cut in cuts}), len(words)]
    pieces = [_Piece(tuple(words[a:b]), _most(speakers[a:b])) for a, b in pairwise(edges) if b > a]
    pieces = _joined_alike(pieces)
    while len(pieces) > 1:
        at = min(range(len(pieces)), key=lambda n: pieces[n].seconds)
        if pieces[at].seconds >= least_s:
            break
        beside = [n for n in (at - 1, at + 1) if 0 <= n < len(pieces)]
        into = max(beside, key=lambda n: pieces[n].seconds)
        pieces[at] = replace(pieces[at], speaker=pieces[into].speaker)
        pieces = _joined_alike(pieces)
    return pieces


def _at_pause(words: Sequence[Word], cut: int) -> int:
    """The place before a word, near the cut, where the longest pause is; the cut itself among equals."""
    at_ns = words[cut].start_ns
    near = [n for n in range(1, len(words)) if abs(words[n].start_ns - at_ns) <= PAUSE_WITHIN_S * NANO]
    return max(
        near, key=lambda n: (words[n].start_ns - words[n - 1].end_ns, -abs(words[n].start_ns - at_ns), -n)
    )


def _most(speakers: Sequence[int]) -> int:
    """The most frequent; the first of equals."""
    return max(dict.fromkeys(speakers), key=speakers.count)


def _joined_alike(pieces: Sequence[_Piece]) -> list[_Piece]:
    return [
        _Piece(tuple(word for piece in own for word in piece.words), speaker)
        for speaker, own in groupby(pieces, key=lambda piece: piece.speaker)
    ]


def _voice(piece: _Piece, voiced: Voiced) -> Voice:
    start, end = piece.words[0].start_ns // NS_PER_SAMPLE, piece.words[-1].end_ns // NS_PER_SAMPLE
    key, overlap = key_of(voiced, start, end, piece.speaker)
    said = UtteranceVoice(
        seconds=round(max(piece.seconds, 0.0), 3), turn=piece.speaker, overlap=round(overlap, 3)
    )
    return Voice(key, said)
