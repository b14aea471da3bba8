"""The colour of what a text stands on, on pictures drawn here and on a real card."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from perception.video.grounds import ground_of

BOX = ((0.2, 0.4), (0.8, 0.4), (0.8, 0.6), (0.2, 0.6))


def card(ground, ink=(10, 10, 10)):
    picture = np.full((180, 320, 3), ground, dtype=np.uint8)
    cv2.putText(picture, "WORDS", (70, 105), cv2.FONT_HERSHEY_SIMPLEX, 1.5, ink, 4)
    return picture


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((250, 250, 250), "white"),
        ((120, 120, 120), "grey"),
        ((10, 10, 12), "black"),
        ((200, 20, 30), "red"),
        ((240, 130, 20), "orange"),
        ((110, 65, 20), "brown"),
        ((240, 220, 40), "yellow"),
        ((30, 150, 60), "green"),
        ((20, 60, 190), "blue"),
        ((120, 40, 180), "purple"),
        ((240, 90, 170), "pink"),
    ],
)
def test_a_card_has_the_colour_that_a_person_would_name(rgb, name):
    ink = (255, 255, 255) if max(rgb) < 200 else (10, 10, 10)
    assert ground_of(card(rgb, ink), [BOX]) == name


def test_letters_are_not_the_ground():
    assert ground_of(card((250, 250, 250), ink=(200, 20, 30)), [BOX]) == "white"


def test_a_motley_ground_has_no_colour():
    picture = np.random.default_rng(0).integers(0, 255, (180, 320, 3), dtype=np.uint8)
    assert ground_of(picture, [BOX]) == ""


def test_without_lines_or_beyond_the_picture_there_is_none():
    assert ground_of(card((250, 250, 250)), []) == ""
    assert ground_of(card((250, 250, 250)), [tuple((x + 2, y + 2) for x, y in BOX)]) == ""


def test_a_picture_that_is_all_text_has_none():
    everywhere = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert ground_of(card((250, 250, 250)), [everywhere]) == ""
