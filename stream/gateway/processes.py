"""The one way from the gateway to the processes, for REST, WebSocket, OpenAI and MCP alike."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace

from stream.commands import options
from stream.errors import ConfigError, OmniRecallError, WireError
from stream.messages import (
    CommitAck,
    CommitPut,
    Cue,
    Evidence,
    Observation,
    RecallAsk,
    SourceRecord,
    TrackMark,
    TrackRecord,
    new_id,
    observation_id,
)
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.cue import Recent
from stream.messages.envelope import Message
from stream.messages.forget import ForgetAsk, ForgetDone
from stream.messages.people import PeopleAsk, PeopleTold
from stream.messages.places import PlaceDone, PlacePut, PlacesAsk, PlacesTold
from stream.messages.span import Level, TimelineAsk, TimelineEntry, TimelineSpans
from stream.messages.turn import TurnFinal, TurnOpen, TurnToken
from stream.wire.async_caller import AsyncCaller, AsyncSubscriber

R = TypeVar("R", bound=Message)

MEMORY_S = 10.0
PLACES_S = 60.0
PEOPLE_S = 120.0
"""Seconds for places and people, as their commands allow them."""
FORGET_S = 600.0
POLL_S = 0.2
PAGE = 200
MOST_SPANS = 2_000
"""Spans of one timeline; a narrower range shows the others."""
NOTES_URI = "omnirecall://notes"
NOTES_ID = blake2b(NOTES_URI.encode(), digest_size=16).digest()
NOTE_CHARS = 4_000
NOTE_PRODUCER = "gateway:note"
NOTE_NS = 1_000_000
"""A note takes a moment, as a turn of a chat does."""
NO_GATES = Cue()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its gates.

    `dialogue` names the dialogue whose earlier turns it may lean on; one that `begins` it leans on none.
    One that `follows` another leans on that one's turns, which `dialogue` has then, too.
    """

    question: str
    cue: Cue = NO_GATES
    k: int = 10
    dialogue: str = ""
    begins: bool = False
    follows: str = ""
    turn_id: bytes = b""
    turn_epoch: int = 0
    streams: bool = True

    def message(self) -> TurnOpen:
        """The same for the wire."""
        return TurnOpen(
            turn_id=self.turn_id or new_id(),
            turn_epoch=self.turn_epoch,
            question=self.question,
            cue=self.cue,
            k=self.k,
            dialogue_id=dialogue_id(self.dialogue) if self.dialogue else b"",
            begins=self.begins or not self.dialogue,
            follows=dialogue_id(self.follows) if self.follows else b"",
            streams=self.streams,
        )


def dialogue_id(name: str) -> bytes:
    """The id of a dialogue of this name."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


async def asked(
    question: str,
    *,
    since: str | None = None,
    until: str | None = None,
    source: str | Sequence[str] | None = None,
    place: str = "",
    k: int = 10,
    dialogue: str = "",
) -> Asked:
    """A question as people write it, its gates read as `omnirecall ask` reads them.

    Raises:
        ConfigError: If a time is not understood, or there are no words.
    """
    gates = await gates_of(since, until, source, place)
    return Asked(options.asked(question, gates, "question"), gates, k, dialogue)


async def gates_of(
    since: str | None, until: str | None, source: str | Sequence[str] | None, place: str
) -> Cue:
    """The gates that were set outright, as a cue without words; reading words for times takes a while.

    Raises:
        ConfigError: If a time is not understood.
    """
    names = [source] if isinstance(source, str) else list(source or ())
    return await asyncio.to_thread(options.gates, since, until, names, None, place)


class Processes:
    """The processes of one store, as everything in the gateway talks to them.

    Belongs to the event loop in which it was made.

    Args:
        run_dir: Folder of sockets of the store.
        store_dir: The store.
        ask_s: Seconds that an answer may take.
    """

    def __init__(self, run_dir: Path, store_dir: Path, ask_s: float = 30.0) -> None:
        self.run_dir = run_dir
        self.store_dir = store_dir
        self.ask_s = ask_s
        self._callers: dict[str, AsyncCaller] = {}
        self.forgotten: list[Callable[[], None]] = []
        """Called each time that something was forgotten through this gateway."""

    def caller(self, endpoint: str) -> AsyncCaller:
        """The connection to an endpoint that all share; made at the first call."""
        if endpoint not in self._callers:
            self._callers[endpoint] = self.own_caller(endpoint)
        return self._callers[endpoint]

    def own_caller(self, endpoint: str) -> AsyncCaller:
        """A connection of its own: turns of one page must not withdraw those of another."""
        # What senders of this prefix ask counts as activity of people; the supervisor opens what a command
        # names, and of a gateway only what the configuration allows.
        prefix = "gateway" if endpoint == "supervisor" else "command-gateway"
        return AsyncCaller(self.run_dir, endpoint, f"{prefix}-{os.getpid()}")

    def subscriber(self, topics: Sequence[str]) -> AsyncSubscriber:
        """Events of some topics."""
        return AsyncSubscriber(self.run_dir, topics)

    async def memory_for(self, kind: type[R], message: Message, timeout_s: float = MEMORY_S) -> R:
        """Asks memory."""
        return await self.caller("memory").ask_for(kind, message, timeout_s=timeout_s, trace_id=new_id())

    # What there is.

    async def roles(self) -> StatusRoles:
        """Every process and every source that is being read."""
        return await self.caller("supervisor").ask_for(StatusRoles, StatusAsk())

    async def memory(self) -> StatusMemory:
        """What memory holds."""
        return await self.memory_for(StatusMemory, StatusAsk())

    # Questions.

    async def answer(
        self, question: Asked, caller: AsyncCaller | None = None
    ) -> AsyncGenerator[TurnToken | TurnFinal]:
        """The words of an answer as they come, then the whole of it.

        Raises:
            OmniRecallError: By which the question failed.
        """
        reasoning = caller or self.caller("reasoning")
        replies = reasoning.replies(question.message(), timeout_s=self.ask_s, trace_id=new_id())
        async with contextlib.aclosing(replies):
            async for reply in replies:
                told = reply.message
                if isinstance(told, TurnToken | TurnFinal):
                    yield told
                    if isinstance(told, TurnFinal):
                        return
                else:
                    raise WireError(f"reasoning answered turn.open with {reply.topic}")

    async def whole_answer(self, question: Asked) -> TurnFinal:
        """The answer alone. Raises as `answer`."""
        async with contextlib.aclosing(self.answer(replace_fields(question, streams=False))) as words:
            async for told in words:
                if isinstance(told, TurnFinal):
                    return told
        raise WireError("reasoning ended a turn without its answer")

    async def search(self, text: str, gates: Cue, k: int = 10, kinds: Sequence[str] = ()) -> Evidence:
        """Moments that words are about, the best first; as `omnirecall search` finds them.

        Raises:
            ConfigError: If there is nothing to look for.
            OmniRecallError: Of memory.
        """
        options.asked(text, gates, "cue")
        wanted, notices = await asyncio.to_thread(options.timed, text, gates)
        cue = replace(wanted, kinds=options.kinds(list(kinds)))
        found = await self.memory_for(Evidence, RecallAsk(cue=cue, k=k, unit="moment"))
        items = tuple(sorted(found.items, key=lambda item: -item.score))
        return replace(found, items=items, notices=(*notices, *found.notices))

    async def now(self, seconds: float, k: int = 50) -> Evidence:
        """What live sources perceived in the last seconds."""
        return await self.memory_for(Evidence, RecallAsk(cue=Cue(), k=k, recent=Recent(from_s=seconds)))

    async def timeline(
        self,
        level: Level = "event",
        *,
        t0_ns: int | None = None,
        t1_ns: int | None = None,
        source: str = "",
        place: str = "",
        most: int = MOST_SPANS,
    ) -> tuple[list[TimelineEntry], int]:
        """Spans of a level in order of source and time, and how many there are in all."""
        entries: list[TimelineEntry] = []
        while True:
            page = await self.memory_for(
                TimelineSpans,
                TimelineAsk(
                    level=level,
                    source=source,
                    place=place,
                    t0_ns=t0_ns,
                    t1_ns=t1_ns,
                    offset=len(entries),
                    limit=min(PAGE, most - len(entries)),
                ),
            )
            entries += page.entries
            if not page.entries or len(entries) >= min(page.total, most):
                return entries, page.total

    async def counts(self, stretches: Sequence[tuple[int, int]]) -> tuple[int, ...]:
        """How many events share a moment with each of some stretches of UTC, in order and apart."""
        counted = tuple(at for stretch in stretches for at in stretch)
        return (await self.memory_for(TimelineSpans, TimelineAsk(limit=0, counted=counted))).counts

    async def places(self, limit: int = PAGE) -> PlacesTold:
        """The places, those that were visited last first."""
        return await self.memory_for(PlacesTold, PlacesAsk(limit=limit))

    async def people(self, limit: int = PAGE) -> PeopleTold:
        """The persons: those with a name first."""
        return await self.memory_for(PeopleTold, PeopleAsk(limit=limit), PEOPLE_S)

    # What the owner decides.

    async def label_place(self, place: str, label: str) -> PlaceDone:
        """Names a place."""
        return await self.memory_for(
            PlaceDone, PlacePut(kind="label", places=(place,), label=label), PLACES_S
        )

    async def label_person(self, who: str, name: str) -> PeopleTold:
        """Names a voice."""
        return await self.memory_for(PeopleTold, PeopleAsk(op="label", who=who, name=name), PEOPLE_S)

    async def remember(self, text: str, speaker: str = "me") -> bytes:
        """Adds a note, as a turn of a chat with oneself; its observation's id, once it is on disk.

        Raises:
            ConfigError: If it is empty or too long.
            OmniRecallError: Of memory.
        """
        words = " ".join(text.split())
        if not words or len(words) > NOTE_CHARS:
            raise ConfigError(f"a note has 1 to {NOTE_CHARS} characters", remedy="write it in pieces")
        put = note_put(words, speaker, time.time_ns())
        ack = await self.memory_for(CommitAck, put)
        if ack.rejects:
            raise ConfigError(f"the note was refused: {ack.rejects[0].reason}")
        return put.observations[0].observation_id

    async def would_forget(self, ask: ForgetAsk) -> ForgetDone:
        """What would go."""
        return await self.memory_for(ForgetDone, replace(ask, begin=False), 60.0)

    async def forget(self, ask: ForgetAsk, within_s: float = 60.0) -> ForgetDone:
        """Forgets, and follows it to its end, or for so long; `over` tells."""
        ends_s = time.monotonic() + within_s
        told = await self.memory_for(ForgetDone, replace(ask, begin=True), FORGET_S)
        while not told.over and time.monotonic() < ends_s:
            await asyncio.sleep(POLL_S)
            with contextlib.suppress(OmniRecallError):  # Memory may be starting again.
                told = await self.memory_for(ForgetDone, ForgetAsk(erasure_id=told.erasure_id))
        for tell in self.forgotten:
            tell()
        return told

    def close(self) -> None:
        """Closes all connections."""
        for caller in self._callers.values():
            caller.close()
        self._callers = {}


def note_put(words: str, speaker: str, t_ns: int) -> CommitPut:
    """A note for memory: one more turn of the chat of all notes, whose positions are UTC.

    Its mark ends the chat so far, so that it becomes an event at once; a chat may grow.
    """
    observation = Observation(
        observation_id=observation_id(NOTES_ID, 0, "utterance", NOTE_PRODUCER, t_ns),
        source_id=NOTES_ID,
        session=0,
        track=0,
        kind="utterance",
        producer_id=NOTE_PRODUCER,
        pts0_ns=t_ns,
        pts1_ns=t_ns + NOTE_NS,
        t0_ns=t_ns,
        t1_ns=t_ns + NOTE_NS,
        text=words,
        speaker=speaker,
    )
    source = SourceRecord(
        source_id=NOTES_ID,
        session=0,
        kind="chat",
        uri=NOTES_URI,
        t_origin_ns=0,
        t_origin_from="owner",
        tracks=(TrackRecord(track=0, media="text"),),
    )
    mark = TrackMark(source_id=NOTES_ID, session=0, track=0, through_pts_ns=t_ns + NOTE_NS, eof=True)
    return CommitPut(outbox_seq=1, sources=(source,), observations=(observation,), marks=(mark,))
