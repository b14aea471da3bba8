"""EfficientNet-Lite0 in torch, as its published weights want it; used for the export only.

Architecture: M. Tan and Q. V. Le, EfficientNet (ICML 2019), in the Lite form of the
TensorFlow TPU repository: no squeeze-and-excite, ReLU6, stem and head not scaled. The weights
were converted from TensorFlow, hence "same" padding on the right and bottom, and its
batch-norm epsilon.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_PX = 224
FEATURES = 1280
CLASSES = 1000
_BATCH_NORM_EPS = 1e-3  # TensorFlow's, not torch's 1e-5
_STEM_CHANNELS = 32


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel_px: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: the odd pixel goes right and below.

    The padding depends on the input size, which is fixed here (`INPUT_PX` and its
    halvings), so that the export sees constants.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel_px: int, stride: int, groups: int, side_px: int
    ) -> None:
        super().__init__(channels_in, channels_out, kernel_px, stride, groups=groups, bias=False)
        total = max((ceil(side_px / stride) - 1) * stride + kernel_px - side_px, 0)
        before, after = total // 2, total - total // 2
        self._pad = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, side, side) -> (N, C', ceil(side/stride), ceil(side/stride))."""
        return super().forward(functional.pad(x, self._pad))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_BATCH_NORM_EPS)


class Block(nn.Module):
    """Inverted residual: expand, filter per channel, project; attribute names are the weights' keys."""

    def __init__(self, channels_in: int, stage: _Stage, stride: int, side_px: int) -> None:
        super().__init__()
        wide = channels_in * stage.expansion
        self._expands = stage.expansion != 1
        if self._expands:
            self._expand_conv = SameConv(channels_in, wide, 1, 1, 1, side_px)
            self._bn0 = _norm(wide)
        self._depthwise_conv = SameConv(wide, wide, stage.kernel_px, stride, wide, side_px)
        self._bn1 = _norm(wide)
        self._project_conv = SameConv(wide, stage.channels, 1, 1, 1, ceil(side_px / stride))
        self._bn2 = _norm(stage.channels)
        self._residual = stride == 1 and channels_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, side, side) -> (N, C', side/stride, side/stride)."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        projected: Tensor = self._bn2(self._project_conv(y))
        return x + projected if self._residual else projected


class EfficientNetLite0(nn.Module):
    """Images to pooled features; ``_fc`` is the linear head over the 1000 ImageNet classes."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, _STEM_CHANNELS, 3, 2, 1, INPUT_PX)
        self._bn0 = _norm(_STEM_CHANNELS)
        side_px, channels = INPUT_PX // 2, _STEM_CHANNELS
        blocks: list[Block] = []
        for stage in _STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(Block(channels, stage, stride, side_px))
                side_px, channels = ceil(side_px / stride), stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels, FEATURES, 1, 1, 1, side_px)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) float32, RGB as (value - 127) / 128 -> (N, 1280) pooled features."""
        y = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            y = block(y)
        y = functional.relu6(self._bn1(self._conv_head(y)))
        return torch.mean(y, dim=(2, 3))

    @property
    def head(self) -> nn.Linear:
        """The linear layer from features to class scores."""
        return self._fc


def load_efficientnet_lite0(weights: Path) -> EfficientNetLite0:
    """The network with its published weights, in evaluation mode.

    Raises:
        RuntimeError: The file's keys or shapes are not those of this network.
    """
    network = EfficientNetLite0()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()
