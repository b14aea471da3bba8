"""Small films for the tests of live sources, as a recorder of a browser or a camera of the network sends."""

from __future__ import annotations

import numpy as np

from tests.stream.capture_clips import pan
from tools.live_media import SOUND_HZ, LiveServer, in_chunks

__all__ = ["LiveServer", "recorded"]


def recorded(seconds, *, width=96, height=64, rate=10, seed=0, form="webm") -> list[bytes]:
    """A picture in motion and a tone of 440 Hz, in chunks of 0.2 s."""
    n = int(seconds * rate)
    pictures = pan(min(n, 50), width, height, seed)
    t = np.arange(n * SOUND_HZ // rate) / SOUND_HZ
    tone = (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)
    return in_chunks([pictures[i % len(pictures)] for i in range(n)], tone, rate=rate, form=form)
