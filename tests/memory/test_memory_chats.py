"""Recall of chats: fields of a turn, its photo, named dates, and the scorers of turns."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import msgspec
import pytest

from memory.keys.keyers import TextKeyer
from memory.log import migrations
from memory.log.database import connect_writer
from memory.log.store import PutItem
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.settings import ChatWeights, RecallSettings
from stream.messages import Cue

S = 1_000_000_000
DAY_NS = 86_400 * S
MAY_8_NS = int(datetime(2023, 5, 8, 12, tzinfo=UTC).timestamp()) * S
TURNS = [
    (0, "Ana", "I bought a canoe at the lake."),
    (20, "Ben", "Great! Which colour did you choose?"),
    (40, "Ana", "Red, with a white stripe."),
    (60, "Ben", "Look at this!"),
    (30 * 86_400, "Ana", "We baked bread with my cousin."),
    (30 * 86_400 + 20, "Ben", "I bought a lamp."),
]


@pytest.fixture
def chat(store, take):
    """Two days of a chat; Ben shows a photo of a heron with his second turn."""
    talk = take("talk.json", origin_ns=MAY_8_NS, kind="chat", media=("text",))
    said = [
        talk.seen("utterance", at, at + 5, text, ordinal=n, speaker=speaker)
        for n, (at, speaker, text) in enumerate(TURNS)
    ]
    said.insert(4, talk.seen("caption", 60, 65, "a photo of a heron in the reeds", speaker="Ben"))
    store.commit([talk.put(*said)])
    return talk


@pytest.fixture
def ranked(chat, shelf, reader):
    def ask(text, settings=None, **cue):
        with reader.snapshot() as db:
            told = Recall(shelf, settings or RecallSettings())(db, Cue(text=text, **cue), 10)
        return sorted(told.items, key=lambda item: -item.score)

    return ask


def words_found(db, word):
    return {
        row[0]
        for row in db.execute(
            "SELECT o.text FROM observation_fts AS f JOIN observation AS o ON o.n = f.rowid"
            " WHERE observation_fts MATCH ?",
            (word,),
        )
    }


def test_speaker_and_day_of_a_turn_are_words_of_it_and_those_of_a_film_are_not(store, chat, take):
    film = take("film.mp4", origin_ns=MAY_8_NS)
    store.commit([film.put(film.said(0, 4, "A canoe passes.", speaker="Ana"))])
    assert words_found(store._db, "ana") == {text for _, speaker, text in TURNS if speaker == "Ana"}
    assert words_found(store._db, '"8 May 2023"') == {text for at, _, text in TURNS if at < 86_400}
    assert words_found(store._db, '"7 June 2023"') == {text for at, _, text in TURNS if at > 86_400}
    assert "A canoe passes." in words_found(store._db, "canoe")


def test_a_store_of_the_first_schema_gets_the_fields(tmp_path, monkeypatch):
    path = tmp_path / "log.sqlite"
    db = connect_writer(path)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        patch.setattr(migrations, "SCHEMA_VERSION", 1)
        migrations.migrate(db, path)
    db.execute("INSERT INTO commit_log (commit_no, t_ns) VALUES (1, 0)")
    db.execute(
        "INSERT INTO source (source_id, session, kind, content_hash, n_bytes, t_origin_from, time_zone,"
        " retention_class, commit_no) VALUES (x'01', 0, 'chat', '', 0, '', '', '', 1)"
    )
    db.execute(
        "INSERT INTO observation (observation_id, commit_no, source_id, session, track, kind, producer_id,"
        " pts0_ns, pts1_ns, t0_ns, text, language, speaker, about, audience, place, trace_id)"
        " VALUES (x'02', 1, x'01', 0, 0, 'utterance', 'p', 0, 1, ?, 'A kite.', '', 'Ana', '', '', '', x'')",
        (MAY_8_NS,),
    )
    db.execute("INSERT INTO observation_fts (rowid, text) VALUES (1, 'A kite.')")
    with pytest.raises(sqlite3.OperationalError):
        db.execute("SELECT speaker FROM observation_fts").fetchall()
    migrations.migrate(db, path)
    assert words_found(db, "ana AND may AND kite") == {"A kite."}
    db.close()


def test_the_key_of_a_turn_holds_its_photo(store, chat):
    texts = {draft.kind: [] for draft in TextKeyer().pending(store._db, "e", 0, 100)}
    for draft in TextKeyer().pending(store._db, "e", 0, 100):
        texts[draft.kind].append(draft.text)
    assert texts["transcript"][0] == "I bought a canoe at the lake."
    assert texts["transcript"][3] == "Look at this! a photo of a heron in the reeds"
    assert texts["caption"] == ["a photo of a heron in the reeds"]


def test_a_photo_is_found_as_its_turn_and_takes_one_place(ranked):
    found = ranked("a heron in the reeds")
    assert found[0].text == "Look at this!"
    assert all(item.kind == "utterance" for item in found)


def test_who_asks_for_photos_alone_gets_the_photo(ranked):
    assert [item.kind for item in ranked("a heron in the reeds", kinds=("caption",))] == ["caption"]


def test_a_named_day_leaves_the_other_days_out(ranked):
    found = {item.text for item in ranked("What was bought on 8 May, 2023?")}
    assert "I bought a canoe at the lake." in found <= {text for at, _, text in TURNS if at < 86_400}
    every = {
        item.text for item in ranked("What was bought on 8 May, 2023?", RecallSettings(named_dates=False))
    }
    assert "I bought a lamp." in every
    assert {item.text for item in ranked("What was bought on June 7?")} <= {TURNS[4][2], TURNS[5][2]}
    assert "I bought a lamp." in {item.text for item in ranked("What was bought on June 7?")}


def test_words_of_a_named_day_find_no_turn_that_says_them_of_something_else(ranked, store, take):
    film = take("film.mp4", origin_ns=MAY_8_NS + 90 * DAY_NS)
    others = [film.said(10 * n, 10 * n + 5, "A heron flies by.") for n in range(1, 20)]
    store.commit([film.put(film.said(0, 4, "A letter of May, 2023."), *others)])
    found = ranked("What was bought for the canoe on 8 May, 2023?")
    of_turns = {item.text: item.scorers["lexical"] for item in found if item.t0_ns < MAY_8_NS + DAY_NS}
    assert set(of_turns) == {text for at, _, text in TURNS if at < DAY_NS / S}
    best = of_turns.pop("I bought a canoe at the lake.")
    assert best > max(of_turns.values())
    # All have "8", "may" and "2023" as their day; none but that one has another word of the question.
    assert len(set(of_turns.values())) == 1
    of_film = {item.text: item.scorers["lexical"] for item in found if item.t0_ns > MAY_8_NS + DAY_NS}
    assert of_film["A letter of May, 2023."] > next(iter(of_turns.values()))


def test_a_question_of_nothing_but_a_day_is_still_answered_by_words(ranked):
    assert ranked("What happened on 8 May, 2023?")


def test_a_named_day_on_which_nothing_was_said_is_no_gate(ranked):
    assert len({item.t0_ns // DAY_NS for item in ranked("What was bought on 3 March, 2021?")}) == 2


def test_a_range_of_the_cue_goes_before_the_day_in_its_words(ranked):
    later_ns = MAY_8_NS + 29 * DAY_NS
    found = {item.text for item in ranked("What was bought on 8 May, 2023?", t0_ns=later_ns)}
    assert "I bought a lamp." in found <= {TURNS[4][2], TURNS[5][2]}


def test_a_named_day_leaves_films_in(ranked, store, take):
    film = take("film.mp4", origin_ns=MAY_8_NS + 90 * DAY_NS)
    store.commit([film.put(film.said(0, 4, "A kettle was bought."))])
    assert "A kettle was bought." in {item.text for item in ranked("Was a kettle bought on 8 May 2023?")}


ALONE = dict.fromkeys(ChatWeights.model_fields, 0.0)


@pytest.mark.parametrize(
    ("scorer", "question", "first"),
    [
        ("person", "What was bought by Ben?", "Great! Which colour did you choose?"),
        (
            "near_words",
            "Was a canoe bought at the lake? Which colour, or a lamp?",
            "Great! Which colour did you choose?",
        ),
        ("length", "Was it bought?", "I bought a canoe at the lake."),
    ],
)
def test_a_scorer_of_turns_says_what_it_is_for(ranked, scorer, question, first):
    settings = RecallSettings(chat=ChatWeights(**(ALONE | {scorer: 1.0})))
    found = ranked(question, settings)
    assert found[0].text == first
    assert set(found[0].scorers) == {scorer}


def test_films_are_scored_by_their_own_weights(shelf, reader, store, take):
    film = take("film.mp4")
    store.commit([film.put(film.said(0, 4, "A canoe passes."), film.said(9, 12, "A lamp and a lamp."))])
    asked = Cue(text="the canoe, the lamp")
    with reader.snapshot() as db:
        usual = Recall(shelf, RecallSettings()).ranked(db, asked, 10)
        other = Recall(shelf, RecallSettings(chat=ChatWeights(**ALONE))).ranked(db, asked, 10)
    assert [one.terms for one in usual] == [one.terms for one in other]
    assert set(usual[0].terms) == {"lexical"}


def test_a_named_stretch_of_days_leaves_the_others_out(ranked):
    may, june = {text for at, _, text in TURNS if at < 86_400}, {TURNS[4][2], TURNS[5][2]}
    for asked in (
        "between 1 May and 15 May 2023",
        "before 20 May 2023",
        "May 7-12, 2023",
        "until May 9, 2023",
    ):
        assert (
            "I bought a canoe at the lake."
            in {one.text for one in ranked(f"What was bought {asked}?")}
            <= may
        )
    for asked in ("since 1 June 2023", "after May 20, 2023", "from June 1 to June 30, 2023"):
        assert "I bought a lamp." in {one.text for one in ranked(f"What was bought {asked}?")} <= june


def test_whether_something_was_said_then_is_asked_of_what_the_other_gates_let_through(ranked, store, take):
    other = take("other.json", origin_ns=MAY_8_NS + 90 * DAY_NS, kind="chat", media=("text",))
    store.commit([other.put(other.seen("utterance", 0, 4, "I bought a kettle.", speaker="Eva"))])
    asked = "What was bought on 8 May 2023?"
    assert "I bought a kettle." not in {one.text for one in ranked(asked)}
    assert "I bought a kettle." in {one.text for one in ranked(asked, sources=("other.json",))}
    assert "I bought a kettle." in {one.text for one in ranked(asked, person="Eva")}
    assert ranked("A heron on 7 June 2023?", kinds=("caption",))  # Its photo is of May.


def test_a_chat_dated_later_passes_on_its_own_day(ranked, store, take):
    talk = take("late.json", kind="chat", media=("text",))
    store.commit([talk.put(talk.seen("utterance", 0, 4, "I bought a kettle.", speaker="Eva"))])
    asked = "What was bought on {}?"
    # As long as nobody knows its day it is on any.
    assert "I bought a kettle." in {one.text for one in ranked(asked.format("8 May 2023"))}
    dated = take("late.json", kind="chat", media=("text",), origin_ns=MAY_8_NS + 400 * DAY_NS)
    put = dated.put()
    told = msgspec.structs.replace(put.message.sources[0], t_origin_from="owner")
    message = msgspec.structs.replace(put.message, outbox_seq=2, sources=(told,))
    store.commit([PutItem("video-1", message, {})])
    assert "I bought a kettle." not in {one.text for one in ranked(asked.format("8 May 2023"))}
    for day in ("11 June 2024", "11 June"):
        found = {one.text for one in ranked(asked.format(day))}
        assert "I bought a kettle." in found
        assert "I bought a canoe at the lake." not in found


def test_the_words_of_a_date_are_not_asked_of_what_is_of_that_day(ranked, store, take):
    film = take("film.mp4", origin_ns=MAY_8_NS + 90 * DAY_NS)
    store.commit([film.put(film.said(0, 4, "A canoe was bought."))])
    plain = {one.text: one.grounding for one in ranked("Which canoe was bought?")}
    dated = {one.text: one.grounding for one in ranked("Which canoe was bought on 8 May 2023?")}
    for name in ("lexical_share", "lexical_own"):
        assert dated[TURNS[0][2]][name] == plain[TURNS[0][2]][name] > 0.9
        assert dated["A canoe was bought."][name] < plain["A canoe was bought."][name]
    assert {one.grounding["lexical_share"] for one in ranked("8 May 2023", sources=("talk.json",))} == {1.0}


def test_turns_of_a_named_time_are_found_by_the_index_of_times(chat, reader):
    with reader.snapshot() as db:
        gates = gates_of(db, Cue(text="What was bought on 8 May 2023?"))
        both = (*gates.ways, (gates.sql, gates.parameters))
        found = [(f"SELECT o.n FROM observation AS o WHERE 1{sql}", told) for sql, told in both]  # noqa: S608
        plans = [
            " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", told)) for sql, told in found
        ]
        others, said, every = ({n for (n,) in db.execute(sql, told)} for sql, told in found)
    assert "SCAN o" not in plans[0]
    assert "observation_utc" in plans[1]
    assert others | said == every != set()
    assert not others & said
