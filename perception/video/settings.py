"""Settings of the video process."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from perception.video.seen_text import TextRules
from perception.video.shots import ShotRules
from perception.video.view_gate import OWN_NETWORK, USUAL_POINTS, ViewRules
from stream.messages.place_view import MOST_POINTS
from stream.process.settings import SupervisorSettings

NANO = 1_000_000_000
LEEWAY_S = 10.0
"""Between the longest call for captions and `supervisor.hung_s`, when a piece of work is taken for
hung: pictures are encoded, a busy processor is slow, and a token more is written past the limit."""
LONGEST_CALL_S = float(SupervisorSettings.model_fields["hung_s"].default) - LEEWAY_S
"""What one call for captions may take as `supervisor.hung_s` is; the service looks at what it is."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class CaptionSettings(BaseModel):
    """Captions by a vision-language model; off where neither `model` nor `server_url` is set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="",
        description="folder, or hub id (owner/name@revision, pulled before), of a model of transformers' "
        "image-text-to-text class; it runs in the video process, and must load within supervisor.hung_s",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where that model runs: auto takes a GPU that torch sees"
    )
    server_url: str = Field(
        default="",
        description="address of a server that speaks OpenAI chat completions, up to /v1; pictures leave "
        "this machine if it is another's",
    )
    server_model: str = Field(default="", max_length=200, description="name of the model at that server")
    key_env: str = Field(
        default="", description="environment variable that holds the server's key; empty: no key is sent"
    )
    pictures_per_call: int = Field(
        default=1, ge=1, le=16, description="keyframes that one call to the server may carry"
    )
    picture_px: int = Field(
        default=512, ge=64, le=2048, description="longer side in pixels of the keyframe that is captioned"
    )
    prompt: str = Field(
        default="Describe what this picture shows in one sentence.",
        min_length=1,
        max_length=2000,
        description="what the model is told",
    )
    max_tokens: int = Field(default=64, ge=8, le=1024, description="tokens of a caption")
    max_chars: int = Field(default=400, ge=20, le=4000, description="characters of a caption that are kept")
    timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=100,
        description="seconds that one attempt may take in all; a model in the process ends with the token "
        "at hand",
    )
    retries: int = Field(default=1, ge=0, le=5, description="further attempts where asking again can help")
    backoff_s: float = Field(
        default=0.5, ge=0, le=10, description="seconds before the first further attempt; doubles"
    )
    wait_s: float = Field(
        default=120.0,
        gt=0,
        description="seconds without any caption after which the shots of files go on without, and "
        "gaps say so",
    )
    wait_latest_s: float = Field(default=5.0, gt=0, description="the same of a live shot")
    pause_after: int = Field(
        default=3, ge=1, description="failed calls in a row after which no live shot waits for pause_s"
    )
    pause_s: float = Field(
        default=30.0,
        gt=0,
        description="seconds for which live shots then go without; longest time between two attempts for "
        "a file's shot; shortest between two looks whether captions that were given up come again",
    )

    @property
    def is_on(self) -> bool:
        """Whether captions are written."""
        return bool(self.model or self.server_url)

    @property
    def longest_call_s(self) -> float:
        """Seconds that one call in the lane may take: every attempt for every picture, to its limit.

        A model in the process is asked once, for one picture; loading it is another piece of work.
        """
        if self.model:
            return self.timeout_s
        calls = 1 + self.pictures_per_call if self.pictures_per_call > 1 else 1
        waits_s = self.backoff_s * float(2**self.retries - 1)
        return calls * ((self.retries + 1) * self.timeout_s + waits_s)

    @model_validator(mode="after")
    def _consistent(self) -> CaptionSettings:
        if self.model and self.server_url:
            raise ValueError("captions come from model or from server_url, not from both")
        if self.server_url:
            url = urlsplit(self.server_url)
            if url.scheme not in ("http", "https") or not url.hostname or url.username or url.password:
                raise ValueError("server_url is http(s)://host[:port]/v1, without a name or password")
            if not self.server_model:
                raise ValueError("server_url needs server_model")
            if self.key_env and url.scheme == "http" and url.hostname not in LOOPBACK:
                raise ValueError("a key is sent to another machine by https only")
        if self.is_on and self.longest_call_s > LONGEST_CALL_S:
            raise ValueError(
                f"pictures_per_call, timeout_s, retries and backoff_s add up to {self.longest_call_s:.0f} s, "
                f"{LONGEST_CALL_S:.0f} are allowed"
            )
        return self


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
    labels: bool = Field(
        default=True,
        description="whether pictures get the likeliest of a thousand names, and so a text that words find: "
        "by the head of efficientnet-lite0, or by the configured image model's text side",
    )
    view_px: int = Field(
        default=256,
        ge=64,
        le=2048,
        description="shorter side in pixels of the picture sent to the encoder; not below the image model's "
        "input",
    )
    thumbnail_px: int = Field(
        default=320, ge=32, le=1920, description="width of thumbnails in pixels, at most"
    )
    thumbnail_quality: int = Field(default=60, ge=1, le=100, description="WebP quality of thumbnails")
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
    dissolve_floor: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="least change score, 0 to 1, of two frames some two seconds apart between which one view "
        "dissolves into another; 0: none is looked for, and shots are told some seconds sooner",
    )
    dissolve_ratio: float = Field(
        default=3.0,
        ge=1,
        description="by how much a dissolve stands out from the frames before and behind, in odds",
    )
    fade_s: float = Field(default=1.0, gt=0, le=10, description="seconds over which a fade is summed")
    window_s: float = Field(
        default=0.4, gt=0, le=10, description="neighbourhood of a cut on each side, in seconds"
    )
    shortest_shot_s: float = Field(default=0.5, ge=0, description="no shot is shorter, in seconds")
    longest_shot_s: float = Field(
        default=30.0, gt=0, description="seconds after which a shot is closed so that its mark can go out"
    )
    stretch_s: float = Field(
        default=8.0,
        ge=0,
        description="a longer shot is also described in equal stretches of at most so many seconds, each by "
        "the mean of its frames' labels; 0: by its keyframe alone",
    )
    gap_s: float = Field(
        default=2.0, gt=0, description="seconds between two live frames, some dropped between, that are a gap"
    )
    captions: CaptionSettings = Field(
        default=CaptionSettings(), description="captions of keyframes by a vision-language model"
    )
    text: bool = Field(
        default=True,
        description="whether text in the picture is read; its networks (OpenVINO) run on the CPU alone",
    )
    text_threads: int = Field(
        default=2,
        ge=1,
        le=16,
        description="threads that read text, none waiting for another; 2 for an archive, 1 live",
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

    places: bool = Field(
        default=False,
        description="whether views are committed: keys and points of pictures, by which memory knows places "
        "again",
    )
    place_network: str = Field(
        default=OWN_NETWORK,
        min_length=1,
        description="what makes the keys of views: efficientnet-lite0, or the folder or the hub id "
        "(owner/name@revision, pulled before) of a model of the DINOv2, CLIP or SigLIP class",
    )
    place_device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="where such a model runs; efficientnet-lite0 runs on the CPU alone"
    )
    place_view_s: float = Field(
        default=2.0, gt=0, le=3600, description="seconds between two views of a track, at least"
    )
    place_still_s: float = Field(
        default=60.0,
        gt=0,
        description="seconds after which a picture that did not change is a view again; a new shot begins "
        "with one all the same",
    )
    place_changed_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="share of the picture that must change before it is a view again",
    )
    place_points: int = Field(
        default=USUAL_POINTS,
        ge=0,
        le=MOST_POINTS,
        description="points of a view that are kept to compare it by, 132 bytes each; 0: keys alone",
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
            dissolve_floor=self.dissolve_floor,
            dissolve_ratio=self.dissolve_ratio,
            window_ns=round(self.window_s * NANO),
            fade_ns=round(self.fade_s * NANO),
            shortest_ns=round(self.shortest_shot_s * NANO),
            longest_ns=round(self.longest_shot_s * NANO),
        )

    def view_rules(self) -> ViewRules | None:
        """When a picture is a view; None where there are none."""
        if not self.places:
            return None
        return ViewRules(
            spacing_ns=round(self.place_view_s * NANO),
            still_ns=round(self.place_still_s * NANO),
            changed_share=self.place_changed_share,
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
