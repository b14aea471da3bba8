"""Whether something that was heard is the answer that is being spoken: by its words, in its time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from difflib import SequenceMatcher

from reasoning.words import words

LEAST_BLOCK = 2
"""Words in a row that must be the same: single ones are said by everybody."""
LEAST_REST = 3
"""Words beside the spoken ones from which somebody is talking over it."""
MOST_SENTENCES = 64


@dataclass(slots=True)
class _Spoken:
    words: list[str]
    until_ns: int | None = None


class OwnVoice:
    """What has been spoken lately, and which words of an utterance are of it.

    Args:
        after_ns: For how long after it was spoken it may still be heard.
        likeness: Share of an utterance's words, in order, from which it is all the own voice's.
    """

    def __init__(self, after_ns: int, likeness: float) -> None:
        self._after_ns = after_ns
        self._likeness = likeness
        self._spoken: deque[_Spoken] = deque(maxlen=MOST_SENTENCES)

    def started(self, text: str, now_ns: int) -> None:
        """A sentence is spoken from now on; the one before is over."""
        self.ended(now_ns)
        if spoken := words(text):
            self._spoken.append(_Spoken(spoken))

    def ended(self, now_ns: int) -> None:
        """Nothing is spoken any more."""
        for one in self._spoken:
            if one.until_ns is None:
                one.until_ns = now_ns

    def rest_of(self, text: str, now_ns: int, lasted_ns: int) -> str:
        """An utterance without what was spoken at its time: all of it, or "" where it is the own voice alone.

        Args:
            text: What was recognised.
            now_ns: When it was recognised.
            lasted_ns: How long it lasted.
        """
        said = text.split()
        plain = [" ".join(words(word)) for word in said]
        began_ns = now_ns - lasted_ns - self._after_ns
        spoken = [
            word
            for one in self._spoken
            if one.until_ns is None or one.until_ns >= began_ns
            for word in one.words
        ]
        if not spoken or not any(plain):
            return text
        same = SequenceMatcher(None, plain, spoken, autojunk=False).get_matching_blocks()
        least = min(LEAST_BLOCK, len(plain))
        own = {at for block in same if block.size >= least for at in range(block.a, block.a + block.size)}
        if not own:
            return text
        rest = [word for at, word in enumerate(said) if at not in own]
        if len(own) >= self._likeness * len(said) and _longest(own, len(said)) < LEAST_REST:
            return ""
        return " ".join(rest) if len(own) >= LEAST_BLOCK and len(rest) < len(said) else text


def _longest(own: set[int], n: int) -> int:
    """Words in a row that are not the own voice's, at most."""
    longest = here = 0
    for at in range(n):
        here = 0 if at in own else here + 1
        longest = max(longest, here)
    return longest
