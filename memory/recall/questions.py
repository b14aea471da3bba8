"""Questions: a request for evidence, its key asked of the encoder, its answer by recall."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol, cast

import msgspec

from memory.bounds import TEXT_CHARS
from memory.keys.encoder import EncoderLink
from memory.keys.speaks import Speaks, answering
from memory.log.reader import LogReader
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.recall.recent import RecentRecall
from memory.recall.spelling import with_spelling
from memory.settings import RecallSettings
from stream.errors import ModelMissing, OmniRecallError, RoleUnavailable
from stream.known_words import respell
from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.media import EncodeAsk
from stream.wire.bounds import shortened
from stream.wire.codec import Decoded
from stream.wire.parts import OutPart

TAKEOVERS = 3
"""How often a question is encoded anew because another encoder took over meanwhile; it seldom does once."""

WAIT_S = 0.05
"""Between two looks whether an index is read."""

WHOLE_UNITS = ("digest", "dialogue")
"""Units of which short-term memory holds none."""


class Elsewhere(Protocol):
    """Another process that answers, while it is there (`memory.recall.apart`)."""

    def evidence(self, asked: Decoded, ask: RecallAsk) -> Evidence | None:
        """Its answer to `ask`, in the place of the request that was `asked`; None where it is away."""
        ...

    def here(self) -> AbstractContextManager[None]:
        """While a question is answered here in its place."""
        ...


class Questions:
    """Answers `recall.ask`; safe to use from every thread.

    Args:
        reader: The store.
        recall: The pipeline.
        link: The way to the encoder.
        settings: How long to wait for a key.
        recent: Answers what is asked about the last minutes.
        elsewhere: A process that is asked first. What was perceived in the last minutes is not put to it.
    """

    def __init__(
        self,
        reader: LogReader,
        recall: Recall,
        link: EncoderLink,
        settings: RecallSettings,
        recent: RecentRecall | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._reader = reader
        self._recall = recall
        self._link = link
        self._settings = settings
        self._recent = recent
        self._elsewhere = elsewhere
        self._numbers = itertools.count()
        self._began_s: dict[int, float] = {}

    def oldest_s(self) -> float | None:
        """When the oldest question that is being answered was begun, monotonic; None where there is none."""
        return min(list(self._began_s.values()), default=None)

    def answer(self, asked: Decoded, hop: Callable[[str], None]) -> Evidence:
        """The evidence for a request.

        Without an encoder, words alone decide; `timings_ms` says so by `lexical_only`, and `notices`
        why. Where the image model has a text side, the cue is looked for among the pictures as well.
        The cue is put to the encoder that answers in the very snapshot that is searched.

        Raises:
            OmniRecallError: As recall; and why there is no key, where a picture is all
                that was asked with.
        """
        number = next(self._numbers)
        self._began_s[number] = time.monotonic()
        try:
            return self._answer(asked, hop)
        finally:
            del self._began_s[number]

    def _answer(self, asked: Decoded, hop: Callable[[str], None]) -> Evidence:
        ask = cast(RecallAsk, asked.message)
        started_s = time.perf_counter()
        if ask.unit not in WHOLE_UNITS and ask.recent is not None and self._recent is not None:
            if ask.short_term:
                return self._of_late(asked, self._recent)
            with self._reader.snapshot() as db:
                ask = self._recent.ranged(db, ask)
        if self._elsewhere is None:
            return self._answer_here(asked, ask, hop, started_s)
        if (told := self._elsewhere.evidence(asked, ask)) is not None:
            return self._joined(ask, told)
        with self._elsewhere.here():
            return self._answer_here(asked, ask, hop, started_s)

    def _answer_here(
        self, asked: Decoded, ask: RecallAsk, hop: Callable[[str], None], started_s: float
    ) -> Evidence:
        if ask.unit == "digest":
            with self._reader.snapshot() as db:
                told = self._recall.digest(db, ask.cue, ask.k, hop)
            spent_ms = round((time.perf_counter() - started_s) * 1e3, 3)
            return msgspec.structs.replace(told, timings_ms=told.timings_ms | {"total": spent_ms})
        if ask.unit == "dialogue":
            with self._reader.snapshot() as db:
                return self._recall.dialogue(db, ask.cue, ask.k)
        told_spelt: dict[str, str] = {}
        for last in range(TAKEOVERS - 1, -1, -1):
            with self._reader.snapshot() as db:
                speaks = answering(db)
                spelt = self._recall.respelt(db, ask.cue)
            cue = msgspec.structs.replace(ask.cue, text=respell(ask.cue.text, spelt))
            ask = msgspec.structs.replace(ask, cue=cue)
            told_spelt = told_spelt | spelt
            questions, failure = self._questions(asked, ask.cue, speaks)
            if questions:
                questions, failure = self._read_already(asked, ask.cue, questions)
            key_ms = (time.perf_counter() - started_s) * 1e3
            with self._reader.snapshot() as db:
                if questions and last and answering(db) != speaks:
                    continue
                unit: Literal["observation", "moment"] = "moment" if ask.unit == "moment" else "observation"
                evidence = self._recall(db, ask.cue, ask.k, questions, hop, unit=unit)
                if ask.short_term and self._recent is not None:
                    evidence = self._recent.joined(db, ask, evidence)
            break
        timings = evidence.timings_ms | {
            "question_key": round(key_ms, 3),
            "total": round((time.perf_counter() - started_s) * 1e3, 3),
        }
        if told_spelt:
            evidence = with_spelling(evidence, told_spelt)
        if failure is None:
            return msgspec.structs.replace(evidence, timings_ms=timings)
        timings["lexical_only"] = 1.0
        notice = shortened(f"found by words alone, not by meaning: {failure.message}", TEXT_CHARS)
        return msgspec.structs.replace(evidence, timings_ms=timings, notices=(*evidence.notices, notice))

    def _read_already(
        self, asked: Decoded, cue: Cue, questions: list[QuestionKey]
    ) -> tuple[list[QuestionKey], OmniRecallError | None]:
        """Those keys of a cue whose index is read; where that of its words is not, why.

        A large index takes some seconds after a start. They are waited for as long as for a key.

        Raises:
            RoleUnavailable: If a picture is all that was asked with, and its index is still being read.
        """
        ends_s, waiting = time.monotonic() + self._time_left_s(asked), questions
        while waiting:
            with self._reader.snapshot() as db:
                waiting = [one for one in waiting if not self._recall.has_read(db, one.encoder_id)]
            if not waiting or time.monotonic() >= ends_s:
                break
            time.sleep(WAIT_S)
        missing = {one.name for one in waiting}
        failure = None
        if missing & {"dense", "image"}:
            failure = RoleUnavailable(
                "memory is still reading its index, as after each start", remedy="try again in some seconds"
            )
        if failure is not None and not cue.text:
            raise failure
        return [one for one in questions if one.name not in missing], failure

    def _joined(self, ask: RecallAsk, told: Evidence) -> Evidence:
        """The evidence that came from elsewhere, with what short-term memory alone has."""
        if self._recent is None or not ask.short_term or ask.unit in WHOLE_UNITS or ask.cue.t0_ns is None:
            return told
        with self._reader.snapshot() as db:
            spelt = self._recall.respelt(db, ask.cue)
            cue = msgspec.structs.replace(ask.cue, text=respell(ask.cue.text, spelt))
            return self._recent.joined(db, msgspec.structs.replace(ask, cue=cue), told)

    def _of_late(self, asked: Decoded, recent: RecentRecall) -> Evidence:
        """What was perceived in the last minutes; only a picture in the cue is put to the encoder."""
        ask = cast(RecallAsk, asked.message)
        assert ask.recent is not None  # noqa: S101 - it was looked at
        questions, _ = self._questions(asked, msgspec.structs.replace(ask.cue, text=""), None)
        with self._reader.snapshot() as db:
            return recent.answer(db, ask, ask.recent, questions)

    def _questions(
        self, asked: Decoded, cue: Cue, speaks: Speaks | None
    ) -> tuple[list[QuestionKey], OmniRecallError | None]:
        """The keys of a cue; without an encoder none, and why, where there are words to go by."""
        if not (cue.text or cue.image_part):
            return [], None
        try:
            return self._keys(asked, cue, speaks), None
        except OmniRecallError as error:
            if not cue.text:
                raise
            return [], error

    def _keys(self, asked: Decoded, cue: Cue, speaks: Speaks | None) -> list[QuestionKey]:
        questions: list[QuestionKey] = []
        if cue.text:
            model = speaks.model if speaks is not None else ""
            ask = EncodeAsk(encoder="text", lane="question", texts=(cue.text,), model=model)
            encoder_id, vectors, _ = self._link.question(ask, (), self._time_left_s(asked))
            if speaks is not None and encoder_id != speaks.encoder_id:
                raise ModelMissing(
                    f"the keys of this store are by {speaks.encoder_id}, and {model} makes keys of"
                    f" {encoder_id} now",
                    remedy="omnirecall reindex",
                )
            questions.append(QuestionKey("dense", encoder_id, vectors[0]))
            questions += self._among_pictures(asked, cue.text)
        if cue.image_part:
            ask = EncodeAsk(encoder="image", lane="question", n_images=1)
            picture = _picture(asked, cue.image_part)
            encoder_id, vectors, _ = self._link.question(ask, (picture,), self._time_left_s(asked))
            questions.append(QuestionKey("image", encoder_id, vectors[0]))
        return questions

    def _among_pictures(self, asked: Decoded, text: str) -> list[QuestionKey]:
        """The text in the space of the pictures; none where they have no such side, or it fails.

        That model may still be loading: words and the texts' own encoder then answer alone.
        """
        spaces = self._link.spaces(self._time_left_s(asked)) if self._settings.image_text else None
        if spaces is None or not spaces.image_text:
            return []
        ask = EncodeAsk(encoder="image_text", lane="question", texts=(text,))
        try:
            encoder_id, vectors, logit = self._link.question(ask, (), self._time_left_s(asked))
        except OmniRecallError:
            return []
        return [QuestionKey("image_text", encoder_id, vectors[0], logit)]

    def _time_left_s(self, asked: Decoded) -> float:
        limit_s = self._settings.key_timeout_s
        if not asked.envelope.deadline_ns:
            return limit_s
        # Half of what is left: recall by words must still be in time without the encoder.
        return max(0.05, min(limit_s, (asked.envelope.deadline_ns - time.time_ns()) / 2e9))


def _picture(asked: Decoded, name: str) -> OutPart:
    body = asked.part(name)
    part = next(part for part in asked.envelope.parts if part.name == name)
    return OutPart(msgspec.structs.replace(part, name="image0"), body)
