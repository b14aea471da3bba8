"""Who is spoken to in a question."""

from __future__ import annotations

import pytest

from memory.people.told import people
from memory.recall.gates import gates_of
from memory.recall.roles import spoken_to
from stream.messages import Cue
from stream.messages.cue import Talk
from stream.messages.people import PeopleAsk

NAMES = ("anna", "tom", "lee")


@pytest.mark.parametrize(
    ("question", "hearers"),
    [
        ("What did Anna tell Tom about the car?", {"tom"}),
        ("Which book did Anna recommend to Tom?", {"tom"}),
        ("What kind of painting did ANNA share with Tom on 3 May?", {"tom"}),
        ("What games does Anna suggest for Tom?", {"tom"}),
        ("What book recommendation did Anna give to Tom for the trip?", {"tom"}),
        ("What advice did Anna give Tom?", {"tom"}),
        ("What did Tom say about Anna?", set()),
        ("What have Anna and Tom both painted?", set()),
        ("Who told Tom about the car?", set()),
        ("What did Anna say to her boss?", set()),
        ("Tell Tom about the car", set()),
        ("What did Anna tell Tom and what did Tom tell Anna?", {"tom", "anna"}),
        ("", set()),
    ],
)
def test_who_is_spoken_to(question, hearers):
    assert spoken_to(question, NAMES) == hearers


def found(store, reader, **talk):
    with reader.snapshot() as db:
        gates = gates_of(db, Cue(talk=Talk(**talk)))
        rows = db.execute(
            f"SELECT o.text FROM observation AS o WHERE o.text <> ''{gates.sql} ORDER BY o.n",  # noqa: S608
            gates.parameters,
        )
        return [text[:2] for (text,) in rows.fetchall()]


def test_who_is_spoken_to_is_known_beside_others_of_that_first_name(store, reader, take):
    for name, second in (("a", "Tom"), ("b", "Eva")):
        chat = take(f"{name}.json", kind="chat", media=("text",))
        said = [
            chat.said(0, 1, f"{name}1", speaker="Tom Miller"),
            chat.said(2, 3, f"{name}2", speaker=second),
        ]
        store.commit([chat.put(*said)])
    assert found(store, reader, spoken_to="tom") == ["a1", "a2"]
    assert found(store, reader, spoken_to="Tom Miller") == ["a1", "a2", "b1", "b2"]


def test_names_with_letters_beyond_a_to_z_are_found_as_they_are_written(store, reader, take):
    chat = take("c.json", kind="chat", media=("text",))
    said = [
        chat.said(0, 1, "c1 Åsa Groß is here", speaker="Eva", audience="Tom"),
        chat.said(2, 3, "c2 come", speaker="Eva", audience="Tom, Åsa Groß"),
        chat.said(4, 5, "c3 as she says", speaker="Eva", audience="Tom", about="Åsa Groß"),
    ]
    store.commit([chat.put(*said)])
    assert found(store, reader, about="Åsa Groß") == ["c1", "c3"]
    assert found(store, reader, in_hearing_of="Åsa GROß") == ["c2"]


def test_what_is_too_long_to_be_a_name_is_nobody(store, reader, take):
    chat = take("c.json", kind="chat", media=("text",))
    store.commit([chat.put(chat.said(0, 1, "c1 hello", speaker="Eva", audience="Tom"))])
    assert found(store, reader, about="x" * 60_000) == []
    assert found(store, reader, in_hearing_of="x" * 60_000) == []


def test_written_turns_are_counted_once_for_all_who_are_listed(store, reader, take, statements):
    chat = take("c.json", kind="chat", media=("text",))
    said = [chat.said(n, n + 1, f"c{n}", speaker=name) for n, name in enumerate(("Tom", "TOM", "Åsa", ""))]
    store.commit([chat.put(*said)])
    with store.views() as db:
        for name in ("Tom", "Åsa", "Eva"):
            own_id = name.encode().ljust(16)
            row = (own_id, name, "voice/1")
            columns = "person_id, label, encoder_id, made_commit"
            db.execute(f"INSERT INTO person ({columns}) VALUES (?, ?, ?, 0)", row)  # noqa: S608
            db.execute("INSERT INTO person_name VALUES (?, 0, ?)", row[:2])
    told = []
    with reader.snapshot() as db:
        asked = statements(db, lambda: told.extend(people(db, PeopleAsk()).persons))
    assert [(one.names[0], one.turns) for one in told] == [("Eva", 0), ("Tom", 2), ("Åsa", 1)]
    assert sum("speaker" in one for one in asked) == 1
