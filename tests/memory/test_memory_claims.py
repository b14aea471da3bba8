"""The grammar of statements and the ledger of claims, over a real log."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from memory.claims.asked import read_asked
from memory.claims.clauses import Voices
from memory.claims.grammar import statements_of
from memory.claims.ledger import told
from memory.claims.view import advance, forget_claims
from memory.log.demotion import DIGEST, GONE
from memory.log.reader import LogReader
from memory.log.store import LogStore, PutItem
from memory.retain.steps import Decision, let_go
from stream.messages import (
    Act,
    ClaimsAsk,
    CommitPut,
    Cue,
    Observation,
    SourceRecord,
    TrackRecord,
    observation_id,
)

DAY_NS = 86_400_000_000_000
FIRST_NS = 20_000 * DAY_NS


class Ledger:
    """A store that things are told to; `days` are those of saying."""

    def __init__(self, folder):
        self.store, self.reader = LogStore(folder), LogReader(folder)
        self._seq = itertools.count(1)
        self._counts = {}

    def tell(self, *texts, source="talk", speaker="Ana", day=0.0, dated=True):
        source_id = hashlib.blake2b(source.encode(), digest_size=16).digest()
        made = []
        for text in texts:
            number = self._counts[source] = self._counts.get(source, 0) + 1
            pts_ns = number * 1_000_000_000
            t0_ns = FIRST_NS + int(day * DAY_NS) + number if dated else None
            made.append(
                Observation(
                    observation_id=observation_id(source_id, 0, "utterance", "told", pts_ns),
                    source_id=source_id, session=0, track=0, kind="utterance", producer_id="told",
                    pts0_ns=pts_ns, pts1_ns=pts_ns + 1, t0_ns=t0_ns, t1_ns=t0_ns, text=text, speaker=speaker,
                )
            )  # fmt: skip
        record = SourceRecord(
            source_id=source_id, session=0, kind="chat", uri=f"/told/{source}",
            tracks=(TrackRecord(track=0, media="text"),),
        )  # fmt: skip
        return self._put(sources=(record,), observations=tuple(made)), made

    def act(self, **fields):
        act = Act(act_id=hashlib.blake2b(repr(fields).encode(), digest_size=16).digest(), **fields)
        self._put(acts=(act,))
        return act

    def _put(self, **what):
        (ack,) = self.store.commit([PutItem("test", CommitPut(outbox_seq=next(self._seq), **what), {})])
        self.advance()
        return ack.commit_no

    def advance(self, limit=256):
        with self.store.views() as db:
            while advance(db, limit):
                pass

    def ask(self, question, **gates):
        with self.reader.snapshot() as db:
            return told(db, ClaimsAsk(cue=Cue(text=question, **gates)))

    def now(self, question, **gates):
        return [one.value for one in self.ask(question, **gates).now]

    def rows(self, sql):
        with self.reader.snapshot() as db:
            return db.execute(sql).fetchall()


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "store")
    yield made
    made.reader.close()
    made.store.close()


VOICES = Voices("Ana", "Tom")


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("My phone number is now 555-0142.", ("ana", "phone number", "555-0142", 1.0)),
        ("Your office is room 12.", ("tom", "office", "room 12", 1.0)),
        ("Lena lives in Porto.", ("lena", "home", "Porto", 1.0)),
        ("Lena lives in Bremen now, she left Kiel in October.", ("lena", "home", "Bremen", 1.0)),
        ("Lena hiked to the ridge.", ("lena", "location", "the ridge", 1.0)),
        ("The workshop is on Tuesday.", ("workshop", "time", "Tuesday", 1.0)),
        ("Lena is no longer in the tent.", ("lena", "location", "the tent", 0.0)),
        ("Maybe Lena is in the tent.", ("lena", "location", "the tent", 0.5)),
        ("Lena borrowed the ladder from Karl.", ("ladder", "holder", "Lena", 1.0)),
        ("Karl lent the ladder to Lena.", ("ladder", "holder", "Lena", 1.0)),
        ("Lena dropped the ladder.", ("ladder", "holder", "Lena", 0.0)),
        ("The price of the boat went from 90 euros to 80 euros.", ("boat", "price", "80 euros", 1.0)),
    ],
)
def test_statements_of_many_forms_are_read(text, stated):
    assert stated in [tuple(one)[:4] for one in statements_of(text, VOICES)]


@pytest.mark.parametrize(
    "text",
    [
        "Is Lena in the tent?",
        "If Lena moves to Porto, call me.",
        "Lena wants to go to the ridge.",
        "She lives in Porto.",
        "I used to live in Porto.",
        "We will move to Porto.",
        "I love hiking in the mountains.",
        "My family is awesome.",
        "The characters are amazing!",
        "I was in a bad spot.",
        "I went to a group of climbers.",
    ],
)
def test_questions_plans_and_unknown_people_state_nothing(text):
    assert statements_of(text, VOICES) == []


def test_i_is_nobody_where_the_speaker_is_not_known():
    assert statements_of("My phone number is 555.", Voices()) == []


@pytest.mark.parametrize(
    "question", ["Where was Lena going?", "What is happening?", "Why is Lena sad?", "Hello"]
)
def test_other_questions_ask_for_no_slot(question):
    assert read_asked(question) is None


def test_the_newest_value_answers_and_the_older_stays_as_history(ledger):
    ledger.tell("My phone number is 555-1.")
    ledger.tell("My phone number is now 555-2.", day=3)
    found = ledger.ask("What is Ana's phone number?")
    assert [one.value for one in found.now] == ["555-2"]
    assert [one.value for one in found.before] == ["555-1"]
    assert found.now[0].items[0].text == "My phone number is now 555-2."
    rows = ledger.rows("SELECT value, superseded_by IS NULL, valid_to_ns IS NULL FROM claim ORDER BY value")
    assert rows == [("555-1", 0, 0), ("555-2", 1, 1)]


def test_my_number_is_that_of_the_phone(ledger):
    ledger.tell("My phone number is 555-0101.")
    ledger.tell("I got a new phone, my number is now 555-0202.", day=2)
    for question in ("What is Ana's phone number?", "What is Ana's number?", "What is my number?"):
        assert ledger.now(question) == ["555-0202"]
    ledger.tell("My number is now 555-0303.", "My work number is 555-0404.", day=3)
    assert ledger.now("What is Ana's phone number?") == ["555-0303"]
    assert ledger.now("What is Ana's number?") == ["555-0303"]
    assert ledger.now("What is Ana's work number?") == ["555-0404"]


def test_a_number_that_is_none_of_a_phone_stays_a_number(ledger):
    ledger.tell("My phone number is 555-0101.", "My number is 7.")
    assert ledger.now("What is Ana's phone number?") == ["555-0101"]
    assert ledger.now("What is Ana's number?") == ["7"]


def test_a_meeting_of_two_words_that_is_moved(ledger):
    ledger.tell("The budget meeting is on Friday at 10 am.")
    ledger.tell("The budget meeting is moved to Monday at 3 pm.", day=2)
    assert ledger.now("When is the budget meeting?") == ["Monday at 3 pm"]
    assert read_asked("When is the train arriving?") is None


def test_what_is_imported_later_but_was_said_earlier_does_not_supersede(ledger):
    ledger.tell("My phone number is 555-2.", day=3)
    ledger.tell("My phone number is 555-1.", source="older", day=1)
    assert ledger.now("What is Ana's phone number?") == ["555-2"]


def test_one_word_of_difference_is_another_slot_or_another_value(ledger):
    ledger.tell("Ana's work number is 1.", "Ana's home number is 2.", "Tom's home number is 3.")
    assert ledger.now("What is Ana's work number?") == ["1"]
    assert ledger.now("What is Ana's home number?") == ["2"]
    assert ledger.now("What is Tom's home number?") == ["3"]


def test_equal_values_support_one_claim(ledger):
    ledger.tell("Lena lives in Porto.", "Lena lives in Porto.")
    assert ledger.rows("SELECT COUNT(*) FROM claim") == [(1,)]
    assert ledger.rows("SELECT COUNT(*) FROM claim_support") == [(2,)]


def test_relations_of_many_values_do_not_supersede(ledger):
    ledger.tell("Lena plays the cello.", "Lena plays the flute.")
    assert ledger.rows("SELECT COUNT(*), COUNT(superseded_by) FROM claim") == [(2, 0)]
    assert ledger.ask("What does Lena play?").form == ""  # Nothing changed: left to evidence.
    ledger.tell("Lena now plays the harp.", day=1)
    assert ledger.now("What does Lena play?") == ["harp"]


def test_a_relation_of_other_words_is_met_only_where_it_can_be_no_other(ledger):
    ledger.tell("My email address is ana@post.example.", "My favorite is a park.")
    assert ledger.now("What is Ana's email?") == ["ana@post.example"]
    assert ledger.now("What is Ana's favorite book?") == []


def test_as_of_and_valid_at_are_symmetric(ledger):
    commit_no, _ = ledger.tell("Lena lives in Porto.")
    ledger.tell("Lena moved to Oslo.", day=5)
    question = "Where does Lena live?"
    assert ledger.now(question) == ["Oslo"]
    assert ledger.now(question, as_of_commit=commit_no) == ["Porto"]
    assert ledger.now(question, valid_at_ns=FIRST_NS + DAY_NS) == ["Porto"]
    assert ledger.ask(question, as_of_commit=commit_no).before == ()


def test_a_denial_ends_a_value_and_a_maybe_is_one(ledger):
    ledger.tell("Lena is in the tent.", "Lena is no longer in the tent.")
    assert ledger.ask("Is Lena in the tent?").holds == "no"
    ledger.tell("Lena is either in the boat or the barn.", day=1)
    assert ledger.ask("Is Lena in the boat?").holds == "maybe"
    assert ledger.ask("Is Lena in the tent?").holds == "no"


def test_a_thing_is_where_its_holder_is_and_stays_where_it_was_let_go(ledger):
    ledger.tell("Lena walked to the barn.", "Lena fetched the ladder.", "Lena drove to the harbour.")
    assert ledger.now("Where is the ladder?") == ["the harbour"]
    ledger.tell("Lena dropped the ladder.", "Lena flew to Oslo.", day=1)
    assert ledger.now("Where is the ladder?") == ["the harbour"]
    assert ledger.now("Where was the ladder before the harbour?") == ["the barn"]


def test_two_sources_without_a_common_clock_are_both_shown(ledger):
    ledger.tell("The launch code is 17.", source="one", dated=False)
    ledger.tell("The launch code is 23.", source="two", dated=False)
    found = ledger.ask("What is the launch code?")
    assert [one.value for one in found.now] == ["23"]
    assert [one.value for one in found.against] == ["17"]
    assert ledger.now("What is the launch code?", sources=("one",)) == ["17"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_ledger_made_anew_or_in_small_steps_is_the_same(ledger, limit):
    for day, town in enumerate(("Porto", "Oslo", "Quito", "Porto")):
        ledger.tell(f"Lena lives in {town}.", f"Tom travelled to {town}.", day=day)
    every = "SELECT * FROM claim ORDER BY claim_id"
    before = ledger.rows(every)
    with ledger.store.views() as db:
        forget_claims(db)
    assert ledger.rows(every) == []
    with ledger.store.views() as db:
        assert advance(db, limit)  # No step reads more, however large the commit.
    assert len(ledger.rows(every)) == limit
    ledger.advance(limit)
    assert len(before) == 8
    assert ledger.rows(every) == before


def test_the_owners_word_is_a_claim_until_it_is_undone(ledger):
    ledger.tell("Lena lives in Porto.")
    slot = {"about": "lena", "relation": "home", "value": "Oslo"}
    act = ledger.act(kind="correct", t_ns=FIRST_NS + 9 * DAY_NS, text="No, Oslo", value=slot)
    assert ledger.now("Where does Lena live?") == ["Oslo"]
    assert ledger.ask("Where does Lena live?").now[0].items[0].kind == "correction"
    ledger.act(kind="undo", t_ns=FIRST_NS + 10 * DAY_NS, undoes=act.act_id)
    assert ledger.now("Where does Lena live?") == ["Porto"]
    assert ledger.ask("Where does Lena live?").corrections == ()


def test_what_is_forgotten_supports_nothing(ledger):
    ledger.tell("Lena lives in Porto.")
    _, (gone,) = ledger.tell("Lena lives in Oslo.", day=1)
    with ledger.store.views() as db:
        db.execute("DELETE FROM observation WHERE observation_id = ?", (gone.observation_id,))
        db.execute(
            "INSERT INTO tombstone (observation_id, reason, act_id, commit_no) VALUES (?, 'forget', x'', 1)",
            (gone.observation_id,),
        )
    assert ledger.now("Where does Lena live?") == ["Porto"]
    ledger.advance()
    assert ledger.rows("SELECT value FROM claim") == [("Porto",)]


def demote(ledger, observation, level):
    with ledger.store.views() as db:
        (n,) = db.execute(
            "SELECT n FROM observation WHERE observation_id = ?", (observation.observation_id,)
        ).fetchone()
        let_go(db, ledger.store.tombstones, [Decision(n, level, "")], "test", 0, ledger.store.last_commit)


def test_a_ledger_made_anew_knows_what_was_said_in_texts_that_were_let_go(ledger):
    ledger.tell("Lena lives in Porto.")
    _, (bare,) = ledger.tell("Lena lives in Oslo.", day=1)
    ledger.tell("Lena lives in Oslo.", day=2)
    every = "SELECT * FROM claim ORDER BY claim_id"
    supports = "SELECT * FROM claim_support ORDER BY 1, 2"
    before = ledger.rows(every), ledger.rows(supports)
    demote(ledger, bare, DIGEST)
    assert ledger.rows("SELECT COUNT(*) FROM observation WHERE text = ''") == [(1,)]
    with ledger.store.views() as db:
        forget_claims(db)
    ledger.advance(limit=1)
    assert (ledger.rows(every), ledger.rows(supports)) == before
    assert ledger.now("Where does Lena live?") == ["Oslo"]


def test_rows_that_retention_let_go_take_their_claims_and_no_others(ledger):
    ledger.tell("Lena lives in Porto.")
    _, (gone,) = ledger.tell("Lena lives in Oslo.", day=1)
    demote(ledger, gone, GONE)
    assert ledger.rows("SELECT value, superseded_by FROM claim") == [("Porto", None)]
    assert ledger.now("Where does Lena live?") == ["Porto"]
    with ledger.store.views() as db:
        db.execute("UPDATE claim SET volatility = 7")  # A ledger that is made anew has it not.
    ledger.tell("Tom works for Acme.")
    assert ledger.rows("SELECT volatility FROM claim WHERE value = 'Porto'") == [(7.0,)]


def test_a_ledger_that_has_not_read_all_says_nothing_of_slots(ledger):
    ledger.tell("Lena lives in Porto.")
    ledger.tell("Lena lives in Oslo.", day=1)
    with ledger.store.views() as db:
        forget_claims(db)
        assert advance(db, 1)
    assert ledger.ask("Where does Lena live?").form == ""
    assert ledger.now("Where does Lena live?", as_of_commit=1) == ["Porto"]
    ledger.advance()
    assert ledger.now("Where does Lena live?") == ["Oslo"]


def test_corrections_hold_where_claims_are_switched_off(ledger):
    ledger.tell("Lena lives in Porto.")
    ledger.act(kind="correct", t_ns=FIRST_NS + DAY_NS, text="No, Lena lives in Oslo.", value={"asked": "?"})
    with ledger.reader.snapshot() as db:
        found = told(db, ClaimsAsk(cue=Cue(text="Where does Lena live?")), by_claims=False)
    assert (found.form, [one.text for one in found.corrections]) == ("", ["No, Lena lives in Oslo."])
    assert ledger.now("Where does Lena live?") == ["Oslo"]
