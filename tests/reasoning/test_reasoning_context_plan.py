"""Whose prompt is read next, what fits a model's context, and what the real small model keeps of a prompt."""

from __future__ import annotations

import importlib.util
import threading
import time

import pytest

from reasoning.language.breaker import Breaker
from reasoning.language.choose import language_model_of
from reasoning.language.gguf import PromptUse
from reasoning.language.model import ChatMessage, Limits, PromptTooLong, check_room
from reasoning.language.plan import ContextPlan, NoTurn, shared_chars
from reasoning.language.rephrase import BUSY, Asking, Rephraser, failure
from reasoning.reasoner import Reasoner
from reasoning.settings import LanguageSettings, ReasoningSettings
from stream.errors import Cancelled, DeadlineExceeded, ModelFailed, ModelMissing, RoleUnavailable
from stream.messages import Cue
from tools.tiny_models import make_talker

WAIT_S = 30.0
FAR_S = 1e9


class Clock:
    def __init__(self):
        self.now_s = time.monotonic() + 1e6

    def __call__(self):
        return self.now_s


class Line:
    """Requests that wait in threads of their own behind one that has the model; `served` is their order."""

    def __init__(self, **how):
        self.clock = Clock()
        self.plan = ContextPlan(now_s=self.clock, **how)
        self.served, self.threads = [], []
        self.turn_s = 1.0

    def put(self, name, context, ends_in_s=1e6, withdrawn=lambda: False):
        """Waits behind the others; its deadline is of the plan's own clock, which is far ahead."""
        limits = Limits(8, self.clock.now_s + ends_in_s, withdrawn)
        known = self.plan.waiting

        def serve():
            with self.plan.turn([ChatMessage("user", context + name, (), len(context))], limits):
                self.served.append(name)
                self.clock.now_s += self.turn_s

        thread = threading.Thread(target=serve, daemon=True)
        self.threads.append(thread)
        thread.start()
        ends_at_s = time.monotonic() + WAIT_S
        while self.plan.waiting == known and not self.served.count(name):
            assert time.monotonic() < ends_at_s
            time.sleep(0.001)

    def run(self):
        """The order in which all were served."""
        for thread in self.threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        return self.served


def held(line, context):
    """The model in use by a request over a context, until the block ends."""
    return line.plan.turn([ChatMessage("user", context)], Limits(8, FAR_S))


def test_requests_over_the_same_evidence_go_one_after_the_other():
    line = Line(slice_s=100.0)
    with held(line, "rules of alpha. "):
        for name, context in (
            ("b1", "rules of beta. "),
            ("a1", "rules of alpha. "),
            ("b2", "rules of beta. "),
        ):
            line.put(name, context)
        line.put("a2", "rules of alpha. ")
    assert line.run() == ["a1", "a2", "b1", "b2"]


def test_switched_off_who_came_first_goes_first():
    line = Line(is_grouped=False)
    with held(line, "alpha"):
        for name, context in (("b1", "beta"), ("a1", "alpha"), ("b2", "beta"), ("a2", "alpha")):
            line.clock.now_s += 1
            line.put(name, context)
    assert line.run() == ["b1", "a1", "b2", "a2"]


def test_of_other_contexts_the_one_that_begins_most_alike_comes_first():
    line = Line(slice_s=100.0)
    with held(line, "rules, then the sea and ships"):
        line.put("nothing", "another matter")
        line.put("rules", "rules, then a wood")
        line.put("most", "rules, then the sea and fish")
    assert line.run() == ["most", "rules", "nothing"]


def test_no_group_has_the_model_for_longer_than_its_slice():
    line = Line(slice_s=2.5)
    with held(line, "alpha"):
        for number in range(5):
            line.put(f"a{number}", "alpha")
        line.put("b", "beta")
    served = line.run()
    assert served.index("b") == 3, "three turns of a second each are as much as a slice has"
    assert len(served) == 6


def test_a_near_deadline_goes_before_every_prefix():
    line = Line(slice_s=100.0)
    with held(line, "alpha"):
        line.clock.now_s += 3.0  # So long did this turn take.
        line.put("a1", "alpha")
        line.put("soon", "beta", ends_in_s=5.0)
        line.put("sooner", "gamma", ends_in_s=4.0)
    assert line.run() == ["sooner", "soon", "a1"]


def test_who_leaves_while_waiting_keeps_nobody():
    line = Line()
    with held(line, "alpha"):
        with (
            pytest.raises(Cancelled),
            line.plan.turn([ChatMessage("user", "x")], Limits(8, FAR_S, lambda: True)),
        ):
            pass
        assert line.plan.waiting == 0
        line.put("next", "beta")
    assert line.run() == ["next"]


def test_a_turn_that_fails_gives_the_model_back():
    plan = ContextPlan()
    for _ in range(3):
        with pytest.raises(RuntimeError), plan.turn([ChatMessage("user", "x")], Limits(8, FAR_S)):
            raise RuntimeError
    with plan.turn([ChatMessage("user", "x")], Limits(8, FAR_S)):
        assert plan.waiting == 0


def test_the_deadline_of_one_that_waits_is_no_failure_of_the_model():
    plan = ContextPlan()
    breaker = Breaker(Echo(), 1, 60.0, plan=plan)
    with (
        plan.turn([ChatMessage("user", "x")], Limits(8, time.monotonic() + WAIT_S)),
        pytest.raises(NoTurn) as raised,
    ):
        breaker.text([ChatMessage("user", "y")], Limits(8, time.monotonic() + 0.2), 100)
    assert isinstance(raised.value, DeadlineExceeded)
    assert failure(raised.value) == BUSY
    assert breaker.text([ChatMessage("user", "y")], Limits(8, time.monotonic() + WAIT_S), 100) == "y"


class Echo:
    """Says its prompt; refuses one of more characters than it has room for."""

    model_id, takes_pictures = "echo", False

    def __init__(self, room=10**9, error=None):
        self.room, self.error, self.asked = room, error, []

    def generate(self, messages, limits):
        self.asked.append(messages)
        size = sum(len(one.text) for one in messages)
        if self.error:
            raise self.error
        if size > self.room:
            raise PromptTooLong(size, self.room)
        yield messages[-1].text


def test_a_turn_that_comes_too_late_to_write_in_is_none():
    plan = ContextPlan()
    with pytest.raises(NoTurn), plan.turn([ChatMessage("user", "x")], Limits(8, time.monotonic() + 0.1)):
        pass
    with plan.turn([ChatMessage("user", "x")], Limits(8, FAR_S)):
        assert plan.waiting == 0


def test_a_model_that_failed_while_others_waited_is_left_alone_by_them():
    """It is looked again when the turn comes, not only when the request does."""
    plan, limits = ContextPlan(), Limits(8, time.monotonic() + WAIT_S)
    breaker = Breaker(Echo(error=ModelFailed("ill")), 1, 60.0, plan=plan)
    told = []

    def ask():
        try:
            breaker.text([ChatMessage("user", "y")], limits, 100)
        except (ModelFailed, RoleUnavailable) as error:
            told.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    with plan.turn([ChatMessage("user", "x")], limits):
        for thread in threads:
            thread.start()
        while plan.waiting < 3:
            time.sleep(0.001)
    for thread in threads:
        thread.join(WAIT_S)
    assert [isinstance(one, RoleUnavailable) for one in told] == [False, True, True]


def test_what_two_prompts_share():
    assert shared_chars("", "abc") == 0
    assert shared_chars("abc", "abd") == 2
    assert shared_chars("abc", "abcd") == 3


# What there is room for.


@pytest.fixture
def answer(item, memory_of):
    def answered(words):
        text = "The rent is due on Friday and it is 900 euros. " + "and so on " * words
        one = item("utterance", 1, 5, text, dense=0.7, speaker="Anna")
        return Reasoner(memory_of(one), ReasoningSettings()).answer("When is the rent due?", Cue())

    return answered


def asked():
    return Asking("When is the rent due?", time.monotonic() + WAIT_S, lambda: False)


def test_a_prompt_is_cut_until_there_is_room(answer):
    settings = ReasoningSettings(llm={"prompt_chars": 50_000, "deadline_s": 20})
    model = Echo(room=2_000)
    breaker = Breaker(model, 1, 60.0)
    Rephraser(breaker, settings).rephrased(answer(800), asked())
    sizes = [sum(len(one.text) for one in messages) for messages in model.asked]
    assert sizes[0] > 2_000 >= sizes[-1]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) <= 6
    assert "900 euros" in model.asked[-1][1].text
    # It was the prompt that was wrong, not the model.
    assert breaker.text([ChatMessage("user", "y")], Limits(8, time.monotonic() + WAIT_S), 100) == "y"


def test_where_even_the_rules_have_no_room_it_is_said(answer):
    model = Echo(room=100)
    told = Rephraser(Breaker(model, 1, 60.0), ReasoningSettings()).rephrased(answer(50), asked())
    assert told.sentences == answer(50).sentences
    assert any("refused" in notice for notice in told.notices)
    assert len(model.asked) < 30


def test_a_reply_has_half_of_a_context_at_most():
    check_room(50, 100, 200)
    with pytest.raises(PromptTooLong, match="51 tokens"):
        check_room(51, 100, 200)
    check_room(92, 100, 8)
    with pytest.raises(PromptTooLong):
        check_room(93, 100, 8)


def test_the_tokenizer_of_a_model_of_a_folder_counts(tmp_path):
    """The real tokenizer: the prompt that is refused is of one token more than there is room for."""
    folder = str(make_talker(tmp_path / "talker"))
    settings = LanguageSettings(kind="transformers", model=folder, context_tokens=512)
    model = language_model_of(settings)
    with pytest.raises(PromptTooLong) as raised:
        list(model.generate([ChatMessage("user", "a red boat " * 600)], Limits(16, time.monotonic() + 120)))
    assert raised.value.room == 496
    assert raised.value.tokens > 496
    assert "".join(model.generate([ChatMessage("user", "a red boat")], Limits(4, time.monotonic() + 120)))
    model.close()


@pytest.fixture(scope="module")
def small_models():
    """The real GGUF model, as it ships and without keeping prefixes."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed (extra llm)")
    made = {}
    for keeps in (True, False):
        settings = LanguageSettings(kind="gguf", model="smollm2-135m-instruct", keeps_prefix=keeps)
        try:
            made[keeps] = language_model_of(settings)
        except ModelMissing as error:
            pytest.skip(str(error))
        made[keeps].load()
    yield made
    for model in made.values():
        model.close()


CONTEXT = "The ferry leaves at nine. Anna has the tickets. The harbour is behind the church. " * 4


@pytest.mark.model
def test_the_small_model_reads_what_two_prompts_share_once_and_writes_the_same(small_models):
    prompts = [[ChatMessage("user", f"{CONTEXT}\n{end}")] for end in ("Who has the tickets?", "Where is it?")]
    texts = {}
    for keeps, model in small_models.items():
        model.use = PromptUse()
        texts[keeps] = ["".join(model.generate(one, Limits(8, time.monotonic() + 300))) for one in prompts]
    kept, anew = small_models[True].use, small_models[False].use
    assert texts[True] == texts[False]
    assert anew.kept_tokens == 0
    assert anew.prompts == kept.prompts == 2
    assert kept.read_tokens + kept.kept_tokens == anew.read_tokens
    assert kept.kept_tokens > 0.35 * anew.read_tokens


@pytest.mark.model
def test_the_small_model_counts_by_its_own_tokenizer(small_models):
    """Prompt and reply together: what would leave the reply no room is refused before it is read."""
    model = small_models[True]
    text = "ferry " * 1900
    with pytest.raises(PromptTooLong) as raised:
        list(model.generate([ChatMessage("user", text)], Limits(200, time.monotonic() + 120)))
    assert raised.value.room == 1848
    assert 1900 <= raised.value.tokens < 2048
    with pytest.raises(PromptTooLong):
        list(model.generate([ChatMessage("user", text * 3)], Limits(200, time.monotonic() + 120)))
