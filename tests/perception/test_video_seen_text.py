"""Reading text: when, in what order, what is believed, and the real networks on drawn text."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception.cpu_network import CpuNetwork
from perception.video.seen_text import (
    ChangeGate,
    Reading,
    ShotReader,
    TextLine,
    TextRules,
    is_believed,
    is_same_text,
    largest,
    luma_proxy,
    merge_readings,
    reading_order,
    stroke_map,
)
from perception.video.text_networks import LazyText, PaddleText
from stream.errors import ModelDamaged, ModelFailed, SourceGone
from stream.models import demo_media, model_file

S = 1_000_000_000
RULES = TextRules()


def picture(*lines, size=(360, 640), paper=40):
    """A picture with text drawn at (x, y)."""
    image = np.full((*size, 3), paper, np.uint8)
    for text, x, y in lines:
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    return image


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


class DrawnText:
    """Stands in for the networks: boxes and words come from a table by the picture's first pixel.

    Beside it `test_the_networks_read_what_is_written` runs the real ones.
    """

    producer_id = "drawn/1"

    def __init__(self, pages):
        self.pages = pages
        self.recognised = 0
        self.failing = set()

    def detect(self, image):
        page = int(image[0, 0, 0])
        if page in self.failing:
            raise ModelFailed("on purpose")
        return np.array([box(*where) for _, where in self.pages[page]], np.float32).reshape(-1, 4, 2)

    def crop(self, image, corners):
        (left, top), (right, bottom) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
        return image[top:bottom, left:right]

    def recognise(self, crops):
        self.recognised += len(crops)
        return [(f"word {int(crop[0, 0, 1])}", 0.9) for crop in crops]


def page(number, *words):
    """A picture of page `number`; each word paints its own box with its number."""
    image = np.zeros((100, 200, 3), np.uint8)
    for value, (left, top, right, bottom) in words:
        image[top:bottom, left:right] = value
    image[0, 0, 0] = number
    return image


LEFT, RIGHT = (10, 10, 60, 30), (100, 10, 160, 30)


def test_only_new_lines_are_recognised():
    first = page(1, (50, LEFT), (100, RIGHT))
    second = page(2, (50, LEFT), (200, RIGHT))
    networks = DrawnText({1: [("", LEFT), ("", RIGHT)], 2: [("", LEFT), ("", RIGHT)]})
    reader = ShotReader(networks, RULES)
    assert reader.read(0, 0, first).text == "word 50\nword 100"
    assert networks.recognised == 2
    assert reader.read(1, S, first).text == "word 50\nword 100"
    assert networks.recognised == 2
    assert reader.read(2, 2 * S, second).text == "word 50\nword 200"
    assert networks.recognised == 3


def test_a_failed_picture_leaves_the_next_readable():
    networks = DrawnText({1: [("", LEFT)], 2: [("", LEFT)]})
    networks.failing = {2}
    reader = ShotReader(networks, RULES)
    assert reader.read(0, 0, page(1, (50, LEFT))).text == "word 50"
    with pytest.raises(ModelFailed):
        reader.read(1, S, page(2, (50, LEFT)))
    assert reader.read(2, 2 * S, page(1, (50, LEFT))).text == "word 50"
    assert networks.recognised == 1


def test_two_threads_read_one_shot_in_order():
    """Detection of a later picture may end first; its lines still wait for the picture before."""
    release = threading.Event()

    class SlowFirst(DrawnText):
        def detect(self, image):
            if int(image[0, 0, 0]) == 1:
                release.wait(10)
            else:
                release.set()
            return super().detect(image)

    networks = SlowFirst({1: [("", LEFT)], 2: [("", LEFT)]})
    reader = ShotReader(networks, RULES)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(reader.read, 0, 0, page(1, (50, LEFT)))
        second = pool.submit(reader.read, 1, S, page(2, (50, LEFT)))
        assert first.result(20).text == second.result(20).text == "word 50"
    assert networks.recognised == 1


def test_the_largest_lines_are_read_when_there_are_too_many():
    corners = np.array([box(0, 0, 10, 10), box(0, 20, 100, 40), box(0, 50, 50, 60)], np.float32)
    assert largest(corners, 2).tolist() == corners[1:].tolist()
    networks = DrawnText({1: [("", LEFT), ("", RIGHT)]})
    reading = ShotReader(networks, TextRules(most_lines=1)).read(0, 0, page(1, (50, LEFT), (100, RIGHT)))
    assert reading.text == "word 100"
    assert reading.left_out == 1


def looks(shown):
    return luma_proxy(shown), stroke_map(shown)


def test_the_gate_wants_the_first_picture_then_only_changed_ones():
    gate = ChangeGate(RULES)
    blank, titled = looks(picture()), looks(picture(("A TITLE", 60, 300)))
    assert gate.wants(0, *blank)
    assert not gate.wants(5 * S, *blank)
    assert gate.wants(6 * S, *titled)
    assert not gate.wants(6 * S + S // 2, *blank)  # too soon after
    assert not gate.wants(7 * S, *blank)  # letters have gone, none have come
    assert gate.wants(10 * S, *blank)  # after so long any change will do


def test_new_letters_are_wanted_soon_and_what_merely_moves_is_not():
    """A bright patch that wanders changes as many pixels of the proxy as letters do."""
    gate, plain = ChangeGate(RULES), picture()
    moved = plain.copy()
    moved[150:250, 300:420] = 255
    assert gate.wants(0, *looks(plain))
    assert not gate.wants(2 * S, *looks(moved))
    assert gate.wants(3 * S, *looks(picture(("NEW LETTERS", 60, 300))))


def test_without_the_stroke_gate_every_change_is_wanted():
    gate = ChangeGate(TextRules(strokes_share=0.0))
    moved = picture()
    moved[150:250, 300:420] = 255
    assert gate.wants(0, *looks(picture()))
    assert gate.wants(2 * S, *looks(moved))


def test_noise_is_no_change():
    noise = np.random.default_rng(1).integers(-6, 7, (360, 640, 3))
    gate = ChangeGate(RULES)
    assert gate.wants(0, *looks(picture()))
    assert not gate.wants(9 * S, *looks((picture().astype(int) + noise).astype(np.uint8)))


def test_rows_are_read_from_the_top_and_from_the_left():
    corners = np.array(
        [box(300, 12, 400, 32), box(10, 100, 90, 120), box(10, 10, 90, 30), box(150, 98, 200, 122)],
        np.float32,
    )
    assert reading_order(corners) == [2, 0, 1, 3]
    assert reading_order(np.empty((0, 4, 2), np.float32)) == []


def test_short_lines_need_more_confidence():
    assert is_believed("Reset", 0.85, RULES)
    assert not is_believed("Reset", 0.75, RULES)
    assert not is_believed("8", 0.9, RULES)
    assert is_believed("8", 0.99, RULES)
    assert not is_believed("--", 1.0, RULES)


def test_small_mistakes_are_the_same_text_and_digits_are_not():
    assert is_same_text("allrecipes.com", "allrecipescom")
    assert is_same_text("Hello World", "hello  world")
    assert not is_same_text("Step 1 of 5", "Step 2 of 5")
    assert not is_same_text("Reset", "Restore")
    assert not is_same_text("", "Reset")


def reading(at_s, text, confidence=0.9):
    lines = tuple(TextLine(line, confidence, ()) for line in text.split("\n") if line)
    return Reading(at_s * S, lines)


def test_readings_are_merged_to_stretches_of_one_text():
    readings = [
        reading(1, "Retry the USB port", 0.9),
        reading(2, "Retry the USB p0rt".replace("0", "o"), 0.99),
        reading(3, ""),
        reading(5, "The end"),
    ]
    merged = merge_readings(readings, 8 * S)
    assert [(best.text, first // S, end // S) for best, first, end in merged] == [
        ("Retry the USB port", 1, 3),
        ("The end", 5, 8),
    ]
    assert merged[0][0].pts_ns == 2 * S  # the surer of the two
    assert merge_readings([], S) == []


def test_networks_are_opened_once_when_first_used():
    opened = []

    def open_networks():
        opened.append(1)
        return DrawnText({1: []})

    lazy = LazyText(open_networks)
    assert opened == []
    for _ in range(2):
        assert len(lazy.detect(page(1))) == 0
    assert opened == [1]


@pytest.fixture(scope="module")
def networks():
    return PaddleText(
        model_file("pp-ocrv6", "PP-OCRv6_det_small.onnx"), model_file("pp-ocrv6", "PP-OCRv6_rec_small.onnx")
    )


@pytest.mark.model
def test_the_networks_read_what_is_written(networks):
    image = picture(("PLATFORM 9", 60, 120), ("Trains to London", 60, 220))
    found = ShotReader(networks, RULES).read(0, 7 * S, image)
    assert found.text == "PLATFORM 9\nTrains to London"
    assert found.confidence > 0.9
    assert found.producer_id == "pp-ocrv6-small@090f04ab/3+640px+f32"
    (left, top), _, (right, bottom), _ = found.lines[0].box
    assert 0.05 < left < 0.15
    assert 0.2 < top < bottom < 0.4
    assert right < 0.5


@pytest.mark.model
def test_the_producer_tells_size_and_arithmetic_as_they_are():
    paths = [model_file("pp-ocrv6", f"PP-OCRv6_{part}_small.onnx") for part in ("det", "rec")]
    own = PaddleText(*paths, 320, precision="native")
    flags = Path("/proc/cpuinfo").read_text()
    done = "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "f32"
    assert own.producer_id == f"pp-ocrv6-small@090f04ab/3+320px+{done}"
    assert LazyText(lambda: own).producer_id == own.producer_id


@pytest.mark.model
def test_the_networks_see_no_text_where_there_is_none(networks):
    assert ShotReader(networks, RULES).read(0, 0, picture()).lines == ()
    assert len(networks.detect(np.zeros((1, 1, 3), np.uint8))) == 0
    assert networks.recognise([]) == []


def media(item, file):
    """A real picture, (H, W, 3) uint8 RGB."""
    try:
        return cv2.cvtColor(cv2.imread(str(demo_media().file(item, file))), cv2.COLOR_BGR2RGB)
    except SourceGone as error:
        pytest.skip(f"{error.message}; {error.remedy}")


@pytest.mark.model
def test_two_callers_at_once_read_what_one_alone_reads(networks):
    """To the bit: the ids of what was read must not depend on who else was reading."""
    paths = [model_file("pp-ocrv6", f"PP-OCRv6_{part}_small.onnx") for part in ("det", "rec")]
    shared = PaddleText(*paths, callers=2)
    page = media("page", "page.png")
    shown = [page, cv2.resize(page, None, fx=0.7, fy=0.7), picture(("PLATFORM 9", 60, 120), size=(200, 300))]

    def read(own, image):
        corners = own.detect(image)
        return corners.tobytes(), own.recognise([own.crop(image, each) for each in corners])

    alone = [read(networks, image) for image in shown]
    assert all(lines for _, lines in alone)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lambda: [read(shared, image) for image in shown]) for _ in range(2)]
        assert [each.result() for each in both] == [alone, alone]


@pytest.mark.model
def test_a_network_has_a_stream_for_each_caller():
    path = model_file("pp-ocrv6", "PP-OCRv6_rec_small.onnx")
    for threads, callers in ((1, 1), (1, 2)):
        compiled = CpuNetwork(path, threads, callers=callers)._compiled
        assert compiled.get_property("NUM_STREAMS") == callers
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads * callers


@pytest.mark.model
def test_a_real_page_and_real_photos(networks):
    read = ShotReader(networks, RULES).read(0, 0, media("page", "page.png")).text
    assert "Region-based segmentation" in read
    assert "histogram of grey values" in read
    for item, file in (("coffee", "coffee.png"), ("cat", "chelsea.png"), ("china", "china.jpg")):
        assert ShotReader(networks, RULES).read(0, 0, media(item, file)).lines == ()


def test_a_damaged_network_is_named(tmp_path):
    for name in ("det.onnx", "rec.onnx"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelDamaged, match="cannot be opened"):
        PaddleText(tmp_path / "det.onnx", tmp_path / "rec.onnx")
