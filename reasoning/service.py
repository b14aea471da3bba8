"""The reasoning process: questions in, answers out.

The loop only passes messages on; each question runs in a lane with a connection of its
own to memory, so that one slow recall keeps nobody else waiting.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, cast

from reasoning.citations import citations_of
from reasoning.claims import CORRECTION
from reasoning.classes import classes_of
from reasoning.corrections import Correcting, LastTurn
from reasoning.dialogue import Dialogues, Exchange, exchange_of, to_check
from reasoning.exchanges import exchange_of_turn, item_of, put_of
from reasoning.language.breaker import Breaker
from reasoning.language.choose import language_model_of, verifier_of
from reasoning.language.model import LanguageModel
from reasoning.language.plan import ContextPlan
from reasoning.language.rephrase import BUSY, LOADING, Asking, Rephraser, failure, noticed
from reasoning.question import Question
from reasoning.reasoner import Reasoner
from reasoning.settings import ReasoningSettings
from reasoning.story.telling import telling
from reasoning.story.writer import Writer
from reasoning.verifier import Verifier
from stream.errors import (
    Cancelled,
    DeadlineExceeded,
    Malformed,
    ModelFailed,
    OmniRecallError,
    RoleUnavailable,
    SourceGone,
)
from stream.messages.act import Act
from stream.messages.answer import Answer
from stream.messages.citations import Citations
from stream.messages.claims import ClaimsAsk, ClaimsTold, CorrectDone, CorrectPut
from stream.messages.control import SourceStatus, StatusAsk, StatusMemory
from stream.messages.cue import Cue, RecallAsk, Recent
from stream.messages.dialogue import DIALOGUE, EXCHANGE
from stream.messages.evidence import Evidence, EvidenceItem
from stream.messages.log import LogAsk, LogRows
from stream.messages.observation import CommitAck, CommitPut, Observation, Reject
from stream.messages.places import ObjectsAsk, ObjectsTold, PlacesAsk, PlacesTold
from stream.messages.story import StoryAsk, StoryFinal, StoryProgress
from stream.messages.turn import TurnCancel, TurnFinal, TurnOpen
from stream.process.service import Received, Service
from stream.process.surroundings import Surroundings
from stream.wire.caller import Caller
from stream.wire.endpoints import ipc_address
from stream.wire.sockets import PeerKey

HELD_ITEMS = 50
"""Of one kind, in the very stretch of one observation, there are not so many."""
MAX_DIALOGUES = 1024
"""Dialogues whose newest epoch is remembered; the least recently used is forgotten first."""


@dataclass(eq=False)
class Turn:
    """One question on its way.

    `opened_ns` and `ends_at_ns` are UTC ns; `understood` is the question as it was read, by the turns
    `before`; `withdrawn` is set by a cancel and looked at before each step.
    """

    received: Received
    ends_at_ns: int
    opened_ns: int = 0
    understood: Question | None = None
    before: Sequence[Exchange] = ()
    withdrawn: threading.Event = field(default_factory=threading.Event)


class MemoryCalls:
    """Memory as the reasoner needs it, over one connection that belongs to one thread.

    Args:
        caller: The connection.
        address: Path of memory's socket.
        turn: Whose deadline and withdrawal count.
        timeout_s: The longest wait for one reply.
        hop: Records a hop of the turn's trace.
    """

    def __init__(
        self, caller: Caller, address: Path, turn: Turn, timeout_s: float, hop: Callable[[str], None]
    ) -> None:
        self._caller = caller
        self._address = address
        self._turn = turn
        self._timeout_s = timeout_s
        self._hop = hop
        self.shown: list[tuple[EvidenceItem, ...]] = []
        """What memory gave so far, recall by recall."""

    def recall(self, cue: Cue, k: int) -> Evidence:
        """At most `k` items for a cue.

        Raises:
            RoleUnavailable: If nobody listens at memory's socket.
            DeadlineExceeded: If the turn's time is up, or memory takes too long.
            Cancelled: If the question was withdrawn.
        """
        evidence = self._asked(RecallAsk(cue=cue, k=k))
        self.shown.append(evidence.items)
        return evidence

    def digest(self, cue: Cue, k: int) -> Evidence:
        """What happened where the gates of a cue say; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, unit="digest"))

    def dialogue(self, cue: Cue, k: int) -> Evidence:
        """What was asked that a cue's words are about; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, unit="dialogue"))

    def _asked(self, ask: RecallAsk) -> Evidence:
        left_s = self._left_s()
        self._hop("send recall.ask")
        evidence = self._caller.ask_for(
            Evidence, ask, timeout_s=left_s, trace_id=self._turn.received.trace_id
        )
        self._hop("receive recall.evidence")
        return evidence

    def recent(self, cue: Cue, k: int, stretch: Recent) -> Evidence:
        """What live sources perceived in a stretch that is counted back from now; raises as `recall` does."""
        return self._asked(RecallAsk(cue=cue, k=k, recent=stretch))

    def sources(self) -> Sequence[SourceStatus]:
        """What memory holds, source by source, but what was asked; raises as `recall` does."""
        told = self._caller.ask_for(StatusMemory, StatusAsk(), timeout_s=self._left_s()).sources
        return [source for source in told if source.kind != DIALOGUE]

    def holds(self, item: EvidenceItem) -> bool:
        """Whether a piece of evidence is still there, and was not forgotten; raises as `recall` does.

        The owner's correction is of no source: it is there as long as it stands.
        """
        if item.kind == CORRECTION:
            return any(act.act_id == item.observation_id for act in self.claims(Cue()).corrections)
        cue = Cue(
            sources=(item.source_id.hex(),),
            kinds=(item.kind,),
            pts0_ns=item.pts0_ns,
            pts1_ns=max(item.pts1_ns, item.pts0_ns + 1),  # A frame begins and ends at once.
        )
        try:
            if item.kind == EXCHANGE:
                items = self.dialogue(cue, HELD_ITEMS).items
            else:
                items = self._asked(RecallAsk(cue=cue, k=HELD_ITEMS)).items
        except SourceGone:
            return False
        return any(one.observation_id == item.observation_id for one in items)

    def labels(self) -> Sequence[str]:
        """The names that the owner gave to places; raises as `recall` does."""
        told = self._caller.ask_for(PlacesTold, PlacesAsk(labels=True), timeout_s=self._left_s())
        return [one.label for one in told.places]

    def objects(self, ask: ObjectsAsk) -> ObjectsTold:
        """Objects at places; raises as `recall` does."""
        return self._caller.ask_for(ObjectsTold, ask, timeout_s=self._left_s())

    def claims(self, cue: Cue) -> ClaimsTold:
        """The slot that a question asks for, and what was put right; raises as `recall` does."""
        return self._caller.ask_for(ClaimsTold, ClaimsAsk(cue=cue), timeout_s=self._left_s())

    def commit(self, act: Act) -> int:
        """The commit that made an act durable; raises as `recall` does, and `Malformed` if it is refused."""
        ack = self._caller.ask_for(CommitAck, CommitPut(outbox_seq=0, acts=(act,)), timeout_s=self._left_s())
        if ack.rejects:
            raise Malformed(f"memory refuses the correction: {ack.rejects[0].reason}")
        return ack.commit_no

    def _left_s(self) -> float:
        if self._turn.withdrawn.is_set():
            raise Cancelled("the question was withdrawn")
        left_s = (self._turn.ends_at_ns - time.time_ns()) / 1e9
        if left_s <= 0:
            raise DeadlineExceeded("the question's time was up before it was answered")
        if not is_listening(self._address):
            raise RoleUnavailable("the memory process is not running", remedy="omnirecall status")
        return min(left_s, self._timeout_s)


def is_listening(address: Path) -> bool:
    """Whether a process accepts connections at a Unix socket.

    A process that was killed leaves its socket file behind; only a connection tells.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(str(address))
        except OSError:
            return False
    return True


class ReasoningService(Service):
    """Answers `turn.open` with `turn.final`, or with an error of the tree."""

    role: ClassVar[str] = "reasoning"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._settings = cast(ReasoningSettings, surroundings.settings)
        self._turns: dict[bytes, Turn] = {}
        self._epochs: OrderedDict[PeerKey, int] = OrderedDict()
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
        self._last: LastTurn | None = None
        own = self._settings
        self._dialogues = Dialogues(own.dialogues, own.dialogue_turns, own.dialogue_idle_s)

    def set_up(self) -> None:
        """Reads the table of classes, so that no question waits for it, and listens."""
        classes_of("")
        self._open_outbox()
        self._open_language()
        self.listen("reasoning")
        self.on(TurnOpen, self._open)
        self.on(TurnCancel, self._cancel)
        self.on(CorrectPut, self._correct)
        self.on(StoryAsk, self._tell_story)

    def _open_outbox(self) -> None:
        """What an earlier process left is sent; without an outbox questions are answered all the same."""
        if not (self._tells_citations or self._keeps_exchanges):
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

    def drain(self) -> bool:
        """Waits for the questions that are being answered."""
        return not self._turns and not self._telling

    def close(self) -> None:
        """Lets go of the language model."""
        if self._model is not None:
            self._model.close()

    def _open(self, received: Received) -> None:
        asked: TurnOpen = received.message
        peer = received.peer_key
        if peer is None or asked.turn_epoch < self._epochs.get(peer, 0):
            raise Cancelled("a later turn of this dialogue has begun")
        if len(self._turns) >= self._settings.waiting:
            raise RoleUnavailable(
                f"{len(self._turns)} questions are waiting already", remedy="ask again later"
            )
        limit_ns = self.clock.now_ns() + int(self._settings.deadline_s * 1e9)
        turn = Turn(received, received.envelope.deadline_ns or limit_ns, self.clock.now_ns())
        key = received.envelope.message_id
        self._turns[key] = turn
        self.metrics.count("questions")
        self.lane("questions", self._settings.threads).submit(
            self._answer,
            turn,
            done=lambda told: self._rephrase(key, *told),
            failed=lambda error: self._failed_turn(key, error),
        )

    def _answer(self, turn: Turn) -> tuple[Answer, Citations | None]:
        """Runs in the lane."""
        asked: TurnOpen = turn.received.message

        def hop(stage: str) -> None:
            self.hop(turn.received.trace_id, stage)

        memory = self._memory_for(turn, hop)
        reasoner = Reasoner(memory, self._settings, hop, labels=memory.labels, objects=memory.objects)
        before = turn.before = () if asked.begins else self._before(asked.dialogue_id, memory)
        question = turn.understood = reasoner.read(asked.question, before)
        answer = reasoner.answer_read(asked.question, question, asked.cue, asked.k, before)
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
        run_dir = self.surroundings.run_dir
        if not hasattr(self._callers, "memory"):
            self._callers.memory = Caller(run_dir, "memory", self.name)
        address = Path(ipc_address(run_dir, "memory").removeprefix("ipc://"))
        return MemoryCalls(self._callers.memory, address, turn, self._settings.memory_timeout_s, hop)

    def _correct(self, received: Received) -> None:
        """The owner puts something right; the reply comes when it is on disk."""
        limit_ns = self.clock.now_ns() + int(self._settings.deadline_s * 1e9)
        turn = Turn(received, received.envelope.deadline_ns or limit_ns)
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
        if not isinstance(error, OmniRecallError):
            error = OmniRecallError(f"the correction could not be made: {type(error).__name__}")
        received.fail(error)

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
            if isinstance(told, StoryFinal) or self.draining:
                self._telling -= 1
            else:
                self._tell_story_on(received, steps)

        def failed(error: BaseException) -> None:
            self._telling -= 1
            self.log.warning("story_failed", error=type(error).__name__)
            if not isinstance(error, OmniRecallError):
                error = OmniRecallError(f"the story could not be told: {type(error).__name__}")
            received.fail(error)

        self.lane("stories").submit(next, steps, done=stepped, failed=failed)

    def _rows(self, ask: LogAsk) -> LogRows:
        """A page of memory's log, over the connection of the thread that asks."""
        if not hasattr(self._callers, "memory"):
            self._callers.memory = Caller(self.surroundings.run_dir, "memory", self.name)
        caller: Caller = self._callers.memory
        return caller.ask_for(LogRows, ask, timeout_s=max(30.0, self._settings.memory_timeout_s))

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
            done=lambda told: self._rephrased(key, told, cited),
            failed=lambda error: self._not_rephrased(key, answer, cited, error),
        )

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
        turn = self._turns.pop(key, None)
        if turn is None:
            return
        asked: TurnOpen = turn.received.message
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
        self._dialogues.add(asked.dialogue_id, told, time.monotonic(), begins=asked.begins)
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
        """From here on memory must have an exchange for its turn to be told of."""
        self._on_the_way.pop(outbox_seq, None)

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
        if not isinstance(error, OmniRecallError):
            # One question must not end the process that answers the others.
            error = OmniRecallError(f"the question could not be answered: {type(error).__name__}")
        turn.received.fail(error)

    def _cancel(self, received: Received) -> None:
        """Withdraws the questions of this dialogue that are older than the epoch."""
        epoch: int = received.message.turn_epoch
        peer = received.peer_key
        if peer is None:
            return
        self._epochs[peer] = max(epoch, self._epochs.pop(peer, 0))
        while len(self._epochs) > MAX_DIALOGUES:
            self._epochs.popitem(last=False)
        for key, turn in list(self._turns.items()):
            if turn.received.peer_key == peer and turn.received.message.turn_epoch < epoch:
                del self._turns[key]
                turn.withdrawn.set()
                self.metrics.count("withdrawn")
                turn.received.fail(Cancelled("the question was withdrawn"))
