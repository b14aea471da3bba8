"""An answer said in better words, or as it was where the words are not better supported.

The model rephrases and decides nothing: verdict, citations and order stay. Sentences that were
computed of several items (order, count) stay as they are. A sentence of the model takes the place
of the one that cites the same evidence if the Verifier finds it supported and it keeps what that
one tells; all others fall back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import msgspec

from reasoning.answer import Draft, moment
from reasoning.language.breaker import Breaker, LeftAlone
from reasoning.language.model import Limits, PromptTooLong
from reasoning.language.plan import NoTurn
from reasoning.language.prompt import Prompt, Written, prompt_of, read_reply
from reasoning.language.voice import told_as_theirs
from reasoning.settings import LanguageSettings, ReasoningSettings
from reasoning.tokens import Told, told_of
from reasoning.verifier import Premise, Verifier
from stream.errors import (
    Cancelled,
    ConfigError,
    DeadlineExceeded,
    ModelDamaged,
    ModelFailed,
    ModelMissing,
    OmniRecallError,
)
from stream.messages.answer import Answer, Sentence
from stream.messages.dialogue import EXCHANGE
from stream.messages.evidence import EvidenceItem

KEPT_SHARE = 0.5
"""Share of an extractive sentence's content that its rephrasing must keep; names and numbers it keeps all."""
REPLY_CHARS = 4000
LINES_PER_SENTENCE = 4
"""Lines of a reply that are checked for each sentence of the answer: the check has a deadline too."""
FITTED = 0.85
"""Share of the room in a model's context that a prompt is cut to at the next try."""
LEAST_CHARS = 100
"""A prompt of less evidence than this is not worth asking."""
PICTURE_BYTES = 512 << 10
"""Bytes of a keyframe that is sent; larger ones are left out."""

IN_OWN_WORDS = "the answer is told in the words of the evidence"
NOT_SUPPORTED = f"The language model's words were not supported by the evidence: {IN_OWN_WORDS}."
SOME_LEFT_OUT = "Some words of the language model were not supported by the evidence and were left out."
BUSY = f"The language model is busy with other questions: {IN_OWN_WORDS}."
LOADING = f"The language model is not ready yet: {IN_OWN_WORDS}."
LATE = f"There was no time left for the language model: {IN_OWN_WORDS}."
NO_PICTURES = "The language model takes no pictures; it is asked without them."


@dataclass(frozen=True, slots=True)
class Asking:
    """One question on its way: its words, its deadline (monotonic seconds), and whether it was withdrawn."""

    question: str
    ends_at_s: float
    is_withdrawn: Callable[[], bool]


class Rephraser:
    """Says answers in a model's words where the evidence supports them.

    Args:
        model: Asked through its breaker.
        settings: Of the reasoning section.
        media_dir: Where keyframes lie; None where none are sent.
        verifier: Judges every sentence.
    """

    def __init__(
        self,
        model: Breaker,
        settings: ReasoningSettings,
        media_dir: Path | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self._model = model
        self._settings = settings
        self._media_dir = media_dir
        self._verifier = verifier or Verifier()
        self._sends_pictures = model.takes_pictures and media_dir is not None

    def rephrased(
        self, answer: Answer, asking: Asking, say: Callable[[str], None] = lambda sentence: None
    ) -> Answer:
        """The answer, in other words or in its own; `notices` say which where the model failed.

        Args:
            answer: As evidence gave it.
            asking: The question.
            say: Called with each sentence of what is returned, in order, as soon as it stands.

        Raises:
            Cancelled: If the question was withdrawn.
        """
        if answer.verdict != "answered" or not any(_is_plain(one) for one in answer.sentences):
            return answer
        if any(one.kind == EXCHANGE for one in answer.citations):
            return answer  # What was asked is told as it was put.
        own: LanguageSettings = self._settings.llm
        ends_at_s = min(asking.ends_at_s - own.reserve_s, time.monotonic() + own.deadline_s)
        if ends_at_s <= time.monotonic():
            return noticed(answer, LATE)
        pictures = self._pictures(answer.citations) if self._sends_pictures else ()
        draft = [one.text for one in answer.sentences]
        limits = Limits(own.max_tokens, ends_at_s, asking.is_withdrawn)
        began_s = time.monotonic()

        def prompt_in(most_chars: int) -> Prompt:
            return prompt_of(asking.question, draft, answer.citations, most_chars, pictures)

        try:
            prompt, reply = self._reply(prompt_in, limits)
        except Cancelled:
            raise
        except OmniRecallError as error:
            return noticed(answer, failure(error), *self._without_pictures(error, pictures))
        written = read_reply(reply, prompt, len(answer.citations), self._settings.sentence_words)
        told = self._merged(answer, written, asking, say)
        timings = {**answer.timings_ms, "language": round((time.monotonic() - began_s) * 1e3, 3)}
        return msgspec.structs.replace(told, timings_ms=timings)

    def _reply(self, prompt_in: Callable[[int], Prompt], limits: Limits) -> tuple[Prompt, str]:
        """What the model replies to a prompt that is cut until its own tokenizer finds room for it."""
        chars = self._settings.llm.prompt_chars
        while True:
            prompt = prompt_in(chars)
            try:
                return prompt, self._model.text(prompt.messages, limits, REPLY_CHARS)
            except PromptTooLong as error:
                # The rules are part of its tokens and are not cut, hence a little less than in proportion.
                chars = int(chars * min(FITTED, FITTED * error.room / error.tokens))
                if chars < LEAST_CHARS:
                    raise

    def _without_pictures(self, error: OmniRecallError, pictures: Sequence[bytes]) -> tuple[str, ...]:
        """A server that refuses a prompt with pictures is asked without them from now on."""
        if not pictures or not isinstance(error, ModelFailed):
            return ()
        self._sends_pictures = False
        return (NO_PICTURES,)

    def _pictures(self, citations: Sequence[EvidenceItem]) -> tuple[bytes, ...]:
        """The keyframes of the first citations that have one, as JPEG."""
        found: list[bytes] = []
        root = self._media_dir.resolve() if self._media_dir is not None else Path()
        for item in citations:
            path = (root / item.thumbnail).resolve()
            if len(found) == self._settings.llm.pictures:
                break
            if item.thumbnail and path.is_relative_to(root) and path.is_file():
                picture = _as_jpeg(path.read_bytes())
                if 0 < len(picture) <= PICTURE_BYTES:
                    found.append(picture)
        return tuple(found)

    def _merged(
        self, answer: Answer, written: Sequence[Written], asking: Asking, say: Callable[[str], None]
    ) -> Answer:
        """The model's sentences where they are supported and whole, the answer's own elsewhere.

        What has not been checked in time is left out: long evidence takes long.
        """
        until_s = asking.ends_at_s - self._settings.llm.reserve_s / 2
        looked_at = written[: LINES_PER_SENTENCE * len(answer.sentences)]
        draft, used, is_late = Draft(), 0, False
        for sentence in answer.sentences:
            fitting: list[Written] = []
            if _is_plain(sentence) and not is_late:
                same = [one for one in looked_at if set(one.citations) == set(sentence.citations)]
                fitting, is_late = self._supported(same, answer, until_s)
            if asking.is_withdrawn():
                raise Cancelled("the question was withdrawn")
            if fitting and _keeps(sentence, fitting, answer.citations):
                used += len(fitting)
            else:
                fitting = [Written(sentence.text, sentence.citations)]
            for one in fitting:
                draft.say(one.text, *(answer.citations[n] for n in one.citations))
                say(draft.sentences[-1].text)
        told = draft.finish(answer.verdict, answer.coverage, answer.conflicts)
        told = msgspec.structs.replace(
            told, timings_ms=answer.timings_ms, notices=answer.notices, confidence=answer.confidence
        )
        if is_late:
            return noticed(told if used else answer, LATE)
        if not used:
            return noticed(answer, NOT_SUPPORTED)
        return noticed(told, SOME_LEFT_OUT) if used < len(written) else told

    def _supported(
        self, written: Sequence[Written], answer: Answer, until_s: float
    ) -> tuple[list[Written], bool]:
        """What is supported, each as the words of whom it tells; none where the time ran out (True)."""
        found: list[Written] = []
        for one in written:
            is_supported = len(one.citations) == 1 and self._is_supported(one, answer.citations)
            if time.monotonic() > until_s:
                return [], True
            if is_supported:
                text = told_as_theirs(one.text, answer.citations[one.citations[0]])
                if text and len(text.split()) <= self._settings.sentence_words:
                    found.append(Written(text, one.citations))
        return found, False

    def _is_supported(self, written: Written, citations: Sequence[EvidenceItem]) -> bool:
        premises = [premise_of(citations[n]) for n in written.citations]
        try:
            return self._verifier.check(written.text, premises).verdict == "supported"
        except OmniRecallError:  # What could not be checked is not told.
            return False


def premise_of(item: EvidenceItem) -> Premise:
    """What an item says, by whom, and the words for when and where it was."""
    return Premise(
        text=item.text,
        speaker=item.speaker,
        about=f"{moment(item, several=True)} {item.place}".strip(),
        at_ns=item.t0_ns if item.t0_ns is not None else item.pts0_ns,
    )


def _is_plain(sentence: Sentence) -> bool:
    """Whether a sentence tells one item; one of several was computed and is not rephrased."""
    return len(sentence.citations) == 1


def _keeps(sentence: Sentence, written: Sequence[Written], citations: Sequence[EvidenceItem]) -> bool:
    """Whether a rephrasing has all numbers and names of a sentence, and most of what it says.

    Where and when it was is told by the citation as well, and may be left out.
    """
    own = told_of(sentence.text)
    around = told_of(" ".join(moment(citations[n], several=True) for n in sentence.citations))
    new: Told = told_of(" ".join(one.text for one in written))
    numbers = own.numbers - around.numbers - new.numbers
    names = own.names - around.names - new.stems
    stems = own.stems - around.stems
    kept = len(stems & new.stems) / len(stems) if stems else 1.0
    return not numbers and not names and kept >= KEPT_SHARE


def noticed(answer: Answer, *notices: str) -> Answer:
    """The answer with more notices, each once."""
    return msgspec.structs.replace(answer, notices=tuple(dict.fromkeys((*answer.notices, *notices))))


_NAMED: tuple[tuple[type[OmniRecallError], str], ...] = (
    (DeadlineExceeded, "did not answer in time"),
    (ModelMissing, "is not on this machine"),
    (ModelDamaged, "cannot be opened: its file is damaged"),
    (ModelFailed, "refused or gave no readable answer"),
    (ConfigError, "is not rightly configured"),
    (LeftAlone, "failed several times in a row and is left alone for a while"),
)


def failure(error: OmniRecallError) -> str:
    """What a person is told of a model that failed: never what it sent."""
    if isinstance(error, NoTurn):
        return BUSY
    what = next((told for kind, told in _NAMED if isinstance(error, kind)), "cannot be reached")
    return f"The language model {what}: {IN_OWN_WORDS}."


def _as_jpeg(picture: bytes) -> bytes:
    """A thumbnail as JPEG, which every server reads, not all of them WebP; empty if it is neither."""
    if picture[:2] == b"\xff\xd8":
        return picture
    if picture[:4] != b"RIFF" or picture[8:12] != b"WEBP":
        return b""
    from PIL import Image

    made = BytesIO()
    try:
        Image.open(BytesIO(picture), formats=("WEBP",)).convert("RGB").save(made, "JPEG", quality=90)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return made.getvalue()
