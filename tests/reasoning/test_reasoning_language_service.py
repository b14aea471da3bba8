"""The reasoning process with a language server that is well, hangs, is slow, talks garbage, or is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream.messages.envelope import new_id
from stream.messages.turn import TurnFinal, TurnOpen
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for

from .talking_server import TalkingServer

pytestmark = pytest.mark.system

TOY = Path(__file__).parent / "toy"
RUN = """
import json, sys
from pathlib import Path
from stream.config import Config
from stream.process.roles import Role
from stream.process.supervisor import Supervisor
own = "stream.process.settings:SupervisorSettings"
reasoning = "reasoning.settings:ReasoningSettings"
sections = {"cpu": "stream.process.settings:CpuSettings", "supervisor": own, "memory": own}
sections |= {"reasoning": reasoning}
roles = {
    "memory": Role("toy_memory:ToyMemory", own, "always", 0, 1),
    "reasoning": Role("reasoning.service:ReasoningService", reasoning, "always", 0, 0),
}
config = Config({"supervisor": {"beat_s": 0.2}, "reasoning": {"llm": json.loads(sys.argv[2])}}, sections)
Supervisor(Path(sys.argv[1]), config, None, roles).run()
"""
OWN_WORDS = "The rent is due on Friday, slow or not."


@pytest.fixture(scope="module")
def server():
    talking = TalkingServer()
    yield talking
    talking.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory, server):
    llm = {"kind": "server", "model": "m", "url": server.url, "failures": 100, "at_once": 2, "waiting": 2}
    store = tmp_path_factory.mktemp("language") / "store"
    store.mkdir()
    run_dir = run_dir_for(store)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(TOY), os.environ.get("PYTHONPATH", "")]))
    arguments = [sys.executable, "-P", "-c", RUN, str(store), json.dumps(llm)]
    child = subprocess.Popen(arguments, env=environment)
    ends_at_s = time.monotonic() + 30
    while not (run_dir / "ready").exists():
        assert time.monotonic() < ends_at_s, "the processes do not serve"
        time.sleep(0.05)
    yield run_dir
    child.terminate()
    child.wait(20)


def ask(run_dir, timeout_s):
    """Raises DeadlineExceeded where no answer comes in the question's time."""
    with Caller(run_dir, "reasoning", "test") as caller:
        turn = TurnOpen(turn_id=new_id(), question="When is the rent due?")
        return caller.ask_for(TurnFinal, turn, timeout_s=timeout_s).answer


def test_a_server_that_is_well_is_heard(house, server):
    server.mode = "well"
    server.reply = lambda prompt: "The rent is due on Friday, slow or not, said someone at 0:03. [1]"
    answer = ask(house, 10.0)
    assert answer.answer == "The rent is due on Friday, slow or not, said someone at 0:03."
    assert answer.notices == ()


@pytest.mark.parametrize(
    "mode", ["hangs", "slow", "endless", "garbage", "garbage in the stream", "drops", 302, 400, 500]
)
def test_with_an_ill_server_every_question_is_answered_in_its_time(house, server, mode):
    server.mode = mode
    answer = ask(house, 3.0)
    assert OWN_WORDS in answer.answer
    assert answer.verdict == "answered"
    assert any("language model" in one for one in answer.notices)


def test_many_questions_at_once_are_all_answered_while_it_hangs(house, server):
    server.mode = "hangs"
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: ask(house, 4.0), range(6)))
    assert all(OWN_WORDS in one.answer and one.notices for one in answers)
    assert any("busy" in notice for one in answers for notice in one.notices)


def test_zz_a_killed_server(house, server):
    server.stop()
    for _ in range(3):
        answer = ask(house, 3.0)
        assert OWN_WORDS in answer.answer
        assert "cannot be reached" in answer.notices[0]
