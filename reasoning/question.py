"""From a question in plain English to what is looked for.

Small regular grammars, tried in order: time words (`reasoning.when`), order ("what came
first", "what is shown after …"), the sense that is asked (said, written, seen), the kind
of answer that is expected, and what the question is about. What no grammar recognises
stays a plain question: its words are the cue. Days and months that it names limit time
(`stream.named_dates`): no evidence is asked to contain their words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from reasoning.when import When, read_when
from reasoning.wording import straight
from reasoning.words import (
    ATTRIBUTE_WORDS,
    FRAMING_NOUNS,
    FRAMING_WORDS,
    FUNCTION_WORDS,
    PERSON_WORDS,
    STATE_VERBS,
    content_stems,
    is_content,
    is_past_form,
    stem,
    word_set,
    words,
)
from stream.messages.cue import Cue
from stream.messages.evidence import EvidenceItem
from stream.named_dates import Stretch, fits, named_dates, names_any, without_dates

Sense = Literal["said", "written", "seen", "any"]
Expects = Literal["thing", "number", "address", "time", "place", "person", "reason", "yes_no"]

MAX_QUESTION_CHARS = 1000
"""What is read of a question; nobody asks in more, and the grammars are quadratic in the worst case."""

KINDS: dict[Sense, tuple[str, ...]] = {
    "said": ("utterance",),
    "written": ("seen_text",),
    "seen": ("shot", "frame", "seen_text", "caption"),
    "any": (),
}
"""Kinds of observation that can answer for a sense; empty means every kind."""


@dataclass(frozen=True)
class Compare:
    """As in "what came first, A or B?"; `claim` is set where the asker states the order of the two."""

    options: tuple[str, ...]
    wanted: Literal["first", "last"] = "first"
    claim: Literal["", "before", "after"] = ""


@dataclass(frozen=True)
class Beside:
    """As in "what is shown after X?" and "what happened before X?"."""

    anchor: str
    side: Literal["before", "after"]


@dataclass(frozen=True)
class Edge:
    """As in "what is the first thing that is said?"."""

    wanted: Literal["first", "last"]


Order = Compare | Beside | Edge


@dataclass(frozen=True)
class Question:
    """A question, taken apart.

    `content` is what is left when time words, dates and order are taken out; `dates` are the times that
    the dates stand for, and `date_words` say them, for memory, which gates by them. `sense` is what was
    asked for; where `explicit`, other kinds of observation do not count. `wanted` are stems of the
    class of thing that is asked for ("animal" in "which animal"); `key` the stems of what else the
    question says; `subjects` those among them that name things, and which evidence must therefore
    name or mean; `names` are stems of proper names, numbers and quoted words, which nothing else
    can stand for. `acts` are stems of what is done, where the question says so ("when did she *water*
    the roses"): a picture of roses alone does not tell that. `sayers` are stems of the
    names of those whose words are asked for.
    """

    asked: str
    content: str
    sense: Sense = "any"
    explicit: bool = False
    expects: Expects = "thing"
    wanted: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()
    sayers: tuple[str, ...] = ()
    when: When = field(default_factory=When)
    order: Order | None = None
    dates: tuple[Stretch, ...] = ()
    date_words: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that recall is gated to; empty where the sense is only a preference."""
        return KINDS[self.sense] if self.explicit else ()

    @property
    def open(self) -> bool:
        """Whether the question names nothing at all: "what is said in the first minute?"."""
        return not self.key and not self.wanted

    def is_dated(self, item: EvidenceItem) -> bool | None:
        """Whether an item is of the time that the question names; None where nobody knows.

        What names that time itself tells of it whenever it was recorded.
        """
        if not self.dates or names_any(item.text, self.dates):
            return True
        return None if item.t0_ns is None else fits(item.t0_ns, self.dates)

    def spelt(self, word_stem: str) -> str:
        """The word of the question that has this stem."""
        return next((word for word in words(self.content) if stem(word) == word_stem), word_stem)

    def cue(self, text: str, gates: Cue) -> Cue:
        """A cue for `text` under the question's own gates and those that the asker set.

        The dates of the question are said again behind the text. Positions that need the length of a
        source are left out; `When.bounds` has them.
        """
        start_ns, end_ns = self.when.bounds(None)
        return msgspec.structs.replace(
            gates,
            text=f"{text} {self.date_words}".strip(),
            kinds=gates.kinds or self.kinds,
            pts0_ns=_later(gates.pts0_ns, start_ns),
            pts1_ns=_sooner(gates.pts1_ns, end_ns),
        )


def read_question(asked: str) -> Question:
    """Takes a question apart. Never raises: what is not understood is a plain question."""
    tidy = without_politeness(re.sub(r"\s+", " ", asked[:MAX_QUESTION_CHARS]).strip())
    when, dated = read_when(tidy)
    dates = tuple(named_dates(dated))
    rest, date_words = without_dates(dated, dates) if dates else (dated, "")
    order, content = _read_order(rest)
    sense, explicit = _read_sense(content)
    wanted = _read_wanted(content)
    names = _read_names(content)
    # What is read on a sign does not say "sign": where it is written is no part of what.
    surfaces = _surfaces(content) if sense == "written" else frozenset()
    bare = _MEASURE.sub("how", content)
    key = tuple(s for s in content_stems(bare) if s not in wanted and s not in surfaces)
    return Question(
        asked=asked,
        content=content,
        sense=sense,
        explicit=explicit,
        expects=_read_expects(content),
        wanted=wanted,
        key=key,
        subjects=tuple(
            s
            for s in _read_subjects(content, wanted, names, places_count=sense != "written")
            if s not in surfaces
        ),
        names=names,
        acts=_read_acts(content),
        sayers=_read_sayers(content),
        when=when,
        order=order,
        dates=dates,
        date_words=date_words,
    )


# Politeness ------------------------------------------------------------------------------

_POLITE = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|so|and|well|please)\b[\s,]*|"
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|please\s+)?"
    r"(?:tell|remind|show)\s+me\s+(?=what|which|who|where|when|why|how|if|whether|about)|"
    r"(?:do|can|did)\s+you\s+(?:know|remember|recall)\s+(?=what|which|who|where|when|why|how|if|whether)|"
    r"i(?:\s+would|'d)?\s+(?:want|like|need)\s+to\s+know\s+(?=what|which|who|where|when|why|how|if|whether))+",
    re.I,
)


def without_politeness(text: str) -> str:
    """A question without "could you please tell me", "please", and its question mark."""
    text = straight(_POLITE.sub("", text).strip())
    text = re.sub(r"[\s,]*\bplease\b[\s,]*(?=[?.!]*$)", "", text, flags=re.I)
    return text.rstrip(" ?.!") or text


# Order -----------------------------------------------------------------------------------

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
    r"^(?P<main>(?:what|who|which)\b.*?\b(?:shown|seen|said|written|heard|mentioned|happens?|happened|comes?|"
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


def _read_order(text: str) -> tuple[Order | None, str]:
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
    if not any(is_content(word) for word in words(anchor)):
        return None
    side: Literal["before", "after"] = "before" if match["w"].lower() == "before" else "after"
    return Beside(anchor, side), match["main"].strip(" ,")


def _read_edge(text: str) -> tuple[Order, str] | None:
    if match := _EDGE_WORK.match(text):
        return Edge("last" if match["w"].lower() in ("end", "finish", "close") else "first"), ""
    if match := _EDGE_VERB.match(text):
        return Edge("last" if match["w"].lower() == "last" else "first"), match["main"]
    if match := _EDGE_THING.search(text):
        wanted: Literal["first", "last"] = "first" if match["w"].lower() == "first" else "last"
        return Edge(wanted), f"{text[: match.start()]}the {text[match.end() :]}"
    return None


# Sense -----------------------------------------------------------------------------------

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
    rf"\b(?:words?|letters?|names?|numbers?|digits?|titles?|message)\b[^?]*\b(?:on|in|above|below|under|across)\s+"
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


def _surfaces(text: str) -> frozenset[str]:
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


def _read_sense(text: str) -> tuple[Sense, bool]:
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


# What is expected, and what it is about -----------------------------------------------------

_EXPECTS: tuple[tuple[Expects, re.Pattern[str]], ...] = (
    ("time", re.compile(r"^when\b|^(?:at\s+)?(?:what|which)\s+(?:time|moment|point)\b", re.I)),
    (
        "address",
        re.compile(r"^(?:what|which)\b.*\b(?:(?:web|e-?mail|internet)\s?address|url|web\s?site)\b", re.I),
    ),
    (
        "number",
        re.compile(
            r"^(?:for\s+)?how\s+(?:many|much|long|old|often|far|tall|big|high|fast|heavy|deep|wide)\b|"
            r"^(?:in\s+)?(?:what|which)\s+(?:(?:is|was|are|were)\s+the\s+)?(?:\w+\s+)?"
            r"(?:number|year|date|age|price|cost|percentage|score|temperature|amount|distance)\b",
            re.I,
        ),
    ),
    ("place", re.compile(r"^where\b", re.I)),
    ("person", re.compile(r"^who(?:m|se)?\b", re.I)),
    ("reason", re.compile(r"^why\b|^what\s+for\b", re.I)),
    (
        "yes_no",
        re.compile(
            r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|if|whether)\b|^there\s+(?:is|are)\b",
            re.I,
        ),
    ),
)
_MEASURE = re.compile(
    r"\bhow\s+(?:long|old|often|far|tall|big|high|fast|heavy|deep|wide|large|small|late|early|soon)\b", re.I
)
_WH = re.compile(
    r"^(?:(?:in|on|at|for|of|from|to|with|by|about|under)\s+)?(?:what|which)\s+(?P<rest>.+)$", re.I
)
_HOW_MANY = re.compile(r"^how\s+(?:many|much)\s+(?P<rest>.+)$", re.I)
_AUXILIARY = word_set("is are was were do does did has have had can could will would should may might must")
_ARTICLES = word_set(
    "the a an this that these those some any no my your his her its our their of each every another"
)
_BEFORE_NAMES = _ARTICLES | word_set(
    """
    in on at by for with from into onto upon over under above below behind beside between near about and or
    through during around along across inside outside without like against mention mentions mentioned
    mentioning see shows show
    """
)
_PLACE_WORDS = word_set("in on at above below under over behind beside near between across inside outside")
_DO = frozenset(("do", "does", "did"))
_MODALS = word_set("can could will would should may might must")
_BE = word_set("is are was were")
_PRONOUNS = word_set("i you he she it we they one this that")
_ORDINALS = word_set("first second last next following previous")


def _read_expects(text: str) -> Expects:
    return next((expects for expects, pattern in _EXPECTS if pattern.search(text)), "thing")


def _read_wanted(text: str) -> tuple[str, ...]:
    """Stems of the class asked for: the nouns between "what" or "which" and the verb."""
    match = _WH.match(text)
    if match is None:
        return ()
    run: list[str] = []
    rest = words(match["rest"])
    while rest and rest[0] in ("kind", "kinds", "sort", "sorts", "type", "types", "of", "other"):
        rest.pop(0)
    for index, word in enumerate(rest):
        if word in FUNCTION_WORDS or word in FRAMING_WORDS:
            # "fruit lies on …": without an auxiliary the last word of the run is the verb.
            if len(run) > 1 and word not in _AUXILIARY and word not in FRAMING_WORDS and word != "of":
                run.pop()
            break
        run.append(word)
        if index == len(rest) - 1 and len(run) > 1:
            run.pop()
    return tuple(dict.fromkeys(stem(word) for word in run))


def _read_names(text: str) -> tuple[str, ...]:
    """Stems of quoted words, of capitalised words inside the question, and of numbers."""
    found: list[str] = []
    if text.isupper():
        return ()
    for quoted in re.findall(r"[\"“]([^\"”]+)[\"”]", text):
        found += [stem(word) for word in words(quoted) if word not in FUNCTION_WORDS]
    for match in re.finditer(r"(?<=\s)([A-Z][\w'\u2019-]*|\d[\w.,-]*)", text):
        found += [stem(word) for word in words(match[0]) if is_content(word)]
    return tuple(dict.fromkeys(found))


def _read_subjects(
    text: str, wanted: tuple[str, ...], names: tuple[str, ...], *, places_count: bool = True
) -> tuple[str, ...]:
    """Heads of the noun phrases that an article, a preposition or "and" introduces, and names.

    Without a tagger, a phrase is a run of content words; its last word is its head. After
    "does the …" the last word of the run is the verb, and a trailing participle is no head.

    Args:
        text: The question.
        wanted: Stems of the class asked for, which are no subjects.
        names: Stems of proper names, which are.
        places_count: Whether phrases of place count: what is written "above the entrance"
            does not say "entrance".
    """
    heads: list[str] = list(names)
    if match := _HOW_MANY.match(text):
        counted = next(iter(words(match["rest"])), "")
        heads += [stem(counted)] if is_content(counted) else []
    tokens = words(text)
    start = 0
    while start < len(tokens):
        if tokens[start] not in _BEFORE_NAMES and tokens[start] not in _DO:
            start += 1
            continue
        first = start + 1
        while first < len(tokens) and tokens[first] in _ORDINALS:
            first += 1
        end = first
        while end < len(tokens) and is_content(tokens[end]):
            end += 1
        placed = tokens[start] in _PLACE_WORDS or (start and tokens[start - 1] in _PLACE_WORDS)
        head = _head(tokens, start, first, end) if places_count or not placed else ""
        # In "the best thing about …" the head is the framing noun that follows.
        if head and (end == len(tokens) or tokens[end] not in FRAMING_NOUNS):
            heads.append(stem(head))
        start = max(end, start + 1)
    return tuple(dict.fromkeys(head for head in heads if head not in wanted))


def _read_acts(text: str) -> tuple[str, ...]:
    """Stems of the verb of the question, where its form shows which word that is.

    That is the word after "does he", the last one of "does the old ferry leave", the
    participle of "was the tower built", and the word after the "who" that does it. Verbs
    of state and of asking do not count: evidence answers them without naming them.
    """
    tokens = words(text)
    found: list[str] = []
    for place, token in enumerate(tokens):
        if token not in _DO and token not in _MODALS and token not in _BE:
            continue
        start = place + 1
        while start < len(tokens) and (tokens[start] in _ARTICLES or tokens[start] in _ORDINALS):
            start += 1
        pronoun = start < len(tokens) and tokens[start] in _PRONOUNS
        start += pronoun
        end = start
        while end < len(tokens) and is_content(tokens[end]):
            end += 1
        run = tokens[start:end]
        if token in _BE:
            verbs = [word for word in run[1:] if is_past_form(word) or word.endswith(("ing", "ed"))][-1:]
        else:
            verbs = run[:1] if pronoun else run[-1:] if len(run) > 1 else []
        found += verbs
        break
    else:
        match = re.match(r"^(?:who|what)\s+(\w+)\b", text, re.I)
        if match and (match[1].endswith(("ed", "s")) or is_past_form(match[1].lower())):
            found += words(match[1])
    return tuple(stem(word) for word in found if is_content(word) and word not in STATE_VERBS)


_NAMED = r"[A-Z][\w\u2019-]*"
_SAYS = (
    r"(?:say|says|said|saying|tell|tells|told|telling|mention|mentions|mentioned|mentioning|talk|talks|talked|talking|"
    r"speak|speaks|spoke|explain|explains|explained|claim|claims|claimed|promise|promises|promised|recommend|"
    r"recommends|recommended|suggest|suggests|suggested|ask|asks|asked|answer|answers|answered|reply|replies|replied|"
    r"announce|announces|announced|write|writes|wrote|describe|describes|described|think|thinks|thought)\b"
)
_SAYERS = re.compile(
    rf"\b(?P<who>{_NAMED}(?:\s+(?:(?:and|or)\s+)?{_NAMED})*)\s+(?:(?:also|ever|really|first|last|once|had|has|have)\s+)*"
    rf"{_SAYS}"
)
_ACCORDING = re.compile(rf"\b(?:[Aa]ccording\s+to|[Hh]eard?\s+from)\s+(?P<who>{_NAMED}(?:\s+{_NAMED})*)")
_NO_NAMES = word_set(
    "did does do has have had was were is are what when where who whom why how which can could"
)


def _read_sayers(text: str) -> tuple[str, ...]:
    """Stems of the names of those whose words are asked for: "what did *Clara* say about the garden"."""
    match = _SAYERS.search(text) or _ACCORDING.search(text)
    named = words(match["who"]) if match else []
    return tuple(dict.fromkeys(stem(word) for word in named if is_content(word) and word not in _NO_NAMES))


def _head(tokens: list[str], article: int, first: int, end: int) -> str:
    """The head of the run `tokens[first:end]`, without the verb that an inverted question puts after it."""
    run = tokens[first:end]
    asks = tokens[article] if tokens[article] in _DO else tokens[article - 1] if article else ""
    if len(run) > 1:
        ends_question = article == 1 and end == len(tokens)
        inverted = asks in _DO or asks in _MODALS
        if inverted or (asks in _AUXILIARY and (ends_question or is_past_form(run[-1]))):
            run = run[:-1]
    while len(run) > 1 and run[-1].endswith(("ing", "ed")):
        run = run[:-1]
    return run[-1] if run and run[-1] not in PERSON_WORDS and run[-1] not in ATTRIBUTE_WORDS else ""


def _later(one: int | None, other: int | None) -> int | None:
    return max(one, other) if one is not None and other is not None else one if one is not None else other


def _sooner(one: int | None, other: int | None) -> int | None:
    return min(one, other) if one is not None and other is not None else one if one is not None else other
