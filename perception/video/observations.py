"""Observations of a video track, and the parts that travel with them.

Ids are anchored at positions that a resumed run meets again: a frame's own pts, a shot's
first decoded frame, the frame on which a text was first read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from perception.intake import TrackId
from perception.video.captions import VERSION as CAPTIONS_PRODUCER
from perception.video.captions import Caption
from perception.video.grounds import ground_of
from perception.video.labels import LABELS_PRODUCER, Label, caption
from perception.video.pictures import Prepared, to_webp
from perception.video.seen_text import Reading
from perception.video.shots import SHOTS_PRODUCER, Shot
from stream.messages.media import ChangePoint, MediaFrame
from stream.messages.observation import KeyRef, MediaRef, Observation, TrackMark
from stream.wire.parts import OutPart, array_part, blob_part

if TYPE_CHECKING:
    import numpy.typing as npt

PRODUCER = "video/1"
"""Who says that pictures are missing."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenFrame:
    """One frame, seen.

    `pixels` are let go of once the frame has been read; what stays is small. `picture` is kept where a
    caption is to be written. `key` (D,) float32 and `labels` are missing where the encoder was away.
    """

    pts_ns: int
    t_ns: int | None
    curve: tuple[ChangePoint, ...]
    dropped: int
    pixels: npt.NDArray[np.uint8] | None
    thumbnail: npt.NDArray[np.uint8]
    luma: npt.NDArray[np.int16]
    strokes: npt.NDArray[np.float32]
    sharpness: float
    key: npt.NDArray[np.float32] | None
    encoder_id: str
    labels: list[Label]
    trace_id: bytes
    labels_producer: str = LABELS_PRODUCER
    picture: npt.NDArray[np.uint8] | None = None
    lat: float | None = None
    lon: float | None = None

    def lean(self) -> SeenFrame:
        """The same without its pixels."""
        return replace(self, pixels=None)

    def bare(self) -> SeenFrame:
        """When it was, and what its labels are, without any picture: some hundred bytes."""
        return replace(
            self,
            curve=(),
            pixels=None,
            thumbnail=np.empty((0, 0, 3), dtype=np.uint8),
            luma=np.empty((0, 0), dtype=np.int16),
            strokes=np.empty((0, 0), dtype=np.float32),
            key=None,
            picture=None,
        )

    def utc_ns(self, pts_ns: int) -> int | None:
        """The UTC time of a position near this frame; None where the recording time is not known."""
        return None if self.t_ns is None else self.t_ns + (pts_ns - self.pts_ns)


def seen_frame(
    prepared: Prepared,
    message: MediaFrame,
    told: tuple[npt.NDArray[np.float32] | None, str, list[Label]],
    labels_producer: str,
    trace_id: bytes,
) -> SeenFrame:
    """A frame of what was prepared of it, and what the encoder told: its key, by whom, and its labels."""
    key, encoder_id, labels = told
    return SeenFrame(
        pts_ns=message.pts_ns,
        t_ns=message.t_ns,
        curve=message.curve,
        dropped=message.dropped,
        pixels=prepared.pixels,
        thumbnail=prepared.thumbnail,
        luma=prepared.luma,
        strokes=prepared.strokes,
        sharpness=prepared.sharpness,
        key=key,
        encoder_id=encoder_id,
        labels=labels,
        trace_id=trace_id,
        labels_producer=labels_producer,
        picture=prepared.picture,
        lat=message.position_deg[0],
        lon=message.position_deg[1],
    )


@dataclass(slots=True)
class Batch:
    """What goes into one `commit.put`."""

    observations: list[Observation] = field(default_factory=list)
    marks: list[TrackMark] = field(default_factory=list)
    parts: list[OutPart] = field(default_factory=list)
    trace_id: bytes = b""

    def add_picture(
        self, pixels: npt.NDArray[np.uint8], quality: int, role: str = "thumbnail"
    ) -> tuple[MediaRef, ...]:
        """Adds a picture's bytes; returns the reference to them."""
        name = f"{role}{len(self.parts)}"
        self.parts.append(blob_part(name, to_webp(pixels, quality)))
        height, width = pixels.shape[:2]
        return (MediaRef(part=name, role=role, media_type="image/webp", width_px=width, height_px=height),)

    def add_key(self, frame: SeenFrame) -> tuple[KeyRef, ...]:
        """Adds an image key; nothing where the frame has none."""
        if frame.key is None:
            return ()
        name = f"key{len(self.parts)}"
        self.parts.append(array_part(name, frame.key))
        return (KeyRef(part=name, kind="image", encoder_id=frame.encoder_id),)


def frame_observation(own: TrackId, frame: SeenFrame) -> Observation:
    """What one frame shows, small: labels, no pixels."""
    return Observation(
        observation_id=own.observation_id("frame", frame.labels_producer, frame.pts_ns),
        source_id=own.source_id,
        session=own.session,
        track=own.track,
        kind="frame",
        producer_id=frame.labels_producer,
        pts0_ns=frame.pts_ns,
        pts1_ns=frame.pts_ns,
        t0_ns=frame.t_ns,
        t1_ns=frame.t_ns,
        lat=frame.lat,
        lon=frame.lon,
        payload={"labels": listed(frame.labels)},
        trace_id=frame.trace_id,
    )


def add_shot(
    batch: Batch,
    own: TrackId,
    shot: Shot,
    keyframe: SeenFrame | None,
    labels: list[Label],
    n_frames: int,
    quality: int,
) -> None:
    """Adds the observation of a shot: the picture and key of its keyframe, and its labels as a caption.

    Args:
        batch: Where it goes.
        own: The track.
        shot: The shot.
        keyframe: The frame that stands for it, if any was seen.
        labels: Of its frames together.
        n_frames: How many were seen.
        quality: WebP quality of the thumbnail.
    """
    payload: dict[str, object] = {"labels": listed(labels), "why": shot.why, "frames": n_frames}
    if keyframe is not None:
        payload["keyframe_pts_ns"] = keyframe.pts_ns
    batch.observations.append(
        Observation(
            observation_id=own.observation_id("shot", SHOTS_PRODUCER, shot.pts0_ns),
            source_id=own.source_id,
            session=own.session,
            track=own.track,
            kind="shot",
            producer_id=SHOTS_PRODUCER,
            pts0_ns=shot.pts0_ns,
            pts1_ns=shot.pts1_ns,
            t0_ns=keyframe.utc_ns(shot.pts0_ns) if keyframe else None,
            t1_ns=keyframe.utc_ns(shot.pts1_ns) if keyframe else None,
            text=caption(labels),
            language="en" if labels else "",
            lat=keyframe.lat if keyframe else None,
            lon=keyframe.lon if keyframe else None,
            payload=payload,
            media=batch.add_picture(keyframe.thumbnail, quality) if keyframe else (),
            keys=batch.add_key(keyframe) if keyframe else (),
            trace_id=keyframe.trace_id if keyframe else b"",
        )
    )


def add_caption(
    batch: Batch, own: TrackId, shot: Shot, keyframe: SeenFrame, written: Caption, quality: int
) -> None:
    """Adds the observation of what a model wrote of a shot, with the picture that it saw.

    Its id comes from the shot and the model, not from the words: a server may write others in
    another run, and the first that came to memory stand.
    """
    picture = keyframe.thumbnail if keyframe.picture is None else keyframe.picture
    batch.observations.append(
        Observation(
            observation_id=own.observation_id("caption", written.producer_id, shot.pts0_ns),
            source_id=own.source_id,
            session=own.session,
            track=own.track,
            kind="caption",
            producer_id=written.producer_id,
            pts0_ns=shot.pts0_ns,
            pts1_ns=shot.pts1_ns,
            t0_ns=keyframe.utc_ns(shot.pts0_ns),
            t1_ns=keyframe.utc_ns(shot.pts1_ns),
            text=written.text,
            payload={"keyframe_pts_ns": keyframe.pts_ns},
            media=batch.add_picture(picture, quality, "keyframe"),
            trace_id=keyframe.trace_id,
        )
    )


def add_stretch(
    batch: Batch, own: TrackId, pts_ns: tuple[int, int], frame: SeenFrame, labels: list[Label]
) -> None:
    """Adds the observation of what a stretch of a long shot showed; its picture is the shot's.

    Args:
        batch: Where it goes.
        own: The track.
        pts_ns: Beginning and end of the stretch.
        frame: The one nearest to its middle.
        labels: Of all its frames together.
    """
    batch.observations.append(
        Observation(
            observation_id=own.observation_id("caption", frame.labels_producer, pts_ns[0]),
            source_id=own.source_id,
            session=own.session,
            track=own.track,
            kind="caption",
            producer_id=frame.labels_producer,
            pts0_ns=pts_ns[0],
            pts1_ns=pts_ns[1],
            t0_ns=frame.utc_ns(pts_ns[0]),
            t1_ns=frame.utc_ns(pts_ns[1]),
            text=caption(labels),
            language="en",
            lat=frame.lat,
            lon=frame.lon,
            payload={"labels": listed(labels), "keyframe_pts_ns": frame.pts_ns},
            trace_id=frame.trace_id,
        )
    )


def add_uncaptioned(batch: Batch, own: TrackId, shot: Shot, keyframe: SeenFrame, why: str) -> None:
    """Adds the gap of a shot that was seen, and that nobody wrote a caption of."""
    pts_ns = (shot.pts0_ns, shot.pts1_ns)
    batch.observations.append(own.gap(CAPTIONS_PRODUCER, pts_ns, keyframe.utc_ns(0), why, lost="captions"))


def add_text(
    batch: Batch, own: TrackId, reading: Reading, frame: SeenFrame, pts_ns: tuple[int, int], quality: int
) -> None:
    """Adds the observation of a text that stood in the picture from `pts_ns[0]` to `pts_ns[1]`.

    Args:
        batch: Where it goes.
        own: The track.
        reading: The best reading of it.
        frame: The frame that was read.
        pts_ns: From the frame on which it was first read until it changed or the shot ended.
        quality: WebP quality of the thumbnail.
    """
    pts0_ns, pts1_ns = pts_ns
    batch.observations.append(
        Observation(
            observation_id=own.observation_id("seen_text", reading.producer_id, pts0_ns),
            source_id=own.source_id,
            session=own.session,
            track=own.track,
            kind="seen_text",
            producer_id=reading.producer_id,
            pts0_ns=pts0_ns,
            pts1_ns=pts1_ns,
            t0_ns=frame.utc_ns(pts0_ns),
            t1_ns=frame.utc_ns(pts1_ns),
            text=reading.text,
            confidence=round(reading.confidence, 3),
            lat=frame.lat,
            lon=frame.lon,
            payload={
                "boxes": [[list(corner) for corner in line.box] for line in reading.lines],
                "confidences": [line.confidence for line in reading.lines],
                "left_out": reading.left_out,
                "ground": ground_of(frame.thumbnail, [line.box for line in reading.lines]),
            },
            media=batch.add_picture(frame.thumbnail, quality),
            trace_id=frame.trace_id,
        )
    )


def listed(labels: Sequence[Label]) -> list[object]:
    """Labels as MessagePack values: [[name, probability], …]."""
    return [[name, share] for name, share in labels]
