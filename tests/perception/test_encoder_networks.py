"""The embedding networks themselves, on real words and real pictures."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from perception.encoder.image import IMAGE_DIMENSION, ImageEncoder, decode_jpeg, prepare
from perception.encoder.text import (
    MAX_TOKENS,
    TEXT_DIMENSION,
    TEXT_ENCODER_IDS,
    TextEncoder,
    length_batches,
)
from stream.errors import Malformed, ModelDamaged, SourceGone
from stream.models import demo_media, model_file

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def texts():
    return TextEncoder(
        model_file("all-minilm-l6-v2", "model.onnx"), model_file("all-minilm-l6-v2", "tokenizer.json")
    )


@pytest.fixture(scope="module")
def images():
    return ImageEncoder(model_file("efficientnet-lite0", "features.onnx"))


def photo(item, file):
    try:
        path = demo_media().file(item, file)
    except SourceGone as error:
        pytest.skip(f"{error.message}; {error.remedy}")
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_text_keys_are_unit_rows_in_order(texts):
    some = ["a cat", "", "the cup stands on the table " * 100, "ein Satz", "x"]
    keys = texts.encode(some)
    assert keys.shape == (5, TEXT_DIMENSION)
    assert keys.dtype == np.float32
    assert np.linalg.norm(keys, axis=1) == pytest.approx(1.0, abs=1e-5)
    for row, text in enumerate(some):
        assert np.allclose(keys[row], texts.encode([text])[0], atol=1e-5)
    assert texts.encode([]).shape == (0, TEXT_DIMENSION)


def test_meaning_is_near(texts):
    cat, kitten, stocks = texts.encode(
        ["a cat sleeps on the sofa", "a kitten is napping on the couch", "the stock market fell sharply"]
    )
    assert cat @ kitten > 0.6
    assert cat @ stocks < 0.2


def test_the_quantised_network_is_near_and_not_the_same(texts):
    """Which is why its keys have an encoder id of their own."""
    quick = TextEncoder(
        model_file("all-minilm-l6-v2", "model-int8.onnx"), model_file("all-minilm-l6-v2", "tokenizer.json")
    )
    some = ["a cat sleeps on the sofa", "the stock market fell sharply"]
    likeness = (quick.encode(some) * texts.encode(some)).sum(axis=1)
    assert (likeness > 0.9).all()
    assert (likeness < 0.9999).all()
    assert TEXT_ENCODER_IDS["int8"] != TEXT_ENCODER_IDS["fp32"]


def test_texts_are_cut_off_at_their_limit(texts):
    long = "word " * MAX_TOKENS
    assert np.allclose(texts.encode([long]), texts.encode([long + "and quite something else"]), atol=1e-6)


def test_batches_hold_each_row_once_and_keep_to_their_tokens():
    lengths = [5, 300, 7, 7, 120, 2]
    batches = list(length_batches(lengths, 256))
    assert sorted(row for batch in batches for row in batch) == list(range(6))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest <= 256
    assert list(length_batches([], 256)) == []


def test_image_keys_are_unit_rows_with_norms(images):
    pictures = [photo("coffee", "coffee.png"), photo("cat", "chelsea.png")]
    keys, norms = images.encode(pictures)
    assert keys.shape == (2, IMAGE_DIMENSION)
    assert np.linalg.norm(keys, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert (norms > 1).all()
    assert keys[0] @ keys[1] < 0.5


def test_a_picture_has_the_same_key_whatever_it_is_batched_with(images):
    """Bit by bit: otherwise the results of an archive would depend on timing."""
    cup, cat = photo("coffee", "coffee.png"), photo("cat", "chelsea.png")
    alone, _ = images.encode([cup])
    many, _ = images.encode([cat, cup, cat, cup, cat, cat, cat, cat, cat, cup])
    assert np.array_equal(alone[0], many[1])
    assert np.array_equal(alone[0], many[9])


def test_a_smaller_copy_has_nearly_the_same_key(images):
    cup = photo("coffee", "coffee.png")
    small = cv2.resize(cup, (384, 256), interpolation=cv2.INTER_AREA)
    keys, _ = images.encode([cup, small])
    assert keys[0] @ keys[1] > 0.97


def test_preparation_follows_the_recipe():
    grey = np.full((256, 400, 3), 127, np.uint8)
    grey[:, :16] = grey[:, -16:] = 255  # outside the crop
    grey[:16] = grey[-16:] = 255
    assert (prepare(grey) == 0).all()
    white = np.full((100, 100, 3), 255, np.uint8)
    assert prepare(white).shape == (3, 224, 224)
    assert prepare(white) == pytest.approx(1.0)
    red = np.zeros((300, 500, 3), np.uint8)
    red[..., 0] = 255
    assert prepare(red)[0].mean() == pytest.approx(1.0)
    assert prepare(red)[1].mean() == pytest.approx(-127 / 128)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(Malformed, match=r"\(H, W, 3\)"):
        prepare(bad)


def test_a_pixel_is_a_picture(images):
    keys, _ = images.encode([np.zeros((1, 1, 3), np.uint8)])
    assert np.isfinite(keys).all()


def test_jpegs_are_opened_as_rgb():
    blue = np.zeros((32, 32, 3), np.uint8)
    blue[..., 0] = 255  # OpenCV writes BGR
    _, body = cv2.imencode(".jpg", blue)
    assert decode_jpeg(body.tobytes())[16, 16, 2] > 200
    for broken in (b"", b"no picture"):
        with pytest.raises(Malformed, match="not a picture"):
            decode_jpeg(broken)


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelDamaged, match=r"model\.onnx"):
        ImageEncoder(tmp_path / "model.onnx")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelDamaged, match="not a tokenizer"):
        TextEncoder(tmp_path / "model.onnx", tmp_path / "tokenizer.json")


def test_openvino_sends_nothing_home(images):
    """Its telemetry package is installed with it; nothing of ours may load that."""
    images.encode([np.zeros((32, 32, 3), np.uint8)])
    assert "openvino" in sys.modules
    loaded = [name for name, module in sys.modules.items() if module is not None]
    assert not [name for name in loaded if name.startswith("openvino_telemetry")]
