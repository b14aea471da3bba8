"""Changes of facts told in plain English, for `tools.eval_updates`; written before any was tried.

A relation has its question, phrasings of the first value and of the change, and values. Relations of
`held_out` and their phrasings were not looked at while the grammar was made, those of `fresh` never.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = (
    "Ana",
    "Tom",
    "Priya",
    "Lucas",
    "Mei",
    "Omar",
    "Greta",
    "Iris",
    "Noah",
    "Sven",
    "Carla",
    "Hugo",
    "Zoe",
)
FIRST, THIRD = "first", "third"
SHOWN, HELD_OUT, FRESH = "shown", "held_out", "fresh"


@dataclass(frozen=True, slots=True)
class Relation:
    """How one relation is told and asked; `{n}` is the name, `{v}` the value, `{o}` the old one.

    `told` by others or in the first person (by who it is about), as `person` says.
    """

    name: str
    person: str
    asks: str
    olds: tuple[str, ...]
    news: tuple[str, ...]
    values: tuple[str, ...]
    half: str = SHOWN


RELATIONS = (
    Relation(
        "phone",
        FIRST,
        "What is {n}'s phone number?",
        ("My phone number is {v}.",),
        ("My phone number is now {v}.", "I have a new phone number, it's {v}."),
        ("555-0142", "555-0187", "555-0119", "555-0163"),
    ),
    Relation(
        "home",
        THIRD,
        "Where does {n} live?",
        ("{n} lives in {v}.",),
        ("{n} moved to {v}.", "{n} now lives in {v}."),
        ("Lisbon", "Porto", "Oslo", "Kyoto"),
    ),
    Relation(
        "job",
        THIRD,
        "Where does {n} work?",
        ("{n} works at {v}.",),
        ("{n} now works for {v}.", "{n} joined {v} this month."),
        ("Acme", "Globex", "Initech", "Umbrella"),
    ),
    Relation(
        "room",
        THIRD,
        "Where is {n}?",
        ("{n} is in the {v}.",),
        ("{n} went to the {v}.", "{n} walked over to the {v}."),
        ("library", "cafeteria", "gym", "lobby"),
    ),
    Relation(
        "password",
        FIRST,
        "What is {n}'s wifi password?",
        ("My wifi password is {v}.",),
        ("I changed my wifi password to {v}.",),
        ("bluefish7", "redkite9", "oldoak3", "fastfox5"),
    ),
    Relation(
        "appointment",
        THIRD,
        "When is {n}'s appointment?",
        ("{n}'s appointment is on {v}.",),
        ("{n}'s appointment was moved to {v}.",),
        ("Monday", "Tuesday", "Thursday", "Friday"),
    ),
    Relation(
        "favourite",
        FIRST,
        "What is {n}'s favourite colour?",
        ("My favourite colour is {v}.",),
        ("My favourite colour is {v} now.",),
        ("green", "orange", "purple", "yellow"),
    ),
    Relation(
        "car",
        THIRD,
        "What does {n} drive?",
        ("{n} drives a {v}.",),
        ("{n} now drives a {v}.",),
        ("Volvo", "Toyota", "Fiat", "Tesla"),
    ),
    Relation(
        "keys",
        FIRST,
        "Where are {n}'s keys?",
        ("My keys are in the {v}.",),
        ("I put my keys on the {v}.",),
        ("drawer", "shelf", "counter", "backpack"),
    ),
    Relation(
        "boss",
        THIRD,
        "Who is {n}'s boss?",
        ("{n}'s boss is {v}.",),
        ("{n}'s new boss is {v}.",),
        ("Martha", "Edgar", "Felix", "Wanda"),
    ),
    Relation(
        "price",
        THIRD,
        "What is the price of {n}'s bike?",
        ("The price of {n}'s bike is {v}.",),
        ("The price of {n}'s bike changed from {o} to {v}.",),
        ("200 euros", "250 euros", "180 euros", "90 euros"),
    ),
    Relation(
        "status",
        THIRD,
        "What is the status of {n}'s project?",
        ("The status of {n}'s project is {v}.",),
        ("The status of {n}'s project is no longer {o}, it is {v}.",),
        ("green", "amber", "red", "paused"),
    ),
    # Held out.
    Relation(
        "email",
        FIRST,
        "What's {n}'s email address?",
        ("Our email address is {v}.", "My email address is {v}."),
        (
            "By the way, my email address has changed to {v}.",
            "My email address isn't {o} any more, it's {v}.",
        ),
        ("a1@post.example", "b2@post.example", "c3@post.example", "d4@post.example"),
        half=HELD_OUT,
    ),
    Relation(
        "flat",
        FIRST,
        "In which city does {n} live?",
        ("I live in {v}.", "We live in {v}."),
        ("We've moved to {v}!", "I don't live in {o} anymore, I live in {v}."),
        ("Bergen", "Madrid", "Quito", "Dakar"),
        half=HELD_OUT,
    ),
    Relation(
        "teacher",
        THIRD,
        "Who is the piano teacher of {n}?",
        ("{n}'s piano teacher is {v}.",),
        ("{n}'s piano teacher is {v} these days.", "As of today, {n}'s piano teacher is {v}."),
        ("Ruth", "Otto", "Ines", "Paul"),
        half=HELD_OUT,
    ),
    Relation(
        "parcel",
        THIRD,
        "Where is {n}'s parcel?",
        ("{n}'s parcel is at the {v}.",),
        ("The courier left {n}'s parcel at the {v}.", "{n}'s parcel is now in the {v}."),
        ("depot", "harbour", "warehouse", "porch"),
        half=HELD_OUT,
    ),
    Relation(
        "meeting",
        THIRD,
        "What time is {n}'s meeting?",
        ("{n}'s meeting is at {v}.",),
        ("{n} moved her meeting to {v}.", "{n}'s meeting has been rescheduled to {v}."),
        ("9 am", "11 am", "2 pm", "4 pm"),
        half=HELD_OUT,
    ),
    Relation(
        "dog",
        FIRST,
        "What is {n}'s dog called?",
        ("My dog is called {v}.",),
        ("We renamed my dog to {v}.", "My dog is now called {v}."),
        ("Rex", "Bella", "Milo", "Luna"),
        half=HELD_OUT,
    ),
    Relation(
        "instrument",
        FIRST,
        "What does {n} play?",
        ("I play the {v}.",),
        ("I play the {v} now.", "These days I play the {v}."),
        ("cello", "flute", "drums", "harp"),
        half=HELD_OUT,
    ),
    Relation(
        "ball",
        THIRD,
        "Who has {n}'s umbrella?",
        ("{v} has {n}'s umbrella.",),
        ("{o} gave {n}'s umbrella to {v}.", "{v} took {n}'s umbrella."),
        ("Martha", "Edgar", "Felix", "Wanda"),
        half=HELD_OUT,
    ),
    Relation(
        "seat",
        THIRD,
        "What is {n}'s seat number?",
        ("{n}'s seat number is {v}.",),
        ("{n} got a new seat number: {v}.", "The airline changed {n}'s seat number to {v}."),
        ("12C", "14A", "3F", "27D"),
        half=HELD_OUT,
    ),
    Relation(
        "office",
        THIRD,
        "Where is {n} now?",
        ("{n} is at the {v}.",),
        ("{n} just arrived at the {v}.", "{n} drove to the {v}."),
        ("airport", "stadium", "clinic", "museum"),
        half=HELD_OUT,
    ),
    Relation(
        "size",
        FIRST,
        "What is {n}'s shoe size?",
        ("My shoe size is {v}.",),
        ("My shoe size went from {o} to {v}.", "My shoe size is {v} now, not {o}."),
        ("36", "38", "41", "43"),
        half=HELD_OUT,
    ),
    Relation(
        "deadline",
        THIRD,
        "When is the deadline of {n}'s thesis?",
        ("The deadline of {n}'s thesis is {v}.",),
        ("The deadline of {n}'s thesis has been pushed to {v}.", "The deadline of {n}'s thesis is {v} now."),
        ("May 3", "May 20", "June 9", "July 1"),
        half=HELD_OUT,
    ),
    # Written after all faults of the others were mended, and mended for no more.
    Relation(
        "locker",
        FIRST,
        "What is the locker code of {n}?",
        ("My locker code is {v}.",),
        ("They changed my locker code to {v}.", "My locker code isn't {o} anymore, it's {v}."),
        ("4471", "9082", "3316", "7750"),
        half=FRESH,
    ),
    Relation(
        "doctor",
        THIRD,
        "Who's {n}'s doctor now?",
        ("{n}'s doctor is {v}.",),
        ("{n}'s doctor is now {v}.", "{n} has a new doctor, it's {v}."),
        ("Doctor Weiss", "Doctor Lang", "Doctor Rossi", "Doctor Silva"),
        half=FRESH,
    ),
    Relation(
        "cat",
        THIRD,
        "Where is {n}'s cat?",
        ("{n}'s cat is under the {v}.",),
        ("{n}'s cat jumped onto the {v}.", "{n} carried the cat home, and {n}'s cat is on the {v} now."),
        ("sofa", "wardrobe", "table", "piano"),
        half=FRESH,
    ),
    Relation(
        "rehearsal",
        THIRD,
        "When is {n}'s rehearsal?",
        ("{n}'s rehearsal is on {v}.",),
        ("{n}'s rehearsal moved from {o} to {v}.", "{n}'s rehearsal is no longer on {o}, it is on {v}."),
        ("Monday", "Wednesday", "Saturday", "Sunday"),
        half=FRESH,
    ),
    Relation(
        "book",
        THIRD,
        "Who has {n}'s atlas?",
        ("{v} borrowed {n}'s atlas.",),
        ("{o} passed {n}'s atlas on to {v}.", "{v} now has {n}'s atlas."),
        ("Martha", "Edgar", "Felix", "Wanda"),
        half=FRESH,
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One change: who says what, what is asked, and what was and is true."""

    relation: Relation
    speaker: str
    old_text: str
    new_text: str
    question: str
    old: str
    new: str


def changes(seed: int = 7, names: int = len(NAMES)) -> Iterator[Change]:
    """Every relation with every name once; the values and phrasings by chance from a fixed seed."""
    chance = random.Random(seed)  # noqa: S311
    for relation in RELATIONS:
        for name in NAMES[:names]:
            old, new = chance.sample(relation.values, 2)
            speaker = name if relation.person == FIRST else "Anna Lind"

            def fill(text: str, v: str, *, n: str = name, o: str = old) -> str:
                return text.format(n=n, v=v, o=o)

            yield Change(
                relation,
                speaker,
                fill(chance.choice(relation.olds), old),
                fill(chance.choice(relation.news), new),
                fill(relation.asks, new),
                old,
                new,
            )
