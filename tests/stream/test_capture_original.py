"""Where an original is now: its places, its size, its hash."""

from __future__ import annotations

import pytest

from stream.capture.original import find_original
from stream.capture.probe import ContentHash
from stream.errors import SourceGone, SourceRefused
from stream.messages.log import LogSource


def source_of(path, *uris, **more):
    digest = ContentHash(path).all()
    fields = {"kind": "file", "content_hash": digest.hex(), "n_bytes": path.stat().st_size, **more}
    return LogSource(source_id=digest, session=0, uris=tuple(map(str, uris or (path,))), **fields)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a film, as far as its hash goes" * 1000)
    return path


def test_the_newest_place_comes_first(film, tmp_path):
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    assert find_original(source_of(film, copy, film)) == copy
    copy.unlink()
    gone_first = source_of(film, copy, film)
    assert find_original(gone_first) == film


def test_a_name_that_is_not_utf8_is_found(tmp_path):
    import os

    path = tmp_path / os.fsdecode(b"caf\xe9 #1.mp4")
    path.write_bytes(b"film")
    from stream.capture.container import uri_of

    assert find_original(source_of(path, uri_of(path))) == path


def test_another_file_in_its_place_is_not_taken(film):
    source = source_of(film)
    film.write_bytes(film.read_bytes()[:-1])
    with pytest.raises(SourceGone, match="another file by now"):
        find_original(source)
    film.write_bytes(b"b" + b"x" * (source.n_bytes - 1))
    with pytest.raises(SourceGone, match="another file by now"):
        find_original(source)
    assert find_original(source, verify=False) == film


def test_one_that_is_nowhere_says_where_it_was(film, tmp_path):
    source = source_of(film, film, tmp_path / "before.mp4", "rtsp://camera/1")
    film.unlink()
    with pytest.raises(SourceGone) as told:
        find_original(source)
    assert f"last seen at {film} (not there), before that at {tmp_path / 'before.mp4'}" in told.value.message
    assert "omnirecall index" in told.value.remedy


def test_what_was_live_has_no_file(film):
    with pytest.raises(SourceRefused, match="was live"):
        find_original(source_of(film, kind="camera", content_hash=""))


def test_progress_of_a_large_file(film, monkeypatch):
    monkeypatch.setattr("stream.capture.original.HASH_STEP_BYTES", 1 << 10)
    monkeypatch.setattr(ContentHash.step, "__defaults__", (1 << 10,))
    shares = []
    find_original(source_of(film), report=shares.append)
    assert len(shares) > 20
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=0.1)
