"""Whether something that was said wants an answer: a small step that tells its reason.

Whisper's words come without question marks or with wrong ones, in lower case or not, and a microphone in a
room hears people talk to each other. So the form of the words decides together with what goes on around them:
a held key, the name, an answer just told, other people talking. In doubt it is silent: an answer that nobody
asked for is worse than a question that must be said again with the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

NAME_LIKENESS = 0.8
"""Likeness of letters from which a word is taken for the name: recognisers spell names as they like."""
LEAST_NAME_CHARS = 4
"""Shorter names are taken as they are written: too much sounds like them."""
MOST_WORDS = 40
"""Of what is longer, nothing is a question to somebody who is to answer at once."""

CURLY = "\N{RIGHT SINGLE QUOTATION MARK}"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_FILLERS = {
    "um",
    "uh",
    "er",
    "erm",
    "so",
    "well",
    "okay",
    "ok",
    "hey",
    "and",
    "but",
    "oh",
    "now",
    "please",
    "hi",
    "no",
    "wait",
    "stop",
    "yes",
    "yeah",
}
_WH = {"what", "where", "when", "who", "which", "how", "whose", "why", "whom"}
_CONTRACTED = re.compile(r"^(what|where|when|who|how|why)'?(s|d|re|ll)$")
_PLAIN_AUXILIARIES = {
    *("is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "could", "will", "would")
}
_AUXILIARIES = {
    *_PLAIN_AUXILIARIES,
    *("isn't", "aren't", "wasn't", "didn't", "doesn't", "don't", "hasn't", "haven't", "should", "shall"),
}
_FOLLOW_UPS = re.compile(
    r"^(and )?(what about|how about|who else|what else|where else|when else|after that|before that|and then|"
    r"before|after|which one|the other|go on|tell me more|more|again|are you sure|really|how so|why|why not|"
    r"no i mean\w*|i mean\w*|since when|until when|like what|such as)\b"
)
_ACKNOWLEDGED = {
    *("okay", "ok", "thanks", "right", "mhm", "great", "yes", "yeah", "no", "cool", "fine", "good", "sure"),
    *("never", "mind", "thank", "you", "i", "see", "alright", "perfect", "nice", "got", "it"),
}
_TO_A_PERSON = re.compile(
    r"^(how (are|was|were|is|did|do|'s|s) (you|your|it)\b|how's|what('s| is) (up|wrong)\b|"
    r"(do|would|could|can|will|shall|should|did|have|are|don't|why don't|won't) (you|we|i) "
    r"(mind|want|like|think|pass|close|open|go|come|coming|sleep|help|talk|take|have|get|hungry|tired|ready|there|marry|call|"
    r"finish\w*|had|know what|tell him|tell her)\b|"
    r"(are|were) (you|we)\b|what (do|would) you (think|want|like|mean)|what are you\b|where are you\b|"
    r"when (will|are) you\b|why (are|don't|do|did) you\b|how do you\b|who wants\b|isn't it\b|shall we\b|"
    r"should we\b|can we\b|can i\b|will you\b|you know\b)"
)
_TAG = re.compile(
    r"\b(isn't it|aren't you|aren't we|don't you|isn't he|isn't she|right|won't you|didn't we)$"
)
_ASKED_OF_IT = re.compile(
    r"^(((can|could|would|will) you )?(please )?(tell|remind|show) me (again )?"
    r"(what|where|when|who|which|how|if|whether)\b|"
    r"do you (remember|know) (what|where|when|who|which|how|if|whether)\b|have you seen\b|"
    r"did you (see|hear|notice)\b|i wonder (what|where|when|who|which|how|if|whether)\b|"
    r"what (did|do|can) you (see|hear)\b)"
)
_EXCLAIMED = re.compile(
    r"^(what an? |how (nice|lovely|great|sad|funny|awful|beautiful)\b|who cares|whatever|what the\b)"
)
_SUBJECTS = {"i", "we", "he", "she", "they", "you", "it", "that", "this", "there"}
_PAST_OR_PRESENT = {*_PLAIN_AUXILIARIES, "am", "should", "might"}


@dataclass(frozen=True, slots=True)
class Around:
    """What goes on around something that is said.

    `is_held`: push-to-talk is down. `goes_on`: an answer has just been told there. `among_people`: people
    have been talking to each other just now.
    """

    is_held: bool = False
    goes_on: bool = False
    among_people: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whether an answer is wanted, why, and the words to be answered, without the name that was called."""

    wants: bool
    reason: str
    text: str
    is_named: bool = False


def wants_answer(text: str, around: Around = Around(), names: Sequence[str] = ()) -> Wanted:
    """Whether an utterance wants an answer.

    Args:
        text: As it was recognised.
        around: What goes on around it.
        names: What it is called by.
    """
    said = _WORD.findall(text.casefold().replace(CURLY, "'"))
    if not said:
        return Wanted(False, "no words", text)
    if around.is_held:
        return Wanted(True, "push-to-talk is held", text)
    unnamed = _without_name(said, names)
    if unnamed is not None:
        words = " ".join(unnamed) if unnamed else text
        return Wanted(True, "it was called by its name", words, is_named=True)
    if len(said) > MOST_WORDS:
        return Wanted(False, "too long for a question", text)
    bare = _without_fillers(said)
    words = " ".join(bare)
    if around.goes_on and (told := _in_dialogue(said, words)) is not None:
        return Wanted(told, "the dialogue goes on" if told else "the last answer was acknowledged", text)
    if _EXCLAIMED.match(words):
        return Wanted(False, "an exclamation", text)
    if _TO_A_PERSON.match(words) and not _ASKED_OF_IT.match(words):
        return Wanted(False, "a question to a person", text)
    if around.among_people:
        return Wanted(False, "people are talking to each other", text)
    if _TAG.search(words):
        return Wanted(False, "a question to a person", text)
    if _ASKED_OF_IT.match(words):
        return Wanted(True, "a question about what was seen or heard", text)
    if _is_question(bare):
        return Wanted(True, "a question, and nobody else is talking", text)
    return Wanted(False, "no question", text)


def _without_name(said: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """The words without the name where it stands at the beginning or the end; None where it does not."""
    known = [name.casefold() for name in names]
    begin = _without_fillers(said)
    if begin and _is_name(begin[0], known):
        return list(begin[1:])
    if _is_name(said[-1], known):
        return list(said[:-1])
    return None


def _is_name(word: str, names: Sequence[str]) -> bool:
    return any(
        word == name
        or (
            min(len(word), len(name)) >= LEAST_NAME_CHARS
            and word[0] == name[0]
            and SequenceMatcher(None, word, name).ratio() >= NAME_LIKENESS
        )
        for name in names
    )


def _without_fillers(said: Sequence[str]) -> list[str]:
    begin = 0
    while begin < len(said) - 1 and said[begin] in _FILLERS:
        begin += 1
    return list(said[begin:])


def _in_dialogue(said: Sequence[str], words: str) -> bool | None:
    """Whether what follows an answer asks on (True), only takes it in (False), or is judged as any other."""
    if all(word in _ACKNOWLEDGED for word in said):
        return False
    whole = " ".join(said)
    if _FOLLOW_UPS.match(whole) or _FOLLOW_UPS.match(words):
        return True
    if said[0] == "and" and len(said) <= 6:
        return True
    return None


def _is_question(bare: Sequence[str]) -> bool:
    """Whether words have the form of a question, in order: "what did he", not "what he did"."""
    for begin in _beginnings(bare):
        words = bare[begin:]
        first = words[0]
        if len(words) >= 3 and _CONTRACTED.match(first):
            return True
        if first in _WH and len(words) >= 3:
            return _is_turned(words)
        if first in _AUXILIARIES and len(words) >= 3:
            # "is the window open", "did i lock the door"; "do it again" asks for nothing.
            return first not in ("do", "don't", "have", "will") or words[1] in _SUBJECTS | {
                "the",
                "my",
                "anyone",
            }
    return False


def _beginnings(bare: Sequence[str]) -> list[int]:
    """Where the question may begin: at once, or after a false start ("where's my uh where did i …")."""
    found = [0]
    for at in range(1, min(6, len(bare))):
        again = bare[at] == bare[0] or (bare[at] in _WH and bare[at - 1] in _FILLERS)
        if again and bare[0][:3] == bare[at][:3]:
            found.insert(0, at)
    return found


def _is_turned(words: Sequence[str]) -> bool:
    """Whether the verb comes before who does it, as in questions; "who" and "which" ask without that.

    Args:
        words: Three at least.
    """
    if words[0] in ("who", "whose", "which") and words[1] not in _SUBJECTS:
        return True
    if words[0] == "what" and words[1].endswith("ed"):
        return True
    for word in words[1:8]:
        if word in _SUBJECTS:
            return False
        if word in _PAST_OR_PRESENT or _CONTRACTED.match(word) or word.endswith("n't"):
            return True
    return False
