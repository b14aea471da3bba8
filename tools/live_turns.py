"""What a page would hear while a talk plays: voices, transcripts, turns, and the first words of answers.

A thread listens on the event bus; whatever was said is put as a question at once, as push-to-talk
does it, so that the way of a spoken question is measured without a person. What comes when is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import OmniRecallError
from stream.messages.control import EventUtterance, EventVoice
from stream.messages.envelope import new_id
from stream.messages.turn import EventTurn, TurnFinal, TurnOpen, TurnPlaying, TurnToken
from stream.wire.async_caller import AsyncCaller, AsyncSubscriber
from tools.live_talk import Spoken

NEAR_NS = 500_000_000
"""How far beside an utterance its transcript may lie."""
ANSWER_S = 15.0


@dataclass(slots=True)
class FirstWord:
    """Of one question: when it was put and when its first words came, UTC ns; None where none were cited."""

    put_ns: int
    spoken: EventUtterance | None = None
    first_ns: int | None = None
    final_ns: int | None = None
    is_cited: bool = False


@dataclass(slots=True)
class Heard:
    """With the UTC nanoseconds of their coming."""

    voices: list[tuple[int, EventVoice]] = field(default_factory=list)
    utterances: list[tuple[int, EventUtterance]] = field(default_factory=list)
    turns: list[tuple[int, EventTurn]] = field(default_factory=list)
    answers: list[FirstWord] = field(default_factory=list)
    failed: int = 0


class Page:
    """Listens and asks, in a thread of its own, while the block runs.

    Args:
        run_dir: Of the processes.
        typed: Questions that are typed meanwhile, in turns.
        every_s: Seconds between two of these.
        speaks: Whether an answer is told aloud all the while, which who talks interrupts.
    """

    def __init__(
        self,
        run_dir: Path,
        typed: Sequence[str] = (),
        every_s: float = 5.0,
        *,
        speaks: bool = False,
    ) -> None:
        self.heard = Heard()
        self._run_dir, self._typed, self._every_s = run_dir, typed, every_s
        self._speaks = speaks
        self._ends = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Page:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join(2 * ANSWER_S)

    async def _run(self) -> None:
        events = AsyncSubscriber(self._run_dir, ("event.",))
        callers = [AsyncCaller(self._run_dir, "reasoning", f"command-page-{os.getpid()}-{n}") for n in (0, 1)]
        tasks: set[asyncio.Task[None]] = set()

        def begin(question: str, caller: AsyncCaller, spoken: EventUtterance | None = None) -> None:
            task = asyncio.create_task(self._ask(question, caller, spoken))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async def listen() -> None:
            async for event in events.events():
                self._note(event.message)
                said = event.message
                if self._speaks and isinstance(said, EventTurn) and said.phase == "cancel":
                    await callers[0].send(TurnPlaying(turn_epoch=said.turn_epoch, state="started"))
                if isinstance(said, EventUtterance):
                    begin(said.text, callers[0], said)

        if self._speaks:
            await callers[0].send(TurnPlaying(turn_epoch=1, state="started"))
        listening = asyncio.create_task(listen())
        number, due_s = 0, time.monotonic() + self._every_s
        while not self._ends.is_set():
            await asyncio.sleep(0.02)
            if self._typed and time.monotonic() >= due_s:
                begin(self._typed[number % len(self._typed)], callers[1])
                number, due_s = number + 1, due_s + self._every_s
        if tasks:
            await asyncio.wait([*tasks], timeout=ANSWER_S)
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        events.close()
        for caller in callers:
            caller.close()

    def _note(self, message: Any) -> None:
        now_ns = time.time_ns()
        if isinstance(message, EventVoice):
            self.heard.voices.append((now_ns, message))
        elif isinstance(message, EventUtterance):
            self.heard.utterances.append((now_ns, message))
        elif isinstance(message, EventTurn):
            self.heard.turns.append((now_ns, message))

    async def _ask(self, question: str, caller: AsyncCaller, spoken: EventUtterance | None) -> None:
        told = FirstWord(time.time_ns(), spoken)
        turn = TurnOpen(turn_id=new_id(), question=question, streams=True)
        try:
            async with contextlib.aclosing(caller.replies(turn, timeout_s=ANSWER_S)) as replies:
                async for reply in replies:
                    now_ns = time.time_ns()
                    if isinstance(reply.message, TurnToken) and told.first_ns is None:
                        told.first_ns = now_ns
                    if isinstance(reply.message, TurnFinal):
                        told.final_ns = now_ns
                        sentences = reply.message.answer.sentences
                        told.is_cited = bool(sentences and sentences[0].citations)
                        break
        except OmniRecallError:
            self.heard.failed += 1
            return
        self.heard.answers.append(told)


def transcripts_s(heard: Heard, spoken: Sequence[Spoken], session: int) -> list[float]:
    """Of each utterance of which words came: from its true end to the last of them, in seconds.

    Args:
        heard: With the session's own utterances alone.
        spoken: The talk.
        session: UTC ns of its begin.
    """
    told = []
    for one in spoken:
        came = [
            at_ns
            for at_ns, said in heard.utterances
            if said.session == session
            and said.pts0_ns < one.end_ns + NEAR_NS
            and said.pts1_ns > one.begin_ns - NEAR_NS
            and (said.pts0_ns + said.pts1_ns) / 2 < one.end_ns + NEAR_NS
        ]
        if came:
            told.append((max(came) - session - one.end_ns) / 1e9)
    return told


def voice_starts_s(heard: Heard, spoken: Sequence[Spoken], session: int) -> list[float]:
    """From the true begin of each utterance to the word that a voice began, in seconds."""
    told = []
    for one in spoken:
        came = [
            at_ns
            for at_ns, voice in heard.voices
            if voice.session == session
            and voice.phase == "start"
            and one.begin_ns - NEAR_NS <= voice.pts_ns <= one.end_ns
        ]
        if came:
            told.append((min(came) - session - one.begin_ns) / 1e9)
    return told


def first_words_s(heard: Heard, spoken: Sequence[Spoken], session: int) -> dict[str, list[float]]:
    """From the end of each question to the first word of its first cited sentence, in seconds.

    `typed` questions end when they are put; `spoken` ones where the voice truly ended.
    """
    told: dict[str, list[float]] = {"typed": [], "spoken": []}
    for one in heard.answers:
        at_ns = one.first_ns or one.final_ns
        if not one.is_cited or at_ns is None:
            continue
        if one.spoken is None:
            told["typed"].append((at_ns - one.put_ns) / 1e9)
            continue
        said = one.spoken
        ends = [s.end_ns for s in spoken if said.session == session and s.begin_ns - NEAR_NS < said.pts1_ns]
        if ends:
            told["spoken"].append(
                (at_ns - session - min(ends, key=lambda end: abs(end - said.pts1_ns))) / 1e9
            )
    return told


def cancels_ms(heard: Heard) -> list[float]:
    """From what confirmed that somebody talks to the word that the answer is to stop, in milliseconds.

    What confirms is the last word of the audio process before it: that a voice goes on, or what it said.
    """
    told = []
    words = sorted([at for at, _ in heard.voices] + [at for at, _ in heard.utterances])
    for at_ns, turn in heard.turns:
        if turn.phase == "cancel":
            before = [one for one in words if one <= at_ns]
            if before:
                told.append((at_ns - before[-1]) / 1e6)
    return told
