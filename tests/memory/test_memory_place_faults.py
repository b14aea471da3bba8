"""What may go wrong with places in a store of years: its size, what comes in, what is forgotten, who is killed."""

from __future__ import annotations

import numpy as np

from memory.places import whitening
from memory.places.recognition import SampledRecogniser
from memory.places.whitening import unit


def test_statistics_of_a_sample_are_not_fitted_again_however_many_views_are_held(monkeypatch):
    rows = unit(np.random.default_rng(0).standard_normal((700, 8)).astype(np.float32))
    recogniser = SampledRecogniser(rows[:16])
    asked = []
    monkeypatch.setattr(whitening, "fit", lambda *told: asked.append(told))
    for n, row in enumerate(rows):
        recogniser.add(b"%d" % n, row, None, 1.0)
    assert not asked
    assert recogniser.candidates(rows[3], 1)[0][0] == b"3"
