"""A language server that is killed, hangs or floods, asked through the real processes and the real memory."""

from __future__ import annotations

import pytest

from tools.eval_faults import LLM, NAMED, PICTURED, QUESTIONS, Child, asked, fill, withdrawn
from tools.eval_injection import Canary
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

FAULTS = (
    "killed in the stream",
    "hangs before headers",
    "hangs in the stream",
    "one token a second",
    "endless tokens",
    "HTML",
    "broken JSON in the stream",
    "redirect",
    "401",
    "refuses pictures",
)


@pytest.fixture(scope="module")
def child(tmp_path_factory):
    canary = Canary(tmp_path_factory.mktemp("canary"))
    with Child(f"{canary.url}/elsewhere") as own:
        yield own
    canary.close()
    assert canary.connections == 0, "a redirect was followed"


@pytest.fixture(scope="module")
def own_words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with House(folder / "store", "test") as house:
        fill(house, folder)
        return folder / "store", {question: house.ask(question) for question in (*QUESTIONS, PICTURED)}


@pytest.fixture(scope="module")
def house(own_words, child):
    url = f"http://127.0.0.1:{child.port}/v1"
    llm = {**LLM, "kind": "server", "model": "ill", "url": url, "pictures": 2}
    settings = {f"reasoning__llm__{name}": value for name, value in llm.items()}
    with House(own_words[0], "test", settings) as own:
        pid = own.roles()["reasoning"].pid
        yield own
        assert own.roles()["reasoning"].pid == pid, "the process died"


@pytest.mark.parametrize("fault", FAULTS)
def test_every_question_is_answered_in_the_words_of_the_evidence_and_the_fault_is_named(
    house, own_words, child, fault
):
    child.take_on(fault)
    question = PICTURED if "pictures" in fault else QUESTIONS[0]
    row = asked(house, fault, question, own_words[1][question], NAMED[fault], deadline_s=10.0)
    assert row.in_time
    assert row.same
    assert row.named, row.notice


def test_a_withdrawn_question_is_left_and_the_server_is_let_go(house, child):
    child.take_on("hangs in the stream")
    withdrawn_s, _ = withdrawn(house, QUESTIONS[0], after_s=0.5)
    house.wait_for(lambda: child.gone_s() > withdrawn_s, 20, "the reader leaves")
