"""The reasoning process itself, under a supervisor, beside a toy memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from reasoning.turn import is_listening
from stream.errors import Cancelled, DeadlineExceeded, RoleUnavailable
from stream.messages.control import ErrorReply, StatusAsk, StatusRoles
from stream.messages.envelope import new_id
from stream.messages.turn import TurnCancel, TurnFinal, TurnOpen, TurnToken
from stream.process.clock import RealClock
from stream.wire.caller import Caller
from stream.wire.codec import decode, encode
from stream.wire.endpoints import ipc_address, run_dir_for
from stream.wire.sender import Sender

pytestmark = pytest.mark.system

TOY = Path(__file__).parent / "toy"
RUN = """
import sys
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
# A long wait before a restart, so that a killed memory stays away while it is looked at.
patient = {"beat_s": 0.2, "backoff_s": 30.0, "trace": True}
config = Config({"supervisor": patient, "reasoning": {"waiting": 8}}, sections)
Supervisor(Path(sys.argv[1]), config, None, roles).run()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    store = tmp_path_factory.mktemp("reasoning") / "store"
    store.mkdir()
    run_dir = run_dir_for(store)
    paths = [str(TOY), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
    child = subprocess.Popen([sys.executable, "-P", "-c", RUN, str(store)], env=environment)
    ends_at_s = time.monotonic() + 30
    while not (run_dir / "ready").exists():
        assert time.monotonic() < ends_at_s, "the processes do not serve"
        time.sleep(0.05)
    yield run_dir
    child.terminate()
    child.wait(20)


def ask(run_dir, question, timeout_s=10.0, trace_id=b"", epoch=0):
    with Caller(run_dir, "reasoning", "test") as caller:
        turn = TurnOpen(turn_id=new_id(), question=question, turn_epoch=epoch)
        return caller.ask_for(TurnFinal, turn, timeout_s=timeout_s, trace_id=trace_id)


def test_a_question_is_answered(house):
    final = ask(house, "When is the rent due?")
    assert final.answer.verdict == "answered"
    assert "due on Friday" in final.answer.answer
    assert final.answer.timings_ms["recall"] > 0


def test_a_question_of_a_dialogue_leans_on_the_one_before(house):
    def told(question, *, begins=False, dialogue=b"d" * 16):
        with Caller(house, "reasoning", "test") as caller:
            turn = TurnOpen(turn_id=new_id(), question=question, dialogue_id=dialogue, begins=begins)
            return caller.ask_for(TurnFinal, turn, timeout_s=10.0).answer.notices

    assert told("When is the rent due?") == ()
    time.sleep(0.5)  # Memory has acknowledged the first one by then.
    assert told("and the blue one?")[0].startswith("understood as: When is the blue")
    assert told("and the blue one?", begins=True) == ()
    assert told("and the blue one?", dialogue=b"") == ()
    assert told("and the blue one?", dialogue=b"e" * 16) == ()


def test_memory_is_told_what_was_cited(house):
    def cited():
        with Caller(house, "supervisor", "test") as supervisor:
            status = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=5)
        return next(role.counters.get("cited", 0) for role in status.roles if role.name == "memory")

    before = cited()
    ask(house, "When is the rent due?")
    ends_at_s = time.monotonic() + 20
    while cited() <= before:
        assert time.monotonic() < ends_at_s, "it was not told"
        time.sleep(0.1)


def test_the_way_of_a_question_is_traced(house):
    trace_id = new_id()
    ask(house, "When is the rent due?", trace_id=trace_id)
    lines = (house / "trace" / "reasoning.jsonl").read_text().splitlines()
    hops = [line["hop"] for line in map(json.loads, lines) if line["trace"] == trace_id.hex()]
    named = [hop for hop in hops if "." in hop and " " not in hop]
    assert named == ["reasoning.question", "reasoning.evidence", "reasoning.answer"]
    assert hops[0] == "receive turn.open"
    assert "send recall.ask" in hops
    assert hops[-1] == "send turn.final"


def test_a_slow_question_keeps_no_other_waiting(house):
    slow = threading.Thread(target=ask, args=(house, "Why is the slow rent due?"))
    slow.start()
    began_s = time.monotonic()
    ask(house, "When is the rent due?")
    assert time.monotonic() - began_s < 1.5
    slow.join()


def test_a_deadline_is_kept(house):
    began_s = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        ask(house, "Why is the slow rent due?", timeout_s=0.5)
    assert time.monotonic() - began_s < 1.0


def test_too_many_questions_are_turned_away_at_once(house):
    outcomes = []

    def one():
        try:
            outcomes.append(ask(house, "Why is the slow rent due?", timeout_s=3.0).answer.verdict)
        except (RoleUnavailable, DeadlineExceeded) as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("RoleUnavailable") == 4
    assert "answered" in outcomes


def test_a_withdrawn_question_ends_at_once_and_older_ones_are_refused(house):
    sender = Sender("test", RealClock())
    with Caller(house, "reasoning", "test") as caller:
        socket = caller._socket  # Two messages of one dialogue must share a socket.
        turn = TurnOpen(turn_id=new_id(), question="Why is the slow rent due?", turn_epoch=1)
        socket.send_multipart(encode(turn, sender.envelope(turn)))
        time.sleep(0.2)
        began_s = time.monotonic()
        cancel = TurnCancel(turn_epoch=2)
        socket.send_multipart(encode(cancel, sender.envelope(cancel)))
        assert socket.poll(1000)
        assert decode(socket.recv_multipart()).message.error == "Cancelled"
        assert time.monotonic() - began_s < 0.5
        with pytest.raises(Cancelled):
            caller.ask(turn, timeout_s=5)
        assert not socket.poll(2500), "an answer came to a question that was withdrawn"
        later = TurnOpen(turn_id=new_id(), question="When is the rent due?", turn_epoch=2)
        assert caller.ask_for(TurnFinal, later, timeout_s=5).turn_epoch == 2


def test_words_come_in_order_before_the_answer_and_are_its_sentences(house):
    sender = Sender("test", RealClock())
    with Caller(house, "reasoning", "test") as caller:
        turn = TurnOpen(turn_id=new_id(), question="When is the rent due?", turn_epoch=4, streams=True)
        envelope = sender.envelope(turn)
        caller._socket.send_multipart(encode(turn, envelope))
        told = []
        while not told or isinstance(told[-1], TurnToken):
            assert caller._socket.poll(10_000)
            got = decode(caller._socket.recv_multipart())
            assert got.envelope.reply_to == envelope.message_id
            told.append(got.message)
    *tokens, final = told
    assert isinstance(final, TurnFinal)
    assert [one.index for one in tokens] == list(range(len(tokens)))
    assert len(tokens) > 1
    assert {one.turn_epoch for one in tokens} == {4}
    assert [one.sentence for one in tokens] == sorted(one.sentence for one in tokens)
    assert "".join(one.text for one in tokens) == " ".join(one.text for one in final.answer.sentences)


def test_no_word_of_a_turn_comes_once_a_later_one_of_its_dialogue_has_begun(house):
    sender = Sender("test", RealClock())
    with Caller(house, "reasoning", "test") as caller:
        early, late = (
            TurnOpen(
                turn_id=new_id(), question=question, turn_epoch=epoch, dialogue_id=b"d" * 16, streams=True
            )
            for question, epoch in (("Why is the slow rent due?", 7), ("When is the rent due?", 8))
        )
        other = TurnOpen(turn_id=new_id(), question="Why is the slow rent due?", turn_epoch=1, streams=True)
        for turn in (early, other, late):
            caller._socket.send_multipart(encode(turn, sender.envelope(turn)))
        told = []
        while sum(isinstance(one, TurnFinal) for one in told) < 2:
            assert caller._socket.poll(10_000)
            told.append(decode(caller._socket.recv_multipart()).message)
    assert [one.error for one in told if isinstance(one, ErrorReply)] == ["Cancelled"]
    finals = {one.turn_id for one in told if isinstance(one, TurnFinal)}
    assert finals == {late.turn_id, other.turn_id}, "a turn of another dialogue goes on"
    assert {one.turn_id for one in told if isinstance(one, TurnToken)} == finals


def test_zz_without_memory_the_error_comes_at_once(house):
    with Caller(house, "supervisor", "test") as supervisor:
        status = supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=5)
    pid = next(role.pid for role in status.roles if role.name == "memory")
    assert pid > 0
    os.kill(pid, signal.SIGKILL)
    address = Path(ipc_address(house, "memory").removeprefix("ipc://"))
    while is_listening(address):
        time.sleep(0.05)
    assert address.exists(), "what is tested is a socket that was left behind"
    began_s = time.monotonic()
    with pytest.raises(RoleUnavailable, match="memory"):
        ask(house, "When is the rent due?")
    assert time.monotonic() - began_s < 1.0
