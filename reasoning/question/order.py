"""The order that a question asks about: what came first, what is beside, the first and last of something."""

from __future__ import annotations

import re
from typing import Literal

from reasoning.question.question import Around, Beside, Compare, Edge, Order
from reasoning.words import is_content, is_past_form, words

_VERB = r"(?:is|was|are|were|do|does|did|has|have|had)"
_COMPARE_WH = re.compile(
    r"^(?:what|which|who|whom)\b(?P<context>.*?)\b(?P<w>first|last|earlier|earliest|later|latest|sooner)\b"
    r"(?P<rest>.*\bor\b.*)$",
    re.I,
)
_CHOICE = re.compile(r",\s*or\s+|,\s*|\s+or\s+|[:;]\s*|\s+[\u2013-]\s+", re.I)
_PLACED = re.compile(r"^(?:in|on|at|to|into|onto|during|of)\b", re.I)
_COMPARE_OR = re.compile(
    rf"^{_VERB}\s+(?P<a>.+?)\s+or\s+(?P<b>.+?)\s+(?:(?:shown|seen|said|mentioned|come|came|appear\w*|happen\w*)\s+)?"
    r"(?P<w>first|last|earlier|later)$",
    re.I,
)
_COMPARE_CLAIM = re.compile(
    rf"^{_VERB}\s+(?P<a>.+?)\s+(?P<w>before|after)(?P<either>\s+or\s+(?:before|after))?\s+(?P<b>.+)$", re.I
)
_NEARNESS = r"(?:(?:right|just|directly|immediately|shortly|soon|straight)\s+)?"
_BESIDE_END = re.compile(rf"^(?P<main>.+?)\s+{_NEARNESS}(?P<w>after|before|following)\s+(?P<x>.+)$", re.I)
_BESIDE_START = re.compile(
    rf"^{_NEARNESS}(?P<w>after|before|following)\s+(?P<x>.+?),?\s+"
    rf"(?P<main>(?:what|which|who|where|how|{_VERB})\b.+)$",
    re.I,
)
_ASKS_WHAT = re.compile(r"^(?:(?:in|on|at|to|from|with)\s+)?(?:what|which|who|whom|name)\b", re.I)
"""Only such questions ask for what is beside: "how long … after X" asks about X itself."""
_NOT_IN_TIME = re.compile(r"\b(?:named|look|looks|looked|looking|take|takes|took|ask|asked)$", re.I)
_EDGE_THING = re.compile(
    r"\b(?:the\s+)?(?:very\s+)?(?P<w>first|last|final)\s+(?:few\s+)?"
    r"(?=(?:things?|words?|sentences?|pictures?|images?|scenes?|shots?|texts?|lines?|signs?|person|speaker|"
    r"one)\b)",
    re.I,
)
_EDGE_VERB = re.compile(
    r"^(?P<main>(?:what|who|whose|which)\b.*?\b(?:shown|seen|said|written|heard|mentioned|happens?|happened|comes?|"
    r"came|appears?|appeared|speaks?|spoke|visible))\s+(?:at\s+)?(?P<w>first|last)$",
    re.I,
)
_EDGE_WORK = re.compile(
    rf"^(?:how|what)\s+{_VERB}\s+(?:the|this)\s+(?:film|video|clip|recording|movie|footage)\s+"
    r"(?P<w>start|begin|open|end|finish|close)(?:\s+with)?$",
    re.I,
)
_VERB_TAIL = re.compile(
    r"\s+(?:shown|seen|said|mentioned|come|came|comes|appear\w*|happen\w*|heard|visible|on screen)$", re.I
)


NOT_OF_NOUN = (
    r"(?<!\bthe)(?<!\bmy)(?<!\byour)(?<!\bhis)(?<!\bher)(?<!\bits)(?<!\bour)(?<!\btheir)(?<!\ba)"
    r"(?<!['\u2019]s)"
)
"""Before "first" and "last" that say when, and not which: "his last name", "the first train"."""
_EDGE_SEEN = re.compile(
    rf"^(?P<main>(?:when|where|who|what|which)\b.*{NOT_OF_NOUN})\s+"
    r"(?P<w>last|first)\s+(?P<verb>see|seen|hear|heard|mention\w*|speak|spoken|talk\w*|say|said|meet|met|visit\w*|shown|"
    r"appear\w*|use|used|wear|worn|come|arrive\w*|call\w*|there|here|written|noticed?|open|opened|leave)\b",
    re.I,
)
"""As in "when did we last see …", and not "his last name"."""
_EDGE_DONE = re.compile(
    r"^(?P<main>(?:when|where)\s+(?:did|have|has|had|was|were)\s+(?:i|you|we|he|she|they|it|(?-i:[A-Z][\w-]+)))\s+"
    r"(?P<w>last|first)\s+(?P<verb>\w+)\b",
    re.I,
)
"""As in "when did I last water the plants?": after who does it, any verb."""
_EDGE_RECENT = re.compile(r"\s*\bmost\s+recent(?:ly)?\b", re.I)
_MOMENT = r"(?:the|a|an|my|our|your|his|her|their|its|he|she|they|we|it|i|you|this|that|[A-Z][\w-]+|\w+ing)\b"
_WHILE_END = re.compile(
    rf"^(?P<main>.+?)\s+(?P<w>while|whilst|during)\s+(?P<x>(?-i:{_MOMENT}).*|[\w-]+ing\b.*|\w+-\w+.*)$", re.I
)
_WHILE_START = re.compile(
    rf"^(?P<w>while|whilst|during|when)\s+(?P<x>.+?),\s*(?P<main>(?:what|which|who|where|how|{_VERB})\b.+)$",
    re.I,
)
_WHEN_END = re.compile(
    rf"^(?P<main>(?:what|which|who|where|how)\b.+?)\s+when\s+(?P<x>(?-i:{_MOMENT}).+)$", re.I
)
_BETWEEN_TWO = re.compile(
    r"^(?P<main>.+?)\s+between\s+(?P<x>(?:the|a|my|our|his|her|their)\s+.+?)\s+and\s+(?P<y>(?:the|a|my|our|his|her|their)\s+.+)$",
    re.I,
)
_SIDE_END = re.compile(
    rf"^(?P<main>.+?)\s+{_NEARNESS}(?P<w>after|before|until|till|since)\s+(?P<x>(?:the|a|an|my|our|your|his|her|their|"
    r"he|she|they|we|it|i|you|[\w-]+ing|[\w-]+ed)\b.*|(?-i:[A-Z]).*)$",
    re.I,
)
_SIDE_START = re.compile(
    rf"^{_NEARNESS}(?P<w>after|before|until|till|since)\s+(?P<x>.+?),\s*(?P<main>.+)$", re.I
)
_SIDES: dict[str, Literal["before", "after"]] = {"until": "before", "till": "before", "before": "before"}
_IN_ORDER = re.compile(r"^(?:in\s+(?:what|which)\s+order\b|.+\s+in\s+(?:(?:what|which)\s+)?order$)", re.I)
_NO_MOMENT = re.compile(r"^(?:how\s+(?:long|soon|late|far|fast|old)|why|when)\b", re.I)
"""Such questions ask about the moment itself: "how long … after X"."""


def read_around(text: str) -> tuple[Around | None, str]:
    """The moment that limits a question, and the question without its words."""
    if _IN_ORDER.match(text):
        return Around("", "order"), text
    if _NO_MOMENT.match(text):
        return None, text
    if match := _BETWEEN_TWO.match(text):
        return Around(_moment(match["x"]), "between", _moment(match["y"])), match["main"]
    for pattern in (_WHILE_START, _WHILE_END, _WHEN_END):
        match = pattern.match(text)
        if match is not None and _is_moment(match["main"], match["x"], is_when=pattern is _WHEN_END):
            return Around(_moment(match["x"]), "while"), match["main"].strip(" ,")
    match = _SIDE_START.match(text) or _SIDE_END.match(text)
    if match is None or _NOT_IN_TIME.search(match["main"]) or not _is_moment(match["main"], match["x"]):
        return None, text
    return Around(_moment(match["x"]), _SIDES.get(match["w"].lower(), "after")), match["main"].strip(" ,")


_SPEECH = re.compile(
    r"(?:the|a|my|our|his|her|their)\s+(?:phone\s+)?(?:call|talk|speech|show|reading)s?$", re.I
)
"""Moments whose nouns are words of telling."""


def _is_moment(main: str, text: str, *, is_when: bool = False) -> bool:
    """Whether words are a moment that evidence can show; "when it rains" is of no one time."""
    told = words(text)
    if not (any(is_content(word) for word in told) or _SPEECH.match(text)) or text.startswith(
        ('"', "\u201c")
    ):
        return False
    past = any(is_past_form(word) or word.endswith("ed") or word in ("was", "were", "had") for word in told)
    return not is_when or past


def _moment(text: str) -> str:
    return text.strip(" ,?.")


def read_order(text: str) -> tuple[Order | None, str]:
    """The order that is asked about, and the question without it."""
    for read in (_read_compare, _read_beside, _read_edge):
        found = read(text)
        if found is not None:
            return found
    return None, text


def _read_compare(text: str) -> tuple[Order, str] | None:
    if match := _COMPARE_WH.match(text):
        last = match["w"].lower() in ("last", "later", "latest")
        options = [option for part in _CHOICE.split(match["rest"]) if (option := _clean_option(part))]
        # "What came first in the film, A or B?": where is no option.
        more = options.pop(0) if len(options) > 2 and _PLACED.match(options[0]) else ""
        if len(options) >= 2:
            return Compare(
                tuple(options), "last" if last else "first"
            ), f"what {match['context'].strip()} {more}".strip()
    if match := _COMPARE_OR.match(text):
        wanted: Literal["first", "last"] = "last" if match["w"].lower() in ("last", "later") else "first"
        return Compare((_clean_option(match["a"]), _clean_option(match["b"])), wanted), text
    match = _COMPARE_CLAIM.match(text)
    if match is not None and not _NOT_IN_TIME.search(match["a"]):
        side: Literal["before", "after"] = "after" if match["w"].lower() == "after" else "before"
        both = (_clean_option(match["a"]), _clean_option(match["b"]))
        if all(any(is_content(word) for word in words(option)) for option in both):
            return Compare(both, claim="" if match["either"] else side), text
    return None


def _clean_option(option: str) -> str:
    return _VERB_TAIL.sub("", option.strip(" ,?."))


def _read_beside(text: str) -> tuple[Order, str] | None:
    match = _BESIDE_START.match(text) or _BESIDE_END.match(text)
    if match is None or _NOT_IN_TIME.search(match["main"]) or match["x"].strip().startswith(('"', "“", "'")):
        return None
    if not _ASKS_WHAT.match(match["main"]):
        return None
    anchor = match["x"].strip(" ,")
    if not any(is_content(word) for word in words(anchor)) and not _SPEECH.match(anchor):
        return None
    side: Literal["before", "after"] = "before" if match["w"].lower() == "before" else "after"
    return Beside(anchor, side), match["main"].strip(" ,")


def _read_edge(text: str) -> tuple[Order, str] | None:
    if match := _EDGE_WORK.match(text):
        return Edge("last" if match["w"].lower() in ("end", "finish", "close") else "first"), ""
    if match := _EDGE_VERB.match(text):
        return Edge("last" if match["w"].lower() == "last" else "first"), match["main"]
    if match := _EDGE_SEEN.match(text) or _EDGE_DONE.match(text):
        which: Literal["first", "last"] = "last" if match["w"].lower() == "last" else "first"
        return Edge(which), f"{match['main']} {text[match.start('verb') :]}"
    if (match := _EDGE_RECENT.search(text)) and not _COMPARE_WH.match(text):
        return Edge("last"), f"{text[: match.start()]}{text[match.end() :]}"
    if match := _EDGE_THING.search(text):
        wanted: Literal["first", "last"] = "first" if match["w"].lower() == "first" else "last"
        return Edge(wanted), f"{text[: match.start()]}the {text[match.end() :]}"
    return None
