"""A camera of the network through the real processes: it fails, is killed, is paused, and answers say so."""

from __future__ import annotations

import pytest

from tools.check_sources import Found, check, films_of

pytestmark = [pytest.mark.system, pytest.mark.model, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def found(tmp_path_factory, film) -> Found:
    """What three failures, a kill and a pause left behind."""
    return check(tmp_path_factory.mktemp("live") / "store", films_of(film), 3, 1.5)


def test_it_comes_back_after_each_failure(found):
    assert found.recovered == 3
    assert found.problems == []
    assert found.killed_back_s > 0


def test_pictures_add_up_and_no_sound_is_dropped(found):
    assert found.read == found.processed + found.dropped > 0
    assert found.audio_dropped == 0


def test_the_answer_names_the_loss_and_the_pause_with_their_reasons(found):
    assert "live.ts" in found.answer
    assert "was lost from" in found.answer
    assert "was paused from" in found.answer
    assert "guests" in found.answer
