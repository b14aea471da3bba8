"""The film itself: it decodes, and what the recipe promises can be seen, read and heard in it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.capture import demo_film
from stream.capture.demo_film import assemble_film, film_path
from stream.capture.demo_recipe import (
    DURATION_S,
    FRAMES_HZ,
    HEIGHT_PX,
    PASSAGES,
    SEGMENTS,
    WIDTH_PX,
    Clip,
    Segment,
)
from stream.errors import SourceCorrupt, SourceGone
from stream.models import Collection, demo_media, model_file
from stream.models.pull import pull

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def media() -> Collection:
    pull(demo_media())
    return demo_media()


@pytest.fixture(scope="module")
def film(media: Collection) -> Path:
    """The film in the cache, where the demo finds it too."""
    return assemble_film(media)


@pytest.fixture(scope="module")
def middles(film: Path) -> dict[str, NDArray[np.uint8]]:
    """One decoded picture from each segment: (720, 1280, 3) RGB. Counts and times are checked on the way."""
    wanted = {(one.t0_s + one.t1_s) * FRAMES_HZ // 2: one.name for one in SEGMENTS}
    found = {}
    with av.open(str(film)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            assert frame.time == pytest.approx(index / FRAMES_HZ)
            if index in wanted:
                found[wanted[index]] = frame.to_ndarray(format="rgb24")
    assert index == DURATION_S * FRAMES_HZ - 1
    return found


def test_container_says_when_it_was_recorded_and_how_long_it_is(film: Path) -> None:
    with av.open(str(film)) as container:
        assert container.metadata["creation_time"] == "2026-01-01T09:00:00.000000Z"
        assert container.start_time == 0
        assert container.duration == DURATION_S * 1_000_000
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (WIDTH_PX, HEIGHT_PX)
        assert (audio.codec_context.name, audio.codec_context.layout.name) == ("aac", "mono")
        samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / audio.rate == pytest.approx(DURATION_S, abs=0.05)


def test_every_segment_shows_a_picture_of_its_own(middles: dict[str, NDArray[np.uint8]]) -> None:
    assert list(middles) == [one.name for one in SEGMENTS]
    pictures = list(middles.values())
    for before, after in itertools.pairwise(pictures):
        assert np.abs(before.astype(int) - after.astype(int)).mean() > 10


@pytest.mark.parametrize(
    ("name", "label"), [("coffee", "espresso"), ("cat", "Egyptian cat"), ("camera", "tripod")]
)
def test_what_the_questions_ask_for_can_be_recognised(
    middles: dict[str, NDArray[np.uint8]], name: str, label: str
) -> None:
    import onnxruntime
    from PIL import Image

    side = HEIGHT_PX * 224 // 256
    left, top = (WIDTH_PX - side) // 2, (HEIGHT_PX - side) // 2
    square = Image.fromarray(middles[name]).crop((left, top, left + side, top + side))
    small = np.asarray(square.resize((224, 224), Image.Resampling.BOX), np.float32)
    session = onnxruntime.InferenceSession(str(model_file("efficientnet-lite0", "features.onnx")))
    features = session.run(None, {"pixels": ((small - 127) / 128).transpose(2, 0, 1)[None]})[0]
    head = np.load(model_file("efficientnet-lite0", "head.npz"))
    scores = (features @ head["weight"].T + head["bias"])[0]
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    labels = model_file("efficientnet-lite0", "labels.txt").read_text(encoding="utf-8").splitlines()
    assert shares[labels.index(label)] > 0.25


def plain(text: str) -> str:
    return re.sub(r"[^a-z0-9 ]", "", text.lower())


def test_what_is_written_can_be_read(middles: dict[str, NDArray[np.uint8]]) -> None:
    from rapidocr import RapidOCR

    reader = RapidOCR()
    for segment in SEGMENTS:
        if segment.written:
            read = reader(middles[segment.name][:, :, ::-1]).txts or ()
            assert {plain(line) for line in segment.written} <= {plain(line) for line in read}


def test_what_is_said_can_be_heard(film: Path) -> None:
    from faster_whisper import WhisperModel

    folder = model_file("whisper-tiny.en", "model.bin").parent
    whisper = WhisperModel(str(folder), compute_type="int8", cpu_threads=1, local_files_only=True)
    heard = list(whisper.transcribe(str(film), vad_filter=True)[0])
    for passage in PASSAGES:
        there = {
            word
            for one in heard
            if one.start < passage.until_s + 1 and one.end > passage.at_s - 1
            for word in plain(one.text).split()
        }
        words = set(plain(passage.words).split())
        assert len(words & there) >= 0.85 * len(words)
    # Nothing is heard where nobody speaks: title, cat to rabbit, end of the thanks.
    assert not [one for one in heard if 25 < one.start < 49 or one.start > PASSAGES[-1].until_s + 1]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[[Segment], None]:
    """Replace the recipe by two seconds: a card's and a given segment's."""

    def make(segment: Segment) -> None:
        segments = (replace(SEGMENTS[0], t0_s=0, t1_s=1), replace(segment, t0_s=1, t1_s=2))
        monkeypatch.setattr(demo_film, "SEGMENTS", segments)
        monkeypatch.setattr(demo_film, "DURATION_S", 2)
        monkeypatch.setattr(demo_film, "PASSAGES", (replace(PASSAGES[0], to_s=2.0, at_s=0.0),))

    return make


def test_same_recipe_gives_the_same_bytes(
    media: Collection, tmp_path: Path, short: Callable[[Segment], None]
) -> None:
    short(next(one for one in SEGMENTS if one.name == "rabbit"))
    one, two = (assemble_film(media, tmp_path / name) for name in ("one", "two"))
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_film_is_made_once_and_leaves_no_part(
    media: Collection, tmp_path: Path, short: Callable[[Segment], None]
) -> None:
    short(SEGMENTS[1])
    frames: list[int] = []
    path = assemble_film(media, tmp_path, lambda done, total: frames.append(done))
    assert frames == list(range(1, 51))
    again = assemble_film(media, tmp_path, lambda done, total: frames.append(done))
    assert again == path
    assert len(frames) == 50
    assert list(tmp_path.iterdir()) == [path]


def test_another_recipe_is_another_file(
    media: Collection, tmp_path: Path, short: Callable[[Segment], None]
) -> None:
    before = film_path(media, tmp_path)
    short(SEGMENTS[1])
    assert film_path(media, tmp_path) != before


def test_missing_media_are_named(media: Collection, tmp_path: Path) -> None:
    bare = Collection(media.lock, tmp_path / "media")
    with pytest.raises(SourceGone, match="two_cities") as caught:
        assemble_film(bare, tmp_path / "film")
    assert caught.value.remedy == "run: omnirecall demo"
    assert list((tmp_path / "film").iterdir()) == []


def test_clip_that_is_too_short_is_an_error(
    media: Collection, tmp_path: Path, short: Callable[[Segment], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rabbit = next(one for one in SEGMENTS if isinstance(one.picture, Clip) and one.name == "rabbit")
    short(rabbit)
    longer = (replace(rabbit, t0_s=0, t1_s=6),)
    monkeypatch.setattr(demo_film, "SEGMENTS", longer)
    monkeypatch.setattr(demo_film, "DURATION_S", 6)
    with pytest.raises(SourceCorrupt, match=r"ends after 5\.\d+ s"):
        assemble_film(media, tmp_path)
