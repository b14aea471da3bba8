"""Questions: a request for evidence, its key asked of the encoder, its answer by recall."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

import msgspec

from memory.keys.encoder import EncoderLink
from memory.log.reader import LogReader
from memory.recall.candidates import QuestionKey
from memory.recall.pipeline import Recall
from memory.settings import RecallSettings
from stream.errors import OmniRecallError
from stream.messages import Cue, Evidence, RecallAsk
from stream.messages.media import EncodeAsk
from stream.wire.codec import Decoded
from stream.wire.parts import OutPart


class Questions:
    """Answers `recall.ask`; safe to use from every thread.

    Args:
        reader: The store.
        recall: The pipeline.
        link: The way to the encoder.
        settings: How long to wait for a key.
    """

    def __init__(
        self, reader: LogReader, recall: Recall, link: EncoderLink, settings: RecallSettings
    ) -> None:
        self._reader = reader
        self._recall = recall
        self._link = link
        self._settings = settings

    def answer(self, asked: Decoded, hop: Callable[[str], None]) -> Evidence:
        """The evidence for a request.

        Without an encoder, words alone decide, and `timings_ms` says so by `lexical_only`. Where
        the image model has a text side, the cue is looked for among the pictures as well.

        Raises:
            OmniRecallError: As recall; and why there is no key, where a picture is all
                that was asked with.
        """
        ask = cast(RecallAsk, asked.message)
        started_s = time.perf_counter()
        questions: list[QuestionKey] = []
        failure: OmniRecallError | None = None
        if ask.cue.text or ask.cue.image_part:
            try:
                questions = self._keys(asked, ask.cue)
            except OmniRecallError as error:
                failure = error
                if not ask.cue.text:
                    raise
        key_ms = (time.perf_counter() - started_s) * 1e3
        with self._reader.snapshot() as db:
            evidence = self._recall(db, ask.cue, ask.k, questions, hop, unit=ask.unit)
        timings = evidence.timings_ms | {
            "question_key": round(key_ms, 3),
            "total": round((time.perf_counter() - started_s) * 1e3, 3),
        }
        if failure is not None:
            timings["lexical_only"] = 1.0
        return msgspec.structs.replace(evidence, timings_ms=timings)

    def _keys(self, asked: Decoded, cue: Cue) -> list[QuestionKey]:
        questions: list[QuestionKey] = []
        if cue.text:
            ask = EncodeAsk(encoder="text", lane="question", texts=(cue.text,))
            encoder_id, vectors, _ = self._link.question(ask, (), self._time_left_s(asked))
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
