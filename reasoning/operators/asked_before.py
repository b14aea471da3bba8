"""What was asked before in a dialogue: `answer_asked_before`.

The dialogue is in no log: such an answer has no citations, and says where it is from.
"""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.answer import Draft, not_seen
from reasoning.dialogue import Exchange
from reasoning.question import Question
from reasoning.words import stem, words
from stream.messages.answer import Answer
from stream.messages.evidence import Coverage

FROM_DIALOGUE = "this is from the dialogue, which is kept in memory for a while; it rests on no evidence"
_ASKING = frozenset(("ask", "question", "answer", "tell", "told", "say"))


def answer_asked_before(question: Question, before: Sequence[Exchange], most: int) -> Answer:
    """The last questions of a dialogue that are about what is asked for, the newest last.

    Args:
        question: One that asks what was asked.
        before: The turns so far.
        most: Questions that are told.
    """
    about = frozenset(question.key) - _ASKING
    fitting = [one for one in before if not about or about & _stems(one.question.asked)]
    if not about:
        fitting = fitting[-1:]
    if not fitting:
        return not_seen(Coverage())
    draft = Draft()
    for one in fitting[-most:]:
        draft.say(f"You asked: “{one.question.asked.rstrip(' ?')}?”")
    return draft.finish("answered", Coverage())


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words(text))
