"""The newest picture of a live source, for whoever looks at the page: with its masks, as JPEG."""

from __future__ import annotations

from collections.abc import Callable

from stream.capture.picture import Pixels
from stream.capture.track import Origin
from stream.messages.media import FrameAsk, FrameTold
from stream.process.service import Received
from stream.wire.parts import blob_part

PICTURE_QUALITY = 80
"""Of JPEG."""
NONE_YET = "no picture of it has come yet"


def answer_frame(
    newest: Callable[[], tuple[tuple[int, Pixels] | None, str]],
    origin: Callable[[], Origin | None],
    received: Received,
) -> None:
    """Replies with the newest picture, or with why there is none.

    Args:
        newest: Its position and pixels (H, W, 3) uint8 RGB, or None and the reason.
        origin: The source, once it is known.
        received: The question.
    """
    ask: FrameAsk = received.message
    known, (picture, why) = origin(), newest()
    if known is None or picture is None:
        session = known.session if known is not None else 0
        received.reply(FrameTold(source_id=ask.source_id, session=session, reason=why or NONE_YET))
        return
    pts_ns, pixels = picture
    height_px, width_px, jpeg = as_jpeg(pixels, ask.max_side_px)
    told = FrameTold(
        source_id=known.source_id,
        session=known.session,
        pts_ns=pts_ns,
        t_ns=known.t_ns(pts_ns),
        width_px=width_px,
        height_px=height_px,
    )
    received.reply(told, (blob_part("jpeg", jpeg, "jpeg"),))


def as_jpeg(picture: Pixels, max_side_px: int) -> tuple[int, int, bytes]:
    """A picture (H, W, 3) uint8 RGB as JPEG of at most a longer side: height, width, bytes."""
    import cv2

    height_px, width_px = picture.shape[:2]
    scale = min(1.0, max(16, max_side_px) / max(height_px, width_px))
    size = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    small = picture if scale == 1.0 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY]
    _, body = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), quality)
    return size[1], size[0], body.tobytes()
