"""What places are used for: frames of rare rooms stay, events end where the place changes, the drawing."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from memory.retain.plan import plan
from memory.settings import RetentionSettings, SpanSettings
from memory.spans.notes import Note
from memory.spans.place_change import PlaceSegmenter
from memory.spans.segment import Outline, ShotSegmenter, segmenter_of
from stream.commands.place_graph import drawn
from stream.messages.places import PlaceTold, WayTold
from tools import eval_quotas, eval_revisits
from tools.eval_quotas import kept_of, walk

S = 1_000_000_000


def test_a_rare_room_is_kept_where_the_oldest_going_first_loses_it(tmp_path):
    """The real map and the real retention on a short walk; the figures are in tools.eval_quotas."""
    rooms = walk(400, 0.9, 3)
    quota = kept_of(rooms, 60, "quota", 3, tmp_path / "quota")
    fifo = kept_of(rooms, 60, "fifo", 3, tmp_path / "fifo")
    assert quota.frames == fifo.frames == 60
    assert quota.rooms == 1.0
    assert fifo.rooms < 0.8
    assert quota.last_seen >= 0.95


def test_without_places_the_oldest_frames_go_as_before(store, reader, filled, take, sentences):
    filled(store, take, sentences, rounds=1)
    with reader.snapshot() as db:
        settings = RetentionSettings()
        made = [
            plan(
                db,
                {"index": 2_000},
                None,
                settings.model_copy(update={"place_quota": is_on}),
                1_900_000_000 * S,
                None,
            ).frames
            for is_on in (True, False)
        ]
    assert made[0] == made[1]
    assert made[0][0].numbers == tuple(sorted(made[0][0].numbers))


def views_of(rooms, each=6):
    """Notes of views, two seconds apart."""
    found = []
    for place, room in enumerate(rooms):
        for step in range(each):
            row = np.random.default_rng(room).standard_normal(32)
            row = row + 0.2 * np.random.default_rng((place, step)).standard_normal(32)
            at_ns = 2 * (place * each + step) * S
            found.append(Note(at_ns, at_ns, "view", vector=(row / np.linalg.norm(row)).astype(np.float32)))
    return found


SHOTS = ShotSegmenter(4 * S, 600 * S, 2 * S)


def test_events_end_where_the_place_changes():
    notes = views_of([1, 2, 3, 1])
    outline = Outline(0, 48 * S, True, True, notes=notes)
    assert [
        (one.pts0_ns // S, one.pts1_ns // S, one.why) for one in PlaceSegmenter(0.5, SHOTS).closed(outline)
    ] == [
        (0, 12, "place"),
        (12, 24, "place"),
        (24, 36, "place"),
        (36, 48, "eof"),
    ]


@pytest.mark.parametrize("step_s", [3, 7, 11])
def test_boundaries_are_the_same_however_often_it_is_asked(step_s):
    notes = views_of([1, 2, 1, 3, 3, 4, 2, 5])
    segmenter = PlaceSegmenter(0.5, SHOTS)
    at_once = segmenter.closed(Outline(0, 96 * S, True, True, notes=notes))
    found, start_ns = [], 0
    for through_s in [*range(step_s, 96, step_s), 96]:
        known = [one for one in notes if start_ns - 60 * S <= one.pts0_ns < through_s * S]
        outline = Outline(start_ns, through_s * S, through_s == 96, True, notes=known)
        closed = segmenter.closed(outline)
        found += closed
        start_ns = closed[-1].pts1_ns if closed else start_ns
    assert found == at_once


def test_a_source_without_views_is_cut_by_its_shots():
    outline = Outline(0, 20 * S, True, True, shots=[(0, 10 * S), (10 * S, 20 * S)])
    made = segmenter_of(SpanSettings(segmenter="place", chat_segmenter="pause"))
    shots = segmenter_of(SpanSettings(segmenter="shot", chat_segmenter="pause"))
    outline = Outline(0, 20 * S, True, True, shots=[])
    assert made.closed(outline) == shots.closed(outline)


def test_the_drawing_is_whole_and_needs_nothing_else():
    places = [
        PlaceTold(
            place_id=bytes([n]) * 16, label=f"<room> {n}" if n else "", visits=n + 1, spent_ns=n * 60 * S
        )
        for n in range(12)
    ]
    ways = [WayTold(from_id=bytes([n]) * 16, to_id=bytes([n + 1]) * 16, times=n + 1) for n in range(11)]
    svg = drawn(places, ways, 8)
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    names = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<room> 11" in names
    assert "and 4 more places" in names
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 8
    assert svg.count("http") == 1  # The name of the format.
    assert "prefers-color-scheme: dark" in svg
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(circle.get("cx")) < 960
        assert 0 < float(circle.get("cy")) < 640
    assert drawn(places, ways, 8) == svg
    ElementTree.fromstring(drawn([], [], 8))  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("main", "options"),
    [
        (eval_quotas.main, ["--capacities", "many"]),
        (eval_quotas.main, ["--capacities", "0"]),
        (eval_quotas.main, ["--stay", "2"]),
        (eval_revisits.main, ["--frames", "none.csv", "--passes", "0"]),
    ],
)
def test_an_option_that_cannot_be_is_named(main, options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert options[-2] in capsys.readouterr().err


@pytest.mark.parametrize("n_places", [1, 2, 3, 40])
def test_no_place_is_drawn_on_another_or_off_the_paper(n_places):
    places = [
        PlaceTold(
            place_id=bytes([n]) * 16, label="a place with a long name", visits=1 + n % 7, spent_ns=9 * S
        )
        for n in range(n_places)
    ]
    ways = [WayTold(from_id=bytes([n // 3]) * 16, to_id=bytes([n]) * 16, times=n) for n in range(1, n_places)]
    root = ElementTree.fromstring(drawn(places, ways))  # noqa: S314 - our own
    name = "{http://www.w3.org/2000/svg}"
    width, height = map(float, root.get("viewBox").split()[2:])
    circles = [tuple(float(one.get(key)) for key in ("cx", "cy", "r")) for one in root.iter(f"{name}circle")]
    assert len(circles) == n_places
    for place, (x, y, radius) in enumerate(circles):
        assert 90 < x < width - 90
        assert radius < y < height - radius - 29
        for other_x, other_y, other_radius in circles[:place]:
            # Beside each other, or one with its two lines above the other.
            apart = radius + other_radius + 29
            assert abs(x - other_x) > 150 or abs(y - other_y) > apart
    if n_places < 3:
        assert {y for _, y, _ in circles} == {height / 2}
    assert "1 visit, 9 s" in [node.text for node in root.iter(f"{name}text")]
