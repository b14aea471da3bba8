"""What may go wrong with places in years: their number, what comes in, what is forgotten, who is killed."""

from __future__ import annotations

import msgpack
import msgspec
import numpy as np
import pytest

from memory.forget.erase import erase
from memory.forget.selection import Condition
from memory.log.store import PutItem
from memory.places import decide, owner, whitening
from memory.places import store as place_store
from memory.places import told as place_told
from memory.places.recognition import SampledRecogniser
from memory.places.service import Places
from memory.places.settings import PlaceSettings
from memory.places.store import forget_map, view_in
from memory.places.whitening import unit
from memory.retain.at_places import frames_over
from memory.retain.plan import fair_shares
from stream.errors import ConfigError
from stream.messages import Act, CommitPut
from stream.messages.places import PlacePut, PlacesAsk
from tests.memory.test_memory_places import S, look, rows_of, view, walk


@pytest.fixture
def places(store, reader):
    return lambda **settings: Places(store, reader, PlaceSettings(**settings), lambda: 1_800_000_000 * S)


def forget_words(store, words):
    with store.erasing() as (db, _, _):
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


@pytest.mark.parametrize(
    "odd",
    [
        {"payload": {"quality": "good"}},
        {"payload": {"quality": None}},
        {"payload": {"quality": float("nan")}},
        {"payload": {"quality": 1.0, "xy": b"1234", "descriptors": b"12345"}},
        {"lat": float("inf"), "lon": 2.0},
        {"lat": 1e300, "lon": -1e300},
    ],
)
def test_a_view_that_is_not_as_perception_makes_it_stops_no_map(store, reader, take, places, odd):
    """It stands in the log for good: were it to raise, memory would never start again."""
    film, later = take("a.mp4"), take("b.mp4")
    seen = [(msgspec.structs.replace(one, **odd), parts) for one, parts in walk(film, [0, 1])]
    store.commit([film.put(*seen), later.put(*walk(later, [0, 1]))])
    places().hold()
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM place_view").fetchone()[0] == 24
        assert db.execute("SELECT COUNT(*) FROM place").fetchone()[0] >= 2


def test_a_key_of_another_length_is_left_out(store, reader, take, places):
    film = take("a.mp4")
    odd = view(film, 7.0, unit(np.ones((1, 8), np.float32))[0])
    store.commit([film.put(*walk(film, [0])[:3], odd, *walk(film, [0])[3:])])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM place_view WHERE pts0_ns <> ?", (7 * S,)).fetchone()[0] == 6
        assert db.execute("SELECT COUNT(*) FROM place_view").fetchone()[0] == 6


def test_more_points_than_a_view_has_are_none():
    """Two pictures of 16 000 points would be compared by a table of a gigabyte."""
    most = {"quality": 1.0, "xy": bytes(4 * 200), "descriptors": bytes(200), "depth": 1}
    held = view_in(msgpack.packb(most))
    assert held.points()[0].shape == (200, 2)
    over = view_in(msgpack.packb(most | {"xy": bytes(4 * 201), "descriptors": bytes(201)}))
    assert (over.quality, len(over.points()[0])) == (0.0, 0)


@pytest.mark.parametrize(
    "value",
    [{"anchors": []}, {"places": 5}, {"at": [1]}, {"anchors": {"61" * 16: [[1]]}}, {"label": 7}],
)
def test_an_act_of_another_form_says_nothing(store, reader, take, places, value):
    film = take("a.mp4")
    act = Act(act_id=b"1" * 16, kind="label", t_ns=1, target=b"a" * 16, value={"of": "place", **value})
    put = PutItem("somebody", CommitPut(outbox_seq=1, acts=(act,)))
    store.commit([film.put(*walk(film, [0, 1])), put])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM act").fetchone()[0] == 1
        assert db.execute("SELECT DISTINCT label FROM place").fetchall() == [("",)]


def test_a_stream_at_a_place_that_another_dissolves_is_where_it_was_after_a_kill(store, reader, take, places):
    """Each step is a process of its own; the whole in one go gives the same."""
    home, corner, beside, others = (take(f"{n}.mp4") for n in range(4))
    at_corner = look(90, 1)
    both = [unit((0.5 * at_corner + 0.5 * look(3, 100 + n))[None])[0] for n in range(12)]
    batches = [
        others.put(*(view(others, 1000 * n, look(200 + n, 0)) for n in range(64))),
        home.put(*walk(home, [3])),
        corner.put(view(corner, 0, at_corner)),
        beside.put(*(view(beside, 2 * n, look(90, 2 + n)) for n in range(5))),
        *(corner.put(view(corner, 2 + 2 * n, row)) for n, row in enumerate(both)),
        beside.put(view(beside, 16, look(90, 5), quality=0.01)),
    ]
    for batch in batches:
        store.commit([batch])
        places().hold()
    by_steps = rows_of(reader)
    with store.views() as db:
        forget_map(db)
    places().hold()
    assert rows_of(reader) == by_steps


def test_nothing_is_written_for_what_is_no_view(store, reader, take, places, monkeypatch):
    """With no camera at all, each commit would cost a second one."""
    film = take("a.mp4")
    made = places()
    made.hold()

    def read():
        with reader.snapshot() as db:
            return db.execute("SELECT value FROM view_state WHERE name = 'places.read'").fetchone()[0]

    assert read() == "0"
    for n in range(6):
        store.commit([film.put(film.said(3 * n, 3 * n + 2, "the kettle is on"))])
        assert made._look() is None
    store.commit([film.put(*walk(film, [0], start_s=30))])
    made.hold()
    assert read() == "12"
    monkeypatch.setattr(place_store, "MOST_UNREAD", 3)
    for n in range(4):
        store.commit([film.put(film.said(50 + 3 * n, 52 + 3 * n, "the kettle is off"))])
        made.hold()
    assert read() == "16"
    before = rows_of(reader)
    with store.views() as db:
        forget_map(db)
    made.hold()
    assert rows_of(reader) == before


def test_of_a_page_of_places_no_others_are_looked_up(store, reader, take, places, monkeypatch):
    film = take("a.mp4")
    store.commit([film.put(*walk(film, range(6)))])
    made = places()
    made.hold()
    every = made.told(PlacesAsk())
    asked = []
    monkeypatch.setattr(place_told, "_thumbnail", lambda db, place_id: asked.append(place_id) or "")
    page = made.told(PlacesAsk(limit=2, offset=1))
    assert page.places == every.places[1:3]
    assert page.total == every.total == len(every.places) >= 4
    assert asked == [one.place_id for one in page.places]
    assert made.told(PlacesAsk(acts=True, limit=0)).total == every.total
    assert len(asked) == 2


def test_a_place_that_was_forgotten_does_not_come_back_with_the_next_dark_view(store, reader, take, places):
    film, others = take("a.mp4"), take("b.mp4")
    # So many others that the statistics stay, with which the map would be made anew.
    store.commit([others.put(*(view(others, 1000 * n, look(200 + n, 0)) for n in range(80)))])
    store.commit([film.put(*walk(film, [0, 1]))])
    made = places()
    made.hold()
    with reader.snapshot() as db:
        gone = db.execute("SELECT place_id FROM place_view ORDER BY n DESC LIMIT 1").fetchone()[0]
    with store.erasing() as (db, _, _):
        ids = "SELECT n FROM place_view WHERE place_id = ?"
        erase(db, [Condition(f"o.n IN ({ids})", (gone,))], frozenset(), store.media.folder)
    store.commit([film.put(view(film, 26, look(1, 900), quality=0.01))])
    made.hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT 1 FROM place WHERE place_id = ?", (gone,)).fetchone() is None
        assert db.execute("SELECT 1 FROM place_view WHERE found = ?", (gone,)).fetchone() is None


def test_of_several_sessions_the_oldest_frames_at_no_place_go_first(store, reader, take, places):
    """Before there was a place, and while nothing was seen of one."""
    before, after = (take("camera", session=n, kind="camera", media=("video",)) for n in (7, 8))
    store.commit([before.put(*(before.seen("frame", 6 * n, 6 * n) for n in range(10)))])
    frames = [after.seen("frame", 6 * n, 6 * n) for n in range(40)]
    store.commit([after.put(*walk(after, [0], each=12), *frames)])
    places(reach_s=0.0).hold()
    with reader.snapshot() as db:
        first = frames_over(db, before.source_id, 8, lambda held, capacity: dict.fromkeys(held, 0.0))
        assert sum(map(len, first.values())) == 8
        assert list(first) == [7]
        assert frames_over(db, before.source_id, 8, fair_shares)


def test_a_merge_of_more_places_than_a_reply_holds_is_refused(store, reader, take, places, monkeypatch):
    film = take("a.mp4")
    store.commit([film.put(*walk(film, [0, 1, 2]))])
    made = places()
    made.hold()
    every = tuple(one.place_id.hex() for one in made.told(PlacesAsk()).places)
    monkeypatch.setattr(decide, "MOST_MERGED", 2)
    with pytest.raises(ConfigError, match="a merge is of 2 to 2 places"):
        made.put(PlacePut(kind="merge", places=every[:3]))
    made.put(PlacePut(kind="merge", places=every[:2]))


def test_of_a_split_place_no_views_of_others_are_read(store, reader, take, places, monkeypatch):
    """They are read again with each new view that may be of either side."""
    film = take("a.mp4")
    store.commit([film.put(*walk(film, [0, 1, 2, 3, 0], each=8))])
    made = places()
    made.hold()
    with reader.snapshot() as db:
        (place_id,) = db.execute("SELECT place_id FROM visit GROUP BY 1 ORDER BY COUNT(*) DESC").fetchone()
        visits = db.execute("SELECT visit_id FROM visit WHERE place_id = ?", (place_id,)).fetchall()
    assert len(visits) == 2
    made.put(PlacePut(kind="split", places=(place_id.hex(),), visits=(visits[0][0].hex(),)))
    with reader.snapshot() as db:
        now = owner.Owner(db)
        rows = []
        plain = owner.Row
        monkeypatch.setattr(owner, "Row", lambda *told: rows.append(told) or plain(*told))
        sides = now._read_sides(now.acts[0])
    assert {found for *_, n, found in rows if n} == {place_id}
    vectors, out = sides.rows["place-test/1"]
    assert len(vectors) == len(out) == len([one for one in rows if one[4]])
    assert {True, False} == set(out)
