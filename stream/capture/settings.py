"""Settings of capture: how often a picture is taken, how large, and how much may wait."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from stream.capture.privacy import Hours, Mask

VOICE_WINDOW_SAMPLES = 512
"""Samples that Silero's voice detector takes at a time; chunks are whole multiples of it."""


def zone_name(name: str) -> str:
    """A name of a time zone, as it was given; empty stays empty.

    Raises:
        ValueError: If this machine knows no zone of this name.
    """
    from zoneinfo import ZoneInfo

    try:
        if name:
            ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone of this machine, such as Europe/Berlin") from error
    return name


class TextSettings(BaseModel):
    """How chats, transcripts and meetings are read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_zone: str = Field(
        default="",
        description="IANA time zone of times that tell none, such as Europe/Berlin; empty for this machine's",
    )
    in_flight: int = Field(
        default=16, ge=1, le=1024, description="batches of turns that wait for memory at a time"
    )

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, name: str) -> str:
        return zone_name(name)


class CaptureSettings(BaseModel):
    """How sources are read. One process per source, all with these settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_hz: float = Field(
        default=1.0, gt=0, le=60, description="pictures per second that are sent though nothing changes"
    )
    change_threshold: float = Field(
        default=0.45,
        gt=0,
        le=1,
        description="change score (0 to 1) above which a picture is sent at once",
    )
    change_rate_hz: float = Field(
        default=2.0, gt=0, le=60, description="most pictures per second that are sent because of change"
    )
    curve_points: int = Field(
        default=1024, ge=1, le=4096, description="most points of the change curve in one message"
    )
    max_side_px: int = Field(
        default=1280, ge=64, le=8192, description="longer side of a sent picture in pixels; never enlarged"
    )
    frame_encoding: Literal["rgb24", "jpeg"] = Field(
        default="rgb24", description="rgb24 sends pixels as they are, jpeg fewer bytes for more CPU"
    )
    jpeg_quality: int = Field(default=90, ge=1, le=100, description="quality of frame_encoding jpeg")
    video_ring_items: int = Field(
        default=4, ge=1, le=1024, description="pictures that may wait for credit, per track"
    )
    video_ring_bytes: int = Field(
        default=64 << 20, ge=1 << 20, description="bytes of pictures that may wait, per track"
    )
    audio_ring_bytes: int = Field(
        default=64 << 20,
        ge=1 << 16,
        description="bytes of sound that may wait, per track; 64 MiB are 35 minutes",
    )
    audio_wait_s: float = Field(
        default=2.0, ge=0, description="seconds a live reader waits at a full ring of sound before a gap"
    )
    chunk_samples: int = Field(
        default=8192,
        ge=VOICE_WINDOW_SAMPLES,
        le=1 << 20,
        multiple_of=VOICE_WINDOW_SAMPLES,
        description="samples of sound per message, at 16 kHz",
    )
    audio_tracks: Literal["default", "all"] = Field(
        default="default", description="default reads the container's main sound track, all reads each"
    )
    decode: Literal["all", "reference"] = Field(
        default="all",
        description="reference leaves out pictures that no other is made from: a third less work where a "
        "film has them, and cuts are found to within two pictures",
    )
    languages: tuple[str, ...] = Field(
        default=(),
        description="languages as ISO 639 codes, the best first: which of several sound and text tracks"
        " is taken; empty leaves it to the container",
    )
    subtitles: Literal["use", "beside", "ignore"] = Field(
        default="use",
        description="use takes subtitles in the language of the sound instead of listening where they cover"
        " it, beside takes them and listens all the same, ignore reads none",
    )
    photo_time_zone: str = Field(
        default="",
        description="IANA time zone of photos whose EXIF tells none, such as Europe/Berlin; empty for"
        " this machine's",
    )
    codec_threads: int = Field(default=1, ge=1, le=64, description="threads of each video decoder")
    max_pixels: int = Field(
        default=64_000_000, ge=10_000, description="pictures with more pixels than this are refused"
    )
    seek_margin_s: float = Field(
        default=5.0, ge=0, description="seconds before a mark at which a resumed reader starts to decode"
    )
    hole_fill_s: float = Field(
        default=60.0,
        ge=0,
        le=3600,
        description="longest hole in a sound track that is filled with silence; longer ones are gaps",
    )
    drift_s: float = Field(
        default=0.04,
        gt=0,
        le=1,
        description="seconds by which timestamps of sound may differ from its samples before they count",
    )
    bad_in_a_row: int = Field(
        default=512, ge=1, description="undecodable or misplaced packets in a row that end a track"
    )
    packet_ring_bytes: int = Field(
        default=128 << 20,
        ge=0,
        description="bytes of encoded packets kept per live source, for clips of what just was; 0: none."
        " Nothing is kept unless memory.clips.enabled",
    )
    packet_ring_s: float = Field(
        default=180.0,
        gt=0,
        le=3600,
        description="seconds of encoded packets kept: an event is closed up to two minutes after it began",
    )
    clip_linger_s: float = Field(
        default=30.0,
        ge=0,
        le=600,
        description="seconds that a live source that has ended stays for the clips still to be cut of it",
    )
    announce_s: float = Field(
        default=1.0, gt=0, description="seconds between two announcements of a track that has no credit"
    )

    sources: tuple[SecretStr, ...] = Field(
        default=(),
        description="live sources that are opened with the processes: camera:/dev/video0,"
        " microphone:default, rtsp://…, https://…; passwords stand in the address and are not shown",
    )
    allow_schemes: tuple[str, ...] = Field(
        default=("browser",),
        description="schemes of live sources that the page may have opened, beside those of sources",
    )
    allow_hosts: tuple[str, ...] = Field(
        default=(), description="hosts whose addresses the page may have opened, if the scheme is allowed"
    )
    masks: tuple[Mask, ...] = Field(
        default=(),
        description="parts of the picture of a live source that are black; no clips of it are kept then",
    )
    schedule: tuple[Hours, ...] = Field(
        default=(), description="when live sources may be open; one that none of them names always may"
    )
    open_s: float = Field(
        default=10.0, gt=0, le=120, description="seconds that a live source may take to open"
    )
    stall_s: float = Field(
        default=5.0, gt=0, le=120, description="seconds of silence after which a live source is opened anew"
    )
    quiet_s: float = Field(
        default=3.0, gt=0, le=120, description="seconds of silence after which a live source counts as lost"
    )
    retry_s: float = Field(
        default=0.5, gt=0, le=60, description="wait before a lost source is opened again; doubles"
    )
    retry_max_s: float = Field(default=30.0, gt=0, le=3600, description="longest such wait")
    steady_s: float = Field(
        default=2.0, ge=0, le=600, description="seconds of media after which the wait is short again"
    )
    browser_ends_s: float = Field(
        default=900.0, gt=0, description="seconds after which a browser that sends nothing more is closed"
    )
    behind_s: float = Field(
        default=1.0, gt=0, le=60, description="lag in seconds at which a live source sends half the pictures"
    )
    calm_s: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="seconds without lag after which it sends twice as many again",
    )
    least_rate_hz: float = Field(
        default=0.25, gt=0, le=60, description="pictures per second below which the rate is not halved"
    )

    @field_validator("photo_time_zone")
    @classmethod
    def _is_time_zone(cls, name: str) -> str:
        return zone_name(name)

    def plain_sources(self) -> tuple[str, ...]:
        """The configured live sources with their passwords, for who opens them."""
        return tuple(source.get_secret_value() for source in self.sources)

    @model_validator(mode="after")
    def _ring_holds_a_chunk(self) -> CaptureSettings:
        if self.audio_ring_bytes < 2 * self.chunk_samples:
            raise ValueError("audio_ring_bytes must hold at least one chunk of chunk_samples")
        return self
