"""Corrections: the owner's word for the questions that it is about, and for no other.

A correction is an act with a scope: the slot that the corrected question asked for, that question with
other wordings of it, and the observation that the answer rested on. WISE edits a model's weights and
routes by distance; here nothing is edited, so that it can be taken back, and what is out of scope is
answered by the same path as without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from reasoning.answer import Draft, plain, tell_item
from reasoning.claims import CORRECTION, tell_word
from reasoning.question import Question
from reasoning.settings import ReasoningSettings
from reasoning.words import FUNCTION_WORDS, content_stems, likeness, words
from stream.errors import ConfigError
from stream.messages import (
    Act,
    Answer,
    ClaimsTold,
    CorrectDone,
    CorrectPut,
    Coverage,
    Cue,
    Evidence,
    EvidenceItem,
    new_id,
)
from stream.messages.control import SourceStatus

_DENIES = re.compile(
    r"^(?:(?:no|nope|wrong|actually|not\s+(?:true|right|quite)|correction)\b[\s,.:;!\u2013-]*)+", re.I
)
_IT_IS = re.compile(
    r"^(?:(?:that|this|it|he|she|they)\s*(?:'s|\u2019s|\s+is|\s+was|\s+were|\s+are)|(?:it|that)\s+should\s+be|make\s+(?:it|that))\s+",
    re.I,
)
_THE_VOICE = re.compile(
    r"^(?:that|this|the)\s+(?:voice|speaker|person\s+(?:speaking|talking))(?:'s|\u2019s|\s+is|\s+was|\s+belongs\s+to)"
    r"\s+(?P<name>[^.!?]+?)[\s.!]*$"
    r"|^(?:that|this)\s*(?:'s|\u2019s|\s+is|\s+was)\s+(?P<speaking>[^.!?]+?)\s+(?:speaking|talking)[\s.!]*$",
    re.I,
)
NAME_WORDS = 5
"""Of what a voice is called; more is a sentence about it."""
VALUE_WORDS = 6
"""A longer correction is a sentence to be quoted, not the value of a slot."""
_ASKS = {
    "who": "who",
    "whose": "who",
    "where": "where",
    "when": "when",
    "how": "how",
    "why": "why",
    "which": "what",
    "what": "what",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """For which questions a correction counts.

    `rests_on` are ids of the observations that the corrected answer rested on: where one of them is
    forgotten, the correction goes too.
    """

    about: str = ""
    relation: str = ""
    value: str = ""
    wordings: tuple[str, ...] = ()
    target: bytes = b""
    rests_on: tuple[bytes, ...] = ()

    def packed(self) -> dict[str, object]:
        """As `Act.value`; the target is the act's own."""
        told: dict[str, object] = {"about": self.about, "relation": self.relation, "value": self.value}
        return {name: one for name, one in told.items() if one} | (
            ({"questions": list(self.wordings)} if self.wordings else {})
            | ({"rests_on": list(self.rests_on)} if self.rests_on else {})
        )


def scope_of(act: Act) -> Scope:
    """The scope of an act of kind `correct`."""
    questions = act.value.get("questions", ())
    told = {name: str(act.value.get(name, "")) for name in ("about", "relation", "value")}
    wordings = tuple(map(str, questions)) if isinstance(questions, list | tuple) else ()
    return Scope(
        about=told["about"],
        relation=told["relation"],
        value=told["value"],
        wordings=wordings,
        target=act.target,
    )


def value_in(text: str) -> str:
    """What a correction puts in the place of a value: "No, it's 555" says 555; empty for a sentence."""
    said = _DENIES.sub("", text.strip())
    is_elliptic = _IT_IS.match(said) is not None or len(said.split()) <= VALUE_WORDS
    said = re.split(r",?\s+not\s+", _IT_IS.sub("", said), maxsplit=1)[0].strip(" .!,\"'")
    is_short = is_elliptic and 0 < len(said.split()) <= VALUE_WORDS
    return said if is_short and not re.search(r"\s(?:is|are|was|were|has|lives|works)\s", f" {said} ") else ""


def voice_in(text: str) -> str:
    """Whose voice it is, as the owner says: "No, that voice is my sister"; empty where nothing says so."""
    match = _THE_VOICE.match(_DENIES.sub("", text.strip()))
    name = plain(match["name"] or match["speaking"]).strip(" ,\"'") if match is not None else ""
    is_name = 0 < len(name.split()) <= NAME_WORDS and not re.match(r"(?:not|no|too|very|so)\b", name, re.I)
    return name if is_name else ""


def in_scope(question: str, told: ClaimsTold, scope: Scope, settings: ReasoningSettings) -> bool:
    """Whether a correction counts for a question, by what is asked alone.

    Where both name a slot, the slot decides. Else a wording of the corrected question must share
    most of the question's words, ask for the same kind of thing, and name the same names and numbers.
    """
    if scope.about and scope.relation and told.about and told.relation:
        return (told.about, told.relation) == (scope.about, scope.relation)
    return any(_is_paraphrase(question, wording, settings.correction_likeness) for wording in scope.wordings)


def _is_paraphrase(one: str, other: str, threshold: float) -> bool:
    left, right = set(content_stems(one)), set(content_stems(other))
    if not left or not right or _asks(one) != _asks(other) or _names(one) != _names(other):
        return False
    return likeness(left, right) >= threshold


def _asks(question: str) -> str:
    return next((_ASKS[word] for word in words(question) if word in _ASKS), "")


def _names(question: str) -> frozenset[str]:
    """Names and numbers: what a paraphrase does not change."""
    tokens = re.findall(r"[^\W_]+", question)
    named = [one for place, one in enumerate(tokens) if one[0].isdigit() or (place and one[0].isupper())]
    return frozenset(one.casefold() for one in named if one.casefold() not in FUNCTION_WORDS)


def applying(
    question: str, told: ClaimsTold, answer: Answer | None, settings: ReasoningSettings
) -> Act | None:
    """The newest correction that counts for a question, None where there is none.

    A correction of an observation, made without a question, counts where the answer rests on that
    observation more than on any other. What was said after the correction is newer than it.
    """
    for act in reversed(told.corrections):
        scope = scope_of(act)
        is_asked = bool(scope.wordings or scope.relation)
        counts = in_scope(question, told, scope, settings) and not _is_older(act, told)
        if counts if is_asked else _rests_on(question, answer, scope.target, settings):
            return act
    return None


def _rests_on(question: str, answer: Answer | None, target: bytes, settings: ReasoningSettings) -> bool:
    """Whether an answer cites an observation that has most of the question's words, and more than others."""
    if answer is None or answer.verdict == "not_seen" or not target:
        return False
    asked = set(content_stems(question))
    shares = {
        item.observation_id: len(asked & set(content_stems(f"{item.speaker} {item.text}"))) / len(asked)
        for item in answer.citations
        if asked
    }
    own = shares.pop(target, 0.0)
    return own >= settings.correction_likeness and own > max(shares.values(), default=0.0)


def _is_older(act: Act, told: ClaimsTold) -> bool:
    newest = [item for one in told.now for item in one.items if item.kind != CORRECTION]
    return any(item.t0_ns is not None and item.t0_ns > act.t_ns for item in newest)


def tell_correction(
    act: Act,
    told: ClaimsTold,
    ordinary: Answer | None,
    question: Question,
    settings: ReasoningSettings,
) -> Answer:
    """The owner's word, with the date of the act, and after it what it corrects."""
    draft = Draft()
    word = act_item(act)
    draft.say(tell_word(word), word)
    corrected = next((item for item in told.corrected if item.observation_id == act.target), None)
    if corrected is not None:
        text = tell_item(corrected, question, settings, several=False)
        draft.say(f"It corrects this: {text[0].lower()}{text[1:]}", corrected)
    return draft.finish("answered", ordinary.coverage if ordinary is not None else Coverage())


def act_item(act: Act) -> EvidenceItem:
    """The owner's word as what an answer may cite: it has a time, and no source."""
    return EvidenceItem(
        observation_id=act.act_id,
        span_id=b"",
        source_id=b"",
        session=0,
        uri="",
        kind=CORRECTION,
        level="",
        pts0_ns=0,
        pts1_ns=0,
        t0_ns=act.t_ns,
        t1_ns=act.t_ns,
        text=act.text,
    )


@dataclass(frozen=True, slots=True)
class LastTurn:
    """The last question that this process answered: what a correction without a name is about."""

    question: str
    cue: Cue
    answer: Answer


class Corrected(Protocol):
    """Memory as corrections need it."""

    def recall(self, cue: Cue, k: int) -> Evidence:
        """At most `k` items for a cue."""
        ...

    def sources(self) -> Sequence[SourceStatus]:
        """What is held, source by source."""
        ...

    def claims(self, cue: Cue) -> ClaimsTold:
        """The slot that a question asks for, and the corrections that stand."""
        ...

    def commit(self, act: Act) -> int:
        """Makes an act durable; the number of its commit."""
        ...


class Correcting:
    """Makes acts of corrections, and takes them back.

    Args:
        memory: Where acts are kept.
        settings: Of the reasoning section.
        last: The last turn of this process, if there was one.
        now_ns: UTC clock.
    """

    def __init__(
        self,
        memory: Corrected,
        settings: ReasoningSettings,
        last: LastTurn | None,
        now_ns: Callable[[], int],
    ) -> None:
        self._memory, self._settings, self._last, self._now_ns = memory, settings, last, now_ns

    def put(self, put: CorrectPut) -> CorrectDone:
        """Makes the act that a request asks for durable.

        Raises:
            ConfigError: If there are no words, or it is not told what is corrected, or no act has the id.
            OmniRecallError: As memory raises.
        """
        if put.undoes:
            return self._undo(put.undoes)
        if not plain(put.text):
            raise ConfigError(
                "a correction needs words", remedy='omnirecall correct "No, that was my sister"'
            )
        if name := voice_in(put.text):
            return self._name_voice(put, name)
        question, cue, cited = self._corrected(put)
        told = self._memory.claims(msgspec.structs.replace(cue, text=question)) if question else ClaimsTold()
        items = [*cited, *(item for one in (*told.now, *told.before, *told.against) for item in one.items)]
        scope = Scope(
            about=told.about,
            relation=told.relation,
            value=value_in(put.text) if told.about and told.relation else "",
            wordings=tuple(dict.fromkeys((*((question,) if question else ()), *put.paraphrases))),
            target=put.about or (cited[0].observation_id if cited else b""),
            rests_on=tuple(dict.fromkeys(one.observation_id for one in items if one.kind != CORRECTION)),
        )
        if not scope.wordings and not scope.target:
            raise ConfigError(
                "nothing says what is corrected", remedy="name it: --about ID, or --question as it was asked"
            )
        act = Act(
            act_id=new_id(),
            kind="correct",
            t_ns=self._now_ns(),
            target=scope.target,
            text=plain(put.text),
            value=scope.packed(),
        )
        item = next((one for one in cited if one.observation_id == scope.target), None)
        return CorrectDone(act=act, commit_no=self._memory.commit(act), item=item)

    def _name_voice(self, put: CorrectPut, name: str) -> CorrectDone:
        """Names the voice of an utterance: the one that was told, or the first that the answer cites.

        Raises:
            ConfigError: If the answer cites no utterance.
        """
        said = [] if put.about else [one for one in self._corrected(put)[2] if one.kind == "utterance"]
        if not (put.about or said):
            raise ConfigError(
                "nothing says whose voice is meant",
                remedy="name an utterance: --about ID, as search tells it",
            )
        act = Act(
            act_id=new_id(),
            kind="label",
            t_ns=self._now_ns(),
            target=put.about or said[0].observation_id,
            text=name,
            value={"of": "person"},
        )
        return CorrectDone(act=act, commit_no=self._memory.commit(act), item=said[0] if said else None)

    def _corrected(self, put: CorrectPut) -> tuple[str, Cue, Sequence[EvidenceItem]]:
        """The question that was answered wrongly, its gates, and what the answer cited."""
        if put.question:
            return put.question, put.cue, ()
        if put.about:
            return "", put.cue, ()
        if self._last is None:
            raise ConfigError(
                "these processes have answered nothing yet, so there is no last answer to correct",
                remedy="name what is corrected: --about ID, or --question as it was asked",
            )
        cited = [item for item in self._last.answer.citations if item.kind != CORRECTION]
        return self._last.question, self._last.cue, cited

    def _undo(self, beginning: bytes) -> CorrectDone:
        standing = self._memory.claims(Cue()).corrections
        found = [act for act in standing if act.act_id.startswith(beginning)]
        if len(found) != 1:
            raise ConfigError(
                f"{len(found)} corrections that stand have an id that begins with {beginning.hex()}",
                remedy="ask shows the id of the correction that it cites; give all of its digits",
            )
        act = Act(
            act_id=new_id(),
            kind="undo",
            t_ns=self._now_ns(),
            target=found[0].act_id,
            undoes=found[0].act_id,
        )
        return CorrectDone(act=act, commit_no=self._memory.commit(act))
