"""Persons on the real log: the view, acts and their undoing, names in what is recalled, forgetting."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
from msgspec.structs import replace

from memory.forget.service import Forget
from memory.log.reader import LogReader
from memory.log.store import LogStore
from memory.people import view
from memory.people.names import with_speakers
from memory.people.service import People
from memory.people.view import PeopleView
from memory.recall.gates import gates_of
from memory.recall.pipeline import Recall
from memory.settings import PeopleSettings, RecallSettings
from memory.spans.consolidate import observations_in
from stream.errors import ConfigError, DiskFull
from stream.messages import Act, CommitPut, Cue, KeyRef
from stream.messages.cue import Talk
from stream.messages.forget import ForgetAsk
from stream.messages.people import PeopleAsk
from stream.process.log import Log
from stream.wire.parts import array_part

S = 1_000_000_000
ENCODER = "voice-resemblyzer/1"


def vector(who, take=0, noise=0.3):
    own = np.random.default_rng(who).standard_normal(256)
    away = np.random.default_rng(9_000 + 100 * who + take).standard_normal(256)
    row = own / np.linalg.norm(own) + noise * away / np.linalg.norm(away)
    return (row / np.linalg.norm(row)).astype(np.float32)


def spoke(film, who, t0_s, text, *, seconds=5.0, turn=-1, **more):
    """An utterance with the key of a voice, as perception commits it."""
    told = {"voice": {"seconds": seconds, "turn": turn, "overlap": 0.0}}
    observation, parts = film.said(t0_s, t0_s + seconds, text, payload=told, **more)
    name = f"v{observation.observation_id.hex()}"
    key = KeyRef(part=name, kind="voice", encoder_id=ENCODER)
    keyed = observation.__class__(
        **{f: getattr(observation, f) for f in observation.__struct_fields__} | {"keys": (key,)}
    )
    return keyed, [*parts, array_part(name, vector(who, int(t0_s)))]


class House:
    """A store with people on or off, and everything that a process would do with it, at once."""

    def __init__(self, folder, *, enabled=True):
        self.store = LogStore(folder, voices=enabled)
        self.reader = LogReader(folder)
        self.enabled = enabled
        self.start()

    def start(self):
        self.people = People(self.store, self.reader, PeopleSettings(enabled=self.enabled), lambda: 5)

    def caught_up(self):
        while self.people.step():
            pass
        return self

    def ask(self, op="list", **fields):
        return self.people.answer(PeopleAsk(op=op, **fields))

    def rows(self, table):
        with self.reader.snapshot() as db:
            return sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608

    def tables(self):
        return {table: self.rows(table) for table in ("person", "voice", "voice_of", "person_name")}

    def who(self):
        """The texts of each person, by its first name, or None."""
        with self.reader.snapshot() as db:
            rows = db.execute(
                "SELECT w.person_id, o.text FROM voice AS w JOIN voice_of AS v ON v.voice_id = w.voice_id"
                " JOIN observation AS o ON o.n = v.n ORDER BY o.text"
            ).fetchall()
            names = dict(db.execute("SELECT person_id, name FROM person_name WHERE place = 0").fetchall())
        found = {}
        for person_id, text in rows:
            found.setdefault(person_id, []).append(text)
        return sorted(((names.get(one), texts) for one, texts in found.items()), key=lambda row: row[1])

    def close(self):
        self.reader.close()
        self.store.close()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "store")
    yield made
    made.close()


def family(take, days=3):
    """Anna (1) and Tom (2) talk in a film each day; a stranger (3) in the last one."""
    films = []
    for day in range(days):
        film = take(f"day{day}.mp4", origin_ns=(1_700_000_000 + day * 86_400) * S)
        said = [
            spoke(film, 1, 0, f"a{day} I saw the ferry leave this morning", turn=0),
            spoke(film, 2, 10, f"b{day} the car is in the garage again", turn=1),
            spoke(film, 1, 20, f"c{day} we should paint the fence", turn=0),
        ]
        if day == days - 1:
            said.append(spoke(film, 3, 30, f"d{day} tickets please", turn=2))
        films.append((film, said))
    return films


def filled(house, take):
    films = family(take)
    for film, said in films:
        house.store.commit([film.put(*said, marks=film.ends(60))])
    return [observation for _, said in films for observation, _ in said]


ANNA = [f"{letter}{day}" for letter in "ac" for day in range(3)]


def letters(texts):
    return sorted(text.split()[0] for text in texts)


def test_voices_of_three_days_are_three_persons(house, take):
    filled(house, take)
    told = house.ask()
    assert told.total == 3
    assert [(one.visits, one.utterances) for one in told.persons] == [(3, 6), (3, 3), (1, 1)]
    assert [letters(texts) for _, texts in house.caught_up().who()] == [
        sorted(ANNA),
        ["b0", "b1", "b2"],
        ["d2"],
    ]


def test_the_scale_is_kept_with_the_encoder(house, take):
    filled(house, take)
    house.ask()
    ((encoder_id, told),) = house.rows("person_scale")
    assert encoder_id == ENCODER
    assert '"join_full": 0.8' in told


def test_off_nothing_is_computed_or_stored(tmp_path, take):
    house = House(tmp_path / "store", enabled=False)
    filled(house, take)
    house.caught_up()
    assert house.rows("key") == []
    assert all(rows == [] for rows in house.tables().values())
    with pytest.raises(ConfigError, match="people are off"):
        house.ask()
    house.close()


def test_turned_off_again_the_view_goes_and_who_it_was_can_be_forgotten_once_it_is_on(house, take, shelf):
    filled(house, take)
    house.ask("label", who=house.ask().persons[0].person_id.hex(), name="Anna")
    house.enabled = False
    house.start()
    house.caught_up()
    assert all(rows == [] for rows in house.tables().values())
    with pytest.raises(ConfigError, match="people are off, or not heard yet"):
        forgotten(house, shelf, person="Anna")
    house.enabled = True
    house.start()
    assert forgotten(house.caught_up(), shelf, person="Anna").counts["voices"] == 6


@pytest.mark.parametrize("seed", range(3))
def test_redelivery_in_any_order_changes_nothing_and_a_new_process_makes_the_same(
    tmp_path, house, take, seed
):
    observations = filled(house, take)
    house.ask("label", who=observations[1].observation_id.hex(), name="Tom")
    before = house.caught_up().tables()
    again = [film.put(*said, marks=film.ends(60)) for film, said in family(take)]
    dice = random.Random(seed)  # noqa: S311
    for _ in range(6):
        house.store.commit([dice.choice(again)])
        house.caught_up()
    assert house.tables() == before
    house.start()
    assert house.caught_up().tables() == before
    with house.store.views() as db:
        for table in ("voice_of", "voice", "person_name", "person"):
            db.execute(f"DELETE FROM {table}")  # noqa: S608
    house.start()
    assert house.caught_up().tables() == before


def test_heard_one_by_one_or_all_at_once_is_the_same(tmp_path, take):
    tables = []
    for steps in (True, False):
        house = House(tmp_path / f"{steps}")
        for film, said in family(take):
            house.store.commit([film.put(*said)])
            if steps:
                house.caught_up()
        tables.append(house.caught_up().tables())
        house.close()
    assert tables[0] == tables[1]


def test_what_could_not_be_written_is_made_again(house, take, monkeypatch):
    films = family(take)
    house.store.commit([film.put(*said) for film, said in films[:2]])
    before = house.caught_up().tables()
    house.store.commit([film.put(*said) for film, said in films[2:]])
    whole = PeopleView._write_utterances

    def fails(view, db):
        whole(view, db)
        raise DiskFull("no room")

    monkeypatch.setattr(PeopleView, "_write_utterances", fails)
    with pytest.raises(DiskFull):
        house.caught_up()
    assert house.tables() == before
    monkeypatch.setattr(PeopleView, "_write_utterances", whole)
    assert [letters(texts) for _, texts in house.caught_up().who()] == [
        sorted(ANNA),
        ["b0", "b1", "b2"],
        ["d2"],
    ]


def test_that_voice_is_my_sister_and_undo(house, take):
    observations = filled(house, take)
    told = house.ask("label", who=observations[5].observation_id.hex()[:12], name=" my  sister ")
    assert told.act.text == "my sister"
    assert told.persons[0].names == ("my sister",)
    assert told.persons[0].utterances == 6
    house.ask("label", who="my sister", name="Anna", also=True)
    assert house.ask("show", who="ANNA").persons[0].names == ("my sister", "Anna")
    house.ask("label", who="anna", name="Anna Maria")
    assert house.ask("show", who="anna maria").persons[0].names == ("Anna Maria", "Anna")
    house.ask("undo")
    assert house.ask().persons[0].names == ("my sister", "Anna")
    house.ask("undo", act_id=told.act.act_id)
    assert house.ask("show", who="anna").persons[0].names == ("Anna",)
    house.ask("undo")
    assert house.ask().persons[0].names == ()
    with pytest.raises(ConfigError, match="no act on a person to undo"):
        house.ask("undo")


def test_merge_split_and_undo_of_each(house, take):
    observations = filled(house, take)
    house.ask("label", who=observations[0].observation_id.hex(), name="Anna")
    stranger = observations[-1].observation_id.hex()
    merged = house.ask("merge", who="Anna", others=(stranger,))
    assert merged.persons[0].utterances == 7
    house.ask("undo")
    assert house.ask("show", who="Anna").persons[0].utterances == 6
    tuesday = observations[3].observation_id.hex()
    split = house.ask("split", who="Anna", others=(tuesday,))
    assert house.ask("show", who="Anna").persons[0].utterances == 4
    assert [act.kind for act in house.ask("show", who="Anna").acts] == ["label", "split"]
    house.ask("undo", act_id=split.act.act_id[:5])
    assert house.ask("show", who="Anna").persons[0].utterances == 6
    house.ask("split", who="Anna")  # The source that joined last.
    assert [letters(texts) for name, texts in house.who() if name == "Anna"] == [["a0", "a1", "c0", "c1"]]


def test_a_wrong_label_of_one_utterance_is_put_right_by_its_own(house, take):
    observations = filled(house, take)
    house.ask("label", who=observations[0].observation_id.hex(), name="Anna")
    house.ask("label", who=observations[6].observation_id.hex(), name="Eva")
    assert [(name, letters(texts)) for name, texts in house.who() if name] == [
        ("Anna", ["a0", "a1", "c0", "c1"]),
        ("Eva", ["a2", "c2"]),
    ]
    house.ask("label", who=observations[-1].observation_id.hex(), name="Eva")
    house.ask("label", who="Eva", name="Eva Maria")
    assert [letters(texts) for name, texts in house.who() if name == "Eva Maria"] == [["a2", "c2", "d2"]]
    house.ask("label", who=observations[-1].observation_id.hex(), name="Zoe")
    assert [(name, letters(texts)) for name, texts in house.who() if name][1:] == [
        ("Eva Maria", ["a2", "c2"]),
        ("Zoe", ["d2"]),
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"op": "show", "who": "Zoe"}, "nobody is known as 'Zoe'"),
        ({"op": "label", "who": "abcdef", "name": "Anna"}, "nobody is known"),
        ({"op": "label", "who": "FIRST", "name": " \n"}, "is no name"),
        ({"op": "label", "who": "FIRST", "name": "x" * 200}, "is no name"),
        ({"op": "merge", "who": "FIRST", "others": ()}, "name two persons"),
        ({"op": "split", "who": "LAST"}, "of one source"),
        ({"op": "split", "who": "FIRST", "others": ("LAST",)}, "no utterance of this person"),
        ({"op": "undo", "act_id": b"\x00"}, "no act on a person"),
    ],
)
def test_what_cannot_be_is_said(house, take, fields, message):
    observations = filled(house, take)
    ids = {"FIRST": observations[0].observation_id.hex(), "LAST": observations[-1].observation_id.hex()}
    told = {
        name: ids.get(value, value) if isinstance(value, str) else value for name, value in fields.items()
    }
    if told.get("others"):
        told["others"] = tuple(ids.get(one, one) for one in told["others"])
    with pytest.raises(ConfigError, match=message):
        house.ask(**told)


def test_the_timeline_of_a_person_has_its_voice_and_its_written_turns(house, take):
    observations = filled(house, take)
    chat = take("chat.json", kind="chat", media=("text",), origin_ns=1_700_040_000 * S)
    written = [chat.said(0, 1, "see you at the ferry", speaker="Anna"), chat.said(2, 3, "yes", speaker="Tom")]
    house.store.commit([chat.put(*written)])
    house.ask("label", who=observations[0].observation_id.hex(), name="Anna")
    told = house.ask("show", who="anna")
    assert told.persons[0].turns == 1
    assert [one.text[:2] for one in told.spoken] == ["a0", "se", "a1", "a2"]
    assert told.spoken[0].utterances == 2
    assert told.total == 4


def numbers(house, cue):
    with house.reader.snapshot() as db:
        gates = gates_of(db, cue)
        rows = db.execute(
            f"SELECT o.text FROM observation AS o WHERE o.text <> ''{gates.sql}",  # noqa: S608
            gates.parameters,
        ).fetchall()
    return letters(row[0] for row in rows)


def test_gates_of_who_said_what_about_whom_in_whose_hearing(house, take):
    observations = filled(house, take)
    chat = take("chat.json", kind="chat", media=("text",), origin_ns=1_700_040_000 * S)
    told = [
        chat.said(0, 1, "p1 the car is sold", speaker="Anna", audience="Tom, Eva"),
        chat.said(2, 3, "p2 Tom's birthday is a surprise", speaker="Anna", audience="Eva"),
        chat.said(4, 5, "p3 tomorrow is fine", speaker="Eva", audience="Anna; Tom"),
    ]
    group = take("group.json", kind="chat", media=("text",), origin_ns=1_700_050_000 * S)
    open_talk = [group.said(0, 1, "g1 hello", speaker="Eva"), group.said(1, 2, "g2 hi", speaker="Tom")]
    house.store.commit([chat.put(*told), group.put(*open_talk)])
    house.ask("label", who=observations[0].observation_id.hex(), name="my sister")
    house.ask("label", who="my sister", name="Anna", also=True)
    house.ask("label", who=observations[1].observation_id.hex(), name="Tom")
    anna = sorted([*ANNA, "p1", "p2"])
    assert numbers(house, Cue(talk=Talk(speaker="my sister"))) == anna
    assert numbers(house, Cue(talk=Talk(speaker="anna"))) == anna
    assert numbers(house, Cue(talk=Talk(about="Tom"))) == ["p2"]
    assert numbers(house, Cue(person="Tom")) == ["b0", "b1", "b2", "g2"]
    films = sorted([*ANNA, "b0", "b1", "b2", "d2"])
    assert numbers(house, Cue(talk=Talk(in_hearing_of="Tom"))) == sorted([*films, "g1", "g2", "p1", "p3"])
    assert numbers(house, Cue(talk=Talk(in_hearing_of="Tom", speaker="Anna"))) == sorted([*ANNA, "p1"])
    assert numbers(house, Cue(talk=Talk(in_hearing_of="Eva"))) == ["g1", "g2", "p1", "p2", "p3"]
    assert numbers(house, Cue(talk=Talk(in_hearing_of="100%_"))) == []
    last = house.store.last_commit
    assert numbers(house, Cue(talk=Talk(speaker="Anna"), as_of_commit=last)) == ["p1", "p2"]
    for told, name in (("Tom", "Tom"), ("eva", "Eva")):
        heard = numbers(house, Cue(talk=Talk(in_hearing_of=name)))
        assert numbers(house, Cue(talk=Talk(spoken_to=told))) == heard
    # Nobody knows her: nothing is shut out.
    assert len(numbers(house, Cue(talk=Talk(spoken_to="Zoe")))) == 15


def test_what_is_recalled_names_the_voice_but_not_at_an_earlier_commit(house, take, shelf):
    observations = filled(house, take)
    house.ask("label", who=observations[0].observation_id.hex(), name="Anna")
    recall = Recall(shelf, RecallSettings())
    with house.reader.snapshot() as db:
        found = recall(db, Cue(text="ferry this morning"), 3)
        before = recall(db, Cue(text="ferry this morning", as_of_commit=found.as_of_commit), 3)
        film = observations[0]
        span = observations_in(db, film.source_id, 0, 0, 60 * S)
        named = [one.speaker for one in with_speakers(db, span)]
    assert {item.speaker for item in found.items} == {"Anna"}
    assert {item.speaker for item in before.items} == {""}
    assert named == ["Anna", "", "Anna"]


def test_named_voices_are_speakers_for_the_scorer_and_with_perspective_hearers_are_not(house, take, shelf):
    observations = filled(house, take)
    for place, name in ((0, "Anna"), (1, "Tom")):
        house.ask("label", who=observations[place].observation_id.hex(), name=name)

    def liked(text, **settings):
        with house.reader.snapshot() as db:
            ranked = Recall(shelf, RecallSettings(**settings)).ranked(db, Cue(text=text), 10)
        return {one.item.text[0]: one.terms.get("person", 0.0) > 0 for one in ranked}

    words = "of the car, the fence or the ferry"
    assert liked(f"What did Anna say {words}?") == {"a": True, "b": False, "c": True}
    assert liked(f"What did Anna tell Tom {words}?") == {"a": False, "b": False, "c": False}
    assert liked(f"What did Anna tell Tom {words}?", perspective=True) == {"a": True, "b": False, "c": True}


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

    def reply(self, message):
        self.told = message


def forgotten(house, shelf, **fields):
    def refuse(received, error):
        raise error

    forget = Forget(
        house.store,
        house.reader,
        shelf,
        Now(),
        Now(),
        query=lambda received, answer: received.reply(answer(received)),
        fail=refuse,
        changed=lambda ids: None,
        woken=lambda: None,
        log=Log("test"),
    )
    asked = Asked(ForgetAsk(begin=True, **fields))
    forget.take(asked)
    for turn in range(50):
        forget.turn(turn * 10**12)
        now = Asked(ForgetAsk(erasure_id=asked.told.erasure_id))
        forget.take(now)
        if now.told.over:
            return now.told
    raise AssertionError(now.told)


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


NAME = "Annegret Quitzow-" + hashlib.sha256(b"name").hexdigest()[:12]


def named_house(tmp_path, take):
    house = House(tmp_path / "store")
    observations = filled(house, take)
    house.ask("label", who=observations[1].observation_id.hex(), name="Tom")
    house.ask("label", who=observations[0].observation_id.hex(), name=NAME)
    house.ask("label", who=NAME, name="my sister", also=True)
    house.ask("undo")  # Undone acts hold the name, too.
    house.ask("label", who=NAME, name=f"{NAME} the elder", also=True)
    house.ask("split", who=NAME, others=(observations[6].observation_id.hex(),))
    house.ask("undo")
    correction = Act(act_id=b"c" * 16, kind="correct", t_ns=1, text=f"No, that was {NAME}!", value={})
    house.store.commit([house_put(house, correction)])
    return house, observations


def house_put(house, act):
    from memory.log.store import PutItem

    return PutItem("test", CommitPut(outbox_seq=99, acts=(act,)))


def test_a_person_is_forgotten_voice_names_and_acts_and_no_byte_is_left(tmp_path, take, shelf):
    house, observations = named_house(tmp_path, take)
    mine = [
        vector(1, int(one.pts0_ns / S)).astype("<f2").tobytes() for one in observations if one.text[0] in "ac"
    ]
    tom = vector(2, 10).astype("<f2").tobytes()
    folder = tmp_path / "store"
    before = bytes_of(folder)
    assert all(one in before for one in [*mine, NAME.encode(), tom])
    told = forgotten(house, shelf, person=NAME)
    assert told.verified, told
    assert (told.counts["voices"], told.counts["observations"]) == (6, 0)
    house.caught_up()
    house.store.compact()
    house.close()
    after = bytes_of(folder)
    assert [one.hex() for one in mine if one[:64] in after] == []
    assert NAME.encode() not in after
    assert tom in after
    again = House(folder)
    assert letters(text for _, texts in again.caught_up().who() for text in texts) == ["b0", "b1", "b2", "d2"]
    assert [one.names for one in again.ask().persons] == [("Tom",), ()]
    assert b"paint the fence" in after  # What was said stays: only the voice was to go.
    # Delivered again, by another producer too, the voice stays away.
    for film, said in family(take):
        again.store.commit([film.put(*said)])
        other = [spoke(film, 1, 0, "a9 said again", turn=0, ordinal=7)]
        again.store.commit([film.put(*other)])
    assert letters(text for _, texts in again.caught_up().who() for text in texts) == ["b0", "b1", "b2", "d2"]
    again.close()


def test_with_words_what_was_said_goes_too(tmp_path, take, shelf):
    house, _ = named_house(tmp_path, take)
    chat = take("chat.json", kind="chat", media=("text",), origin_ns=1_700_040_000 * S)
    house.store.commit([chat.put(chat.said(0, 1, "written by hand", speaker=NAME))])
    told = forgotten(house, shelf, person=NAME, with_words=True)
    assert told.verified, told
    assert told.counts["observations"] == 7
    house.caught_up()
    house.store.compact()
    house.close()
    after = bytes_of(tmp_path / "store")
    assert not any(one in after for one in (b"paint the fence", b"written by hand", NAME.encode()))
    assert b"garage" in after


def test_what_is_forgotten_otherwise_leaves_no_trace_in_persons(house, take, shelf):
    observations = filled(house, take)
    house.ask()
    told = forgotten(house, shelf, sources=("day0.mp4",))
    assert told.verified
    house.caught_up()
    assert [letters(texts) for _, texts in house.who()] == [["a1", "a2", "c1", "c2"], ["b1", "b2"], ["d2"]]
    assert observations[0].observation_id not in {row[5] for row in house.rows("voice")}


def decided(house, *acts):
    """Acts as another process may commit them."""
    for n, (kind, target, text, value) in enumerate(acts):
        number = house.store.last_commit + n
        own_id = hashlib.blake2b(f"{number} {kind}".encode(), digest_size=16).digest()
        act = Act(
            act_id=own_id, kind=kind, t_ns=number, target=target, text=text, value={"of": "person"} | value
        )
        house.store.commit([house_put(house, act)])


def test_a_person_that_was_another_outlives_whom_it_became(house, take):
    said = {}
    for who, name in enumerate("epg"):
        film = take(f"{name}.mp4")
        both = [spoke(film, 20 + who, t0_s, f"{name}{t0_s}", turn=0) for t0_s in (0, 20)]
        house.store.commit([film.put(*both)])
        said[name] = [observation.observation_id for observation, _ in both]
    decided(house, ("merge", said["p"][1], "", {"with": [said["g"][1]]}))
    assert len(house.caught_up().rows("person")) == 3  # One of them became another.
    # From its first word on it is the first one's, and has never been anybody.
    decided(house, ("merge", said["e"][0], "", {"with": [said["p"][0]]}))
    assert [letters(texts) for _, texts in house.caught_up().who()] == [
        sorted(["e0", "e20", "p0", "p20", "g0", "g20"])
    ]
    assert len(house.rows("person")) == 2


def test_what_goes_while_voices_are_being_told_apart_is_heard_by_nobody(house, take, shelf, monkeypatch):
    monkeypatch.setattr(view, "MOST_IN_STEP", 4)
    observations = filled(house, take)
    assert house.people.step()  # Heard, and not written yet.
    forgotten(house, shelf, sources=("day0.mp4",))
    assert [letters(texts) for _, texts in house.caught_up().who()] == [
        ["a1", "a2", "c1", "c2"],
        ["b1", "b2"],
        ["d2"],
    ]
    before = house.tables()
    house.start()
    assert house.caught_up().tables() == before
    house.start()
    assert house.people.step()
    gone = observations[3].observation_id
    with house.store.views() as db:  # As retention lets something go.
        db.execute("DELETE FROM key WHERE owner = ?", (gone,))
        db.execute("DELETE FROM observation WHERE observation_id = ?", (gone,))
    assert letters(texts[0] for _, texts in house.caught_up().who()) == ["a2", "b1", "d2"]


def test_what_nobody_should_have_committed_stops_nothing(house, take, shelf):
    observations = filled(house, take)
    house.ask("label", who=observations[0].observation_id.hex(), name="Anna")
    film = take("odd.mp4")
    short, parts = spoke(film, 4, 0, "x", turn=0)
    name = f"v{short.observation_id.hex()}"
    house.store.commit([film.put((short, [*parts[:-1], array_part(name, np.eye(1, 16, dtype="f4")[0])]))])
    keyed, parts = spoke(film, 4, 10, "y", turn=1)
    keyed = replace(keyed, payload=keyed.payload | {"other": {1: 2}})
    house.store.commit([film.put((keyed, parts))])
    decided(house, ("label", b"", "Zoe", {}), ("merge", observations[0].observation_id, "", {"with": 5}))
    assert sorted(texts[0][0] for _, texts in house.caught_up().who()) == ["a", "b", "d", "y"]
    assert forgotten(house, shelf, person="Anna").verified
