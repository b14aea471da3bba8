"""Which sense a question asks (said, written, seen), and the kind of answer that it expects."""

from __future__ import annotations

import re

from reasoning.question.question import Expects, Sense
from reasoning.words import is_content, stem, words

_SURFACE = (
    r"(?:sign|card|label|poster|page|screen|headline|newspaper|paper|banner|slide|title|caption|board|"
    r"blackboard|whiteboard|book|cover|letter|note|subtitle|document|receipt|map|menu|shirt|t-shirt|plate|"
    r"sticker|package|box|bottle|display|website|article|wall|door|window|ticket|form|list|sheet|image|picture)s?"
)
_WRITTEN = re.compile(
    rf"\b(?:written|printed|inscribed|spell(?:ed|t)|handwritten|captioned|subtitles?|captions?|headlines?|"
    rf"text|lettering|writing)\b|\b{_SURFACE}\s+(?:says?|reads?)\b|"
    rf"\b(?:says?|stands?)\s+on\s+(?:the|a|an|that|this)\s+(?:\S+\s+)?{_SURFACE}\b|\b(?:does|do|did)\s+[^?]*\b{_SURFACE}\b"
    rf"[^?]*\b(?:say|read)\b|\b(?:be|is|are|was|were|can i|can you|can one)\s+read\b|"
    rf"\bread\s+on\s+(?:the|a|an|that|this)\b|\b(?:words?|letters?|names?|numbers?|digits?|titles?|message)\b[^?]*\b(?:on|in|above|below|under|across)\s+"
    rf"(?:the|a|an)\s+(?:\S+\s+)?(?:\S+\s+)?{_SURFACE}\b|\b(?:web|e-?mail)\s?(?:site\s)?address\b|\burl\b",
    re.I,
)
_SAID = re.compile(
    r"\b(?:say|says|said|saying|speaks?|spoke|spoken|speaking|talks?|talked|talking|mention(?:s|ed|ing)?|"
    r"tells?|told|telling|hears?|heard|hearing|announce[sd]?|explain(?:s|ed|ing)?|claim(?:s|ed)?|promise[sd]?|"
    r"recommend(?:s|ed)?|suggest(?:s|ed)?|ask(?:s|ed)?|answer(?:s|ed)|repl(?:y|ies|ied)|aloud|narrat(?:e|es|ed|or)|"
    r"speech|speaker|voice|state[sd]|describe[sd]?|recite[sd]?|quote[sd]?)\b",
    re.I,
)
_SEEN = re.compile(
    r"\b(?:show|shows|shown|showed|showing|see|sees|seen|saw|appears?|appeared|visible|looks?|looked|"
    r"pictured?|pictures|images?|photos?|photographs?|screen|camera|colou?rs?|wears?|wearing|wore|depict\w*|"
    r"view|display(?:s|ed)?|scenes?|shots?)\b",
    re.I,
)
_SEEN_EXPLICIT = re.compile(
    r"\b(?:in|on)\s+(?:the|a|any|this|that)\s+(?:picture|image|photo|photograph|frame|screen|shot)s?\b|"
    r"\bvisible\b|\bpictured\b|\bcan\s+(?:be\s+seen|(?:i|you|we|one)\s+see)\b|\bon\s+screen\b|\bin\s+view\b",
    re.I,
)


def surfaces(text: str) -> frozenset[str]:
    """Stems of the words for what carries the writing, with what describes it: "the orange card"."""
    tokens = words(text)
    found: set[str] = set()
    for place, token in enumerate(tokens):
        if re.fullmatch(_SURFACE, token):
            start = place
            while start and is_content(tokens[start - 1]):
                start -= 1
            found.update(stem(word) for word in tokens[start : place + 1])
    return frozenset(found)


def read_sense(text: str) -> tuple[Sense, bool]:
    """Which sense is asked, and whether the others are ruled out."""
    said = _SAID.search(text) is not None
    if _WRITTEN.search(text) and not re.search(r"\b(?:aloud|out loud)\b", text, re.I):
        return "written", True
    seen = _SEEN.search(text) is not None
    if said and not seen:
        return "said", True
    if seen and not said:
        return "seen", _SEEN_EXPLICIT.search(text) is not None
    return "any", False


_EXPECTS: tuple[tuple[Expects, re.Pattern[str]], ...] = (
    ("time", re.compile(r"^when\b|^(?:at\s+)?(?:what|which)\s+(?:time|moment|point)\b", re.I)),
    (
        "address",
        re.compile(r"^(?:what|which)\b.*\b(?:(?:web|e-?mail|internet)\s?address|url|web\s?site)\b", re.I),
    ),
    (
        "number",
        re.compile(
            r"^(?:for\s+|in\s+|on\s+|at\s+)?how\s+(?:many|much|long|old|often|far|tall|big|high|fast|heavy|deep|wide)\b|"
            r"^(?:in\s+)?(?:what|which)\s+(?:(?:is|was|are|were)\s+the\s+)?(?:\w+\s+)?"
            r"(?:number|year|date|age|price|cost|percentage|score|temperature|amount|distance)\b",
            re.I,
        ),
    ),
    (
        "place",
        re.compile(
            r"^where(?:abouts)?\b|^(?:in|at|on|to|from|near)\s+(?:which|what)\s+(?:room|place|spot|city|town|village|country|"
            r"street|station|stop|shop|store|building|house|floor|park|harbou?r|corner|part\s+of\s+the)\b",
            re.I,
        ),
    ),
    ("person", re.compile(r"^who(?:m|se)?\b", re.I)),
    ("reason", re.compile(r"^why\b|^what\s+for\b", re.I)),
    (
        "yes_no",
        re.compile(
            r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|if|whether)(?:n['\u2019]t)?\b|^there\s+(?:is|are)\b",
            re.I,
        ),
    ),
)


def read_expects(text: str) -> Expects:
    """The kind of answer that a question expects; a thing where nothing tells."""
    return next((expects for expects, pattern in _EXPECTS if pattern.search(text)), "thing")
