"""What a question is about: the class that it wants, names, subjects, acts, and whose words are asked for."""

from __future__ import annotations

import re

from reasoning.words import (
    ATTRIBUTE_WORDS,
    FRAMING_NOUNS,
    FRAMING_WORDS,
    FUNCTION_WORDS,
    PERSON_WORDS,
    STATE_VERBS,
    is_content,
    is_past_form,
    stem,
    word_set,
    words,
)

MEASURE = re.compile(
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


_STARTS_WITH_NAME = re.compile(
    r"[A-Z][\w-]+(?:['\u2019]s\b|\s+(?:and\s+[A-Z]|brought|said|told|bought|went|came|gave|took|made|had|was|did|is|has|\w+ed)\b)"
)
"""A statement with "what" inside: "Clara brought what?"."""


def read_wanted(text: str) -> tuple[str, ...]:
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


_ALSO_NAMES = frozenset(("may", "will"))
"""Names of people that in small letters are other words."""


def read_names(text: str) -> tuple[str, ...]:
    """Stems of quoted words, of capitalised words inside the question, and of numbers."""
    found: list[str] = []
    if text.isupper():
        return ()
    for quoted in re.findall(r"[\"“]([^\"”]+)[\"”]", text):
        found += [stem(word) for word in words(quoted) if word not in FUNCTION_WORDS]
    if _STARTS_WITH_NAME.match(text) and is_content(words(text)[0]):
        found += [stem(words(text)[0])]
    for match in re.finditer(r"(?<=\s)([A-Z][\w'\u2019-]*|\d[\w.,-]*)", text):
        found += [stem(word) for word in words(match[0]) if is_content(word) or word in _ALSO_NAMES]
    return tuple(dict.fromkeys(found))


def read_subjects(
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


def read_acts(text: str) -> tuple[str, ...]:
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
_ADVERBS = r"(?:(?:also|ever|never|not|just|really|first|last|once|had|has|have)\s+)*"
_SAYERS = re.compile(rf"\b(?P<who>{_NAMED}(?:\s+(?:(?:and|or)\s+)?{_NAMED})*)\s+{_ADVERBS}{_SAYS}")
_ACCORDING = re.compile(
    rf"\b(?:[Aa]ccording\s+to|[Hh]eard?\s+from|(?:said|mentioned|told|explained|claimed|suggested|recommended|announced)"
    rf"\s+by)\s+(?P<who>{_NAMED}(?:\s+{_NAMED})*)"
)
_ROLE = re.compile(
    r"\b(?:do|does|did|has|have|had|will|would)(?:n['\u2019]t)?\s+(?:(?:(?:the|my|our|your|his|her|their|this|that|a|an)\s+)"
    rf"(?P<role>[\w'\u2019-]+(?:\s+[\w'\u2019-]+){{0,2}}?)|(?P<self>I|i|you))\s+{_ADVERBS}{_SAYS}"
)
"""Who says it where no name tells: "the guide", "my sister", the asker."""
_NO_NAMES = word_set(
    "did does do has have had was were is are what when where who whom why how which can could"
)


def read_sayers(text: str, sense: str = "any") -> tuple[str, ...]:
    """Stems of those whose words are asked for: "what did *Clara* say", "what does the *guide* recommend".

    Args:
        text: The question.
        sense: What a sign "says" is written: nobody says it.
    """
    match = _SAYERS.search(text) or _ACCORDING.search(text)
    named = (
        [
            word
            for word in words(match["who"])
            if word not in _NO_NAMES and (is_content(word) or word in _ALSO_NAMES)
        ]
        if match
        else []
    )
    if named:
        return tuple(dict.fromkeys(stem(word) for word in named))
    role = _ROLE.search(text)
    if role is None or sense == "written":
        return ()
    if role["self"]:
        return (role["self"].lower(),)
    run = [word for word in words(role["role"]) if word not in FUNCTION_WORDS]
    return tuple(stem(word) for word in run[-1:])


_HEARERS = re.compile(
    rf"\b(?:tell|tells|told|telling|ask|asks|asked|give|gives|gave|show|shows|showed|promise|promises|promised|remind|"
    rf"reminds|reminded|warn|warns|warned|answer|answers|answered)\s+(?P<direct>{_NAMED}(?:\s+{_NAMED})*)\b(?!'s)"
    rf"|\b(?:said?|says?|talk(?:s|ed)?|speaks?|spoke|mention(?:s|ed)?|recommend(?:s|ed)?|suggest(?:s|ed)?|"
    rf"explain(?:s|ed)?|describe[sd]?|wrote|writes?|share[sd]?)\b[^?.!]*?\s(?:to|with)\s+(?P<behind>{_NAMED}(?:\s+{_NAMED})*)\b(?!'s)"
)


def read_hearers(text: str, sayers: tuple[str, ...]) -> tuple[str, ...]:
    """Who is spoken to by those whose words are asked for: "what did Anna tell *Tom* about the car"."""
    if not sayers:
        return ()
    found: list[str] = []
    for match in _HEARERS.finditer(text):
        name = match["direct"] or match["behind"]
        # To Tom's brother nothing is said that Tom need hear.
        if not name.endswith("\u2019s") and not {stem(word) for word in words(name)} & set(sayers):
            found.append(name)
    return tuple(dict.fromkeys(found))


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
