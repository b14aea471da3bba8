"""The words of an answer, told while the rest of it is still checked: sentence by sentence, in order.

Only whole sentences that stand are told: those of an answer from evidence when it is composed, a language
model's one after the other as each was verified. So no word that was told is taken back by `turn.final`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stream.messages.answer import Answer
from stream.messages.turn import TurnOpen, TurnToken

WORDS_OF_TOKEN = 3
"""A few words at once: a reader sees them come, and the wire is not flooded."""


class Tokens:
    """The words of one turn on their way to who asked. Belongs to the thread of the loop.

    Args:
        asked: The turn.
        tell: Sends one token to who asked.
    """

    def __init__(self, asked: TurnOpen, tell: Callable[[TurnToken], None]) -> None:
        self._asked = asked
        self._tell = tell
        self._index = 0
        self._told = 0
        """How many sentences were told so far."""

    def say(self, sentence: str) -> None:
        """Tells the next sentence."""
        for text in tokens_of(sentence, begins=self._told == 0):
            self._tell(
                TurnToken(
                    turn_id=self._asked.turn_id,
                    turn_epoch=self._asked.turn_epoch,
                    index=self._index,
                    text=text,
                    sentence=self._told,
                )
            )
            self._index += 1
        self._told += 1

    def finish(self, answer: Answer) -> None:
        """Tells the sentences of an answer that were not told yet."""
        for sentence in answer.sentences[self._told :]:
            self.say(sentence.text)


def tokens_of(sentence: str, *, begins: bool) -> Iterator[str]:
    """Groups of words, joined the sentence; with a space before it unless it `begins` the answer."""
    words = sentence.split(" ")
    for at in range(0, len(words), WORDS_OF_TOKEN):
        lead = "" if at == 0 and begins else " "
        yield lead + " ".join(words[at : at + WORDS_OF_TOKEN])
