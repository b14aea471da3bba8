"""Recall as of a commit: nothing that was committed later shows, or moves an order or a verdict."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.keys.build import build_words
from memory.keys.index import IndexShelf
from memory.keys.keyers import DigestKeyer, TextKeyer, add_keys
from memory.log.reader import LogReader, ends_of
from memory.log.store import LogStore
from memory.recall.candidates import QuestionKey
from memory.recall.past import bm25_of
from memory.recall.pipeline import Recall
from memory.settings import ChatWeights, RecallSettings, SpanSettings
from memory.spans.consolidate import Consolidator
from memory.spans.segment import segmenter_of
from stream.errors import SourceGone
from stream.messages import Cue, Envelope
from stream.wire.codec import encode as encoded

S = 1_000_000_000
NOON_NS = 1_700_000_000 * S
E, DIMENSION = "toy-encoder", 24
WORDS = tuple(
    "ferry island bread bakes key door apple well storm village bees honey market tram umbrella".split()  # noqa: SIM905
)
SPEAKERS = ("Ana", "Ben")
FULL = RecallSettings(edge=0.5, sense=0.5, parent=0.5, chat=ChatWeights(parent=0.5, edge=0.5, moment=0.5))
PLAIN = RecallSettings(edge=0.0, parent=0.0)


def vector_of(text):
    """A key that depends on the text alone: the sum of a vector per word."""
    total = np.full(DIMENSION, 1e-3)
    for word in text.casefold().replace(".", " ").split():
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        total = total + np.random.default_rng(seed).standard_normal(DIMENSION)
    return (total / np.linalg.norm(total)).astype(np.float32)


def make_keys(store):
    with store.views() as db:
        for keyer in (TextKeyer(), DigestKeyer()):
            drafts = keyer.pending(db, E, 0, 10_000)
            if drafts:
                vectors = np.stack([vector_of(draft.text) for draft in drafts])
                add_keys(db, drafts, vectors, E, store.last_commit)


def filled(folder, puts):
    """A store of these batches, one commit each, with its spans, and keys as they are made in between."""
    store = LogStore(folder, now_ns=lambda: NOON_NS)
    consolidator = Consolidator(segmenter_of(SpanSettings()), 10 * S)
    for number, put in enumerate(puts):
        store.commit([put])
        with store.views() as db:
            while consolidator.advance(db, NOON_NS + 10_000 * S, store.touched).more:
                pass
        if number % 2:
            make_keys(store)
    make_keys(store)
    store.close()
    return folder


def asked(folder, cue, recall_settings, *, as_of, unit, words_from=100_000):
    reader, shelf = LogReader(folder), IndexShelf(folder / "views")
    shelf.words.fewest_texts = words_from
    try:
        with reader.snapshot() as db:
            shelf.words.load(db)
            cue = msgspec.structs.replace(cue, as_of_commit=as_of)
            questions = [QuestionKey("dense", E, vector_of(cue.text))] if cue.text else []
            found = Recall(shelf, recall_settings)(db, cue, 8, questions, unit=unit)
            return msgspec.structs.replace(found, timings_ms={})
    finally:
        reader.close()


def order_of(evidence):
    """What shows, in order of its rank, with how it was found."""
    items = sorted(evidence.items, key=lambda item: -item.score)
    return [
        (item.observation_id, item.score, item.scorers, item.grounding, item.neighbours, item.text)
        for item in items
    ]


sentence = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


@st.composite
def histories(draw, take):
    """Batches of a chat and a film whose observations come late and out of order, and of a later source."""
    chat = take("chat.jsonl", origin_ns=NOON_NS, kind="chat", media=("text",))
    film, late = take("film.mp4", origin_ns=NOON_NS), take("late.mp4", origin_ns=NOON_NS)
    places = draw(st.permutations(range(24)))
    seen = []
    for ordinal, place in enumerate(places):
        text, kind = (
            draw(sentence),
            draw(st.sampled_from(("turn", "photo", "said", "shot", "written", "late"))),
        )
        at_s = place * 2.0
        if kind in ("turn", "photo"):
            turn = chat.said(at_s, at_s, text, ordinal=ordinal, speaker=draw(st.sampled_from(SPEAKERS)))
            photo = chat.seen("caption", at_s, at_s, draw(sentence), ordinal=ordinal)
            seen.append((chat, [turn, photo] if kind == "photo" else [turn]))
        elif kind == "said":
            seen.append((film, [film.said(at_s, at_s + 3, text, ordinal=ordinal)]))
        elif kind == "shot":
            seen.append((film, [film.shot(at_s, at_s + 7, text, ordinal=ordinal, picture=text.encode())]))
        elif kind == "written":
            seen.append((film, [film.seen("seen_text", at_s + 1, at_s + 1, text, ordinal=ordinal)]))
        else:
            # Its words make common what was rare.
            seen.append((late, [late.said(at_s + n, at_s + n + 1, text, ordinal=n) for n in range(3)]))
    puts = [one.put(*some) for one, some in seen]
    for one in {id(one): one for one, _ in seen}.values():
        if draw(st.booleans()):
            puts.append(one.put(marks=one.ends(47)))
    return puts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("history")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_answer_as_of_a_commit_is_that_of_a_store_that_stopped_there(take, folders, data):
    puts = data.draw(histories(take))
    stop = data.draw(st.integers(1, len(puts) - 1))
    folder = folders()
    full = filled(folder / "full", puts)
    stopped = filled(folder / "stopped", puts[:stop])
    questions = [
        Cue(text="Who bakes bread on the island?"),
        Cue(text="What did Ana say of the ferry and bees at the end?"),
        Cue(text=data.draw(sentence)),
        Cue(text="umbrella bakes baking", t0_ns=NOON_NS + 20 * S),
        Cue(text="What did Ben say on 14 November?"),
        Cue(kinds=("utterance",)),
    ]
    for cue in questions:
        for unit in ("observation", "moment"):
            then = asked(full, cue, FULL, as_of=stop, unit=unit)
            assert then == asked(stopped, cue, FULL, as_of=stop, unit=unit)
            assert then.as_of_commit == stop
            # Asked plainly, without events: those of an earlier time are not known.
            of_words = asked(full, cue, PLAIN, as_of=stop, unit="observation")
            plain = without_digests(stopped, cue)
            assert order_of(of_words) == order_of(plain)
            assert (of_words.verdict, of_words.considered) == (plain.verdict, plain.considered)


def without_digests(folder, cue):
    """What a store answers that has no keys of events, asked plainly."""
    store = LogStore(folder)
    with store.views() as db:
        db.execute("DELETE FROM key WHERE owner_level <> 'observation'")
    store.close()
    return asked(folder, cue, PLAIN, as_of=None, unit="observation")


def test_what_was_rare_then_is_weighed_as_then(take, tmp_path):
    """The same words, a thousand times more often later: without counting as then, the order would turn."""
    early, late = take("early.mp4"), take("late.mp4")
    puts = [
        early.put(
            early.said(0, 1, "the ferry leaves"),
            early.said(10, 11, "the storm is near, the storm"),
            *(early.said(20 + n, 20.5 + n, f"the storm of day {n}") for n in range(5)),
        ),
        late.put(*(late.said(n, n + 0.5, f"a ferry, ferry number {n}") for n in range(300))),
    ]
    full, stopped = filled(tmp_path / "full", puts), filled(tmp_path / "stopped", puts[:1])
    cue = Cue(text="ferry storm")
    then = asked(full, cue, PLAIN, as_of=1, unit="observation")
    assert order_of(then) == order_of(without_digests(stopped, cue))
    now = asked(
        full, msgspec.structs.replace(cue, sources=("early.mp4",)), PLAIN, as_of=None, unit="observation"
    )
    assert order_of(now) != order_of(then), "what is common now weighs less now"


@pytest.mark.parametrize("through", [3, 40, 90])
def test_bm25_of_a_time_is_that_of_fts5_then(take, tmp_path, through):
    rng = np.random.default_rng(2)
    film = take()
    texts = [" ".join(rng.choice(np.array(WORDS), rng.integers(1, 12))) for _ in range(90)]
    puts = [film.put(film.said(n, n + 1, text)) for n, text in enumerate(texts)]
    full, stopped = LogStore(tmp_path / "full"), LogStore(tmp_path / "stopped")
    for put in puts:
        full.commit([put])
    for put in puts[:through]:
        stopped.commit([put])
    words = ["bake", "bakes", "ferry", "honey", "nowhere"]
    expected = dict(
        stopped._db.execute(
            "SELECT rowid, -rank FROM observation_fts WHERE observation_fts MATCH ?",
            (" OR ".join(f'"{word}"' for word in words),),
        )
    )
    assert bm25_of(full._db, words, 1000, through, "", ()) == pytest.approx(expected, rel=1e-12)
    full.close()
    stopped.close()


def test_postings_weigh_as_then_too(take, tmp_path):
    rng = np.random.default_rng(3)
    film = take()
    texts = [" ".join(rng.choice(np.array(WORDS), rng.integers(1, 12))) for _ in range(80)]
    puts = [
        film.put(*(film.said(n, n + 1, t) for n, t in enumerate(texts[i : i + 8], start=i)))
        for i in range(0, 80, 8)
    ]
    full = filled(tmp_path / "full", puts[:6])
    (full / "views").mkdir()
    build_words(full, full / "views")
    store = LogStore(full)
    for put in puts[6:]:
        store.commit([put])
    store.close()
    for as_of in (2, 6, 8):
        found = {}
        for folder in ("views", "none"):
            reader, shelf = LogReader(full), IndexShelf(full / folder)
            with reader.snapshot() as db:
                assert shelf.words.load(db) == (folder == "views")
                recall = Recall(shelf, PLAIN)
                evidence = recall(db, Cue(text="ferry bread storms", as_of_commit=as_of), 10)
                found[folder] = [(item.observation_id, item.score, item.grounding) for item in evidence.items]
            reader.close()
        assert [one[0] for one in found["views"]] == [one[0] for one in found["none"]]
        for ours, theirs in zip(found["views"], found["none"], strict=True):
            assert ours[1] == pytest.approx(theirs[1], abs=2e-3)
            assert ours[2] == pytest.approx(theirs[2], abs=1e-3)


def test_a_source_of_a_later_time_is_not_known(take, tmp_path):
    early, late = take("early.mp4"), take("late.mp4")
    puts = [
        early.put(early.said(0, 1, "the ferry")),
        late.put(late.said(0, 1, "the ferry"), marks=late.ends(2)),
    ]
    full = filled(tmp_path / "full", puts)
    none = asked(full, Cue(text="ferry", sources=("late.mp4",)), PLAIN, as_of=1, unit="observation")
    assert (none.items, none.coverage.unfinished, none.verdict) == ((), (), "absent")
    with pytest.raises(SourceGone):
        asked(full, Cue(text="ferry", sources=("never.mp4",)), PLAIN, as_of=1, unit="observation")
    then = asked(full, Cue(text="ferry"), PLAIN, as_of=1, unit="observation")
    assert then.coverage.unfinished == ("/media/early.mp4",)
    assert [item.uri for item in then.items] == ["/media/early.mp4"]
    assert asked(full, Cue(text="ferry"), PLAIN, as_of=0, unit="observation").verdict == "absent"
    assert encoded(then, Envelope(message_id=b"m" * 16, sender="memory", seq=1, published_ns=1))


def test_what_a_source_was_at_a_commit_is_read_of_those_asked_for_and_once(take, tmp_path, statements):
    """A source that had ended tells its end by its mark; only one still perceived is walked through."""
    read, live = take("read.mp4"), take("live.mp4", origin_ns=NOON_NS)
    puts = [
        read.put(read.said(1, 2, "the ferry"), marks=read.ends(30)),
        live.put(live.said(1, 9, "the island")),
        live.put(live.said(20, 21, "the bread"), marks=live.ends(40)),
    ]
    folder = filled(tmp_path / "store", puts)
    recall = Recall(IndexShelf(folder / "views"), RecallSettings())
    cue = Cue(text="ferry island", as_of_commit=2)
    reader = LogReader(folder)
    with reader.snapshot() as db:
        assert ends_of(db, None, 2) == {(read.source_id, 0): 30 * S, (live.source_id, 0): 9 * S}
        assert ends_of(db, [(live.source_id, 0)], 2) == {(live.source_id, 0): 9 * S}
        question = QuestionKey("dense", E, vector_of(cue.text))
        made = statements(db, lambda: recall(db, cue, 10, [question], unit="moment"))
    assert sum("MAX(pts1_ns)" in one for one in made) == 1
    assert sum("FROM source WHERE commit_no" in one for one in made) == 1
    reader.close()


def test_what_was_learnt_later_moves_no_order_of_then(take, tmp_path):
    film = take("film.mp4", origin_ns=NOON_NS)
    texts = ["the ferry leaves the island", "bread bakes in the village", "the village market"]
    folder = filled(tmp_path / "store", [film.put(*[film.said(n, n + 1, t) for n, t in enumerate(texts)])])
    recall, reader = Recall(IndexShelf(folder / "views"), PLAIN), LogReader(folder)

    def scores(as_of):
        with reader.snapshot() as db:
            question = QuestionKey("dense", E, vector_of("village bread"))
            told = recall(db, Cue(text="village bread", as_of_commit=as_of), 8, [question])
            return [item.score for item in told.items]

    then, now = scores(1), scores(None)
    recall.weigh({"dense": 0.1, "lexical": 2.0}, {})
    assert scores(1) == then
    assert scores(None) != now
    reader.close()
