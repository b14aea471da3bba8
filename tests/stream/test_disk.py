"""Files that are written whole or not at all."""

import pytest

from stream.disk import unwritable, whole_file
from stream.errors import ConfigError


def write(place):
    with whole_file(place) as unfinished:
        try:
            unfinished.write_text("words")
        except OSError as error:
            raise unwritable(place, error) from error


def test_a_place_that_cannot_be_is_a_named_error(tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("here")
    for place in (plain / "x.srt", tmp_path / ("n" * 300)):
        with pytest.raises(ConfigError):
            write(place)
    assert plain.read_text() == "here"


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    write(tmp_path / "whole.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.txt"]
    with pytest.raises(KeyError), whole_file(tmp_path / "other.txt"):
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["whole.txt"]
