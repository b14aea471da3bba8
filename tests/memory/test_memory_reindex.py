"""Another encoder for the texts of a store, step by step: the real store and indexes, an encoder by hand."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from memory.keys import speaks
from memory.keys.counts import KeyCounts
from memory.keys.encoder import Keys
from memory.keys.keyers import FactKeyer, TextKeyer, add_keys
from memory.keys.maker import KeyMaker
from memory.keys.reindex import Reindex
from memory.keys.speaks import Choice, Speaks
from memory.recall.pipeline import Recall
from memory.recall.questions import Questions
from memory.settings import ChatWeights, MemorySettings, RecallSettings
from stream.errors import ModelFailed, ModelMissing, RoleUnavailable
from stream.messages import Cue, RecallAsk
from stream.messages.control import ReindexAsk
from stream.messages.media import SpaceTold

OLD, NEW = Speaks("old@1/onnx-fp32", "old"), Speaks("new@2/onnx-fp32", "/models/new")
DIMENSIONS = {OLD: 6, NEW: 9}
S = 1_000_000_000


class AtOnce:
    """A lane without a thread; the real one is run by the tests of the processes."""

    def submit(self, run, *arguments, done=None, failed=None):
        try:
            result = run(*arguments)
        except Exception as error:
            failed(error)
            return
        done(result)


class EncoderByHand:
    """Makes keys by the hash of a text, of two models; the real link is run by the tests of the processes."""

    def __init__(self, configured=OLD):
        self.configured = configured
        self.gone, self.fails_on, self.is_away = set(), "", False
        self.asked = []

    @property
    def known_spaces(self):
        return SpaceTold(text=self.configured.encoder_id, image="pictures", text_model=self.configured.model)

    def spaces(self, timeout_s):
        return self.known_spaces

    def text_space(self, model, timeout_s):
        if self.is_away:
            raise RoleUnavailable("the encoder is starting")
        return self._named(model)

    def known_text(self, model):
        return self._named(model)

    def _named(self, model):
        for one in (OLD, NEW):
            if model in one or (not model and one == self.configured):
                if one in self.gone:
                    raise ModelMissing(f"{one.model} is not here")
                return one
        raise ModelMissing(f"{model} is not here")

    def ask(self, ask, parts, timeout_s):
        one = self._named(ask.model)
        self.asked.append((one, ask.texts))
        if self.fails_on and any(self.fails_on in text for text in ask.texts):
            raise ModelFailed("it fails on that")
        return Keys(one.encoder_id, np.stack([vector_of(one, text) for text in ask.texts]))


def vector_of(one, text):
    seed = int.from_bytes(hashlib.sha256((one.model + text).encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS[one]).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Making:
    """A key maker driven by hand."""

    def __init__(self, store, reader, shelf, link, **more):
        self.oldest_s = None
        settings = MemorySettings(encode_batch=4, **more)
        self.keys = KeyMaker(store, reader, shelf, link, settings, AtOnce(), AtOnce(), lambda: self.oldest_s)
        self.reindex = Reindex(link, self.keys)
        self.now_ns = 0
        self.keys.start()

    def turn(self, times=1):
        for _ in range(times):
            self.now_ns += 10 * S
            self.keys.turn(self.now_ns)
            self.keys.wake()


def counts(store):
    return speaks.keys_by_encoder(store._db)


@pytest.fixture
def texts(store, take):
    film = take()
    store.commit([film.put(*(film.said(n, n + 1, f"sentence {n}") for n in range(20)))])
    return film


@pytest.fixture
def making(store, reader, shelf, texts):
    link = EncoderByHand()
    made = Making(store, reader, shelf, link)
    made.turn(8)
    assert counts(store) == {OLD.encoder_id: 20}
    assert speaks.answering(store._db) == OLD
    return made, link


def again(store, reader, tmp_path, link):
    """The same store after kill -9: nothing but what is in it."""
    from memory.keys.index import IndexShelf

    return Making(store, reader, IndexShelf(tmp_path / "store" / "views"), link)


def test_the_old_answers_until_all_are_made_then_the_new_then_the_old_go(store, reader, tmp_path, making):
    link = EncoderByHand(NEW)
    made = again(store, reader, tmp_path, link)
    seen = []
    for _ in range(14):
        made.turn()
        seen.append((speaks.answering(store._db), counts(store).get(NEW.encoder_id, 0)))
        assert counts(store).get(OLD.encoder_id, 0) == 20 or seen[-1][0] == NEW
        if 0 < seen[-1][1] < 20:
            assert seen[-1][0] == OLD
            # kill -9 after each batch: what is pending is what has no key.
            made = again(store, reader, tmp_path, link)
    assert [n for _, n in seen[:6]] == [4, 8, 12, 16, 20, 20]
    assert (seen[5][0], seen[-1][0]) == (NEW, NEW)
    assert counts(store) == {NEW.encoder_id: 20}
    with reader.snapshot() as db:
        assert made.reindex.told(db).over
    assert [one for one, some in link.asked if len(some) > 1] == [NEW] * 5, "none is encoded twice"


def test_new_texts_get_the_key_that_is_searched_first(store, reader, tmp_path, making, take):
    link = EncoderByHand(NEW)
    made = again(store, reader, tmp_path, link)
    made.turn(2)
    late = take("late.mp4")
    store.commit([late.put(late.said(0, 1, "a late one"))])
    made.turn()
    assert link.asked[-1] == (OLD, ("a late one",))
    made.turn(12)
    assert counts(store) == {NEW.encoder_id: 21}


def test_old_keys_wait_for_questions_that_were_begun_with_them(store, reader, tmp_path, making):
    made = again(store, reader, tmp_path, EncoderByHand(NEW))
    made.oldest_s = 0.0
    made.turn(12)
    assert speaks.answering(store._db) == NEW
    assert counts(store) == {OLD.encoder_id: 20, NEW.encoder_id: 20}
    made.oldest_s = None
    made.turn(3)
    assert counts(store) == {NEW.encoder_id: 20}


def test_a_text_on_which_the_new_model_fails_holds_nothing_up(store, reader, tmp_path, making):
    link = EncoderByHand(NEW)
    link.fails_on = "sentence 7"
    made = again(store, reader, tmp_path, link)
    made.turn(30)
    assert speaks.answering(store._db) == NEW
    assert counts(store) == {NEW.encoder_id: 19}
    with reader.snapshot() as db:
        told = made.reindex.told(db)
    assert (told.over, told.made, told.total, told.unencodable) == (True, 19, 20, 1)


def test_a_choice_stands_until_the_configuration_changes(store, reader, tmp_path, making):
    made, _ = making
    named, choice = made.reindex.resolve(ReindexAsk(begin=True, text=NEW.model))
    assert named == NEW
    assert choice == Choice(NEW.model, OLD.encoder_id)
    with store.views() as db:
        speaks.choose(db, choice, keep_old=True)
    made.keys.wake()
    made.turn(12)
    assert speaks.answering(store._db) == NEW
    assert counts(store) == {OLD.encoder_id: 20, NEW.encoder_id: 20}, "kept, as was chosen"
    made = again(store, reader, tmp_path, EncoderByHand(OLD))
    made.turn(12)
    assert speaks.answering(store._db) == NEW, "the same configuration as when it was chosen"
    made = again(store, reader, tmp_path, EncoderByHand(NEW))
    made.turn(4)
    made = again(store, reader, tmp_path, EncoderByHand(OLD))
    made.turn(4)
    assert speaks.answering(store._db) == NEW
    assert made.reindex.resolve(ReindexAsk(begin=True, configured=True)) == (OLD, None)
    with store.views() as db:
        speaks.choose(db, None, keep_old=False)
    made.turn(12)
    assert (speaks.answering(store._db), counts(store)) == (OLD, {OLD.encoder_id: 20})


def test_a_model_that_is_gone_is_told_and_holds_nothing_up(store, reader, tmp_path, making, take):
    link = EncoderByHand(NEW)
    link.gone.add(OLD)
    late = take("late.mp4")
    store.commit([late.put(late.said(0, 1, "a late one"))])
    made = again(store, reader, tmp_path, link)
    made.turn(2)
    assert any("old is not here" in problem for problem in made.keys.problems())
    made.turn(14)
    assert (speaks.answering(store._db), counts(store)) == (NEW, {NEW.encoder_id: 21})
    assert made.keys.problems() == ()


def test_what_is_wanted_again_while_it_is_taken_away_is_made_again(
    store, reader, tmp_path, making, monkeypatch
):
    monkeypatch.setattr("memory.keys.maker.REMOVED_AT_A_TIME", 6)
    link = EncoderByHand(NEW)
    made = again(store, reader, tmp_path, link)
    while counts(store)[OLD.encoder_id] == 20:
        made.turn()
    assert counts(store)[OLD.encoder_id] == 14
    link.configured = OLD
    made.turn(16)
    assert (speaks.answering(store._db), counts(store)) == (OLD, {OLD.encoder_id: 20})


def test_until_the_encoder_is_there_nothing_is_taken_away(store, reader, tmp_path, making):
    made = again(store, reader, tmp_path, EncoderByHand(NEW))
    made.turn(2)
    link = EncoderByHand(NEW)
    link.is_away = True
    made = again(store, reader, tmp_path, link)
    made.turn(4)
    assert counts(store) == {OLD.encoder_id: 20, NEW.encoder_id: 8}
    link.is_away = False
    made.turn(8)
    assert counts(store) == {NEW.encoder_id: 20}


def test_a_store_of_an_earlier_release_says_no_model(store, reader, tmp_path, making):
    store._db.execute("DELETE FROM view_state WHERE name = 'text_model'")
    assert speaks.answering(store._db) == Speaks(OLD.encoder_id, OLD.encoder_id)
    made = again(store, reader, tmp_path, EncoderByHand(OLD))
    made.turn(3)
    assert speaks.answering(store._db) == OLD, "noted once it is known"
    assert counts(store) == {OLD.encoder_id: 20}


def asked_of(store, reader, shelf, link):
    """The evidence for a cue, put as the query lane puts it."""
    settings = RecallSettings()
    ask = SimpleNamespace(
        message=RecallAsk(cue=Cue(text="sentence 11"), k=5), envelope=SimpleNamespace(deadline_ns=0)
    )
    questions = Questions(reader, Recall(shelf, settings), link, settings)
    evidence = questions.answer(ask, lambda stage: None)
    assert questions.oldest_s() is None
    return evidence


def test_a_takeover_between_the_key_and_the_search_has_the_cue_encoded_anew(store, reader, shelf, making):
    _, link = making
    with store.views() as db:
        drafts = TextKeyer().pending(db, NEW.encoder_id, 0, 100)
        vectors = np.stack([vector_of(NEW, draft.text) for draft in drafts])
        add_keys(db, drafts, vectors, NEW.encoder_id, 1)
    asked_of_models = []

    def question(ask, parts, timeout_s):
        asked_of_models.append(ask.model)
        keys = link.ask(ask, parts, timeout_s)
        with store.views() as db:
            speaks.answer_with(db, NEW)
        return keys

    link.question = question
    evidence = asked_of(store, reader, shelf, link)
    assert asked_of_models == [OLD.model, NEW.model]
    best = max(evidence.items, key=lambda item: item.grounding["dense"])
    assert best.text == "sentence 11"
    assert best.grounding["dense"] == pytest.approx(1.0, abs=1e-3)
    assert evidence.notices == ()


def test_a_model_that_makes_other_keys_than_those_of_the_store_is_not_compared(store, reader, shelf, making):
    _, link = making
    link.question = lambda ask, parts, timeout_s: Keys(NEW.encoder_id, vector_of(NEW, "x")[None])
    evidence = asked_of(store, reader, shelf, link)
    assert evidence.items
    assert all("dense" not in item.grounding for item in evidence.items)
    (notice,) = evidence.notices
    assert OLD.encoder_id in notice
    assert evidence.timings_ms["lexical_only"] == 1.0


# Chats: their turns have keys of facts beside their own.


def two_facts(n):
    return f"Turn {n} walks the brown dog. The garden number {n} grows well."


def chatted(store, take, turns=12, text=two_facts, start=0):
    talk = take("chat", kind="chat", origin_ns=0, media=("text",))
    talk.seq = start
    said = (talk.said(60 * n, 60 * n + 2, text(n), speaker="Ana") for n in range(start, start + turns))
    store.commit([talk.put(*said)])
    return talk


def kinds(store, encoder_id=OLD.encoder_id):
    rows = store._db.execute("SELECT kind, COUNT(*) FROM key WHERE encoder_id = ? GROUP BY 1", (encoder_id,))
    return dict(rows.fetchall())


@pytest.fixture
def looks(monkeypatch):
    """Where each look for turns without facts began, and what it found."""
    seen, pending = [], FactKeyer.pending

    def spy(self, db, encoder_id, after_n, limit, without=frozenset()):
        found = pending(self, db, encoder_id, after_n, limit, without)
        seen.append((after_n, len(found)))
        return found

    monkeypatch.setattr(FactKeyer, "pending", spy)
    return seen


def test_facts_of_an_encoder_that_was_replaced_go_with_its_other_keys(store, reader, shelf, tmp_path, take):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand())
    made.turn(20)
    assert kinds(store) == {"transcript": 12, "fact": 24}
    made = again(store, reader, tmp_path, EncoderByHand(NEW))
    made.turn(40)
    assert speaks.answering(store._db) == NEW
    assert counts(store) == {NEW.encoder_id: 36}


def test_facts_that_an_earlier_release_left_behind_go(store, reader, shelf, tmp_path, take):
    chatted(store, take)
    Making(store, reader, shelf, EncoderByHand()).turn(20)
    with store.views() as db:
        speaks.answer_with(db, NEW)
        db.execute("DELETE FROM key WHERE kind <> 'fact'")
    made = again(store, reader, tmp_path, EncoderByHand(NEW))
    made.turn(40)
    assert counts(store) == {NEW.encoder_id: 36}


def test_a_batch_of_facts_is_looked_for_behind_the_one_before(store, reader, shelf, take, looks):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand())
    made.turn(30)
    begun = [after_n for after_n, found in looks if found]
    assert begun == sorted(set(begun)), "each begins behind the last one"
    assert len(begun) == 6, "two turns of two facts at a time"
    looks.clear()
    made.turn(3)
    assert {after_n for after_n, _ in looks} == {12}, "and none of what has its facts is looked at again"


def test_a_turn_on_which_the_model_fails_is_not_looked_at_for_ever(store, reader, shelf, take, looks):
    chatted(store, take, text=lambda n: "That is BAD, is it not." if n == 3 else two_facts(n))
    link = EncoderByHand()
    link.fails_on = "BAD"
    made = Making(store, reader, shelf, link)
    made.turn(40)
    assert kinds(store) == {"transcript": 11, "fact": 22}
    looks.clear()
    made.turn(3)
    assert set(looks) == {(12, 0)}
    with reader.snapshot() as db:
        told = made.reindex.told(db)
    assert (told.over, told.made, told.total, told.unencodable) == (True, 22, 24, 1)


def test_what_is_to_be_made_is_not_over_however_many_the_model_fails_on(store, reader, shelf, take):
    chatted(store, take, text=lambda n: f"BAD turn number {n}." if n < 4 else two_facts(n))
    link = EncoderByHand()
    link.fails_on = "BAD"
    made = Making(store, reader, shelf, link)
    while made.keys.unencodable(OLD.encoder_id) < 4 or kinds(store).get("fact", 0) < 10:
        made.turn()
        with reader.snapshot() as db:
            assert not made.reindex.told(db).over
    made.turn(10)
    with reader.snapshot() as db:
        assert made.reindex.told(db).over


@pytest.mark.parametrize("blank", [" ", "\t\n ", "\u00a0\u3000"])
def test_a_turn_of_white_space_alone_holds_no_facts_up(store, reader, shelf, take, blank):
    chatted(store, take, text=lambda n: blank if n < 6 else two_facts(n))
    made = Making(store, reader, shelf, EncoderByHand())
    made.turn(30)
    assert kinds(store) == {"transcript": 12, "fact": 12}
    with reader.snapshot() as db:
        told = made.reindex.told(db)
    assert (told.over, told.made, told.total) == (True, 18, 18)


@pytest.mark.parametrize(
    "without",
    [{"facts": False}, {"recall": RecallSettings(chat=ChatWeights(fact=0))}],
    ids=["off", "weight 0"],
)
def test_no_facts_are_made_where_none_are_asked_for(store, reader, shelf, tmp_path, take, without):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand(), **without)
    made.turn(20)
    assert kinds(store) == {"transcript": 12}
    assert (made.keys.count_pending(store._db), made.keys.count_turns_pending(store._db)) == (0, 0)
    made = Making(store, reader, shelf, EncoderByHand(NEW), **without)
    made.turn(20)
    assert counts(store) == {NEW.encoder_id: 12}, "and a takeover waits for none"
    with reader.snapshot() as db:
        told = made.reindex.told(db)
    assert (told.over, told.answering_keys, told.made, told.total) == (True, 12, 12, 12)


def test_how_far_it_is_counts_a_turn_once_with_its_facts(store, reader, shelf, tmp_path, take):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand())
    seen = []
    for _ in range(20):
        made.turn()
        with reader.snapshot() as db:
            told = made.reindex.told(db)
        assert told.total == 24
        assert told.answering_keys == told.made
        assert told.over == (told.made == told.total)
        seen.append(told.made)
    assert seen[:9] == [4, 8, 12, 14, 16, 18, 20, 22, 24]


def test_what_was_counted_is_counted_anew_once_keys_went(store, reader, shelf, tmp_path, take):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand())
    made.turn(20)
    kept = KeyCounts(facts=True)
    assert kept.made(store._db, OLD.encoder_id) == (12, 12)
    with store.views() as db:
        assert speaks.remove_keys(db, OLD.encoder_id, 5) == 5
        assert kept.made(db, OLD.encoder_id) == KeyCounts(facts=True).made(db, OLD.encoder_id) == (7, 12)
        speaks.remove_keys(db, OLD.encoder_id, 100)
        assert kept.made(db, OLD.encoder_id) == (0, 0)


def test_killed_between_batches_no_fact_is_lost_or_made_twice(store, reader, tmp_path, take):
    chatted(store, take)
    link = EncoderByHand()
    for _ in range(14):
        again(store, reader, tmp_path, link).turn()
    assert kinds(store) == {"transcript": 12, "fact": 24}
    facts = [text for _, texts in link.asked for text in texts if text.startswith("Ana: ")]
    assert len(facts) == len(set(facts)) == 24


def test_a_turn_that_went_while_its_facts_were_made_gets_none(store, take):
    chatted(store, take, turns=2)
    with store.views() as db:
        drafts = FactKeyer().pending(db, OLD.encoder_id, 0, 100)
        assert len(drafts) == 4
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute("DELETE FROM observation WHERE n = 1")
        vectors = np.stack([vector_of(OLD, draft.text) for draft in drafts])
        assert add_keys(db, drafts, vectors, OLD.encoder_id, 1) == 2
        owners = {owner for (owner,) in db.execute("SELECT owner FROM key")}
    assert owners == {drafts[-1].owner}


def test_what_the_wanted_model_lacks_is_told_until_it_is_there(store, reader, tmp_path, making):
    link = EncoderByHand(NEW)
    made = again(store, reader, tmp_path, link)

    ask = link.ask

    def lacks(asked, parts, timeout_s):
        if asked.model != NEW.model:
            return ask(asked, parts, timeout_s)
        raise ModelMissing(f"{asked.model} has no weights")

    link.ask = lacks
    made.turn(3)
    assert made.keys.problems() == (f"{NEW.model} has no weights",)
    link.ask = ask
    made.turn(2)
    assert made.keys.problems() == ()


def test_how_it_would_go_by_another_model_is_told_and_changes_nothing(store, reader, shelf, take):
    chatted(store, take)
    made = Making(store, reader, shelf, EncoderByHand())
    made.turn(20)
    with reader.snapshot() as db:
        told = made.reindex.told(db, NEW)
        assert speaks.chosen(db) is None
    assert (told.wanted, told.made, told.total) == (NEW.encoder_id, 0, 24)
    assert (told.turns_made, told.turns_total, told.over) == (0, 12, False)


def test_whether_old_keys_stay_is_noted_without_ending_a_choice(store, making):
    choice = Choice(NEW.model, OLD.encoder_id)
    with store.views() as db:
        speaks.choose(db, choice, keep_old=None)
        for keep_old in (True, None, False):
            speaks.keep(db, keep_old)
            assert speaks.chosen(db) == choice
            assert speaks.keeps_old(db) == (keep_old is not False)
