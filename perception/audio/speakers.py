"""Who speaks when inside one source: windows of voice to numbered speakers, batch by batch.

Within a batch the windows of voice (`perception.audio.voice_encoder`) are put together by average linkage,
and with them, each as a heap that is already made, the voices that were heard before: a heap that joins a
known speaker is that speaker. What is left over with enough voice is somebody new; what is not goes to
whom it is most like, or waits for more of the same. Then the path of least change over time is taken
(Viterbi), so that a single odd window is no turn. A batch depends on those before it through `Speakers`
alone, which is small and can be kept.

Average linkage with a threshold, over vectors of 1.6 s, is the usual baseline of diarisation by embeddings.
Its figures were chosen on conversations composed of packaged recordings (`docs/voices.md`), none of which
is in an evaluation set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from perception.audio.settings import SpeakerSettings
from perception.audio.voice_encoder import WINDOW, VoiceWindows
from stream.messages.media import AUDIO_RATE_HZ

UNKNOWN = -1
"""Turn of a voice that is too short, or like nobody, to say whose it is."""

MOST_SPEAKERS = 32
"""Of one source that are remembered; for another the one that was silent for longest is forgotten."""

MOST_WAITING = 8
"""Voices of a source that were heard too little to be somebody; the oldest is forgotten first."""

MOST_WINDOWS = 512
"""Weight that a known speaker's mean reaches: it goes on following a voice that changes slowly."""

STEADY_QUANTILE = 0.65
MOST_STEADINESS = 256
FEW = 8
LEAST_SAME = 0.55
"""The threshold goes no lower, and never above the usual one: a reader is alike from one breath to the next,
and less so over minutes."""

Vectors = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Speaker:
    """One voice of a source.

    `mean` (256,) float64 is the mean of its windows, not of unit length; `weight` how many they were, capped.
    `last` is the batch in which it was last heard.
    """

    number: int
    mean: Vectors = field(repr=False)
    weight: float
    last: int


@dataclass(frozen=True, eq=False)
class Speakers:
    """Everything that a batch takes over from the batches before it.

    `waiting` are voices of which too little was heard to be somebody: they have no number. `steadiness`
    are the latest cosines of windows that follow each other.
    """

    known: tuple[Speaker, ...] = ()
    waiting: tuple[Speaker, ...] = ()
    next_number: int = 0
    batches: int = 0
    steadiness: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Voiced:
    """The windows of one segment, each with its speaker.

    `speakers` (n,) int64 are numbers of the source's speakers, or `UNKNOWN`; `is_mixed` (n,) bool says that a
    window is like no one voice alone, and that nobody's turn begins in it.
    """

    windows: VoiceWindows
    speakers: NDArray[np.int64]
    is_mixed: NDArray[np.bool_]

    def speaker_at(self, sample: float) -> int:
        """Who speaks at a position: the speaker of the nearest window."""
        return int(self.speakers[int(np.argmin(np.abs(self.windows.centres - sample)))])


@dataclass(frozen=True)
class SpeakerTurn:
    """A stretch of one speaker, in samples of the source."""

    start_sample: int
    end_sample: int
    speaker: int


@dataclass(frozen=True, eq=False)
class _Heap:
    """Windows that belong together, and the voice heard before that they have joined."""

    joined: Speaker | None
    members: list[int]

    def weight(self) -> float:
        """In windows, those heard before included."""
        return len(self.members) + (self.joined.weight if self.joined is not None else 0.0)

    def voice(self, vectors: Vectors, batch: int) -> Speaker:
        """All that was heard of it."""
        before = self.joined or Speaker(UNKNOWN, np.zeros(vectors.shape[1]), 0.0, batch)
        return replace(_with(before, vectors[self.members]), last=batch)


def told_apart(
    batch: Sequence[VoiceWindows], before: Speakers, settings: SpeakerSettings
) -> tuple[list[Voiced], Speakers]:
    """Names the speaker of every window of a batch.

    Args:
        batch: The windows of each segment, in order; none of them empty.
        before: What the batch before this one gave.
        settings: Thresholds.

    Returns:
        The windows with their speakers, by segment; and what the next batch needs.
    """
    if not batch:
        return [], before
    vectors = np.concatenate([windows.vectors for windows in batch]).astype(np.float64)
    edges = np.cumsum([0, *(len(windows.vectors) for windows in batch)])
    steadiness = (*before.steadiness, *_steadiness(batch, settings))[-MOST_STEADINESS:]
    heaps = linked(vectors, (*before.known, *before.waiting), threshold(steadiness, settings))
    speakers = _somebody(vectors, heaps, before, settings)
    labels, likeness = np.full(len(vectors), UNKNOWN), np.zeros(len(vectors))
    # With the centroids of the heaps, then with those of what they became.
    for _ in range(2 if speakers else 0):
        like = vectors @ _unit(np.stack([one.mean for one in speakers])).T
        labels = np.concatenate([_path(like[a:b], settings.change_penalty) for a, b in pairwise(edges)])
        speakers, labels = _recentred(vectors, labels, speakers, before)
    if speakers:
        like = vectors @ _unit(np.stack([one.mean for one in speakers])).T
        likeness = like[np.arange(len(labels)), labels]
    known, numbers, next_number = _numbered(labels, speakers, before)
    numbers = np.where((likeness < settings.unlike) | _alone(heaps, edges, settings), UNKNOWN, numbers)
    waiting = _waiting(vectors, heaps, numbers, before)
    after = Speakers(known, waiting, next_number, before.batches + 1, steadiness)
    voiced = [
        Voiced(windows, numbers[a:b], _mixed(windows, labels[a:b], likeness[a:b], settings))
        for windows, (a, b) in zip(batch, pairwise(edges), strict=True)
    ]
    return voiced, after


def _steadiness(batch: Sequence[VoiceWindows], settings: SpeakerSettings) -> list[float]:
    """Cosines of windows of one segment that follow each other without sharing sound, as they are kept."""
    lag = round(WINDOW / AUDIO_RATE_HZ / settings.hop_s)
    found: list[float] = []
    for windows in batch:
        products = windows.vectors[lag:] * windows.vectors[: max(0, len(windows.vectors) - lag)]
        found += products.sum(axis=1, dtype=np.float32).astype(np.float64).tolist()
    return found


def threshold(steadiness: Sequence[float], settings: SpeakerSettings) -> float:
    """Mean cosine from which on two heaps are one speaker: a little below how like himself one stays here.

    A far microphone or a loud room makes the windows of one voice less alike. Those that follow each other
    are mostly of one speaker, and tell by how much; where there are few, a usual figure is taken.
    """
    if not settings.steady or len(steadiness) < FEW:
        return settings.same_voice
    usual = float(np.quantile(np.array(steadiness), STEADY_QUANTILE))
    return min(max(usual - settings.below_steady, LEAST_SAME), settings.same_voice)


def linked(vectors: Vectors, before: Sequence[Speaker], least: float) -> list[_Heap]:
    """Heaps of windows by average linkage, each with the earlier voice that it has joined; largest first.

    Args:
        vectors: (n, D) of unit length.
        before: Each is a heap of its own at first, and no two of them are ever put together.
        least: Mean cosine between two heaps from which on they are one.
    """
    rows = np.concatenate([np.stack([one.mean for one in before]), vectors]) if before else vectors
    sizes = np.array([*(one.weight for one in before), *([1.0] * len(vectors))])
    members: list[list[int]] = [[] for _ in before] + [[at] for at in range(len(vectors))]
    means = rows @ rows.T
    means[: len(before), : len(before)] = -np.inf
    np.fill_diagonal(means, -np.inf)
    while len(rows) > 1:
        into, other = sorted(divmod(int(np.argmax(means)), len(rows)))
        if means[into, other] < least:
            break
        size = sizes[into] + sizes[other]
        merged = (means[into] * sizes[into] + means[other] * sizes[other]) / size
        means[into, :], means[:, into], means[into, into] = merged, merged, -np.inf
        means[other, :], means[:, other] = -np.inf, -np.inf
        sizes[into] = size
        members[into] += members[other]
        members[other] = []
    heaps = [
        _Heap(before[at] if at < len(before) else None, sorted(own)) for at, own in enumerate(members) if own
    ]
    return sorted(heaps, key=lambda heap: (-len(heap.members), heap.members[0]))


def _somebody(
    vectors: Vectors, heaps: Sequence[_Heap], before: Speakers, settings: SpeakerSettings
) -> list[Speaker]:
    """Who may speak in this batch: all that are known, and heaps with enough voice to be somebody new."""
    least = settings.least_voice_s / settings.hop_s
    found = {heap.joined.number: heap for heap in heaps if heap.joined is not None}
    known = [
        found[one.number].voice(vectors, one.last) if one.number in found else one for one in before.known
    ]
    new: list[Speaker] = []
    for heap in heaps:
        is_known = heap.joined is not None and heap.joined.number != UNKNOWN
        if is_known or heap.weight() < least:
            continue
        voice = heap.voice(vectors, before.batches)
        like = [float(_unit(one.mean) @ _unit(voice.mean)) for one in known]
        if like and max(like) >= settings.same_mean:
            at = int(np.argmax(like))
            known[at] = _with(known[at], vectors[heap.members])
        else:
            new.append(voice)
    return known + new


def _alone(heaps: Sequence[_Heap], edges: NDArray[np.int64], settings: SpeakerSettings) -> NDArray[np.bool_]:
    """The windows of segments in which no window has joined anybody: like nobody, so nobody's yet.

    Windows beside some that have are between two voices, and go with one of them.
    """
    least = settings.least_voice_s / settings.hop_s
    is_left = np.zeros(int(edges[-1]), np.bool_)
    for heap in heaps:
        is_known = heap.joined is not None and heap.joined.number != UNKNOWN
        is_left[heap.members] = not is_known and heap.weight() < least
    return np.repeat([bool(is_left[a:b].all()) for a, b in pairwise(edges)], np.diff(edges))


def _waiting(
    vectors: Vectors, heaps: Sequence[_Heap], numbers: NDArray[np.int64], before: Speakers
) -> tuple[Speaker, ...]:
    """The voices that are nobody's yet: those before, and heaps of which windows remained unknown."""
    waiting = {id(one): one for one in before.waiting}
    fresh = []
    for heap in heaps:
        if heap.joined is not None and heap.joined.number != UNKNOWN:
            continue
        if heap.joined is not None:
            del waiting[id(heap.joined)]
        left = [at for at in heap.members if numbers[at] == UNKNOWN]
        if len(left) > 1 or (left and heap.joined is not None):
            voice = _Heap(heap.joined, left).voice(vectors, before.batches)
            fresh.append(replace(voice, mean=_kept(voice.mean)))
    newest = sorted((*waiting.values(), *fresh), key=lambda one: -one.last)
    return tuple(newest[:MOST_WAITING])


def _with(speaker: Speaker, heard: Vectors) -> Speaker:
    """A speaker with more windows."""
    if not len(heard):
        return speaker
    weight = speaker.weight + len(heard)
    mean = (speaker.mean * speaker.weight + heard.sum(axis=0)) / weight
    return replace(speaker, mean=mean, weight=min(weight, float(MOST_WINDOWS)))


def _path(likeness: Vectors, penalty: float) -> NDArray[np.int64]:
    """The speaker of each window, (n,) of columns of `likeness` (n, k): the best sum, less the changes."""
    score = likeness[0].copy()
    came_from = np.empty(likeness.shape, np.int64)
    own = np.arange(likeness.shape[1])
    for at in range(1, len(likeness)):
        best = int(np.argmax(score))
        changes = score[best] - penalty > score
        came_from[at] = np.where(changes, best, own)
        score = np.where(changes, score[best] - penalty, score) + likeness[at]
    path = np.empty(len(likeness), np.int64)
    path[-1] = int(np.argmax(score))
    for at in range(len(likeness) - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return path


def _recentred(
    vectors: Vectors, labels: NDArray[np.int64], candidates: Sequence[Speaker], before: Speakers
) -> tuple[list[Speaker], NDArray[np.int64]]:
    """The candidates with the windows that are now theirs; a new one without any is nobody.

    What was heard of a new one before it had a number does not count: its centroid is of this batch.
    """
    known = {one.number: one for one in before.known}
    kept: list[Speaker] = []
    moved = np.full(len(candidates), UNKNOWN)
    for at, one in enumerate(candidates):
        own = vectors[labels == at]
        if one.number == UNKNOWN and not len(own):
            continue
        moved[at] = len(kept)
        if one.number == UNKNOWN:
            kept.append(replace(one, mean=own.mean(axis=0), weight=float(len(own))))
        else:
            kept.append(_with(known[one.number], own))
    return kept, moved[labels]


def _numbered(
    labels: NDArray[np.int64], speakers: Sequence[Speaker], before: Speakers
) -> tuple[tuple[Speaker, ...], NDArray[np.int64], int]:
    """Numbers for whoever is new, in the order in which they are heard.

    Returns:
        The speakers that are remembered, the number of each window's speaker, and the next number.
    """
    number_of = np.array([*(one.number for one in speakers), UNKNOWN])  # the last: of UNKNOWN itself
    heard = [label for label in dict.fromkeys(labels.tolist()) if label != UNKNOWN]
    next_number = before.next_number
    for label in heard:
        if number_of[label] == UNKNOWN:
            number_of[label] = next_number
            next_number += 1
    known = [
        replace(
            one,
            number=int(number_of[at]),
            last=before.batches if at in heard else one.last,
            mean=_kept(one.mean),
        )
        for at, one in enumerate(speakers)
    ]
    known.sort(key=lambda one: (-one.last, one.number))
    return tuple(sorted(known[:MOST_SPEAKERS], key=lambda one: one.number)), number_of[labels], next_number


def _kept(mean: Vectors) -> Vectors:
    """As it is kept between two runs: float32."""
    return mean.astype(np.float32).astype(np.float64)


def _mixed(
    windows: VoiceWindows, labels: NDArray[np.int64], likeness: Vectors, settings: SpeakerSettings
) -> NDArray[np.bool_]:
    """Which windows hold more than their speaker; one that a change lies in holds two in turn, and is not."""
    beside = np.zeros(len(labels), np.bool_)
    for at in np.flatnonzero(np.diff(labels) != 0):
        change = (windows.centres[at] + windows.centres[at + 1]) / 2
        beside |= np.abs(windows.centres - change) < WINDOW / 2
    return np.asarray((likeness < settings.mixed) & ~beside & (labels != UNKNOWN), np.bool_)


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12), np.float64)


def turns_of(voiced: Voiced, start_sample: int, end_sample: int) -> list[SpeakerTurn]:
    """The stretches of one speaker between two positions; they change midway between two windows."""
    turns: list[SpeakerTurn] = []
    begin = start_sample
    centres = voiced.windows.centres
    for at in range(len(centres)):
        is_last = at + 1 == len(centres)
        if not is_last and voiced.speakers[at] == voiced.speakers[at + 1]:
            continue
        end = end_sample if is_last else int(centres[at] + centres[at + 1]) // 2
        end = min(max(end, begin), end_sample)
        if end > begin:
            turns.append(SpeakerTurn(begin, end, int(voiced.speakers[at])))
        begin = end
    return turns


def key_of(
    voiced: Voiced, start_sample: int, end_sample: int, speaker: int
) -> tuple[NDArray[np.float32], float]:
    """The voice key (256,) float32 of a stretch of one speaker, and the share of it that is mixed.

    It is the mean of the speaker's windows whose centres lie in it, of the nearest one where none does.
    """
    centres = voiced.windows.centres
    own = voiced.speakers == speaker
    inside = own & (centres >= start_sample) & (centres < end_sample)
    if not inside.any():
        away = np.abs(centres - (start_sample + end_sample) / 2) + np.where(own, 0, 100 * AUDIO_RATE_HZ)
        inside = np.arange(len(centres)) == int(np.argmin(away))
    mean = _unit(voiced.windows.vectors[inside].astype(np.float64).mean(axis=0))
    return mean.astype(np.float32), float(np.mean(voiced.is_mixed[inside]))


# What is kept between two runs.


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    number: int
    weight: float
    last: int
    mean: bytes


class _State(msgspec.Struct, frozen=True, array_like=True):
    known: tuple[_Kept, ...]
    waiting: tuple[_Kept, ...]
    next_number: int
    batches: int
    steadiness: tuple[float, ...]


def packed(speakers: Speakers) -> bytes:
    """Everything of `Speakers`, exactly."""
    known, waiting = (
        tuple(_Kept(one.number, one.weight, one.last, one.mean.astype("<f4").tobytes()) for one in some)
        for some in (speakers.known, speakers.waiting)
    )
    return msgspec.msgpack.encode(
        _State(known, waiting, speakers.next_number, speakers.batches, speakers.steadiness)
    )


def unpacked(body: bytes) -> Speakers:
    """What `packed` was given.

    Raises:
        msgspec.DecodeError: It is nothing of the kind.
    """
    state = msgspec.msgpack.decode(body, type=_State)
    known, waiting = (
        tuple(
            Speaker(one.number, np.frombuffer(one.mean, "<f4").astype(np.float64), one.weight, one.last)
            for one in some
        )
        for some in (state.known, state.waiting)
    )
    return Speakers(known, waiting, state.next_number, state.batches, state.steadiness)
