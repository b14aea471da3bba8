"""What limits a question: counts, what is not so, who is left out, where, and the dialogue itself."""

from __future__ import annotations

import re

from reasoning.words import FUNCTION_WORDS, is_content, stem, word_set, words

_MEASURES = (
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?|euros?|dollars?|pounds?|cents?|(?:kilo|centi)?met(?:re|er)s?|"
    r"miles?|feet|degrees|percent|grams?|kilos?|lit(?:re|er)s?)\b"
)
_COUNTS = re.compile(
    rf"^(?:in\s+|for\s+|on\s+|at\s+)?how\s+many\b(?!\s+{_MEASURES})|^how\s+(?:often|many\s+times)\s+(?:did|has|have|had|was|"
    r"were)\b|^what\s+(?:is\s+the\s+|was\s+the\s+)?(?:total\s+)?number\s+of\b|^(?:and\s+)?count\b|\bhow\s+many\s+times\b",
    re.I,
)
_NEGATION = re.compile(
    r"\b(?:not|never|no(?!\.)|nobody|nothing|nowhere|none|neither|without|cannot|no\s+longer|\w+n['\u2019]t)\b",
    re.I,
)
_NO_NEGATION = re.compile(
    r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)n['\u2019]t\b|"
    r"\bor\s+not\b|\bnot\s+only\b|\bno\s+(?:\d|one\s+else)|\bwhy\s+not\b|\bknow\s+nothing\b|\bbut\s+not\b",
    re.I,
)
_LEFT_OUT = re.compile(
    r"[\s,]*\b(?:apart\s+from|aside\s+from|except(?:\s+for)?|excepting|besides|other\s+than|excluding|but\s+not)\s+"
    r"(?P<who>[\w'\u2019-]+(?:\s+(?!(?:in|on|at|during|to|with|for|did|does|do|was|were|is|are|has|have)\b)[\w'\u2019-]+)"
    r"{0,5})\s*,?",
    re.I,
)
_PLACED = re.compile(
    r"\b(?:in|at|inside|outside|near|by|behind|under|above|beside|beneath|around|on|across|along|through)\s+"
    r"(?P<det>(?:the|my|our|your|his|her|their|a|an|this|that)\s+)?(?P<rest>[\w'\u2019].*)$",
    re.I,
)
_NO_PLACES = word_set(
    """
    english french german spanish italian latin russian chinese japanese end all order fact time times total
    general particular common front way middle beginning start picture pictures image photo photos photograph
    film video clip movie recording footage scene shot frame screen camera talk song show text word words
    title headline sign card label poster page note letter book red blue green white black yellow question
    answer dialogue conversation mind least first last once moment present phone telephone
    """
)
_DIALOGUE = re.compile(
    r"\b(?:did|have|had|do)\s+(?:i|we)\s+(?:just\s+|already\s+|ever\s+)?(?:ask(?:ed)?|talk(?:ed)?\s+about\s+with)\s+you\b|"
    r"\bquestions?\s+(?:did|have|had)\s+(?:i|we)\s+ask(?:ed)?\s*$|"
    r"\bmy\s+(?:very\s+)?(?:last|previous|first|earlier|latest)\s+(?:few\s+)?questions?\b|"
    r"\byour\s+(?:last|previous|first|earlier|latest)\s+answers?\b|"
    r"\b(?:did|have)\s+you\s+(?:just\s+)?(?:answer(?:ed)?|told|tell|said|say)\s*(?:to\s+)?(?:me)?\b",
    re.I,
)
_ASKED = re.compile(
    r"\b(?:did|have|had)\s+(?:i|we)\s+(?:just\s+|already\s+|ever\s+)?ask(?:ed)?\s+(?:about|today|yesterday|before|earlier|"
    r"last|this\s+(?:morning|afternoon|evening|week|month))\b",
    re.I,
)
"""Says not whom: somebody else may have been asked, of which what was heard tells."""


def read_counts(text: str) -> bool:
    """Whether how many are asked for: things or times, and no amount of time, money or length."""
    return _COUNTS.search(text) is not None


def is_negated(text: str) -> bool:
    """Whether what is not so is asked for; "isn't it …?" asks whether it is."""
    return _NEGATION.search(_NO_NEGATION.sub(" ", text)) is not None


def read_without(text: str) -> tuple[str, tuple[str, ...]]:
    """A question without "apart from Clara", and the stems of who or what is left out."""
    match = _LEFT_OUT.search(text)
    if match is None:
        return text, ()
    left_out = tuple(dict.fromkeys(stem(word) for word in words(match["who"]) if word not in FUNCTION_WORDS))
    rest = re.sub(r"\s+", " ", f"{text[: match.start()]} {text[match.end() :]}").strip(" ,")
    return (rest, left_out) if left_out and rest else (text, ())


def read_where(text: str) -> str:
    """The place that a question names: "kitchen" of "who was in the kitchen"; empty where it names none."""
    at = 0
    while match := _PLACED.search(text, at):
        run: list[str] = []
        for found in re.finditer(r"[\w'\u2019-]+", match["rest"]):
            gap = match["rest"][found.start() - 1 : found.start()] if run else " "
            if not gap.isspace() or not is_content(found[0].lower()) or found[0].lower() in _NO_PLACES:
                break
            run.append(found[0])
            if not match["det"] and not found[0][0].isupper():
                break
        if run:
            return " ".join(run)
        at = match.start("rest")
    return ""


def asks_dialogue(text: str) -> bool:
    """Whether what was asked or answered before is asked for."""
    return _DIALOGUE.search(text) is not None or _ASKED.search(text) is not None


def asks_dialogue_alone(text: str) -> bool:
    """Whether it can be nothing else; "what did I ask about the price" may be of a talk that was heard."""
    return _DIALOGUE.search(text) is not None
