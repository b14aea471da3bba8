"""Settings of the encoder process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EncoderSettings(BaseModel):
    """Section `encoder` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_ms: float = Field(
        default=50.0,
        gt=0,
        description="milliseconds that one batch of bulk work may take: a question waits for one at most",
    )
    queue_requests: int = Field(default=64, ge=1, description="requests that may wait in each lane")
    queue_bytes: int = Field(
        default=256 << 20, ge=1 << 20, description="bytes of texts and pictures that may wait altogether"
    )
    texts_per_request: int = Field(default=2048, ge=1, description="texts that one request may hold")
    images_per_request: int = Field(default=64, ge=1, description="pictures that one request may hold")
    text_precision: Literal["fp32", "int8"] = Field(
        default="fp32",
        description="fp32 is exact; int8 is faster and less exact, and an encoder of its own (its keys are "
        "not comparable with those of fp32)",
    )
