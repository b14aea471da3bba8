"""Segmenters: where events end, and that they end there however the marks came in."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.log.reader import SourceRow, TrackRow
from memory.settings import SpanSettings
from memory.spans.segment import (
    Outline,
    ShotSegmenter,
    UniformSegmenter,
    Unit,
    perceived,
    segmenter_of,
)

S = 1_000_000_000
SHOTS = ShotSegmenter(min_ns=4 * S, max_ns=60 * S, pause_ns=2 * S)


def shots(*ends, start=0.0):
    edges = [start, *ends]
    return [Unit(round(a * S), round(b * S)) for a, b in pairwise(edges)]


def outline(units=(), speech=(), *, through=1e6, eof=True, picture=True, start=0):
    through_ns = round(through * S)
    return Outline(
        start_ns=round(start * S),
        through_ns=through_ns,
        eof=eof,
        has_picture=picture,
        shots=[unit for unit in units if eof or unit.pts1_ns <= through_ns],
        utterances=[unit for unit in speech if eof or unit.pts0_ns < through_ns],
    )


def told(stretches):
    return [(a / S, b / S, why) for a, b, why in stretches]


def test_shots_long_enough_are_events_and_short_ones_join():
    found = SHOTS.closed(outline(shots(5, 6, 12, 20, 21.5)))
    assert told(found) == [(0, 5, "cut"), (5, 12, "cut"), (12, 21.5, "eof")]


def test_an_event_waits_until_the_next_shot_cannot_join_it():
    units = shots(5, 6, 12, 20)
    closed = [told(SHOTS.closed(outline(units, through=t, eof=False))) for t in (4, 5, 6, 12, 20)]
    assert closed == [
        [],
        [],
        [],
        [(0, 5, "cut")],
        [(0, 5, "cut"), (5, 12, "cut")],
    ]


def test_a_long_shot_becomes_several_events():
    assert told(SHOTS.closed(outline(shots(150)))) == [(0, 60, "max"), (60, 120, "max"), (120, 150, "eof")]
    assert told(SHOTS.closed(outline(shots(122)))) == [(0, 60, "max"), (60, 122, "eof")]


def test_a_hole_between_shots_ends_an_event_whatever_its_length():
    units = [*shots(2), *shots(32, start=30)]
    assert told(SHOTS.closed(outline(units))) == [(0, 2, "gap"), (30, 32, "eof")]


def test_speech_alone_is_cut_at_pauses():
    speech = [Unit(round(a * S), round(b * S)) for a, b in [(1, 3), (3.5, 7), (10, 11), (14, 20)]]
    found = SHOTS.closed(outline(speech=speech, picture=False, through=21))
    assert told(found) == [(1, 7, "pause"), (10, 20, "eof")]
    endless = [Unit(n * S, (n + 1) * S) for n in range(100)]
    assert told(SHOTS.closed(outline(speech=endless, picture=False, through=100))) == [
        (0, 60, "max"),
        (60, 100, "eof"),
    ]


def test_sound_that_outlasts_the_picture_is_in_an_event_too():
    found = SHOTS.closed(outline(shots(10), [Unit(8 * S, 9 * S), Unit(12 * S, 15 * S)], through=15))
    assert told(found) == [(0, 10, "eof"), (12, 15, "eof")]


def test_uniform_events_are_of_one_length():
    found = UniformSegmenter(10 * S).closed(outline(through=25))
    assert told(found) == [(0, 10, "max"), (10, 20, "max"), (20, 25, "eof")]
    assert told(UniformSegmenter(10 * S).closed(outline(through=25, eof=False))) == [
        (0, 10, "max"),
        (10, 20, "max"),
    ]


def test_settings_choose_the_segmenter_and_are_in_its_id():
    assert isinstance(segmenter_of(SpanSettings(segmenter="uniform")), UniformSegmenter)
    ids = {segmenter_of(SpanSettings(event_min_s=s)).segmenter_id for s in (3, 4)}
    assert len(ids) == 2


LENGTHS = st.lists(st.integers(min_value=1, max_value=200), min_size=1, max_size=25)


def in_steps(segmenter, whole, marks):
    """What is closed when marks come one by one, each step beginning where the last event ended."""
    closed, start = [], 0.0
    for through, eof in [*((mark, False) for mark in sorted(marks)), (1e6, True)]:
        now = outline(*whole, through=through, eof=eof, picture=bool(whole[0]), start=start)
        for stretch in segmenter.closed(now):
            closed.append(stretch)
            start = stretch.pts1_ns / S
    return closed


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.lists(st.integers(min_value=0, max_value=900), max_size=8), st.data())
def test_shot_events_do_not_depend_on_when_the_marks_came(lengths, marks, data):
    """Lengths and positions in half seconds, with holes and small overlaps between shots."""
    units, at = [], 0.0
    for length in lengths:
        at += data.draw(st.sampled_from([0, 0, 0, 0, -0.25, 3]))
        units.append(Unit(round(max(0, at) * S), round((at + length / 2) * S)))
        at += length / 2
    units.sort()
    marks = [unit.pts1_ns / S for unit in units if data.draw(st.booleans())] + [mark / 2 for mark in marks]
    whole = (units, [])
    assert in_steps(SHOTS, whole, marks) == SHOTS.closed(outline(*whole))


@settings(max_examples=300, deadline=None)
@given(LENGTHS, st.lists(st.integers(min_value=0, max_value=1500), max_size=8), st.data())
def test_speech_events_do_not_depend_on_when_the_marks_came(lengths, marks, data):
    speech, at = [], 0.0
    for length in lengths:
        at += data.draw(st.sampled_from([0, 0.5, 1, 2, 2.5, 5, 70]))
        speech.append(Unit(round(at * S), round((at + length / 10) * S)))
        at += length / 10
    # Audio marks lie between utterances: nothing that begins before a mark ends after it.
    ends = [unit.pts1_ns / S for unit in speech]
    whole = ([], speech)
    quiet = [mark / 2 for mark in marks if not any(u.pts0_ns < mark / 2 * S < u.pts1_ns for u in speech)]
    found = in_steps(SHOTS, whole, [end for end in ends if data.draw(st.booleans())] + quiet)
    assert found == SHOTS.closed(outline(*whole, picture=False))


@settings(max_examples=200, deadline=None)
@given(LENGTHS)
def test_events_cover_the_shots_in_order_and_none_is_shorter_than_the_minimum(lengths):
    units = shots(*[sum(lengths[: n + 1]) / 2 for n in range(len(lengths))])
    found = SHOTS.closed(outline(units))
    assert found[0].pts0_ns == 0
    assert found[-1].pts1_ns == units[-1].pts1_ns
    assert all(a.pts1_ns == b.pts0_ns for a, b in pairwise(found))
    if units[-1].pts1_ns >= SHOTS.min_ns:
        assert min(b - a for a, b, _ in found) >= SHOTS.min_ns


def row(*tracks, session=0, origin_ns=None):
    made = tuple(TrackRow(n, "video", mark, eof) for n, (mark, eof) in enumerate(tracks))
    return SourceRow(b"s" * 16, session, "file", "/f", None, origin_ns, made)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (row((None, False), (5 * S, False)), (None, False)),
        (row((9 * S, False), (5 * S, False)), (5 * S, False)),
        (row((9 * S, True), (5 * S, False)), (5 * S, False)),
        (row((9 * S, True), (5 * S, True)), (9 * S, True)),
        (row(), (None, False)),
    ],
)
def test_a_file_is_known_as_far_as_all_its_tracks(source, expected):
    assert perceived(source, now_ns=10**18, live_close_after_ns=S) == expected


def test_a_live_source_does_not_wait_for_a_silent_track_for_ever():
    live = row((30 * S, False), (5 * S, False), session=1, origin_ns=1000 * S)
    assert perceived(live, 1012 * S, 10 * S) == (5 * S, False)
    assert perceived(live, 1025 * S, 10 * S) == (15 * S, False)
    assert perceived(live, 2000 * S, 10 * S) == (30 * S, False), "never beyond what any track has passed"
    silent = row((30 * S, False), (None, False), session=1, origin_ns=1000 * S)
    assert perceived(silent, 1025 * S, 10 * S) == (15 * S, False)
