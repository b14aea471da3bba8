"""What was asked, by the real processes: kept past a kill, cited, evidence for nothing else, forgotten."""

from __future__ import annotations

import pytest

from stream.messages import Cue, Evidence, RecallAsk, new_id
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.turn import TurnFinal, TurnOpen
from tests.system.talk import SAID, tell
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]


@pytest.fixture
def house(tmp_path):
    with House(
        tmp_path / "store", "test", {"supervisor__beat_s": "0.2", "supervisor__backoff_s": "0.1"}
    ) as own:
        tell(own, SAID[:3])
        yield own


def ask(house, question, *, begins=True):
    turn = TurnOpen(turn_id=new_id(), question=question, dialogue_id=b"d" * 16, begins=begins)
    return house.caller("reasoning").ask_for(TurnFinal, turn, timeout_s=30).answer


def is_back(house, pid):
    role = house.roles()["reasoning"]
    return role.state == "serving" and role.pid != pid


def asked(house):
    ask = RecallAsk(cue=Cue(), k=50, unit="dialogue")
    return house.caller("memory").ask_for(Evidence, ask, timeout_s=30).considered


def test_what_was_asked_is_kept_told_and_forgotten(house):
    ferry = ask(house, "When does the ferry leave?")
    assert ask(house, "Where is the spare key?").verdict == "answered"
    house.wait_for(lambda: asked(house) == 2, 30, "both questions are kept")
    killed = house.kill("reasoning")
    house.wait_for(lambda: is_back(house, killed), 60, "reasoning is back")
    assert ask(house, "What was my last question?").citations[0].text == "Where is the spare key?"
    told = ask(house, "What did I ask you about the ferry?")
    assert [one.kind for one in told.citations] == ["exchange", "utterance"]
    assert told.citations[0].text == "When does the ferry leave?"
    assert told.citations[1].observation_id == ferry.citations[0].observation_id
    assert asked(house) == 2  # What asks about the dialogue is not kept.

    again = ask(house, "When does the ferry leave?")
    assert {one.kind for one in again.citations} == {"utterance"}
    found = house.caller("memory").ask_for(Evidence, RecallAsk(cue=Cue(), k=200), timeout_s=30)
    assert {one.kind for one in found.items} == {"utterance"}
    house.wait_for(lambda: asked(house) == 3, 30, "it is kept as well")

    # With what its answer cited it goes, and the dialogue that held it tells nothing of it.
    forget = ForgetAsk(ids=(ferry.citations[0].observation_id.hex(),), begin=True)
    house.caller("memory").ask_for(ForgetDone, forget, timeout_s=60)
    assert asked(house) == 1
    gone = ask(house, "What did I ask you about the ferry?", begins=False)
    assert (gone.verdict, gone.citations) == ("not_seen", ())
    kept = ask(house, "What did I ask you about the key?")
    assert kept.citations[0].text == "Where is the spare key?"
