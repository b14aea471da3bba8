"""The reasoning process: questions in, answers out.

The loop only passes messages on; each question runs in a lane with a connection of its
own to memory, so that one slow recall keeps nobody else waiting.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from reasoning.citations import citations_of
from reasoning.classes import classes_of
from reasoning.corrections import Correcting, LastTurn
from reasoning.dialogue import Dialogues, Exchange, exchange_of, to_check
from reasoning.exchanges import exchange_of_turn, item_of, put_of
from reasoning.language.breaker import Breaker
from reasoning.language.choose import language_model_of, verifier_of
from reasoning.language.model import LanguageModel
from reasoning.language.plan import ContextPlan
from reasoning.language.rephrase import BUSY, LOADING, Asking, Rephraser, failure, noticed
from reasoning.live.listening import Listening
from reasoning.live.watches import Watches
from reasoning.question import Question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from reasoning.story.telling import telling
from reasoning.story.writer import Writer
from reasoning.streaming import Tokens
from reasoning.turn import MemoryCalls, Turn
from reasoning.verifier import Verifier
from stream.errors import (
    Cancelled,
    ModelFailed,
    OmniRecallError,
    RoleUnavailable,
)
from stream.messages.answer import Answer
from stream.messages.citations import Citations
from stream.messages.claims import CorrectDone, CorrectPut
from stream.messages.log import LogAsk, LogRows
from stream.messages.observation import CommitPut, Observation, Reject
from stream.messages.story import StoryAsk, StoryFinal, StoryProgress
from stream.messages.turn import TurnCancel, TurnFinal, TurnOpen
from stream.process.service import Received, Service
from stream.process.surroundings import Surroundings
from stream.wire.caller import Caller
from stream.wire.endpoints import ipc_address
from stream.wire.sockets import PeerKey

NOT_KNOWN = "what was asked before is not known any more: the question was read by itself"
MAX_DIALOGUES = 1024
"""Dialogues whose newest epoch is remembered; the least recently used is forgotten first."""


class ReasoningService(Service):
    """Answers `turn.open` with `turn.final`, or with an error of the tree."""

    role: ClassVar[str] = "reasoning"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(ReasoningSettings, surroundings.settings)
        self._turns: dict[bytes, Turn] = {}
        self._epochs: OrderedDict[tuple[PeerKey, bytes], int] = OrderedDict()
        self._callers = threading.local()
        self._tells_citations = self._settings.citations
        self._keeps_exchanges = self._settings.remembers_questions
        self._on_the_way: dict[int, bytes] = {}
        self._unkept: deque[bytes] = deque(maxlen=MAX_DIALOGUES)
        self._model: LanguageModel | None = None
        self._rephraser: Rephraser | None = None
        self._breaker: Breaker | None = None
        self._telling = 0
        self._unrephrased = ""
        self._rephrasing = 0
        self._said: queue.SimpleQueue[tuple[bytes, str]] = queue.SimpleQueue()
        """Sentences that the language lane has verified, by the key of their turn."""
        self._last: LastTurn | None = None
        self._listening: Listening | None = None
        self._watches: Watches | None = None
        own = self._settings
        self._dialogues = Dialogues(own.dialogues, own.dialogue_turns, own.dialogue_idle_s)

    def set_up(self) -> None:
        """Reads the table of classes, so that no question waits for it, and listens."""
        classes_of("")
        self._open_outbox()
        self._open_language()
        self.listen("reasoning")
        if self._settings.turns.enabled:
            self._listening = Listening(self, self._settings.turns, self._not_wanted)
        if self._settings.watches.enabled:
            self._watches = Watches(self, self._settings.watches)
        self.on(TurnOpen, self._open)
        self.on(TurnCancel, self._cancel)
        self.on(CorrectPut, self._correct)
        self.on(StoryAsk, self._tell_story)

    def _open_outbox(self) -> None:
        """What an earlier process left is sent; without an outbox questions are answered all the same."""
        if not (self._tells_citations or self._keeps_exchanges or self._settings.watches.enabled):
            return
        try:
            _ = self.outbox
        except OmniRecallError as error:
            self._tells_citations = self._keeps_exchanges = False
            self.log.warning("citations_untold", error=type(error).__name__, message=error.message)

    def _open_language(self) -> None:
        """Opens the configured language model; till it is there questions are answered without it."""
        try:
            model = language_model_of(self._settings.llm)
        except OmniRecallError as error:
            self._no_language(error)
            return
        if model is None:
            return
        self._model, self._unrephrased = model, LOADING
        self.lane("language model").submit(
            self._loaded,
            model,
            done=lambda verifier: self._language_opened(model, verifier),
            failed=self._no_language,
        )

    def _loaded(self, model: LanguageModel) -> Verifier:
        """Opens it, and what checks its sentences: without that, none of its words is told."""
        model.load()
        return verifier_of(self._settings.inference)

    def _language_opened(self, model: LanguageModel, verifier: Verifier) -> None:
        own = self._settings.llm
        media_dir = self.surroundings.store_dir / "media" if own.pictures else None
        plan = ContextPlan(own.at_once, own.slice_s, is_grouped=own.context_plan)
        breaker = Breaker(model, own.failures, own.pause_s, plan=plan)
        self._breaker = breaker
        self._rephraser, self._unrephrased = Rephraser(breaker, self._settings, media_dir, verifier), ""
        self.log.info("language_model", model=model.model_id)

    def _no_language(self, error: BaseException) -> None:
        known = error if isinstance(error, OmniRecallError) else ModelFailed(type(error).__name__)
        self._unrephrased = failure(known)
        self.log.error("no_language_model", error=type(error).__name__, message=known.message)

    def idle(self) -> None:
        """Tells the words that have been verified meanwhile, listens, and looks for what is waited for."""
        self._tell_said()
        if self._listening is not None:
            self._listening.turn()
        if self._watches is not None and not self.draining:
            self._watches.turn(self.clock.monotonic_ns())

    def drain(self) -> bool:
        """Waits for the questions that are being answered."""
        return not self._turns and not self._telling

    def close(self) -> None:
        """Lets go of the language model and of the bus."""
        if self._listening is not None:
            self._listening.close()
        if self._model is not None:
            self._model.close()

    def _open(self, received: Received) -> None:
        asked: TurnOpen = received.message
        peer = received.peer_key
        if peer is None or asked.turn_epoch < self._least_epoch(peer, asked.dialogue_id):
            raise Cancelled("a later turn of this dialogue has begun")
        if self._listening is not None and asked.streams:
            self._listening.opened(asked.turn_epoch)
        if asked.streams:
            self._withdraw(lambda one: _precedes(one, received))
        if len(self._turns) >= self._settings.waiting:
            raise RoleUnavailable(
                f"{len(self._turns)} questions are waiting already", remedy="ask again later"
            )
        turn = self._turn(received)
        key = received.envelope.message_id
        if asked.streams:
            turn.tokens = Tokens(asked, received.reply)
        self._turns[key] = turn
        self.metrics.count("questions")
        self.lane("questions", self._settings.threads).submit(
            self._answer,
            turn,
            done=lambda told: self._rephrase(key, *told),
            failed=lambda error: self._failed_turn(key, error),
        )

    def _turn(self, received: Received) -> Turn:
        """What was asked, until its deadline, or for as long as is configured."""
        now_ns = self.clock.now_ns()
        limit_ns = now_ns + int(self._settings.deadline_s * 1e9)
        return Turn(received, received.envelope.deadline_ns or limit_ns, now_ns)

    def _answer(self, turn: Turn) -> tuple[Answer, Citations | None]:
        """Runs in the lane."""
        asked: TurnOpen = turn.received.message

        def hop(stage: str) -> None:
            self.hop(turn.received.trace_id, stage)

        memory = self._memory_for(turn, hop)
        reasoner = Reasoner(memory, self._settings, hop, labels=memory.labels, objects=memory.objects)
        known = asked.follows or asked.dialogue_id
        before = turn.before = () if asked.begins else self._before(known, memory)
        question = turn.understood = reasoner.read(asked.question, before)
        answer = reasoner.answer_read(asked.question, question, asked.cue, asked.k, before)
        if asked.follows and not before:
            answer = noticed(answer, NOT_KNOWN)
        return answer, citations_of(asked.turn_id, answer, memory.shown)

    def _before(self, dialogue_id: bytes, memory: MemoryCalls) -> Sequence[Exchange]:
        """The turns before in a dialogue; none once what any of them told of was forgotten.

        A question that was said again in full may hold words of the evidence before it.
        """
        before = tuple(self._dialogues.before(dialogue_id, time.monotonic()))
        awaited = {*self._on_the_way.copy().values(), *self._unkept.copy()}
        if all(memory.holds(one) for one in to_check(before) if one.observation_id not in awaited):
            return before
        self._dialogues.drop(dialogue_id)
        return ()

    def _memory_for(self, turn: Turn, hop: Callable[[str], None]) -> MemoryCalls:
        """The lane's own connection to memory, under the deadline of a turn."""
        address = Path(ipc_address(self.surroundings.run_dir, "memory").removeprefix("ipc://"))
        return MemoryCalls(self._caller(), address, turn, self._settings.memory_timeout_s, hop)

    def _caller(self) -> Caller:
        """The connection to memory of the thread that asks."""
        if not hasattr(self._callers, "memory"):
            self._callers.memory = Caller(self.surroundings.run_dir, "memory", self.name)
        return cast(Caller, self._callers.memory)

    def _correct(self, received: Received) -> None:
        """The owner puts something right; the reply comes when it is on disk."""
        turn = self._turn(received)
        self.metrics.count("corrections")
        self.lane("questions", self._settings.threads).submit(
            self._put_right,
            turn,
            done=received.reply,
            failed=lambda error: self._not_corrected(received, error),
        )

    def _put_right(self, turn: Turn) -> CorrectDone:
        """Runs in the lane."""
        put: CorrectPut = turn.received.message
        memory = self._memory_for(turn, lambda stage: None)
        return Correcting(memory, self._settings, self._last, self.clock.now_ns).put(put)

    def _not_corrected(self, received: Received, error: BaseException) -> None:
        received.fail(_of_tree(error, "the correction could not be made"))

    def _tell_story(self, received: Received) -> None:
        """Tells an album, a step at a time: what is asked meanwhile waits for no story."""
        self.metrics.count("stories")
        self._telling += 1
        own = self._settings.llm

        def is_late() -> bool:
            ends_at_ns = received.envelope.deadline_ns
            return self.draining or bool(ends_at_ns and self.clock.now_ns() > ends_at_ns)

        wish, breaker = received.message.wish, self._breaker
        writer = (
            Writer(breaker, wish, own.deadline_s, own.max_tokens, is_late) if breaker is not None else None
        )
        self._tell_story_on(received, telling(received.message, self._rows, writer))

    def _tell_story_on(self, received: Received, steps: Iterator[StoryProgress | StoryFinal]) -> None:
        def stepped(told: StoryProgress | StoryFinal) -> None:
            received.reply(told)
            if not isinstance(told, StoryFinal) and not self.draining:
                self._tell_story_on(received, steps)
                return
            self._telling -= 1
            if not isinstance(told, StoryFinal):
                received.fail(RoleUnavailable("the reasoning process is ending", remedy="tell it again"))

        def failed(error: BaseException) -> None:
            self._telling -= 1
            self.log.warning("story_failed", error=type(error).__name__)
            received.fail(_of_tree(error, "the story could not be told"))

        self.lane("stories").submit(next, steps, done=stepped, failed=failed)

    def _rows(self, ask: LogAsk) -> LogRows:
        """A page of memory's log, over the connection of the thread that asks."""
        return self._caller().ask_for(LogRows, ask, timeout_s=max(30.0, self._settings.memory_timeout_s))

    def _rephrase(self, key: bytes, answer: Answer, cited: Citations | None) -> None:
        """Says an answer in the model's words, in a lane of its own: no other question waits for that."""
        turn, rephraser = self._turns.get(key), self._rephraser
        if turn is None:
            return
        # Each has a thread, in which it waits for its turn by `ContextPlan`.
        at_once = self._settings.llm.at_once + self._settings.llm.waiting
        if rephraser is None or self._rephrasing >= at_once:
            why = self._unrephrased if rephraser is None else BUSY
            self._answered(key, noticed(answer, why) if why else answer, cited)
            return
        self._rephrasing += 1
        asked: TurnOpen = turn.received.message
        left_s = (turn.ends_at_ns - self.clock.now_ns()) / 1e9
        question = turn.understood.asked if turn.understood else asked.question
        asking = Asking(question, time.monotonic() + left_s, turn.withdrawn.is_set)
        self.lane("language", at_once).submit(
            rephraser.rephrased,
            answer,
            asking,
            self._sayer(key),
            done=lambda told: self._rephrased(key, told, cited),
            failed=lambda error: self._not_rephrased(key, answer, cited, error),
        )

    def _sayer(self, key: bytes) -> Callable[[str], None]:
        """What the language lane calls with each sentence of a turn that stands."""

        def say(sentence: str) -> None:
            self._said.put((key, sentence))
            self._wake.ring()

        return say

    def _tell_said(self) -> None:
        while not self._said.empty():
            key, sentence = self._said.get()
            turn = self._turns.get(key)
            if turn is not None and turn.tokens is not None:
                turn.tokens.say(sentence)

    def _rephrased(self, key: bytes, answer: Answer, cited: Citations | None) -> None:
        self._rephrasing -= 1
        self._answered(key, answer, cited)

    def _not_rephrased(
        self, key: bytes, answer: Answer, cited: Citations | None, error: BaseException
    ) -> None:
        self._rephrasing -= 1
        if not isinstance(error, Cancelled):
            self.log.error("rephrasing_failed", error=type(error).__name__)
        self._answered(key, noticed(answer, failure(ModelFailed(""))), cited)

    def _answered(self, key: bytes, answer: Answer, cited: Citations | None) -> None:
        self._tell_said()
        turn = self._turns.pop(key, None)
        if turn is None:
            return
        asked: TurnOpen = turn.received.message
        if turn.tokens is not None:
            turn.tokens.finish(answer)
        self.metrics.count(f"verdict_{answer.verdict}")
        question = turn.understood
        self._last = LastTurn(question.asked if question else asked.question, asked.cue, answer)
        exchange = self._of_dialogue(turn, question, answer) if question is not None else None
        turn.received.reply(TurnFinal(turn_id=asked.turn_id, turn_epoch=asked.turn_epoch, answer=answer))
        if cited is not None and self._tells_citations:
            self._tell_citations(cited)
        if exchange is not None:
            self._keep_exchange(exchange)

    def _of_dialogue(self, turn: Turn, question: Question, answer: Answer) -> Observation | None:
        """Adds a turn to its dialogue; the observation of it, where questions are kept.

        What asks about the dialogue itself is none: it would be found by its words for ever after.
        """
        asked: TurnOpen = turn.received.message
        told = exchange_of(question, answer, turn.before, asked.question)
        exchange = None
        if self._keeps_exchanges and asked.dialogue_id and not question.dialogue:
            opened_ns, now_ns = turn.opened_ns, self.clock.now_ns()
            exchange = exchange_of_turn(asked.turn_id, asked.question, told, answer, opened_ns, now_ns)
            told = replace(told, kept=item_of(exchange, asked.question))
        behind = turn.before if asked.follows else None
        self._dialogues.add(asked.dialogue_id, told, time.monotonic(), begins=asked.begins, behind=behind)
        return exchange

    def _keep_exchange(self, exchange: Observation) -> None:
        """After the answer, on the durable way to memory; a lost one is told from the dialogue alone."""
        try:
            seq = self.commit(put_of(exchange))
        except OmniRecallError as error:
            seq = 0
            self.log.warning("question_not_kept", error=type(error).__name__)
        if seq:
            self._on_the_way[seq] = exchange.observation_id
        else:
            self._unkept.append(exchange.observation_id)
        self.metrics.count("questions_kept" if seq else "questions_lost")

    def committed(self, outbox_seq: int, rejects: tuple[Reject, ...]) -> None:
        """From here on memory must have an exchange for its turn to be told of; alerts are told."""
        self._on_the_way.pop(outbox_seq, None)
        if self._watches is not None:
            self._watches.committed(outbox_seq)

    def _tell_citations(self, cited: Citations) -> None:
        """After the answer, on the durable way to memory; a lost one does no harm."""
        try:
            told = self.commit(CommitPut(outbox_seq=0, citations=(cited,)))
        except OmniRecallError as error:
            told = 0
            self.log.warning("citations_lost", error=type(error).__name__)
        self.metrics.count("citations_told" if told else "citations_lost")

    def _failed_turn(self, key: bytes, error: BaseException) -> None:
        turn = self._turns.pop(key, None)
        if turn is None:
            return
        self.metrics.count("failed")
        self.log.warning("question_failed", error=type(error).__name__)
        turn.received.fail(_of_tree(error, "the question could not be answered"))

    def _least_epoch(self, peer: PeerKey, dialogue_id: bytes) -> int:
        """Turns of a lower epoch are not to be begun."""
        return max(self._epochs.get((peer, one), 0) for one in (b"", dialogue_id))

    def _cancel(self, received: Received) -> None:
        """Withdraws the questions of a dialogue, or of a connection, that are older than the epoch."""
        cancel: TurnCancel = received.message
        peer = received.peer_key
        if peer is None:
            return
        where = peer, cancel.dialogue_id
        self._epochs[where] = max(cancel.turn_epoch, self._epochs.pop(where, 0))
        while len(self._epochs) > MAX_DIALOGUES:
            self._epochs.popitem(last=False)

        def is_meant(turn: Turn) -> bool:
            asked: TurnOpen = turn.received.message
            is_there = not cancel.dialogue_id or asked.dialogue_id == cancel.dialogue_id
            return turn.received.peer_key == peer and is_there and asked.turn_epoch < cancel.turn_epoch

        self._withdraw(is_meant)

    def _not_wanted(self, turn_id: bytes) -> None:
        """Somebody talks over the answer to what was asked aloud."""
        self._withdraw(lambda turn: turn.received.message.turn_id == turn_id)

    def _withdraw(self, is_meant: Callable[[Turn], bool]) -> None:
        """No word of these turns is told from here on."""
        for key, turn in list(self._turns.items()):
            if is_meant(turn):
                del self._turns[key]
                turn.withdrawn.set()
                self.metrics.count("withdrawn")
                turn.received.fail(Cancelled("the question was withdrawn"))


def _of_tree(error: BaseException, what: str) -> OmniRecallError:
    """An error of the tree, whatever failed: one question must not end the process of all others."""
    return error if isinstance(error, OmniRecallError) else OmniRecallError(f"{what}: {type(error).__name__}")


def _precedes(turn: Turn, received: Received) -> bool:
    """Whether a turn whose words are streamed is an earlier one of the dialogue that a question is of."""
    earlier: TurnOpen = turn.received.message
    asked: TurnOpen = received.message
    return (
        turn.tokens is not None
        and turn.received.peer_key == received.peer_key
        and earlier.dialogue_id == asked.dialogue_id
        and earlier.turn_epoch < asked.turn_epoch
    )
