"""When derived files are made again, and what a failing export leaves behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from stream.errors import ModelFailed, ModelMissing
from stream.models import Collection, Condition, models
from stream.models.derive import derive
from stream.models.pull import pull
from stream.models.stamp import read_stamp, write_stamp

NAME = "efficientnet-lite0"
WEIGHTS = "efficientnet-lite0-57934424.pth"

pytestmark = pytest.mark.model


@pytest.fixture
def copy(tmp_path: Path) -> Collection:
    """A second folder of models with only the image encoder's verified weights in it."""
    (tmp_path / NAME).mkdir()
    shutil.copyfile(models().file(NAME, WEIGHTS), tmp_path / NAME / WEIGHTS)
    return Collection(models().lock, tmp_path)


def test_pull_makes_what_is_derived_and_only_when_needed(copy: Collection) -> None:
    with pytest.raises(ModelMissing, match="not made yet"):
        copy.file(NAME, "features.onnx")
    result = pull(copy, (NAME,))
    assert result.fetched == []
    assert result.made == [f"{NAME}/features.onnx", f"{NAME}/head.npz", f"{NAME}/labels.txt"]
    assert copy.verify((NAME,))[0].condition is Condition.PRESENT
    assert pull(copy, (NAME,)).made == []

    folder = copy.folder(NAME)
    write_stamp(folder, msgspec.structs.replace(read_stamp(folder), exporter="0 of an older release"))
    assert copy.states((NAME,))[0].condition is Condition.STALE
    (folder / "head.npz").write_bytes(b"not an archive")
    assert copy.states((NAME,))[0].condition is Condition.DAMAGED
    assert pull(copy, (NAME,)).made
    assert copy.verify((NAME,))[0].condition is Condition.PRESENT


def test_failed_export_says_why_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS).write_bytes(b"no weights at all")
    with pytest.raises(ModelFailed, match=NAME) as caught:
        derive(models().lock.item(NAME), tmp_path)
    assert "omnirecall models pull" in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
