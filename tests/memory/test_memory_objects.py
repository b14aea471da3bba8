"""Objects at places: what is new, gone, moved, seen last; and what a short look cannot tell."""

from __future__ import annotations

import pytest

from memory.places.changes import Rules, Sighting, Stay, gone, key_of, moved, new
from memory.places.objects import objects_told
from memory.places.settings import PlaceSettings
from memory.places.stays import names, word_forms
from stream.errors import ConfigError
from stream.messages import Cue
from stream.messages.places import ObjectsAsk

S = 1_000_000_000
RULES = Rules(0.25, 0.05, 5 * S)
KITCHEN, HALL, OFFICE = b"k" * 16, b"h" * 16, b"o" * 16
MORNING = 1_700_000_000


def stay(place, t_s, objects, looked_s=20):
    made = Stay(place, b"s" * 16, 0, t_s * S, (t_s + 20) * S, t_s * S, looked_s * S)
    for n, (name, share) in enumerate(objects.items()):
        by = "text" if name.isupper() else "label"
        made.objects[key_of(name, by)] = Sighting(1000 * t_s + n, name, by, share)
    return made


def named(changes, least=0.5):
    return [one.sighting.name for one in changes if one.sure >= least]


# Changes.


def test_what_was_never_there_before_is_new_and_what_may_have_been_is_not():
    before = [stay(KITCHEN, n, {"mug": 0.6, "vase": 0.06}) for n in range(3)]
    since = [stay(KITCHEN, 10, {"mug": 0.5, "vase": 0.7, "teapot": 0.6, "lemon": 0.1})]
    assert named(new(before, since, RULES)) == ["teapot"]


def test_what_is_seen_in_every_look_is_gone_sooner_than_what_is_seldom_seen():
    before = [stay(KITCHEN, n, {"mug": 0.6} | ({"vase": 0.6} if n == 5 else {})) for n in range(8)]
    since = [stay(KITCHEN, 10, {"stove": 0.9})]
    changes = {one.sighting.name: one for one in gone(before, since, RULES)}
    assert changes["mug"].sure > 0.9
    assert changes["vase"].sure < 0.3
    assert (changes["vase"].times, changes["vase"].looks, changes["vase"].missed) == (1, 8, 1)


def test_a_short_look_makes_nothing_gone_and_nothing_new():
    full, glimpse = [stay(KITCHEN, 1, {"mug": 0.6})], [stay(KITCHEN, 10, {"stove": 0.9}, looked_s=2)]
    assert [(one.sighting.name, one.sure, one.missed) for one in gone(full, glimpse, RULES)] == [
        ("mug", 0.0, 0)
    ]
    assert [one.sure for one in new(glimpse, [stay(KITCHEN, 20, {"mug": 0.6})], RULES)] == [0.0]


def test_a_line_that_was_read_a_little_differently_is_the_same_line():
    before, since = [stay(KITCHEN, 1, {"GREEN TEA 500 G": 0.9})], [stay(KITCHEN, 5, {"GREEN TEA 50O G": 0.9})]
    assert new(before, since, RULES) == gone(before, since, RULES) == []
    other = [stay(KITCHEN, 5, {"BLACK COFFEE": 0.9})]
    assert named(new(before, other, RULES)) == ["BLACK COFFEE"]


def by_place(*stays):
    found = {}
    for one in stays:
        found.setdefault(one.place_id, []).append(one)
    return found


def test_what_left_one_place_and_came_to_another_has_moved():
    before = by_place(stay(KITCHEN, 1, {"mug": 0.6}), stay(HALL, 2, {"door": 0.7}))
    since = by_place(stay(HALL, 10, {"mug": 0.6, "door": 0.7}), stay(KITCHEN, 11, {"stove": 0.8}))
    (change,) = moved(before, since, RULES)
    assert (change.sighting.name, change.before[1].place_id, change.stay.place_id) == ("mug", KITCHEN, HALL)
    assert change.sure > 0.5
    unchecked = moved(before, by_place(stay(HALL, 10, {"mug": 0.6})), RULES)
    assert [(one.missed, one.sure < 0.5) for one in unchecked] == [(0, True)]


def test_what_is_still_there_or_is_everywhere_has_not_moved():
    before = by_place(stay(KITCHEN, 1, {"mug": 0.6}), stay(HALL, 2, {"door": 0.7}))
    both = by_place(stay(HALL, 10, {"mug": 0.6}), stay(KITCHEN, 11, {"mug": 0.1}))
    assert moved(before, both, RULES) == []
    many = by_place(
        *(stay(bytes([n]) * 16, n, {"lamp": 0.6}) for n in range(4)), stay(HALL, 5, {"door": 0.7})
    )
    since = by_place(stay(HALL, 10, {"lamp": 0.6}), *(stay(bytes([n]) * 16, 20 + n, {}) for n in range(4)))
    assert moved(many, since, RULES) == []


@pytest.mark.parametrize(
    ("label", "thing", "is_named"),
    [
        ("coffee mug", "mugs", True),
        ("car mirror", "car", False),
        ("car mirror", "car mirrors", True),
        ("monkey", "key", False),
        ("berries", "berry", True),
    ],
)
def test_names(label, thing, is_named):
    assert names(Sighting(1, label, "label", 0.5), [word_forms(thing)]) is is_named


# From the log.


class House:
    """Visits of rooms, made by hand in the tables that the map makes, with what was seen in them."""

    def __init__(self, store, reader, take):
        self.store, self.reader, self.take = store, reader, take
        with store.views() as db:
            db.executemany(
                "INSERT INTO place (place_id, label, made_commit) VALUES (?, ?, 1)",
                [(KITCHEN, "kitchen"), (HALL, "hall"), (OFFICE, "")],
            )

    def film(self, name, t_s, *visits, is_dated=True):
        """`visits` are (place, seconds, labels or a line that is read); one after the other."""
        film = self.take(name, origin_ns=(MORNING + t_s) * S if is_dated else None)
        seen, rows, at = [], [], 0
        for place, length_s, shown in visits:
            if isinstance(shown, dict):
                text = f"a photo of {', '.join(shown)}"
                labels = [[label, share] for label, share in shown.items()]
                seen.append(film.shot(at, at + length_s, text, payload={"labels": labels}))
            else:
                seen.append(film.seen("seen_text", at, at + length_s, shown, confidence=0.9))
                seen.append(
                    film.shot(at, at + length_s, "a photo of wall", payload={"labels": [["wall", 0.9]]})
                )
            rows.append((film.source_id + bytes([at]), place, film.source_id, at * S, (at + length_s) * S))
            at += length_s
        self.store.commit([film.put(*seen)])
        with self.store.views() as db:
            db.executemany(
                "INSERT INTO visit VALUES (?, ?, ?, 0, ?, ?, 1, ?)",
                [(*row, self.store.last_commit) for row in rows],
            )
        return film

    def ask(self, change, *named, place="", since_s=None, until_s=None, **cue):
        low, high = (None if one is None else (MORNING + one) * S for one in (since_s, until_s))
        ask = ObjectsAsk(cue=Cue(place=place, t0_ns=low, t1_ns=high, **cue), change=change, names=named)
        with self.reader.snapshot() as db:
            return objects_told(db, ask, PlaceSettings())


@pytest.fixture
def house(store, reader, take):
    made = House(store, reader, take)
    made.film("a.mp4", 0, (KITCHEN, 20, {"mug": 0.6, "stove": 0.5}), (HALL, 20, {"door": 0.8}))
    made.film("b.mp4", 100_000, (HALL, 20, {"door": 0.8, "umbrella": 0.5}), (KITCHEN, 20, {"stove": 0.5}))
    return made


def test_what_is_new_gone_and_moved_since_a_time(house):
    told = house.ask("new", place="hall", since_s=50_000)
    assert [(one.name, one.seen.place, one.seen.uri) for one in told.objects] == [
        ("umbrella", "hall", "/media/b.mp4")
    ]
    assert (told.stays_since, told.stays_before, told.looks_since, told.looks_before) == (1, 1, 1, 1)
    assert [one.name for one in house.ask("gone", place="kitchen", since_s=50_000).objects] == ["mug"]
    assert house.ask("new", place="kitchen", since_s=50_000).objects == ()
    assert house.ask("moved", since_s=50_000).objects == ()
    house.film("c.mp4", 200_000, (HALL, 20, {"door": 0.8}), (KITCHEN, 20, {"stove": 0.6, "umbrella": 0.6}))
    (gone_to,) = house.ask("moved", place="kitchen").objects
    assert (gone_to.name, gone_to.before.place, gone_to.seen.place) == ("umbrella", "hall", "kitchen")


def test_a_glimpse_makes_nothing_gone(house):
    house.film("c.mp4", 200_000, (HALL, 2, {"floor": 0.6}))
    told = house.ask("gone", place="hall", since_s=150_000)
    assert told.looks_since == 0
    assert {(one.name, one.sure) for one in told.objects} == {("door", 0.0), ("umbrella", 0.0)}


def test_without_a_time_the_last_look_is_compared(house):
    assert [one.name for one in house.ask("new", place="hall").objects] == ["umbrella"]
    house.film("c.mp4", 200_000, (HALL, 2, {"door": 0.6}))  # A glimpse is no look of its own.
    assert [one.name for one in house.ask("new", place="hall").objects] == ["umbrella"]


def test_a_camera_that_never_moves_is_compared_with_itself(house, store):
    film = house.take("cam", session=5, origin_ns=(MORNING + 300_000) * S, kind="camera", media=("video",))
    shown = [{"desk": 0.7}] * 40 + [{"desk": 0.7, "laptop": 0.6}] * 20
    seen = [
        film.shot(
            n * 300, n * 300 + 300, "a photo of it", payload={"labels": [[*one] for one in labels.items()]}
        )
        for n, labels in enumerate(shown)
    ]
    store.commit([film.put(*seen)])
    with store.views() as db:
        db.execute(
            "INSERT INTO visit VALUES (?, ?, ?, 5, 0, ?, 9, ?)",
            (b"camera visit....", OFFICE, film.source_id, 60 * 300 * S, store.last_commit),
        )
    told = house.ask("new", place=OFFICE.hex(), since_s=300_000 + 39 * 300)
    assert [one.name for one in told.objects] == ["laptop"]
    assert told.stays_before == 4


def test_the_last_sighting_is_found_by_name_whatever_came_after(house):
    (one,) = house.ask("seen", "mugs").objects
    assert (one.name, one.seen.place, one.seen.pts0_ns, one.sure) == ("mug", "kitchen", 0, 1.0)
    house.film("c.mp4", 200_000, (HALL, 20, {"mug": 0.1}), (KITCHEN, 20, "CAFE MUG\nclosed on Mondays"))
    assert [(one.by, one.name) for one in house.ask("seen", "mug").objects] == [("text", "CAFE MUG")]
    sure = house.ask("seen", "mug", until_s=200_015).objects
    assert [(one.seen.place, one.sure) for one in sure] == [("hall", 0.0), ("kitchen", 1.0)]
    assert house.ask("seen", "mug", place="hall").objects[0].share == 0.1
    assert house.ask("seen", "keys").objects == ()


def test_without_known_times_each_recording_has_its_own_last_sighting(house):
    for name in ("u.mp4", "v.mp4"):
        house.film(name, 0, (HALL, 20, {"parcel": 0.7}), (KITCHEN, 20, {"stove": 0.7}), is_dated=False)
    assert {one.seen.uri for one in house.ask("seen", "parcel").objects} == {"/media/u.mp4", "/media/v.mp4"}
    assert house.ask("new", place="hall").undated == 2


def test_what_was_known_then_and_only_of_the_wanted_sources(house, store):
    commit = store.last_commit
    house.film("c.mp4", 200_000, (HALL, 20, {"mug": 0.6}))
    assert house.ask("seen", "mug").objects[0].seen.place == "hall"
    assert house.ask("seen", "mug", as_of_commit=commit).objects[0].seen.place == "kitchen"
    assert house.ask("seen", "mug", sources=("a.mp4",)).objects[0].seen.place == "kitchen"
    with pytest.raises(ConfigError, match="no place"):
        house.ask("new", place="attic")


def test_a_long_shot_tells_of_a_place_no_more_than_its_share(house, store):
    film = house.take("long.mp4", origin_ns=(MORNING + 400_000) * S)
    store.commit([film.put(film.shot(0, 100, "a photo of sofa", payload={"labels": [["sofa", 0.9]]}))])
    with store.views() as db:
        db.execute(
            "INSERT INTO visit VALUES (?, ?, ?, 0, ?, ?, 9, ?)",
            (b"part of a walk..", HALL, film.source_id, 45 * S, 60 * S, store.last_commit),
        )
    assert [one.share for one in house.ask("seen", "sofa").objects] == [0.135]


def test_without_places_nothing_is_told(store, reader):
    with reader.snapshot() as db:
        told = objects_told(db, ObjectsAsk(cue=Cue(), change="new"), PlaceSettings())
    assert (told.objects, told.stays_since, told.stays_before) == ((), 0, 0)
