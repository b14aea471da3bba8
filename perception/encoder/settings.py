"""Settings of the encoder process."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_IMAGE_MODEL = "efficientnet-lite0"
DEFAULT_TEXT_MODEL = "all-minilm-l6-v2"


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
    image_model: str = Field(
        default=DEFAULT_IMAGE_MODEL,
        min_length=1,
        description="model of pictures: efficientnet-lite0 (labels, no text side), or the folder or the hub "
        "id (owner/name@revision, pulled before) of a model of the CLIP, SigLIP or SigLIP 2 class",
    )
    text_model: str = Field(
        default=DEFAULT_TEXT_MODEL,
        min_length=1,
        description="model of texts: all-minilm-l6-v2, or the folder or the hub id of a sentence-embedding "
        "model (transformer, pooling, normalisation)",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="where models of folders and hubs run: auto takes a GPU that torch sees; fp16 there, "
        "fp32 on the CPU, and these are encoders of their own. efficientnet-lite0 (OpenVINO) and "
        "all-minilm-l6-v2 (onnxruntime) run on the CPU alone",
    )
    text_precision: Literal["fp32", "int8"] = Field(
        default="fp32",
        description="of all-minilm-l6-v2: fp32 is exact; int8 is faster and less exact, and an encoder of "
        "its own (its keys are not comparable with those of fp32)",
    )
