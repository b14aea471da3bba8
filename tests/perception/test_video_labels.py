"""The label head: on real photos with the real networks, and on damaged files."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from perception.encoder.image import ImageEncoder
from perception.video.labels import LabelHead, ZeroShotHead, caption, label_names, prompts
from stream.errors import ModelDamaged, SourceGone
from stream.models import demo_media, model_file


def photo(item, file):
    try:
        path = demo_media().file(item, file)
    except SourceGone as error:
        pytest.skip(f"{error.message}; {error.remedy}")
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module")
def head():
    return LabelHead(
        model_file("efficientnet-lite0", "head.npz"), model_file("efficientnet-lite0", "labels.txt")
    )


@pytest.fixture(scope="module")
def encoder():
    return ImageEncoder(model_file("efficientnet-lite0", "features.onnx"))


@pytest.mark.model
@pytest.mark.parametrize(
    ("item", "file", "expected"),
    [
        ("coffee", "coffee.png", {"espresso", "cup"}),
        ("cat", "chelsea.png", {"Egyptian cat", "tabby", "tiger cat"}),
        ("rocket", "rocket.jpg", {"missile", "projectile"}),
        ("china", "china.jpg", {"palace", "bell cote", "monastery"}),
        ("flower", "flower.jpg", {"daisy"}),
    ],
)
def test_photos_get_their_names(head, encoder, item, file, expected):
    keys, norms = encoder.encode([photo(item, file)])
    (labels,) = head.top(keys, norms)
    assert len(labels) == 5
    assert expected & {name for name, _ in labels[:2]}
    shares = [share for _, share in labels]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1


@pytest.mark.model
def test_the_norm_matters(head, encoder):
    """Unit keys alone would flatten the probabilities: the head was trained on features."""
    keys, norms = encoder.encode([photo("coffee", "coffee.png")])
    ((_, sure), *_) = head.top(keys, norms)[0]
    ((_, flat), *_) = head.top(keys, np.ones_like(norms))[0]
    assert sure > 2 * flat


def test_caption_lists_the_names():
    assert caption([("cup", 0.5), ("espresso", 0.4)]) == "a photo of cup, espresso"
    assert caption([]) == ""


def write(folder, weight, bias, names):
    np.savez(folder / "head.npz", weight=weight.astype(np.float32), bias=bias.astype(np.float32))
    (folder / "labels.txt").write_text("\n".join(names) + "\n")
    return folder / "head.npz", folder / "labels.txt"


def test_top_orders_by_probability_and_equals_by_name_order(tmp_path):
    paths = write(tmp_path, np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.zeros(3), ["a", "b", "c"])
    (labels,) = LabelHead(*paths).top(np.array([[1.0, 0.0]], np.float32), np.array([2.0], np.float32), 3)
    assert [name for name, _ in labels] == ["a", "c", "b"]
    assert labels[0][1] == labels[1][1]


def test_files_that_do_not_fit_are_named(tmp_path):
    paths = write(tmp_path, np.zeros((3, 2)), np.zeros(3), ["a", "b"])
    with pytest.raises(ModelDamaged, match=r"do not fit 2 names"):
        LabelHead(*paths)
    paths[0].write_bytes(b"not a zip")
    with pytest.raises(ModelDamaged, match=r"cannot be read") as caught:
        LabelHead(*paths)
    assert "models pull" in caught.value.remedy


def test_names_as_keys_among_the_pictures_are_ranked_at_the_models_scale():
    names = ("cat", "dog", "boat")
    keys = np.eye(3, 8, dtype=np.float32)
    pictures = np.array([[0.8, 0.6, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0]], np.float32)
    flat, sharp = (ZeroShotHead(names, keys, scale) for scale in (1.0, 100.0))
    norms = np.ones(2, np.float32)
    assert [[name for name, _ in labels] for labels in flat.top(pictures, norms, 2)] == [
        ["cat", "dog"],
        ["boat", "cat"],
    ]
    weights = np.exp([0.8, 0.6, 0.0])
    assert flat.top(pictures, norms)[0][0] == ("cat", round(float(weights[0] / weights.sum()), 4))
    assert sharp.top(pictures, norms)[0][0][1] > 0.99
    assert caption(sharp.top(pictures, norms)[1]) == "a photo of boat, cat, dog"


def test_the_names_are_those_of_this_release():
    names = label_names()
    assert len(names) == 1000
    assert prompts(names[:1]) == (f"a photo of a {names[0]}.",)
