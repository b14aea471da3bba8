"""Short-term memory: what is held is what the log has of the last minutes, within its bounds."""

from __future__ import annotations

import random
import time

import msgspec
import numpy as np
import pytest

from memory.log.store import PutItem
from memory.recall.candidates import QuestionKey
from memory.recall.recent import RecentRecall
from memory.settings import ShortTermSettings
from memory.spans.short_term import ShortTerm
from memory.watching import Watching, heard_of
from stream.messages import Cue, RecallAsk
from stream.messages.cue import Recent

S = 1_000_000_000
SETTINGS = ShortTermSettings(seconds=60)


class NoSupervisor:
    """A service as `Watching` needs it, to which no supervisor ever answers."""

    class clock:
        monotonic_ns = staticmethod(time.monotonic_ns)

    def ask(self, *_, **__):
        raise AssertionError("nobody asks: its turn is never called")


def camera(take, name="room.cam", ago_s=300, **more):
    """A camera that began so many seconds before now."""
    now_ns = time.time_ns()
    more.setdefault("media", ("video", "audio"))
    return take(name, session=now_ns - ago_s * S, origin_ns=now_ns - ago_s * S, kind="camera", **more)


def labelled(own, at_s, *names):
    return own.seen("frame", at_s, at_s, payload={"labels": [[name, 0.5] for name in names]})


def held_ids(short_term):
    return {
        stretch.origin: {held.item.observation_id for held in stretch.items}
        for stretch in short_term.stretches()
    }


def fed(store, reader, short_term, *puts):
    for put in puts:
        store.commit([put])
        with reader.snapshot() as db:
            short_term.feed(db, time.time_ns())


def recent_of(short_term, settings=SETTINGS):
    return RecentRecall(short_term, Watching(NoSupervisor()), settings)


def asked(reader, recent, text="", k=10, from_s=30.0, until_s=0.0, questions=(), **gates):
    ask = RecallAsk(cue=Cue(text=text, **gates), k=k, recent=Recent(from_s=from_s, until_s=until_s))
    with reader.snapshot() as db:
        return recent.answer(db, ask, ask.recent, questions)


def last_minutes(reader, seconds):
    """By source, the ids that the log has of its last seconds; of live sources alone."""
    with reader.snapshot() as db:
        rows = db.execute(
            "SELECT o.source_id, o.session, o.observation_id, o.pts1_ns FROM observation AS o"
            " WHERE o.session <> 0 AND o.kind <> 'clip'"
        ).fetchall()
    newest, wanted = {}, {}
    for source_id, session, _, pts1_ns in rows:
        newest[source_id, session] = max(newest.get((source_id, session), pts1_ns), pts1_ns)
    for source_id, session, own_id, pts1_ns in rows:
        if pts1_ns >= newest[source_id, session] - seconds * S:
            wanted.setdefault((source_id, session), set()).add(own_id)
    return wanted


def at_random(rng, own, at_s):
    kind = rng.choice(["frame", "shot", "utterance", "seen_text"])
    length_s = 0 if kind == "frame" else rng.uniform(0.5, 40)
    text = (
        ""
        if kind == "frame"
        else " ".join(rng.choices(["cup", "door", "lamp", "rain"], k=rng.randint(1, 80)))
    )
    return own.seen(kind, max(0, at_s - length_s), at_s, text, ordinal=rng.randrange(10**6))


@pytest.mark.parametrize("seed", range(8))
def test_what_is_held_is_the_last_minutes_of_the_log_and_a_restart_finds_the_same(store, reader, take, seed):
    rng = random.Random(seed)  # noqa: S311
    one, two, film = camera(take), camera(take, "hall.cam"), take("film.mp4", origin_ns=time.time_ns())
    short_term = ShortTerm(SETTINGS)
    clock = {one.name: 0.0, two.name: 0.0, film.name: 0.0}
    for _ in range(60):
        own = rng.choice([one, one, two, film])
        clock[own.name] += rng.uniform(0, 9)
        late_s = clock[own.name] - rng.choice([0, 0, 0, 30])
        seen = [at_random(rng, own, max(0.5, late_s)) for _ in range(rng.randint(1, 4))]
        fed(store, reader, short_term, own.put(*seen))
        assert held_ids(short_term) == last_minutes(reader, 60)
    again = ShortTerm(SETTINGS)
    fed(store, reader, again)
    with reader.snapshot() as db:
        again.feed(db, time.time_ns())
    assert held_ids(again) == held_ids(short_term)
    assert short_term.told()["shed"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_bytes_are_bounded_per_source_and_in_all_and_what_is_shed_is_counted(store, reader, take, seed):
    rng = random.Random(seed)  # noqa: S311
    settings = ShortTermSettings(seconds=600, source_bytes=40_000, total_bytes=60_000)
    short_term, cameras = ShortTerm(settings), [camera(take, f"{n}.cam") for n in range(3)]
    n_shed = 0
    for step in range(1, 80):
        own = rng.choice(cameras)
        fed(store, reader, short_term, own.put(at_random(rng, own, float(step))))
        told = short_term.told()
        stretches = short_term.stretches()
        per_source = [sum(held.n_bytes for held in one.items) for one in stretches]
        assert max(per_source) <= 40_000
        assert sum(per_source) == told["bytes"] <= 60_000
        assert told["shed"] >= n_shed
        n_shed = told["shed"]
        wanted = last_minutes(reader, 600)
        missing = sum(len(ids) for ids in wanted.values()) - told["observations"]
        assert missing == n_shed, "nothing goes unheard"
        for one in stretches:  # What is held is whole from where it says.
            ids = {held.item.observation_id for held in one.items}
            with reader.snapshot() as db:
                rows = db.execute(
                    "SELECT observation_id FROM observation"
                    " WHERE source_id = ? AND session = ? AND pts1_ns > ?",
                    (*one.origin, one.from_pts_ns),
                ).fetchall()
            assert {own_id for (own_id,) in rows} <= ids
    assert n_shed > 0


def test_counted_bytes_are_near_what_they_take(store, reader, take):
    import tracemalloc

    own = camera(take)
    rng = random.Random(3)  # noqa: S311
    store.commit([own.put(*(at_random(rng, own, n / 4) for n in range(1, 1200)))])
    short_term = ShortTerm(ShortTermSettings(seconds=3600, source_bytes=1 << 30, total_bytes=1 << 30))
    with reader.snapshot() as db:
        tracemalloc.start()
        short_term.feed(db, time.time_ns())
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert 0.6 < taken / short_term.told()["bytes"] <= 1.1


def test_now_is_answered_before_any_key_and_before_the_shot_is_over(store, reader, take):
    own, short_term = camera(take, ago_s=100), ShortTerm(SETTINGS)
    recent = recent_of(short_term)
    fed(store, reader, short_term, own.put(own.shot(0, 30, "a photo of sofa, lamp")))
    fed(
        store,
        reader,
        short_term,
        own.put(labelled(own, 95, "laptop", "mouse"), labelled(own, 96, "laptop", "mouse")),
    )
    told = asked(reader, recent)
    assert [(item.kind, item.text) for item in told.items] == [("frame", "a photo of laptop, mouse")]
    assert told.items[0].t0_ns == own.origin_ns + 96 * S
    (watched,) = told.watched
    assert watched.is_watched
    assert watched.through_ns == own.origin_ns + 96 * S
    fed(store, reader, short_term, own.put(own.said(90, 97, "Where did I put my keys?")))
    assert [item.kind for item in asked(reader, recent).items] == ["utterance", "frame"]
    assert [item.kind for item in asked(reader, recent, kinds=("utterance",)).items] == ["utterance"]


def test_frames_that_a_shot_tells_of_are_not_told_beside_it(store, reader, take):
    own, short_term = camera(take, ago_s=40), ShortTerm(SETTINGS)
    frames = [labelled(own, n, "desk" if n % 2 else "cup") for n in range(40)]
    fed(store, reader, short_term, own.put(*frames))
    fed(store, reader, short_term, own.put(own.shot(0, 30, "a photo of desk, cup")))
    told = asked(reader, recent_of(short_term), from_s=60, k=30).items
    assert [item.kind for item in told][:1] == ["shot"]
    assert all(item.pts0_ns >= 30 * S for item in told if item.kind == "frame")


def test_words_of_a_cue_come_before_what_is_newer(store, reader, take):
    own, short_term = camera(take, ago_s=60), ShortTerm(SETTINGS)
    said = [own.said(n, n + 1, text) for n, text in ((10, "The kettle is boiling."), (40, "Good morning."))]
    fed(store, reader, short_term, own.put(*said))
    told = asked(reader, recent_of(short_term), "Was a kettle mentioned?", k=1, from_s=60)
    assert [item.text for item in told.items] == ["The kettle is boiling."]
    assert told.items[0].grounding["lexical_share"] > 0


def test_further_back_than_is_held_comes_from_the_log_with_nothing_twice(store, reader, take):
    own = camera(take, ago_s=290)
    short_term = ShortTerm(SETTINGS)
    puts = [own.put(own.said(n * 10, n * 10 + 5, f"Sentence number {n}.")) for n in range(29)]
    fed(store, reader, short_term, *puts)
    told = asked(reader, recent_of(short_term), from_s=250, k=50)
    ids = [item.observation_id for item in told.items]
    assert len(ids) == len(set(ids)) == 25
    whole = ShortTerm(ShortTermSettings(seconds=3600))
    fed(store, reader, whole)
    with reader.snapshot() as db:
        whole.feed(db, time.time_ns())
    other = asked(reader, recent_of(whole), from_s=250, k=50)
    assert [item.observation_id for item in other.items] == ids
    none = recent_of(ShortTerm(ShortTermSettings(seconds=0)))
    assert [item.observation_id for item in asked(reader, none, from_s=250, k=50).items] == ids


def test_minutes_ago_are_counted_back_from_the_clock_of_the_source(store, reader, take):
    own, short_term = camera(take, ago_s=295), ShortTerm(ShortTermSettings(seconds=300))
    fed(store, reader, short_term, own.put(*(own.said(n, n + 1, f"At {n}.") for n in range(0, 290, 10))))
    told = asked(reader, recent_of(short_term), from_s=190, until_s=90, k=50)
    assert [item.text for item in told.items] == [f"At {n}." for n in range(100, 200, 10)]


def test_gates_hold_also_on_what_is_held(store, reader, take):
    one, two, short_term = camera(take), camera(take, "hall.cam"), ShortTerm(SETTINGS)
    fed(
        store,
        reader,
        short_term,
        one.put(one.said(290, 292, "In the room.", speaker="Ann")),
        two.put(two.said(290, 292, "In the hall.", speaker="Ben", place="hall")),
    )
    recent = recent_of(short_term)
    assert len(asked(reader, recent).items) == 2
    for gates in ({"sources": ("hall.cam",)}, {"person": "ben"}, {"place": "Hall"}):
        assert [item.text for item in asked(reader, recent, **gates).items] == ["In the hall."], gates
    assert asked(reader, recent, kinds=("shot",)).items == ()


def test_as_of_a_commit_nothing_later_is_known(store, reader, take):
    own, short_term = camera(take), ShortTerm(SETTINGS)
    fed(
        store,
        reader,
        short_term,
        own.put(own.said(280, 282, "Before.")),
        own.put(own.said(290, 292, "After.")),
    )
    recent = recent_of(short_term)
    assert [item.text for item in asked(reader, recent).items] == ["Before.", "After."]
    then = asked(reader, recent, as_of_commit=1)
    assert [item.text for item in then.items] == ["Before."]
    assert then.as_of_commit == 1
    assert then.watched[0].through_ns == own.origin_ns + 282 * S


def test_what_the_log_lost_is_not_told_although_it_is_held(store, reader, take):
    own, short_term = camera(take), ShortTerm(SETTINGS)
    secret, parts = own.said(290, 292, "A secret.")
    fed(store, reader, short_term, own.put((secret, parts)), own.put(own.said(293, 294, "No secret.")))
    with store.views() as db:
        db.execute("DELETE FROM observation WHERE observation_id = ?", (secret.observation_id,))
    recent = recent_of(short_term)
    assert [item.text for item in asked(reader, recent).items] == ["No secret."]
    assert short_term.forget([secret.observation_id]) == 1
    assert held_ids(short_term) == last_minutes(reader, 60)


def test_nothing_is_watched_then_the_last_is_told(store, reader, take):
    own, short_term = camera(take, ago_s=5000), ShortTerm(SETTINGS)
    store.commit([own.put(own.shot(0, 20, "a photo of cat"), marks=own.ends(20))])
    told = asked(reader, recent_of(short_term))
    assert [one.is_watched for one in told.watched] == [False]
    assert [item.text for item in told.items] == ["a photo of cat"]
    film = take("film.mp4", origin_ns=time.time_ns())
    store.commit([film.put(film.shot(0, 5, "a photo of dog"))])
    assert len(asked(reader, recent_of(short_term)).watched) == 1, "a film is not watched"


def test_a_source_is_watched_while_it_is_heard_of(store, reader, take):
    own, short_term = camera(take), ShortTerm(SETTINGS)
    fed(store, reader, short_term, own.put(own.said(290, 292, "Hello.")))
    assert asked(reader, recent_of(short_term)).watched[0].is_watched
    strict = ShortTermSettings(seconds=60, watched_s=1e-6)
    assert not asked(reader, recent_of(short_term, strict)).watched[0].is_watched
    fed(store, reader, short_term, own.put(marks=own.ends(300)))
    assert not asked(reader, recent_of(short_term)).watched[0].is_watched, "it has ended"
    with reader.snapshot() as db:
        from memory.log.reader import sources

        assert heard_of(db, sources(db)[0], None) is not None


def test_a_picture_finds_what_is_like_it_by_the_keys_that_are_held(store, reader, take):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((3, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own, short_term = camera(take), ShortTerm(SETTINGS)
    shots = [own.shot(280 + n, 281 + n, f"a photo of thing {n}", vector=vectors[n]) for n in range(3)]
    fed(store, reader, short_term, own.put(*shots))
    question = QuestionKey("image", "image-encoder", vectors[1])
    told = asked(reader, recent_of(short_term), k=1, questions=[question])
    assert [item.text for item in told.items] == ["a photo of thing 1"]
    assert told.items[0].grounding["image"] == pytest.approx(1.0, abs=0.01)


def test_a_range_of_time_is_joined_with_what_no_index_has_yet(store, reader, take, shelf):
    from memory.recall.pipeline import Recall
    from memory.settings import RecallSettings

    own, short_term = camera(take, ago_s=50), ShortTerm(SETTINGS)
    fed(
        store,
        reader,
        short_term,
        own.put(own.said(30, 32, "The kettle boils.")),
        own.put(labelled(own, 45, "teapot", "cup")),
    )
    ask = RecallAsk(cue=Cue(text="teapot kettle", t0_ns=own.origin_ns + 20 * S), k=10)
    with reader.snapshot() as db:
        plain = Recall(shelf, RecallSettings())(db, ask.cue, ask.k)
        joined = recent_of(short_term).joined(db, ask, plain)
    assert [item.kind for item in plain.items] == ["utterance"]
    assert [item.kind for item in joined.items] == ["utterance", "frame"]
    early = msgspec.structs.replace(ask, cue=Cue(text="teapot", t0_ns=own.origin_ns - 900 * S))
    with reader.snapshot() as db:
        assert recent_of(short_term).joined(db, early, plain) is plain, "it reaches further than what is held"


def test_a_clip_is_not_held(store, reader, take):
    own, short_term = camera(take), ShortTerm(SETTINGS)
    fed(store, reader, short_term, own.put(own.seen("clip", 280, 290), own.said(285, 286, "Hi there.")))
    assert [item.kind for item in asked(reader, recent_of(short_term)).items] == ["utterance"]
    assert isinstance(own.put(), PutItem)
