"""Gates against words that nobody said.

Whisper has to write something for every window, and on music or noise it writes what
subtitles often say. No list of such phrases is kept: they are known by how they come.
Voice activity goes first and stops most; then the recogniser's own doubts are asked. A
sentence is dropped by the first gate that it does not pass.

Sources. `compression` is Whisper's own threshold (Radford et al. 2022, section 4.5);
so are `no_speech` and `log_probability`, by which the decoder skips a window before
anything comes here. The others were chosen on sound without speech that was forced past
voice activity (game music, noises, tones, a cartoon), where what is invented is either
unsure of itself, or repeats itself, or comes from a window that is said to hold no
speech, and on read speech, which is none of these.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from perception.audio.sentences import NANO, Word, confidence, joined
from perception.audio.settings import GateSettings

LETTERS_PER_WORD = 2
"""In Chinese and Japanese writing; most Chinese words have two."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """What speaks against a sentence beside its own words.

    `no_speech` is the probability that the window holds no speech, `voice_s` the length of
    the segment in seconds; `alone` says that the sentence is all that was heard in it.
    """

    no_speech: float
    voice_s: float
    alone: bool = True


def refusal(words: Sequence[Word], doubts: Doubts, gates: GateSettings) -> str:
    """Why these words are not believed, as the name of a gate; empty if they are."""
    n_words = word_count(words)
    is_short = n_words <= gates.short_words
    spoken_s = max((words[-1].end_ns - words[0].start_ns) / NANO, 1e-3)
    sure = confidence(words)
    if not any(character.isalnum() for character in joined(words)):
        return "wordless"
    if sure < gates.confidence:
        return "confidence"
    doubtful = doubts.no_speech > gates.doubtful_no_speech
    if doubtful and n_words <= gates.doubtful_words and sure < gates.doubtful_confidence:
        return "doubtful"
    if is_short and sure < gates.short_confidence:
        return "short"
    if _is_slow(n_words, doubts, gates):
        return "slow"
    if not is_short and n_words / spoken_s > gates.fast_words_hz:
        return "fast"
    if compression_ratio(joined(words)) > gates.compression or repeated_share(words) >= gates.repeated:
        return "repeated"
    return ""


def word_count(words: Sequence[Word]) -> int:
    """How many words these are where each letter of a script without spaces came as a word of its own."""
    has_spaces = any(word.text[:1].isspace() for word in words[1:])
    if has_spaces or len(words) < 2:
        return len(words)
    letters = sum(character.isalnum() for word in words for character in word.text)
    return math.ceil(letters / LETTERS_PER_WORD)


def _is_slow(n_words: int, doubts: Doubts, gates: GateSettings) -> bool:
    """A word or two in seconds of what was taken for voices."""
    long_enough = doubts.alone and doubts.voice_s >= gates.slow_after_s
    return long_enough and n_words / doubts.voice_s < gates.slow_words_hz


def compression_ratio(text: str) -> float:
    """Bytes of the text over its bytes deflated: high where it repeats itself."""
    encoded = text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def repeated_share(words: Sequence[Word], n: int = 3) -> float:
    """Share of word n-grams that occurred before, 0 to 1; 0 for fewer than 2n words."""
    tokens = [word.text.strip().strip(".,!?;:\"'").lower() for word in words]
    if len(tokens) < 2 * n:
        return 0.0
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams)
