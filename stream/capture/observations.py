"""What capture itself can say of a file: its subtitles and chapters, as observations.

They are committed with the record of the source, before anything flows: the text track
enters with its end in the last batch, so that a run that ends in between leaves none open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from stream.capture.languages import language_of, may_be_same
from stream.capture.probe import Chapter, Probe
from stream.capture.settings import CaptureSettings
from stream.capture.subtitles import Subtitles
from stream.messages.control import SourceHeld
from stream.messages.observation import (
    CommitPut,
    Observation,
    SourceRecord,
    TrackMark,
    TrackRecord,
    observation_id,
)

CHAPTERS_PRODUCER = "chapters/1"
CUES = 1 << 16
"""More than a track has: keeps the ordinals of a source's tracks apart."""

_BATCH_ITEMS = 128
_BATCH_BYTES = 200_000
"""Of texts in UTF-8; a message has room for five times as many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is committed before a file flows, and which of its tracks then do.

    `puts` are to be committed in order; the source is known once the last is on disk.
    """

    puts: tuple[CommitPut, ...]
    tracks: tuple[TrackRecord, ...]
    notes: tuple[str, ...] = ()


def planned(
    record: SourceRecord,
    probe: Probe,
    subtitles: Subtitles | None,
    settings: CaptureSettings,
    held: SourceHeld | None = None,
) -> Plan:
    """Decides what the subtitles stand for: the sound in their language where they cover it, or nothing.

    Args:
        record: The source without its text track.
        probe: What the file is.
        subtitles: The cues that were taken, None for none.
        settings: Whether they may replace listening.
        held: What memory has of it; tracks that are not read any more end with the plan.
    """
    # A file that is played as a camera has not been there to its end: nothing of it is known before.
    told = list(_chapters(record, probe.chapters if record.kind == "file" else ()))
    if subtitles is None:
        return Plan(_puts(record, told, record, tuple(_retired(record, record.tracks, held))), record.tracks)
    track = subtitles.track
    unheard = tuple(sound for sound in record.tracks if _is_replaced(sound, subtitles, settings))
    text = TrackRecord(
        track=track.number, media="text", codec=track.codec, language=language_of(track.language)
    )
    end_ns = max(cue.pts1_ns for cue in subtitles.cues)
    heard_ns = max(end_ns, record.duration_ns or 0)
    whole = msgspec.structs.replace(record, tracks=(*record.tracks, text))
    marks = (
        *_retired(record, whole.tracks, held),
        _mark(record, text.track, end_ns),
        *(_mark(record, sound.track, heard_ns) for sound in unheard),
    )
    told += _utterances(record, subtitles)
    return Plan(
        _puts(record, told, whole, marks),
        tuple(one for one in record.tracks if one not in unheard),
        tuple(_notes(record, subtitles, unheard, settings)),
    )


def decided(record: SourceRecord, subtitles: Subtitles, held: SourceHeld | None) -> str:
    """Why other words than those that an earlier run began with are not taken; empty if they may be.

    A text has entered whole once its track is known. Where none is known and listening has
    begun, words of a text would come twice.

    Args:
        record: The source.
        subtitles: The cues that could be taken.
        held: What memory has of it.
    """
    if held is None:
        return ""
    texts = [track.track for track in held.tracks if track.media == "text"]
    begun = [t for t in held.tracks if t.media == "audio" and t.through_pts_ns is not None]
    told = subtitles.track.told
    if texts and texts != [subtitles.track.number]:
        return f"{told} was not taken: other words were when it was first read"
    return f"{told} was not taken: listening had begun without it" if begun and not texts else ""


def first_cue_id(record: SourceRecord, subtitles: Subtitles) -> bytes:
    """The id of the first utterance that a plan with these cues has."""
    return next(_utterances(record, subtitles)).observation_id


def _retired(
    record: SourceRecord, tracks: Iterable[TrackRecord], held: SourceHeld | None
) -> Iterator[TrackMark]:
    """Ends of the tracks that an earlier configuration read and this one does not."""
    wanted = {track.track for track in tracks}
    for track in held.tracks if held is not None else ():
        if track.media != "text" and track.track not in wanted and not track.eof:
            yield _mark(record, track.track, max(track.through_pts_ns or 0, record.duration_ns or 0))


def _is_replaced(sound: TrackRecord, subtitles: Subtitles, settings: CaptureSettings) -> bool:
    return (
        sound.media == "audio"
        and settings.subtitles == "use"
        and subtitles.covers
        and may_be_same(sound.language, subtitles.track.language)
    )


def _notes(
    record: SourceRecord, subtitles: Subtitles, unheard: tuple[TrackRecord, ...], settings: CaptureSettings
) -> Iterator[str]:
    track, cues = subtitles.track, f"{len(subtitles.cues)} cues of {subtitles.track.told}"
    sounds = [sound for sound in record.tracks if sound.media == "audio"]
    if unheard:
        yield f"{cues} were taken instead of listening"
    elif not sounds:
        yield f"{cues} were taken"
    elif settings.subtitles == "beside":
        yield f"{cues} were taken beside the sound, as capture.subtitles says"
    elif not any(may_be_same(sound.language, track.language) for sound in sounds):
        yield f"{cues} were taken beside the sound, which is in another language"
    else:
        share, hole_s = subtitles.cover.share, subtitles.cover.longest_hole_ns / 1e9
        yield f"{cues} were taken beside the sound: they cover {share:.0%} of it and leave out {hole_s:.0f} s"
    if subtitles.n_broken:
        yield f"{subtitles.n_broken} broken cues of {track.told} were skipped"
    if subtitles.n_outside:
        yield f"{subtitles.n_outside} cues of {track.told} lie behind the end of the file"


def _utterances(record: SourceRecord, subtitles: Subtitles) -> Iterator[Observation]:
    track = subtitles.track
    for cue in subtitles.cues:
        yield _observation(
            record,
            track.number,
            "utterance",
            subtitles.producer_id,
            (cue.pts0_ns, cue.pts1_ns),
            track.number * CUES + cue.number,
            text=cue.text,
            language=language_of(track.language),
            speaker=cue.speaker,
            payload={"origin": track.origin, "cue": cue.number},
        )


def _chapters(record: SourceRecord, chapters: Iterable[Chapter]) -> Iterator[Observation]:
    for number, chapter in enumerate(chapters):
        yield _observation(
            record,
            record.tracks[0].track,
            "chapter",
            CHAPTERS_PRODUCER,
            (chapter.pts0_ns, chapter.pts1_ns),
            number,
            text=chapter.title,
            payload={"number": number},
        )


def _observation(
    record: SourceRecord,
    track: int,
    kind: str,
    producer_id: str,
    pts_ns: tuple[int, int],
    ordinal: int,
    *,
    text: str,
    payload: dict[str, object],
    language: str = "",
    speaker: str = "",
) -> Observation:
    pts0_ns, pts1_ns = pts_ns
    origin_ns = record.t_origin_ns
    return Observation(
        observation_id=observation_id(record.source_id, record.session, kind, producer_id, pts0_ns, ordinal),
        source_id=record.source_id,
        session=record.session,
        track=track,
        kind=kind,
        producer_id=producer_id,
        pts0_ns=pts0_ns,
        pts1_ns=pts1_ns,
        t0_ns=None if origin_ns is None else origin_ns + pts0_ns,
        t1_ns=None if origin_ns is None else origin_ns + pts1_ns,
        text=text,
        language=language,
        speaker=speaker,
        payload=payload,
    )


def _mark(record: SourceRecord, track: int, through_pts_ns: int) -> TrackMark:
    return TrackMark(
        source_id=record.source_id,
        session=record.session,
        track=track,
        through_pts_ns=through_pts_ns,
        eof=True,
    )


def _puts(
    record: SourceRecord, told: list[Observation], whole: SourceRecord, marks: tuple[TrackMark, ...]
) -> tuple[CommitPut, ...]:
    """The observations in batches that the wire takes; each names the source, the last all of it."""
    batches: list[list[Observation]] = [[]]
    n_bytes = 0
    for observation in told:
        size_bytes = _size_bytes(observation)
        if batches[-1] and (len(batches[-1]) >= _BATCH_ITEMS or n_bytes + size_bytes > _BATCH_BYTES):
            batches.append([])
            n_bytes = 0
        batches[-1].append(observation)
        n_bytes += size_bytes
    *earlier, last = batches
    return (
        *(CommitPut(outbox_seq=0, sources=(record,), observations=tuple(batch)) for batch in earlier),
        CommitPut(outbox_seq=0, sources=(whole,), observations=tuple(last), marks=marks),
    )


def _size_bytes(observation: Observation) -> int:
    """What it takes in a message, without its fields of a fixed size."""
    texts = (observation.text, observation.speaker, observation.language, repr(observation.payload))
    return sum(len(text.encode("utf-8", "replace")) for text in texts)
