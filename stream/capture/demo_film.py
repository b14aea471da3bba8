"""Assemble the demo film from locked media after `stream.capture.demo_recipe`.

The same media and the same version of PyAV give the same bytes: one encoder thread, no
version strings, a fixed creation time. The film is cached by a hash of all that goes into it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import platformdirs

from stream.capture.demo_recipe import (
    DURATION_S,
    FRAMES_HZ,
    HEIGHT_PX,
    PASSAGES,
    RECORDED_AT,
    SEGMENTS,
    SOUND_HZ,
    VOICE,
    VOICE_GAIN,
    WIDTH_PX,
    Card,
    Clip,
    Photo,
)
from stream.errors import SourceCorrupt

if TYPE_CHECKING:
    import av
    import numpy as np
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream
    from numpy.typing import NDArray
    from PIL.Image import Image

    from stream.models import Collection

Report = Callable[[int, int], None]
"""Told how many frames of how many are done."""

_ASSEMBLER = "1"  # a change of how the film is made must change this
_SAMPLES_PER_FRAME = SOUND_HZ // FRAMES_HZ
_FADE_S = 0.02  # a cut in room noise would click
_TITLE_PX = 72
_LINE_PX = 36
_LEADING = 1.8


def film_path(media: Collection, folder: Path | None = None) -> Path:
    """Where the film lies, or will: its name holds a hash of recipe, media and assembler."""
    import av

    digest = hashlib.sha256()
    digest.update(f"{_ASSEMBLER} {av.__version__} {_video_codec()} {RECORDED_AT}".encode())
    digest.update(f"{WIDTH_PX}x{HEIGHT_PX} {FRAMES_HZ} {SOUND_HZ} {VOICE_GAIN}".encode())
    digest.update(repr((SEGMENTS, PASSAGES)).encode())
    for item in media.lock.items:
        digest.update("".join(locked.sha256 for locked in item.files).encode())
    folder = folder or platformdirs.user_cache_path("omnirecall") / "demo"
    return folder / f"omnirecall-demo-{digest.hexdigest()[:12]}.mp4"


def assemble_film(media: Collection, folder: Path | None = None, report: Report | None = None) -> Path:
    """Make the film unless it is there already.

    Args:
        media: The locked media, pulled.
        folder: Where to put it; the platform's cache folder by default.
        report: Told about progress, frame by frame.

    Returns:
        The film: MP4, H.264 (MPEG-4 part 2 where the library has no x264), AAC mono.

    Raises:
        SourceGone: A medium was not pulled.
        SourceCorrupt: A medium is damaged or shorter than the recipe says.
    """
    path = film_path(media, folder)
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        _write(media, temporary, report or (lambda done, total: None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _write(media: Collection, path: Path, report: Report) -> None:
    import av

    sound = _sound(media)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as out:
        out.metadata["creation_time"] = RECORDED_AT
        video, audio = _add_video(out), _add_audio(out)
        total = DURATION_S * FRAMES_HZ
        for index, picture in enumerate(_pictures(media)):
            picture.pts = index
            picture.time_base = Fraction(1, FRAMES_HZ)
            out.mux(video.encode(picture))
            # Sound follows picture frame by frame: the file stays interleaved, and memory bounded.
            start = index * _SAMPLES_PER_FRAME
            out.mux(audio.encode(_samples(sound[start : start + _SAMPLES_PER_FRAME], start)))
            report(index + 1, total)
        out.mux(video.encode(None))
        out.mux(audio.encode(None))


def _video_codec() -> str:
    import av

    return "libx264" if "libx264" in av.codecs_available else "mpeg4"


def _add_video(out: av.container.OutputContainer) -> VideoStream:
    quality = {"preset": "veryfast", "crf": "20"} if _video_codec() == "libx264" else {"qscale": "3"}
    # One thread: the bytes must not depend on the number of cores. A key picture every 2 s.
    options = quality | {"threads": "1", "g": str(2 * FRAMES_HZ), "flags": "+bitexact"}
    stream = cast("VideoStream", out.add_stream(_video_codec(), rate=FRAMES_HZ, options=options))
    stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
    return stream


def _add_audio(out: av.container.OutputContainer) -> AudioStream:
    options = {"b": "96k", "flags": "+bitexact"}
    return out.add_stream("aac", rate=SOUND_HZ, options=options, layout="mono")


# Picture ---------------------------------------------------------------------------------


def _pictures(media: Collection) -> Iterator[av.VideoFrame]:
    """The film's frames in order, as yuv420p; the caller sets their times."""
    for segment in SEGMENTS:
        wanted = (segment.t1_s - segment.t0_s) * FRAMES_HZ
        match segment.picture:
            case Clip(item, file):
                yield from _moving(media.file(item, file), wanted)
            case Photo(item, file):
                yield from _still(_letter_box(_open_photo(media.file(item, file))), wanted)
            case Card(lines):
                yield from _still(draw_card(lines), wanted)


def _still(picture: Image, count: int) -> Iterator[av.VideoFrame]:
    frame = _to_frame(picture)
    for _ in range(count):
        yield frame


def _moving(path: Path, count: int) -> Iterator[av.VideoFrame]:
    """The clip at the film's rate: for each instant the last picture that had begun by then."""
    import av
    from PIL import Image as pillow

    made = 0
    with av.open(str(path)) as source:
        shown: av.VideoFrame | None = None
        for frame in source.decode(video=0):
            begin_s = frame.time or 0.0
            while shown is not None and made < count and made / FRAMES_HZ < begin_s - 1e-6:
                yield shown
                made += 1
            if made >= count:
                return
            shown = _to_frame(_letter_box(pillow.fromarray(frame.to_ndarray(format="rgb24"))))
        # The last picture lasts for one period of its own.
        if shown is not None and made == count - 1:
            yield shown
            made += 1
    if made < count:
        raise SourceCorrupt(
            f"{path} ends after {made / FRAMES_HZ:.2f} s, before the {count / FRAMES_HZ:.2f} s of the recipe",
            remedy="delete it and run: omnirecall demo",
        )


def _open_photo(path: Path) -> Image:
    from PIL import Image as pillow

    try:
        with pillow.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise SourceCorrupt(
            f"{path} is no readable picture: {error}", remedy="delete it and run: omnirecall demo"
        ) from error


def _letter_box(picture: Image) -> Image:
    """The whole picture as large as it fits, on black."""
    from PIL import Image as pillow

    scale = min(WIDTH_PX / picture.width, HEIGHT_PX / picture.height)
    size = (round(picture.width * scale), round(picture.height * scale))
    box = pillow.new("RGB", (WIDTH_PX, HEIGHT_PX))
    scaled = picture if size == picture.size else picture.resize(size, pillow.Resampling.BICUBIC)
    box.paste(scaled, ((WIDTH_PX - size[0]) // 2, (HEIGHT_PX - size[1]) // 2))
    return box


def draw_card(lines: tuple[str, ...]) -> Image:
    """White lines of text, centred on black, in the font that Pillow carries; the first is larger."""
    from PIL import Image as pillow
    from PIL import ImageDraw, ImageFont

    card = pillow.new("RGB", (WIDTH_PX, HEIGHT_PX))
    draw = ImageDraw.Draw(card)
    sizes = [_TITLE_PX if index == 0 else _LINE_PX for index in range(len(lines))]
    top = (HEIGHT_PX - sum(size * _LEADING for size in sizes)) / 2
    for line, size in zip(lines, sizes, strict=True):
        middle = (WIDTH_PX / 2, top + size * _LEADING / 2)
        draw.text(middle, line, fill="white", font=ImageFont.load_default(size), anchor="mm")
        top += size * _LEADING
    return card


def _to_frame(picture: Image) -> av.VideoFrame:
    import av
    import numpy as np

    return av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(format="yuv420p")


# Sound -----------------------------------------------------------------------------------


def _sound(media: Collection) -> NDArray[np.float32]:
    """The film's whole sound: (samples,) float32 mono in [-1, 1] at `SOUND_HZ`; 16 MB."""
    import numpy as np

    mix = np.zeros(DURATION_S * SOUND_HZ, np.float32)
    voice = _decode_sound(media.file(*VOICE)) * np.float32(VOICE_GAIN)
    for passage in PASSAGES:
        begin, end = (round(s * SOUND_HZ) for s in (passage.from_s, passage.to_s))
        _lay(mix, voice[begin:end], passage.at_s)
    for segment in SEGMENTS:
        if isinstance(segment.picture, Clip):
            own = _decode_sound(media.file(segment.picture.item, segment.picture.file))
            _lay(mix, own[: (segment.t1_s - segment.t0_s) * SOUND_HZ], segment.t0_s)
    return np.clip(mix, -1, 1)


def _lay(mix: NDArray[np.float32], sound: NDArray[np.float32], at_s: float) -> None:
    """Add a sound to the mix, its ends faded."""
    import numpy as np

    if not len(sound):
        return
    ramp = np.linspace(0, 1, round(_FADE_S * SOUND_HZ), dtype=np.float32)
    sound = sound.copy()
    sound[: len(ramp)] *= ramp
    sound[-len(ramp) :] *= ramp[::-1]
    begin = round(at_s * SOUND_HZ)
    mix[begin : begin + len(sound)] += sound


def _decode_sound(path: Path) -> NDArray[np.float32]:
    """A medium's sound: (samples,) float32 mono at `SOUND_HZ`; empty where it has none."""
    import av
    import numpy as np

    to_mono = av.AudioResampler(format="flt", layout="mono", rate=SOUND_HZ)
    pieces: list[NDArray[np.float32]] = []
    with av.open(str(path)) as source:
        if source.streams.audio:
            for frame in source.decode(audio=0):
                pieces += [made.to_ndarray()[0] for made in to_mono.resample(frame)]
            pieces += [made.to_ndarray()[0] for made in to_mono.resample(None)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def _samples(sound: NDArray[np.float32], first: int) -> av.AudioFrame:
    import av

    frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
    frame.sample_rate = SOUND_HZ
    frame.pts = first
    frame.time_base = Fraction(1, SOUND_HZ)
    return frame
