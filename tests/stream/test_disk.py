"""Files that are written whole or not at all."""

import pytest

from stream.disk import unwritable, whole_file
from stream.errors import ConfigError


def test_a_place_that_cannot_be_is_a_named_error(tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("here")
    for place in (plain / "x.srt", tmp_path / ("n" * 300)):
        with pytest.raises(ConfigError), whole_file(place) as unfinished:
            try:
                unfinished.write_text("words")
            except OSError as error:
                raise unwritable(place, error) from error
    assert plain.read_text() == "here"
