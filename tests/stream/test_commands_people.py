"""`omnirecall people` and `forget --person`: what is asked of memory, and how it is told."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from stream.commands import connection as connections
from stream.commands.app import app
from stream.messages import Act
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.people import PeopleAsk, PeopleTold, PersonTold, Spoken

S = 1_000_000_000
ANNA = PersonTold(
    person_id=bytes(range(16)),
    names=("Anna", "my sister"),
    visits=2,
    utterances=7,
    seconds=95.4,
    turns=3,
    first_ns=1_700_000_000 * S,
    anchor=b"\x05" * 16,
    encoder_id="voice-resemblyzer/1",
)
NOBODY = PersonTold(person_id=b"\xaa" * 16, visits=1, utterances=1, seconds=4.2)
SPOKEN = Spoken(
    observation_id=b"\x05" * 16,
    uri="/media/day0.mp4",
    source_id=b"s" * 16,
    session=0,
    pts0_ns=12 * S,
    pts1_ns=75 * S,
    utterances=4,
    text="I saw the ferry\u202e leave",
)
LABEL = Act(
    act_id=b"\x0a" * 16, kind="label", t_ns=1, target=b"\x05" * 16, text="Anna", value={"of": "person"}
)


@pytest.fixture
def memory(monkeypatch):
    """Memory by hand: what it is asked, and what it then tells."""

    class Memory:
        def __init__(self):
            self.asked, self.told = [], PeopleTold(persons=(ANNA, NOBODY), total=2, unplaced=1)

        def ask(self, role, kind, message, timeout_s=None):
            self.asked.append(message)
            return self.told if kind is PeopleTold else ForgetDone(counts={"observations": 0, "voices": 7})

    made = Memory()

    @contextmanager
    def to_store(*_):
        yield made

    monkeypatch.setattr(connections, "to_store", to_store)
    return made


def run(*words):
    done = CliRunner().invoke(app, ["people", *words], catch_exceptions=False)
    return done.exit_code, done.output


def test_the_list_for_people_and_for_programs(memory):
    code, out = run("list")
    assert code == 0
    assert out.splitlines() == [
        "000102030405  Anna, also my sister  7 utterances, 1 min 35 s in 2 sources, 3 written turns",
        "aaaaaaaaaaaa  nobody named  1 utterances, 4 s in 1 source",
        "1 utterances are too short to tell whose they are",
    ]
    code, out = run("--json")
    told = json.loads(out)
    assert (told["version"], told["total"], told["unplaced"], told["complete"]) == (1, 2, 1, True)
    assert told["people"][0]["names"] == ["Anna", "my sister"]
    assert told["people"][0]["first"] == "2023-11-14T22:13:20.000Z"
    assert told["people"][1]["name"] is None
    assert memory.asked == [PeopleAsk(limit=50), PeopleAsk(limit=50)]


def test_one_person_with_its_timeline_and_acts(memory):
    memory.told = PeopleTold(persons=(ANNA,), spoken=(SPOKEN,), total=1, acts=(LABEL,))
    _, out = run("show", "Anna")
    assert "day0.mp4  0:12-1:15  “I saw the ferry  leave”" in out or "“I saw the ferry leave”" in out
    assert "act 0a0a0a0a0a0a  named “Anna”" in out
    told = json.loads(run("show", "Anna", "--json")[1])
    assert told["timeline"][0]["t1_s"] == 75.0
    assert told["acts"][0] | {"t": None} == {
        "id": "0a" * 16,
        "kind": "label",
        "t": None,
        "target": "05" * 16,
        "name": "Anna",
        "also": False,
        "with": [],
        "apart": [],
        "undoes": None,
    }


@pytest.mark.parametrize(
    ("words", "ask"),
    [
        (("label", "0505", "my sister"), PeopleAsk(op="label", who="0505", name="my sister")),
        (("label", "Anna", "Nan", "--also"), PeopleAsk(op="label", who="Anna", name="Nan", also=True)),
        (
            ("merge", "Anna", "aaaaaa", "bbbbbb"),
            PeopleAsk(op="merge", who="Anna", others=("aaaaaa", "bbbbbb")),
        ),
        (("split", "Anna"), PeopleAsk(op="split", who="Anna")),
        (("split", "Anna", "0505", "--only"), PeopleAsk(op="split", who="Anna", others=("0505",), only=True)),
        (("undo",), PeopleAsk(op="undo")),
        (("undo", "0a0a0"), PeopleAsk(op="undo", act_id=b"\x0a\x0a")),
    ],
)
def test_each_act_as_it_is_asked_for(memory, words, ask):
    memory.told = PeopleTold(act=LABEL, persons=(ANNA,))
    assert run(*words)[0] == 0
    assert memory.asked == [ask]
    assert json.loads(run(*words, "--json")[1])["act"]["kind"] == "label"


@pytest.mark.parametrize("told", ["xyz!", "a", "x", " "])
def test_an_id_that_is_none_is_said(memory, told):
    code, out = run("undo", told, "--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "ConfigError"
    assert memory.asked == []


def test_names_and_acts_cannot_steer_the_terminal(memory):
    odd = "An\x07\u202e\nna"
    memory.told = PeopleTold(
        persons=(PersonTold(person_id=b"\xaa" * 16, names=(odd,)),), acts=(replace(LABEL, text=odd),)
    )
    _, out = run("show", "Anna")
    assert not {"\x07", "\u202e"} & set(out)
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize("told", ["a", "x", "xyz!"])
def test_a_correction_is_not_taken_back_by_what_is_no_id(memory, told):
    done = CliRunner().invoke(app, ["correct", "--undo", told, "--json"])
    assert done.exit_code == 2
    assert "is no id" in done.output
    assert memory.asked == []


def test_forgetting_a_person_is_asked_of_forget(memory):
    code, out = run("forget", "Anna", "--dry-run")
    assert code == 0
    assert memory.asked == [PeopleAsk(limit=0), ForgetAsk(person="Anna")]
    assert "the voice in 7 utterances" in out
    assert "what was said stays" in out
    assert "0 observations" not in out
    done = CliRunner().invoke(app, ["forget", "--person", "Anna", "--with-words", "--dry-run", "--json"])
    assert done.exit_code == 0
    assert memory.asked[-1] == ForgetAsk(person="Anna", with_words=True)
    done = CliRunner().invoke(app, ["forget", "--source", "x.mp4", "--with-words", "--dry-run", "--json"])
    assert done.exit_code == 2
    assert "--with-words goes with a person" in done.stdout


def test_a_person_is_not_forgotten_while_voices_are_being_told_apart(memory):
    memory.told = PeopleTold(persons=(ANNA,), more=True)
    code, out = run("forget", "Anna", "--yes", "--json")
    assert code == 2
    assert "still being told apart" in out
    assert memory.asked == [PeopleAsk(limit=0)]
