"""Recall of chats: fields of a turn, its photo, named dates, and the scorers of turns."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest

from memory.keys.keyers import TextKeyer
from memory.log import migrations
from memory.log.database import connect_writer
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
