"""What is made of a frame's pixels before any network sees them.

Done once per frame, in a lane: the pixels, a thumbnail, how sharp it is, the proxy on
which readers of text see change, and the view that is sent to the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from perception.video.seen_text import luma_proxy, stroke_map
from stream.errors import Malformed
from stream.messages.envelope import Part
from stream.wire.parts import read_array

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from perception.video.settings import VideoSettings
    from stream.wire.codec import Decoded

ENCODER_EDGE_PX = 256
"""Shorter edge of the view sent to the encoder, where it is not set: its centre crop of 224 of 256 then
needs no further resizing, and a 720p frame shrinks to an eighth on the wire."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A frame's pixels (H, W, 3) uint8 RGB, and what is derived of them.

    `sharpness` is the variance of the Laplacian of the thumbnail's luma; `luma` is
    `seen_text.luma_proxy`, `strokes` is `seen_text.stroke_map`; `view` goes to the encoder;
    `picture` is kept for captions, where wanted.
    """

    pixels: npt.NDArray[np.uint8]
    thumbnail: npt.NDArray[np.uint8]
    sharpness: float
    luma: npt.NDArray[np.int16]
    strokes: npt.NDArray[np.float32]
    view: npt.NDArray[np.uint8]
    picture: npt.NDArray[np.uint8] | None = None


def prepare(
    part: Part, body: memoryview, thumbnail_px: int, view_px: int = ENCODER_EDGE_PX, picture_px: int = 0
) -> Prepared:
    """Everything that is needed of a frame.

    Args:
        part: Of the message.
        body: Its bytes.
        thumbnail_px: Width of the thumbnail.
        view_px: Shorter side of what goes to the encoder.
        picture_px: Longer side of the picture that is kept for a caption; 0 keeps none.

    Raises:
        Malformed: If the part is neither `jpeg` nor `rgb24` of shape (H, W, 3).
    """
    import cv2
    import numpy as np

    pixels = read_pixels(part, body)
    thumbnail = shrink(pixels, width_px=thumbnail_px)
    grey = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY)
    sharpness = round(float(np.var(cv2.Laplacian(grey, cv2.CV_64F))), 3)
    view = shrink(pixels, shorter_px=view_px)
    picture = shrink(pixels, longer_px=picture_px) if picture_px else None
    return Prepared(pixels, thumbnail, sharpness, luma_proxy(pixels), stroke_map(pixels), view, picture)


def prepared_of(decoded: Decoded, settings: VideoSettings) -> Prepared:
    """What is prepared of a `media.frame`; raises Malformed if it has no frame."""
    for part, body in zip(decoded.envelope.parts, decoded.parts, strict=True):
        if part.name == "frame":
            px = settings.captions.picture_px if settings.captions.is_on else 0
            return prepare(part, body, settings.thumbnail_px, settings.view_px, px)
    raise Malformed(f"media.frame from {decoded.envelope.sender} has no part 'frame'")


def read_pixels(part: Part, body: memoryview) -> npt.NDArray[np.uint8]:
    """The pixels of a part, (H, W, 3) uint8 RGB; raises Malformed if it holds none."""
    import cv2
    import numpy as np

    if part.encoding == "jpeg":
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR_RGB) if len(body) else None
        if picture is None:
            raise Malformed(f"part {part.name!r}: {len(body)} bytes are not a JPEG")
        return np.asarray(picture, np.uint8)
    if part.encoding != "rgb24" or len(part.shape) != 3 or part.shape[2] != 3 or 0 in part.shape:
        raise Malformed(f"part {part.name!r} is {part.encoding} {part.shape}, not rgb24 (H, W, 3) or jpeg")
    return cast("npt.NDArray[np.uint8]", read_array(part, body))


def shrink(
    pixels: npt.NDArray[np.uint8], *, width_px: int = 0, shorter_px: int = 0, longer_px: int = 0
) -> npt.NDArray[np.uint8]:
    """The picture scaled down, by area, to a width, a shorter or a longer edge; never enlarged."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    scale = width_px / width if width_px else shorter_px / min(height, width)
    if longer_px:
        scale = longer_px / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def to_jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    """A picture (H, W, 3) RGB as JPEG.

    Raises:
        Malformed: If the encoder refuses it.
    """
    import cv2
    import numpy as np

    fine, body = cv2.imencode(
        ".jpg", np.ascontiguousarray(pixels[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not fine:
        raise Malformed(f"a picture of shape {pixels.shape} cannot be written as JPEG")
    return body.tobytes()


def to_webp(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    """A picture (H, W, 3) RGB as WebP: at 60 some 42 % of the bytes of JPEG at 80, and 8 ms at 320 pixels.

    Raises:
        Malformed: If the encoder refuses it.
    """
    import cv2
    import numpy as np

    fine, body = cv2.imencode(
        ".webp", np.ascontiguousarray(pixels[:, :, ::-1]), [cv2.IMWRITE_WEBP_QUALITY, quality]
    )
    if not fine:
        raise Malformed(f"a picture of shape {pixels.shape} cannot be written as WebP")
    return body.tobytes()
