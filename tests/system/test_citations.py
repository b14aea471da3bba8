"""From an answer to the weights of the next question, through the real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.citations import WeightsAsk, WeightsTold
from stream.messages.turn import TurnFinal, TurnOpen
from tests.system.talk import tell
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

LEARNING = {"memory__recall__learn": "true", "supervisor__beat_s": "0.2", "supervisor__backoff_s": "0.1"}


@pytest.fixture
def house(tmp_path):
    with House(tmp_path / "store", "test", LEARNING) as own:
        tell(own)
        yield own


def ask(house, turn_id, question):
    turn = TurnOpen(turn_id=turn_id, question=question)
    return house.caller("reasoning").ask_for(TurnFinal, turn, timeout_s=30).answer


def cited(house, n):
    house.wait_for(lambda: house.memory().counts["citations"] >= n, 30, f"{n} citations are kept")
    assert house.memory().counts["citations"] == n


def weights(house, **more):
    return house.caller("memory").ask_for(WeightsTold, WeightsAsk(limit=200, **more), timeout_s=30)


def factors(told):
    return {row.scorer: row.learnt / row.fixed for row in told.weights if row.kind == "other"}


def terms(house):
    """What each scorer adds to the best item of one and the same cue."""
    recall = RecallAsk(cue=Cue(text="honey at the market"), k=3)
    items = house.caller("memory").ask_for(Evidence, recall, timeout_s=30).items
    return max(items, key=lambda item: item.score).scorers


def assert_in_use(house, before):
    """The terms are those of before, each times what its weight was changed by."""
    learnt, after = factors(weights(house)), terms(house)
    for name, value in before.items():
        assert after[name] == pytest.approx(value * learnt[name], abs=2e-3)


def test_citations_change_the_weights_that_the_next_question_uses(house):
    before = terms(house)
    answer = ask(house, b"turn-1", "Who keeps bees?")
    assert answer.verdict == "answered"
    cited(house, len(answer.citations))
    told = weights(house)
    assert told.learns
    assert {step.turn_id for step in told.steps} == {b"turn-1"}
    assert any(abs(factor - 1) > 1e-3 for factor in factors(told).values())
    assert_in_use(house, before)

    ask(house, b"turn-1", "Who keeps bees?")  # The same turn again, as after a lost answer.
    other = ask(house, b"turn-2", "Where does the spare key hang?")
    cited(house, len(answer.citations) + len(other.citations))
    assert {step.turn_id for step in weights(house).steps} <= {b"turn-1", b"turn-2"}

    shown = command(house, "weights", "--json")
    assert shown["learns"] is True
    assert {row["scorer"] for row in shown["weights"]} >= {"dense", "lexical"}
    one = command(house, "weights", "--revert", "--turn", b"turn-2".hex(), "--json")
    assert factors(weights(house)) == pytest.approx(factors(told))
    assert {step["turn_id"] for step in one["steps"]} == {b"turn-1".hex()}
    assert command(house, "weights", "--revert", "--json")["reverted"] > 0
    assert set(factors(weights(house)).values()) == {1.0}
    assert terms(house) == before
    cited(house, len(answer.citations) + len(other.citations))


def test_citations_outlive_a_killed_memory_and_a_killed_reasoning(house):
    before = terms(house)
    memory_pid = house.roles()["memory"].pid
    answer = ask(house, b"turn-1", "Who keeps bees?")
    os.kill(memory_pid, signal.SIGSTOP)  # So fast that the citations mostly find it stopped.
    told = {"citations_told": 1.0}
    house.wait_for(lambda: told.items() <= house.roles()["reasoning"].counters.items(), 30, "they are told")
    house.kill("reasoning")
    os.kill(memory_pid, signal.SIGKILL)
    house.wait_for(lambda: house.roles()["memory"].pid not in (0, memory_pid), 60, "memory is back")
    cited(house, len(answer.citations))
    assert {step.turn_id for step in weights(house).steps} == {b"turn-1"}
    assert_in_use(house, before)


def command(house, *words):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stream.commands.app", *words, "--store", str(house.store_dir)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
