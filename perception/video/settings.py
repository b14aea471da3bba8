"""Settings of the video process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perception.video.seen_text import TextRules
from perception.video.shots import ShotRules

NANO = 1_000_000_000


class VideoSettings(BaseModel):
    """Section `video` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate_hz: float = Field(
        default=0.0, ge=0, le=60, description="frames per second asked of capture; 0 leaves it to capture"
    )
    max_side_px: int = Field(
        default=0,
        ge=0,
        le=8192,
        description="longer side of frames asked of capture, in pixels; 0 leaves it to capture",
    )
    window_lossless: int = Field(
        default=8, ge=1, le=256, description="frames on the way or in hand, per track of an archive"
    )
    window_latest: int = Field(
        default=2,
        ge=1,
        le=16,
        description="the same of a live track; small, so that frames wait in capture's ring, where the "
        "newest wins, and not here",
    )
    spool_batches: int = Field(
        default=256, ge=1, description="batches that may wait for memory before no more frames are asked for"
    )
    frames_per_batch: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="frame observations of an archive that are put together at most",
    )
    encoder_s: float = Field(
        default=10.0, gt=0, description="seconds to wait for the encoder before asking again"
    )
    encoder_latest_s: float = Field(
        default=1.0, gt=0, description="seconds after which a live frame goes without key and labels"
    )
    thumbnail_px: int = Field(
        default=320, ge=32, le=1920, description="width of thumbnails in pixels, at most"
    )
    thumbnail_quality: int = Field(default=80, ge=1, le=100, description="JPEG quality of thumbnails")
    cut_floor: float = Field(default=0.3, gt=0, lt=1, description="least change score of a cut, 0 to 1")
    cut_ratio: float = Field(
        default=3.0, ge=1, description="by how much a cut stands out from its neighbourhood, in odds"
    )
    fade_floor: float = Field(
        default=0.8, ge=0, description="least change of a fade or dissolve, odds summed over fade_s; 0: none"
    )
    fade_ratio: float = Field(
        default=3.0, ge=1, description="by how much a fade stands out from the time before and behind"
    )
    fade_s: float = Field(default=1.0, gt=0, le=10, description="seconds over which a fade is summed")
    window_s: float = Field(
        default=0.4, gt=0, le=10, description="neighbourhood of a cut on each side, in seconds"
    )
    shortest_shot_s: float = Field(default=0.5, ge=0, description="no shot is shorter, in seconds")
    longest_shot_s: float = Field(
        default=30.0, gt=0, description="seconds after which a shot is closed so that its mark can go out"
    )
    gap_s: float = Field(
        default=2.0, gt=0, description="seconds between two live frames, some dropped between, that are a gap"
    )
    text: bool = Field(default=True, description="whether text in the picture is read")
    text_threads: int = Field(
        default=2, ge=1, le=16, description="threads that read text; 2 for an archive, 1 live"
    )
    text_detector_px: int = Field(
        default=640, ge=64, le=4096, description="longer side of the picture in which text is looked for"
    )
    text_changed_share: float = Field(
        default=0.005, ge=0, le=1, description="share of the picture that must change before it is read again"
    )
    text_spacing_s: float = Field(
        default=1.0, ge=0, description="seconds between two readings in one shot, at least"
    )
    text_strokes_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="share of the picture that must gain strokes before it is read again within "
        "text_longest_spacing_s; 0 does without this gate",
    )
    text_longest_spacing_s: float = Field(
        default=4.0,
        ge=0,
        description="seconds after which any change of the picture is enough to read it again",
    )
    text_precision: Literal["float32", "native"] = Field(
        default="float32",
        description="arithmetic of the text networks; native is bfloat16 where the processor has it: half "
        "the time, and another reading of doubtful letters",
    )
    text_confidence: float = Field(default=0.8, ge=0, le=1, description="least confidence of a line")
    text_short_confidence: float = Field(
        default=0.95, ge=0, le=1, description="least confidence of a line of one or two letters"
    )
    text_lines: int = Field(
        default=80, ge=1, le=1000, description="lines that are read in one picture, largest first"
    )

    @model_validator(mode="after")
    def _longest_is_longer(self) -> VideoSettings:
        if self.longest_shot_s <= self.shortest_shot_s:
            raise ValueError("longest_shot_s must be greater than shortest_shot_s")
        return self

    def shot_rules(self) -> ShotRules:
        """What counts as a boundary."""
        return ShotRules(
            cut_floor=self.cut_floor,
            cut_ratio=self.cut_ratio,
            fade_floor=self.fade_floor,
            fade_ratio=self.fade_ratio,
            window_ns=round(self.window_s * NANO),
            fade_ns=round(self.fade_s * NANO),
            shortest_ns=round(self.shortest_shot_s * NANO),
            longest_ns=round(self.longest_shot_s * NANO),
        )

    def text_rules(self) -> TextRules:
        """When a picture is read, and which lines are believed."""
        return TextRules(
            changed_share=self.text_changed_share,
            spacing_ns=round(self.text_spacing_s * NANO),
            strokes_share=self.text_strokes_share,
            longest_spacing_ns=round(self.text_longest_spacing_s * NANO),
            least_confidence=self.text_confidence,
            least_short_confidence=self.text_short_confidence,
            most_lines=self.text_lines,
        )
