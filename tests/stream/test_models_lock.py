"""The lock files that we ship, and what a lock may not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stream.errors import ConfigError
from stream.models.export import EXPORTS
from stream.models.lock import load_lock, parse_lock

SHA = "0" * 64


def lock_of(**changes: Any) -> bytes:
    """A small valid lock as JSON; ``changes`` replace keys of its only file."""
    file = {"file": "a.bin", "bytes": 3, "sha256": SHA, "pypi": [{"wheel": "w.whl", "member": "m"}]}
    item = {
        "name": "thing",
        "role": "test",
        "upstream": {"id": "up", "revision": "1"},
        "licence": "MIT",
        "credit": "us",
        "files": [file | changes],
    }
    wheel = {"package": "w", "version": "1", "bytes": 9, "sha256": SHA}
    return json.dumps({"version": 1, "kind": "models", "items": [item], "wheels": {"w.whl": wheel}}).encode()


@pytest.mark.parametrize("kind", ["models", "media"])
def test_shipped_lock_is_valid_and_complete(kind: Any) -> None:
    lock = load_lock(kind)
    assert lock.kind == kind
    for item in lock.items:
        assert item.licence
        assert item.credit
        for file in item.files:
            assert sum(lock.wheels[part.wheel].bytes for part in file.pypi) > 0


def test_the_models_that_roles_name_are_locked() -> None:
    names = {item.name for item in load_lock("models").items}
    assert names == {
        *("whisper-tiny.en", "whisper-base", "all-minilm-l6-v2"),
        *("efficientnet-lite0", "pp-ocrv6", "smollm2-135m-instruct", "resemblyzer"),
    }


def test_everything_derived_has_an_export() -> None:
    assert {item.name for item in load_lock("models").items if item.derived} == set(EXPORTS)


def test_small_lock_parses() -> None:
    assert parse_lock(lock_of(), "test").item("thing").total_bytes == 3


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sha256": "abc"}, "sha256"),
        ({"file": "../escape"}, "plain file name"),
        ({"file": ".hidden"}, "plain file name"),
        ({"bytes": 0}, "positive"),
        ({"pypi": []}, "no source"),
        ({"pypi": [{"wheel": "other.whl", "member": "m"}]}, "wheels and their uses differ"),
        ({"surprise": 1}, "surprise"),
        ({"bytes": "3"}, "bytes"),
    ],
)
def test_a_wrong_lock_is_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_lock(lock_of(**changes), "test")


def test_unknown_item_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="nosuch") as caught:
        load_lock("models").item("nosuch")
    assert "whisper-tiny.en" in caught.value.remedy
