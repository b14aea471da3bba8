"""What may go wrong with places in years: their number, what comes in, what is forgotten, who is killed."""

from __future__ import annotations

import numpy as np
import pytest

from memory.places import whitening
from memory.places.recognition import SampledRecogniser
from memory.places.service import Places
from memory.places.settings import PlaceSettings
from memory.places.whitening import unit
from tests.memory.test_memory_places import S, rows_of, walk


@pytest.fixture
def places(store, reader):
    return lambda **settings: Places(store, reader, PlaceSettings(**settings), lambda: 1_800_000_000 * S)


def forget_words(store, words):
    with store.erasing() as (db, _, _):
        from memory.forget.erase import erase
        from memory.forget.selection import Condition

        erase(db, [Condition("o.text = ?", (words,))], frozenset(), store.media.folder)


def test_statistics_of_a_sample_are_not_fitted_again_however_many_views_are_held(monkeypatch):
    rows = unit(np.random.default_rng(0).standard_normal((700, 8)).astype(np.float32))
    recogniser = SampledRecogniser(rows[:16])
    asked = []
    monkeypatch.setattr(whitening, "fit", lambda *told: asked.append(told))
    for n, row in enumerate(rows):
        recogniser.add(b"%d" % n, row, None, 1.0)
    assert not asked
    assert recogniser.candidates(rows[3], 1)[0][0] == b"3"


def test_visits_are_as_long_as_configured_after_something_was_forgotten(store, reader, take, places):
    """Were they made longer, forgetting the place would take what was said elsewhere."""
    film = take("a.mp4")
    seen = [*walk(film, [0], each=4), *walk(film, [0], each=4, start_s=100)]
    store.commit([film.put(*seen, film.said(3, 4, "the kettle is on"))])
    made = places(gap_s=30.0, reach_s=5.0)
    made.hold()
    before = rows_of(reader)
    forget_words(store, "the kettle is on")
    made.hold()
    assert rows_of(reader) == before
    assert (0, 11 * S) in [visit[2:4] for visit in before[2]]


def test_visits_are_made_anew_where_their_settings_change(store, reader, take, places):
    film = take("a.mp4")
    store.commit([film.put(*walk(film, [0], each=4), *walk(film, [0], each=4, start_s=100))])
    places(gap_s=30.0).hold()
    apart = rows_of(reader)
    places().hold()
    together = rows_of(reader)
    places(gap_s=30.0).hold()
    assert rows_of(reader) == apart
    assert (0, 66 * S) in [visit[2:4] for visit in apart[2]]
    assert (0, 100 * S) in [visit[2:4] for visit in together[2]]
