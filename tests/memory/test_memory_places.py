"""The map of places: who is where, what the owner says about it, and that it is the same however it came."""

from __future__ import annotations

import random

import numpy as np
import pytest
from msgspec.structs import replace

from memory.forget.service import Forget
from memory.places import whitening
from memory.places.geometry import Agreement, LocalFeatures
from memory.places.map import PlaceMap, View, place_id_of
from memory.places.prototypes import drift, gives_way, relation
from memory.places.recognition import SampledRecogniser
from memory.places.service import Places
from memory.places.settings import PlaceSettings
from memory.places.store import forget_map
from memory.places.whitening import unit
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings
from stream.errors import ConfigError
from stream.messages import Cue, KeyRef, Observation, observation_id
from stream.messages.forget import ForgetAsk
from stream.messages.places import PlacePut, PlacesAsk
from stream.process.log import Log
from stream.wire.parts import array_part

S = 1_000_000_000
D = 64


def room(n):
    """What a room looks like, beside what all rooms of a house share."""
    return np.random.default_rng(1000 + n).standard_normal(D)


def look(n, step, *, noise=0.35):
    shared = np.random.default_rng(7).standard_normal(D) * 2
    row = shared + room(n) + noise * np.random.default_rng(n * 1000 + step).standard_normal(D)
    return (row / np.linalg.norm(row)).astype(np.float32)


SAMPLE = np.stack([look(200 + n, 0) for n in range(64)])
"""Other rooms of the same house."""


def view(take, t_s, vector, *, quality=1.0, **fields):
    """A view of a source as perception commits it."""
    pts = round(t_s * S)
    oid = observation_id(take.source_id, take.session, "view", "place-test/1", pts)
    observation = Observation(
        observation_id=oid,
        source_id=take.source_id,
        session=take.session,
        track=0,
        kind="view",
        producer_id="place-test/1",
        pts0_ns=pts,
        pts1_ns=pts,
        t0_ns=None if take.origin_ns is None else take.origin_ns + pts,
        t1_ns=None if take.origin_ns is None else take.origin_ns + pts,
        payload={"quality": quality},
        keys=(KeyRef(part=f"k{oid.hex()}", kind="place", encoder_id="place-test/1"),),
        **fields,
    )
    return observation, [array_part(f"k{oid.hex()}", vector)]


def walk(take, rooms, *, each=6, start_s=0.0):
    """Views of a walk through rooms, two seconds apart."""
    return [
        view(take, start_s + 2 * (place * each + step), look(n, place * 100 + step))
        for place, n in enumerate(rooms)
        for step in range(each)
    ]


@pytest.fixture
def places(store, reader):
    def made(**settings):
        return Places(store, reader, PlaceSettings(**settings), lambda: 1_800_000_000 * S)

    return made


@pytest.fixture
def forgetting(store, reader, shelf):
    """Forget on the store, driven to its end without lanes."""

    class Now:
        def submit(self, run, *arguments, done=None, failed=None):
            result = run(*arguments)
            if done is not None:
                done(result)

        def goes_on(self):
            return None

    class Asked:
        def __init__(self, message):
            self.message, self.told = message, None

        def reply(self, told):
            self.told = told

    lane = Now()
    forget = Forget(
        store,
        reader,
        shelf,
        lane,
        lane,
        query=lambda received, answer: received.reply(answer(received)),
        fail=lambda received, error: pytest.fail(str(error)),
        changed=lambda ids: None,
        woken=lambda: None,
        log=Log("test"),
    )

    class Forgetting:
        def ask(self, **fields):
            asked = Asked(ForgetAsk(**fields))
            forget.take(asked)
            return asked.told

        def all_of(self, **fields):
            told = self.ask(begin=True, **fields)
            for turn in range(200):
                forget.turn(turn * 10**12)
                told = self.ask(erasure_id=told.erasure_id)
                if told.over or told.problem:
                    break
            return told

    yield Forgetting()
    shelf.close()


def rows_of(reader):
    """All that the tables say, but for numbers of commits and rows."""
    with reader.snapshot() as db:
        return [
            db.execute(sql).fetchall()
            for sql in (
                "SELECT view_id, found, place_id FROM place_view ORDER BY view_id",
                "SELECT place_id, label FROM place ORDER BY place_id",
                "SELECT visit_id, place_id, pts0_ns, pts1_ns, views FROM visit ORDER BY visit_id",
                "SELECT from_id, to_id, times FROM transition ORDER BY 1, 2",
                "SELECT v.view_id, c.added FROM place_change AS c JOIN place_view AS v ON v.n = c.n"
                " ORDER BY c.seq",
            )
        ]


def of_rooms(reader, takes_rooms, each=6):
    """The place that most views of each room of each walk are of."""
    found = []
    with reader.snapshot() as db:
        for take, rooms in takes_rooms:
            for place in range(len(rooms)):
                low, high = 2 * place * each * S, 2 * (place + 1) * each * S
                rows = db.execute(
                    "SELECT place_id, COUNT(*) FROM place_view WHERE source_id = ? AND pts0_ns >= ?"
                    " AND pts0_ns < ? GROUP BY 1 ORDER BY 2 DESC",
                    (take.source_id, low, high),
                ).fetchall()
                found.append(rows[0][0])
    return found


# The map.


def test_rooms_are_told_apart_and_known_again(store, reader, take, places):
    first, second = take("a.mp4"), take("b.mp4")
    store.commit([first.put(*walk(first, [0, 1, 2, 3, 0]))])
    store.commit([second.put(*walk(second, [2, 4, 1]))])
    places().hold()
    a0, a1, a2, a3, again, b2, b4, b1 = of_rooms(reader, [(first, [0, 1, 2, 3, 0]), (second, [2, 4, 1])])
    assert len({a0, a1, a2, a3, b4}) == 5
    assert (again, b2, b1) == (a0, a2, a1)
    with reader.snapshot() as db:
        visits = db.execute(
            "SELECT place_id FROM visit WHERE source_id = ? ORDER BY pts0_ns", (first.source_id,)
        )
        assert [one for (one,) in visits] == [a0, a1, a2, a3, a0]
        assert db.execute("SELECT SUM(times) FROM transition").fetchone()[0] == 6


@pytest.mark.parametrize(("length_s", "end_s"), [(30, 30), (None, 82), (500, 82)])
def test_a_visit_ends_with_its_file_or_a_minute_after_its_last_view(
    length_s, end_s, store, reader, take, places
):
    film = take("a.mp4")
    record = film.put(*walk(film, [0], each=12))
    length_ns = None if length_s is None else length_s * S
    sources = tuple(replace(one, duration_ns=length_ns) for one in record.message.sources)
    store.commit([record._replace(message=replace(record.message, sources=sources))])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT pts0_ns, pts1_ns FROM visit").fetchall() == [(0, end_s * S)]


def test_a_photo_is_a_visit_of_no_length(store, reader, take, places):
    photo = take("a.jpg", media=("stills",))
    store.commit([photo.put(view(photo, 0, look(0, 0)))])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT pts0_ns, pts1_ns FROM visit").fetchall() == [(0, 1)]


def test_one_strange_view_is_no_departure(store, reader, take, places):
    film = take("a.mp4")
    seen = walk(film, [0, 1], each=10)
    seen[5] = view(film, 10, look(30, 5))
    store.commit([film.put(*seen)])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM visit").fetchone()[0] == 2


def test_a_blurred_view_says_nothing(store, reader, take, places):
    film = take("a.mp4")
    blurred = [view(film, 20 + 2 * n, look(60, n), quality=0.05) for n in range(4)]
    store.commit([film.put(*walk(film, [0], each=10), *blurred, *walk(film, [0], each=5, start_s=30))])
    places().hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*), MIN(views) FROM visit").fetchone() == (1, 19)


def test_the_same_views_give_the_same_map_whoever_is_killed_when(store, reader, take, places):
    """Step by step, each step by a process that knows only the tables; and in one go; and made anew."""
    films = [take(f"{n}.mp4") for n in range(3)]
    dice = random.Random(4)  # noqa: S311
    batches = []
    for film in films:
        seen = walk(film, [dice.randrange(6) for _ in range(5)])
        batches += [film.put(*seen[n : n + 4]) for n in range(0, len(seen), 4)]
    dice.shuffle(batches)
    for batch in batches:
        store.commit([batch])
        made = places()
        looked = made._look()
        made._write(looked)
        # A retry, later and out of order, changes nothing.
        store.commit([batches[dice.randrange(batches.index(batch) + 1)]])
    places().hold()
    by_steps = rows_of(reader)
    with store.views() as db:
        forget_map(db)
    places().hold()
    assert rows_of(reader) == by_steps
    assert by_steps[0]


def test_a_place_that_is_known_late_is_dissolved_into_the_old_one():
    """First a corner that nobody has seen; then views that have the corner in them, and the room, too."""
    map_ = PlaceMap(SampledRecogniser(SAMPLE), PlaceSettings())

    def see(stream, n, vector):
        return map_.see(View(b"%s.%d" % (stream, n), (stream, 0), n * 2 * S, vector))

    home = see(b"a", 0, look(3, 0)).place_id
    for n in range(1, 6):
        see(b"a", n, look(3, n))
    corner = look(90, 1)
    founded = see(b"b", 0, corner).place_id
    both = [unit((0.5 * corner + 0.5 * look(3, 100 + n))[None])[0] for n in range(6)]
    seen = [see(b"b", 1 + n, vector) for n, vector in enumerate(both)]
    assert founded != home
    assert seen[0].place_id == founded
    assert seen[-1].place_id == home
    assert [one.dissolved for one in seen if one.dissolved] == [founded]
    assert founded not in map_.places
    # The corner alone is known from now on, by two views: one by itself is too little without points.
    assert [see(b"c", n, look(90, 2 + n)).place_id == home for n in range(2)] == [False, True]


@pytest.mark.parametrize("n_sampled", [0, 4, 32])
def test_a_sampled_recogniser_is_never_fitted_again(n_sampled, monkeypatch):
    """At more than twice the sample each view had everything fitted anew: a large store never got ready."""
    recogniser = SampledRecogniser(SAMPLE[:n_sampled])
    fits = []
    monkeypatch.setattr(whitening, "fit", lambda *rows: fits.append(len(rows)))
    for n in range(80):
        recogniser.add(b"%d" % n, look(n, 0), None, 1.0)
    assert not fits
    assert recogniser.candidates(look(7, 0), 1)[0][0] == b"7"


def test_points_that_agree_weigh_more_than_likeness():
    class Verified(SampledRecogniser):
        def verify(self, a, b):
            return Agreement(40 if int(a.xy[0, 0]) == int(b.xy[0, 0]) else 4, 0.9)

    def local(n):
        return LocalFeatures(np.full((1, 2), n, np.uint16), np.zeros((1, 128), np.uint8))

    map_ = PlaceMap(Verified(SAMPLE), PlaceSettings())
    twins = look(1, 1)  # Two floors that look alike.
    first = map_.see(View(b"1", (b"a", 0), 0, twins, local(1))).place_id
    for n in range(10):
        map_.see(View(b"x%d" % n, (b"x", n), 0, look(10 + n, 1), local(50 + n)))
    again = map_.see(View(b"2", (b"b", 0), 0, look(1, 2), local(1))).place_id
    other = map_.see(View(b"3", (b"c", 0), 0, look(1, 3), local(2))).place_id
    assert again == first
    assert other != first


def test_gps_keeps_apart_what_looks_alike():
    map_ = PlaceMap(SampledRecogniser(SAMPLE), PlaceSettings(accept=0.8))
    paris, rome = (48.85, 2.35), (41.9, 12.5)
    for n in range(12):
        map_.see(View(b"x%d" % n, (b"x", n), 0, look(20 + n, 1)))
    seen = [
        map_.see(View(b"%d" % n, (b"s%d" % n, 0), 0, look(1, n), lat=where[0], lon=where[1])).place_id
        for n, where in enumerate([paris, rome, paris, rome])
    ]
    assert seen[0] == seen[2] != seen[1] == seen[3]


def test_a_fixed_camera_is_one_place_whatever_it_sees(store, reader, take, places):
    camera = take("door", session=7, kind="camera", media=("video",))
    store.commit([camera.put(*walk(camera, [0, 1, 2, 3]))])
    places(fixed=("door",)).hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM place").fetchone()[0] == 1


# Prototypes.


def chosen(ids, rows, others, most):
    """What is left of a place where one after another gives way, as the map has it."""
    order = sorted(range(len(ids)), key=lambda n: ids[n])
    ids, rows = [ids[n] for n in order], rows[order]
    while len(ids) > most:
        n = gives_way(ids, rows, others)
        ids, rows = ids[:n] + ids[n + 1 :], np.delete(rows, n, axis=0)
    return ids


def test_prototypes_do_not_depend_on_the_order_of_views():
    rows = unit(np.stack([look(n % 3, n) for n in range(40)]))
    ids = [bytes([n]) for n in range(40)]
    others = unit(np.stack([look(50 + n, 1) for n in range(8)]))
    kept = chosen(ids, rows, others, 5)
    order = np.random.default_rng(0).permutation(40)
    assert chosen([ids[n] for n in order], rows[order], others, 5) == kept
    assert len(kept) == 5
    # Of each of the three ways the place looks one stands for it.
    assert {ids.index(one) % 3 for one in kept} == {0, 1, 2}


def test_a_place_relates_to_samples_after_pruning_as_before():
    rows = unit(np.stack([look(n % 4, n) for n in range(32)]))
    ids = [bytes([n]) for n in range(32)]
    others = unit(np.stack([look(50 + n, 1) for n in range(16)]))
    samples = np.concatenate([rows, others])
    before = relation(rows, samples)
    kept = [ids.index(one) for one in chosen(ids, rows, others, 5)]
    by_chance = [
        drift(before, relation(rows[np.random.default_rng(seed).permutation(32)[:5]], samples))
        for seed in range(20)
    ]
    assert drift(before, relation(rows[kept], samples)) < np.median(by_chance)


# What the owner decides.


def walked(store, take, places, **settings):
    film = take("a.mp4", origin_ns=1_700_000_000 * S)
    talk = [
        film.said(3, 5, "the kettle is on"),
        film.said(15, 17, "the sofa is new"),
        film.said(27, 29, "the tap drips"),
        film.said(51, 53, "the stairs creak"),
    ]
    store.commit([film.put(*walk(film, [0, 1, 0, 2, 3]), *talk)])
    made = places(**settings)
    made.hold()
    return film, made


def said_at(reader, name):
    with reader.snapshot() as db:
        gates = gates_of(db, Cue(place=name, kinds=("utterance",)))
        rows = db.execute(
            f"SELECT o.text FROM observation AS o WHERE 1{gates.sql} ORDER BY o.n",  # noqa: S608
            gates.parameters,
        )
        return [text for (text,) in rows]


def test_a_label_reaches_past_and_future_visits(store, reader, take, places):
    film, made = walked(store, take, places)
    kitchen, _, again, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    assert kitchen == again
    made.put(PlacePut(kind="label", places=(kitchen.hex()[:8],), label="kitchen"))
    assert said_at(reader, "Kitchen") == ["the kettle is on", "the tap drips"]
    later = take("b.mp4")
    store.commit([later.put(*walk(later, [4, 0]), later.said(14, 16, "the oven is hot"))])
    made.hold()
    assert said_at(reader, "kitchen") == ["the kettle is on", "the tap drips", "the oven is hot"]
    told = made.told(PlacesAsk(place="kitchen", visits=True))
    assert (told.total, len(told.places)) == (3, 1)
    assert told.visits[0].lines == ("the oven is hot",)


def test_a_merge_and_its_undo(store, reader, take, places):
    film, made = walked(store, take, places)
    before = rows_of(reader)
    kitchen, sofa, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    made.put(PlacePut(kind="merge", places=(kitchen.hex(), sofa.hex())))
    assert said_at(reader, kitchen.hex()) == ["the kettle is on", "the sofa is new", "the tap drips"]
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM visit WHERE place_id = ?", (kitchen,)).fetchone()[0] == 1
    made.put(PlacePut(kind="undo"))
    assert rows_of(reader) == before
    with pytest.raises(ConfigError, match="nothing was decided"):
        made.put(PlacePut(kind="undo"))


def test_a_split_takes_visits_out_and_new_views_go_with_the_likest(store, reader, take, places):
    """Two rooms that the map takes for one, since nothing is new to it."""
    film = take("a.mp4")
    store.commit([film.put(*walk(film, [0, 1], each=8))])
    made = places()
    made.hold()
    first, second = of_rooms(reader, [(film, [0, 1])], each=8)
    made.put(PlacePut(kind="merge", places=(first.hex(), second.hex())))
    later = take("b.mp4")
    store.commit([later.put(*walk(later, [2, 1], each=8))])
    made.hold()
    visits = made.told(PlacesAsk(place=first.hex(), visits=True)).visits
    assert [one.uri for one in visits] == ["/media/b.mp4", "/media/a.mp4"]
    done = made.put(PlacePut(kind="split", places=(first.hex(),), visits=(visits[0].visit_id.hex(),)))
    out = place_id_of(done.act.act_id)
    newest = take("c.mp4")
    store.commit([newest.put(*walk(newest, [1, 5, 0], each=8))])
    made.hold()
    one, _, zero = of_rooms(reader, [(newest, [1, 5, 0])], each=8)
    assert (one, zero) == (out, first)
    made.put(PlacePut(kind="undo", undoes=done.act.act_id.hex()[:8]))
    one, _, zero = of_rooms(reader, [(newest, [1, 5, 0])], each=8)
    assert one == zero == first


def test_acts_hold_in_a_map_that_was_made_anew_without_the_founding_view(store, reader, take, places):
    film, made = walked(store, take, places)
    kitchen, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    made.put(PlacePut(kind="label", places=(kitchen.hex(),), label="kitchen"))
    with store.erasing() as (db, _, _):
        from memory.forget.erase import erase
        from memory.forget.selection import Condition

        erase(db, [Condition("o.kind = 'view' AND o.pts0_ns < ?", (4 * S,))], frozenset(), store.media.folder)
    with store.views() as db:
        forget_map(db)
    made.hold()
    with reader.snapshot() as db:
        rows = db.execute("SELECT place_id FROM place WHERE label = 'kitchen'").fetchall()
    assert len(rows) == 1
    assert rows[0][0] != kitchen
    # The first seconds are not of it any more.
    assert said_at(reader, "kitchen")[-1] == "the tap drips"


def test_what_is_not_there_is_named(store, reader, take, places):
    _, made = walked(store, take, places)
    for put, words in (
        (PlacePut(kind="label", places=("cellar",), label="x"), "no place 'cellar'"),
        (PlacePut(kind="label", places=("cellar",), label=" "), "1 to 100 characters"),
        (PlacePut(kind="merge", places=()), "two places"),
        (PlacePut(kind="split", places=("ab",)), "1 to 256 visits"),
        (PlacePut(kind="undo", undoes="ffff"), "no act 'ffff'"),
    ):
        with pytest.raises(ConfigError, match=words):
            made.put(put)


def test_replies_fit_the_wire(store, reader, take, places, assert_sendable):
    film, made = walked(store, take, places)
    place_id = of_rooms(reader, [(film, [0])])[0]
    assert_sendable(made.put(PlacePut(kind="label", places=(place_id.hex(),), label="kitchen")))
    assert_sendable(made.told(PlacesAsk(acts=True)))
    assert_sendable(made.told(PlacesAsk(labels=True)))
    assert_sendable(made.told(PlacesAsk(place="kitchen", visits=True)))


# Recall.


def test_evidence_says_where_it_was(store, reader, take, places, shelf):
    film, made = walked(store, take, places)
    kitchen, sofa, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    made.put(PlacePut(kind="label", places=(kitchen.hex(),), label="kitchen"))
    recall = Recall(shelf, RecallSettings())
    with reader.snapshot() as db:
        found = {item.text: item.place for item in recall(db, Cue(text="kettle sofa"), 5, []).items}
        gated = recall(db, Cue(text="sofa", place="kitchen"), 5, [])
    assert found["the kettle is on"] == "kitchen"
    assert found["the sofa is new"] == f"place {sofa.hex()[:8]}"
    assert "the sofa is new" not in [item.text for item in gated.items]
    with reader.snapshot() as db, pytest.raises(ConfigError, match="no place 'cellar', or several; labels"):
        recall(db, Cue(text="sofa", place="cellar"), 5, [])


def test_a_place_that_is_named_is_a_wish_and_one_of_other_rooms_is_none(store, reader, take, places, shelf):
    """The same words in two rooms: the label decides; with labels shuffled it does not help."""
    film = take("a.mp4")
    talk = [film.said(3, 5, "the lamp is broken"), film.said(15, 17, "the lamp is broken again")]
    store.commit([film.put(*walk(film, [0, 1]), *talk)])
    made = places()
    made.hold()
    first, second = of_rooms(reader, [(film, [0, 1])])
    recall = Recall(shelf, RecallSettings(place=4.0))

    def best(label_of):
        for place_id, name in label_of.items():
            made.put(PlacePut(kind="label", places=(place_id.hex(),), label=name))
        with reader.snapshot() as db:
            items = recall(db, Cue(text="what about the lamp, bedroom or where"), 2, []).items
        return max(items, key=lambda item: item.score).text

    assert best({first: "kitchen", second: "bedroom"}) == "the lamp is broken again"
    assert best({first: "bedroom", second: "kitchen"}) == "the lamp is broken"


# Forgetting.


def test_a_forgotten_place_leaves_no_byte(store, reader, take, places, shelf, forgetting):
    film, made = walked(store, take, places)
    kitchen, sofa, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    secret = "Grandmother's blue kitchen"
    made.put(PlacePut(kind="label", places=(kitchen.hex(),), label=secret))
    made.put(PlacePut(kind="label", places=(sofa.hex(),), label="living room"))
    with reader.snapshot() as db:
        vectors = [
            v
            for (v,) in db.execute(
                "SELECT k.vector FROM key AS k JOIN place_view AS p ON p.view_id = k.owner"
                " WHERE p.place_id = ?",
                (kitchen,),
            )
        ]
    told = forgetting.all_of(places=(secret,))
    assert told.verified, told
    made.hold()
    folder = store.path.parent
    held = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    assert len(vectors) == 12
    assert not [one for one in vectors if bytes(one) in held]
    for words in (secret, "kettle is on", "tap drips"):
        assert words.encode() not in held
    assert "the sofa is new" in said_at(reader, "living room")
    with pytest.raises(ConfigError, match="no place"):
        made.told(PlacesAsk(place=secret))


def test_a_place_is_forgotten_and_what_was_said_there_stays(store, reader, take, places, forgetting):
    film, made = walked(store, take, places)
    kitchen, *_ = of_rooms(reader, [(film, [0, 1, 0, 2, 3])])
    made.put(PlacePut(kind="label", places=(kitchen.hex(),), label="Grandmother's kitchen"))
    told = forgetting.all_of(places=(kitchen.hex(),), only_views=True)
    assert told.verified, told
    with reader.snapshot() as db:
        texts = [text for (text,) in db.execute("SELECT text FROM observation WHERE text <> '' ORDER BY n")]
        assert db.execute("SELECT 1 FROM place WHERE place_id = ?", (kitchen,)).fetchone() is None
        assert db.execute("SELECT COUNT(*) FROM act WHERE kind = 'label'").fetchone()[0] == 0
    assert texts == ["the kettle is on", "the sofa is new", "the tap drips", "the stairs creak"]
    # Sent once more, the views are refused.
    store.commit([film.put(*walk(film, [0, 1, 0, 2, 3]))])
    made.hold()
    with reader.snapshot() as db:
        assert db.execute("SELECT COUNT(*) FROM place_view").fetchone()[0] == 18
