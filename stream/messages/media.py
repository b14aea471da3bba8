"""Media: frames and samples against credit, between capture, perception and the encoder."""

from __future__ import annotations

from typing import Literal

import msgspec

from stream.messages.envelope import Message, topic

AUDIO_RATE_HZ = 16_000
"""Sample rate of all audio on the wire, mono; what Whisper and Silero are trained on."""

FINISHED_PTS_NS = 2**62
"""`resume_pts_ns` of a credit that says: memory has this track to its end."""

Policy = Literal["latest", "lossless"]


class ChangePoint(msgspec.Struct, frozen=True, array_like=True):
    """How much one decoded frame differs from the one before it, 0 to 1, on the luma proxy."""

    pts_ns: int
    score: float


@topic("media.state")
class MediaState(Message, frozen=True, kw_only=True):
    """capture → perception: what a track is doing.

    `open` is repeated every second until credit comes, so that a perception process that
    was restarted learns of the track. `eof` and `closed` end it. `read` and `dropped`
    count sampled frames (or audio chunks) since the track opened. `t_origin_ns` is the
    UTC time of pts 0, if known. A gap is a stretch that will never be delivered.
    """

    source_id: bytes
    session: int
    track: int
    media: Literal["video", "audio"]
    state: Literal["open", "lost", "retry", "paused", "eof", "closed"]
    policy: Policy
    stream_epoch: int = 0
    uri: str = ""
    t_origin_ns: int | None = None
    duration_ns: int | None = None
    end_pts_ns: int | None = None
    reason: str = ""
    gap0_ns: int | None = None
    gap1_ns: int | None = None
    read: int = 0
    dropped: int = 0


@topic("media.credit")
class MediaCredit(Message, frozen=True, kw_only=True):
    """perception → capture: `n` more items may be sent.

    A `stream_epoch` that capture has not seen asks it to begin anew after
    `resume_pts_ns` (None: from the start); items of other epochs are discarded by both
    sides. `rate_hz` and `max_side_px` are the wanted spacing and size of frames.
    """

    source_id: bytes
    session: int
    track: int
    stream_epoch: int
    n: int
    resume_pts_ns: int | None = None
    rate_hz: float = 0.0
    max_side_px: int = 0


@topic("media.frame")
class MediaFrame(Message, frozen=True, kw_only=True):
    """capture → video: one sampled frame; part `frame` is `jpeg` or `rgb24` (H, W, 3) uint8.

    `curve` has a point for every frame decoded since the message before, this frame's
    own last; raw frames stay off the wire while perception still sees every change.
    `dropped` counts sampled frames lost since the message before; `why` is `rate` for a
    frame that was due and `change` for one sent because the picture changed abruptly.
    `lat` and `lon` are degrees north and east of where it was taken, if that is known.
    """

    source_id: bytes
    session: int
    track: int
    stream_epoch: int
    pts_ns: int
    t_ns: int | None
    width_px: int
    height_px: int
    why: Literal["rate", "change"] = "rate"
    dropped: int = 0
    curve: tuple[ChangePoint, ...] = ()
    lat: float | msgspec.UnsetType = msgspec.UNSET
    lon: float | msgspec.UnsetType = msgspec.UNSET

    @property
    def position_deg(self) -> tuple[float | None, float | None]:
        """Latitude and longitude; None where they are not known."""
        lat, lon = self.lat, self.lon
        return (
            None if isinstance(lat, msgspec.UnsetType) else lat,
            None if isinstance(lon, msgspec.UnsetType) else lon,
        )


@topic("media.audio")
class MediaAudio(Message, frozen=True, kw_only=True):
    """capture → audio: part `samples` is `s16le` (n,) mono at `AUDIO_RATE_HZ`.

    `first_sample` counts samples from pts 0 of the source, silence filled in where the
    container has a hole, so that `first_sample / AUDIO_RATE_HZ` is the position.
    """

    source_id: bytes
    session: int
    track: int
    stream_epoch: int
    first_sample: int
    t_ns: int | None


@topic("media.push")
class MediaPush(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway → capture, at the endpoint that `source.state` names: part `webm`, a chunk from a browser.

    `segment` counts starts of the recorder: each begins with a header of its own, and none goes on once a
    later one has begun. `index` counts the chunks of a segment from 0; `last` ends it, with or without
    bytes. `t_ns` is when the browser had it, in UTC.
    """

    uri: str
    segment: int
    index: int
    t_ns: int
    last: bool = False


@topic("media.pushed")
class MediaPushed(Message, frozen=True, kw_only=True, omit_defaults=True):
    """capture → gateway, the answer to each `media.push`: chunks up to `through_index` were taken.

    Up to `window` more may be on the way. `restart`: the recorder should begin a new segment, since of
    this one nothing more can be decoded (a chunk is missing, or its beginning was not taken). `paused`:
    nothing is taken, by the owner's wish.
    """

    segment: int
    through_index: int
    window: int
    restart: bool = False
    paused: bool = False


@topic("frame.ask")
class FrameAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """gateway → capture, at the endpoint that `source.state` names: the newest picture of a live source."""

    source_id: bytes
    max_side_px: int = 640


@topic("frame.told")
class FrameTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """capture → gateway: part `jpeg`, the newest sampled picture with its masks; none if `width_px` is 0.

    `reason` says why there is none.
    """

    source_id: bytes
    session: int
    pts_ns: int = 0
    t_ns: int | None = None
    width_px: int = 0
    height_px: int = 0
    reason: str = ""


@topic("encode.ask")
class EncodeAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """video, memory → encoder: texts, or parts `image0…` (`jpeg` or `rgb24`), to be made keys.

    `text` and `image` each speak to their own index; `image_text` are texts in the space of the
    pictures, where the image model has such a side (`space.told`). Lane `question` overtakes
    lane `bulk`. `model` is a model of texts in the place of the configured one, as `space.told`
    names it, or the id of an encoder that it may be known by.
    """

    encoder: Literal["text", "image", "image_text"]
    lane: Literal["question", "bulk"]
    texts: tuple[str, ...] = ()
    n_images: int = 0
    model: str = ""


@topic("encode.keys")
class EncodeKeys(Message, frozen=True, kw_only=True):
    """encoder → video, memory: part `keys` is `f32` (N, D), rows of unit length.

    With keys of an `image` part `norms` (N,) has their lengths before; with those of an
    `image_text` part `logit` (2,) has a scale and a bias: sigmoid(scale · cosine + bias) is how
    likely a text fits a picture.
    """

    encoder_id: str
    n: int
    dimension: int


@topic("space.ask")
class SpaceAsk(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → encoder: whose keys are made for texts, for pictures, and for texts among pictures?

    With `only` `text` of texts alone, by `model` or, where that is empty, by the configured one.
    """

    only: Literal["", "text"] = ""
    model: str = ""


@topic("space.told")
class SpaceTold(Message, frozen=True, kw_only=True, omit_defaults=True):
    """encoder → memory: the ids of the configured encoders, or of the model of texts that was named.

    `image_text` is that of `image` where its model has a text side, else empty. `text_model` is
    the model of texts by the name under which `encode.ask` finds it again.
    """

    text: str
    image: str
    image_text: str = ""
    text_model: str = ""


@topic("clip.held")
class ClipHeld(Message, frozen=True, kw_only=True, omit_defaults=True):
    """capture → memory, each second: the encoded packets that it keeps of a live source.

    A clip can be cut from `pts0_ns` to `pts1_ns`; None where nothing is kept yet. `ended`: no more
    will come. It is also how memory learns whom to ask.
    """

    source_id: bytes
    session: int
    pts0_ns: int | None = None
    pts1_ns: int | None = None
    ended: bool = False


@topic("clip.want")
class ClipWant(Message, frozen=True, kw_only=True):
    """memory → capture: remux the encoded packets of this range into a file of their own.

    Repeated until `clip.made` comes; a range whose end is still to come waits for it.
    """

    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int


@topic("clip.made")
class ClipMade(Message, frozen=True, kw_only=True, omit_defaults=True):
    """capture → memory: the file, its blake2b-128 and its size; `path` is in the store's spool.

    `pts0_ns` and `pts1_ns` are those of the request. The file begins at `begins_ns`, with a keyframe,
    and ends at `ends_ns`; its own times count from there. Where none could be made `lost` says why,
    and `path` is empty. Repeated until `clip.settled`.
    """

    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int
    path: str
    content_hash: str
    n_bytes: int
    begins_ns: int = 0
    ends_ns: int = 0
    media_type: str = ""
    lost: str = ""


@topic("clip.settled")
class ClipSettled(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → capture: a clip is on disk, or will not be; its file in the spool may go.

    `over`: no clip of this source is wanted any more, nor are its packets. With neither a range nor
    `over` it answers the first `clip.held`: clips may be wanted until the events of the source are closed.
    """

    source_id: bytes
    session: int
    pts0_ns: int = 0
    pts1_ns: int = 0
    kept: bool = False
    reason: str = ""
    over: bool = False


@topic("clip.find")
class ClipFind(Message, frozen=True, kw_only=True):
    """commands, gateway → memory: which kept clips of a live source share a moment with this range?"""

    source_id: bytes
    session: int
    pts0_ns: int
    pts1_ns: int


class KeptClip(msgspec.Struct, frozen=True, kw_only=True):
    """A clip in the store: `path` under `media/`, and the stretch of its source that it holds."""

    observation_id: bytes
    path: str
    media_type: str
    pts0_ns: int
    pts1_ns: int
    n_bytes: int


@topic("clip.found")
class ClipFound(Message, frozen=True, kw_only=True, omit_defaults=True):
    """memory → commands, gateway: those clips in order of time; `reason` says why there is none."""

    clips: tuple[KeptClip, ...] = ()
    reason: str = ""
