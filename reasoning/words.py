"""Words: how a question and a piece of evidence are compared by what they say.

Everything here is plain English morphology and closed word classes; nothing is
learnt. It is deliberately small: it decides whether evidence *names* what a question
asks about, while likeness of meaning is measured by memory's dense scorer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stream.plurals import without_plural

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_VOWEL = re.compile(r"[aeiouy]")


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":", 1) for pair in text.split())


FUNCTION_WORDS = word_set(
    """
    a an the this that these those some any no each every either neither both all such same other another i
    me my mine we us our you your he him his she her hers it its they them their theirs one ones myself
    yourself himself herself itself themselves who whom whose which what when where why how am is are was
    were be been being do does did done doing have has had having will would shall should can could may
    might must ought and or but nor so yet if then than because while although though unless as of in on at
    by for with from to into onto upon over under above below behind beside besides between among through
    during before after since until till about against around along across near off out up down inside
    outside within without towards toward like per via not n't never ever always also too very just only
    even still already again more most much many few less there here now today yes please really quite
    rather s t d ll m re ve don didn doesn isn aren wasn weren can't don't didn't doesn't isn't wasn't
    aren't what's who's where's it's that's there's i'm whereabouts
    """
)
"""English closed classes: they carry grammar, so no evidence is asked to contain them."""

FRAMING_WORDS = word_set(
    """
    say said says saying speak speaks spoke spoken speaking talk talks talked talking tell tells told
    telling mention mentions mentioned mentioning hear hears heard hearing listen sound sounds voice voices
    speech speaker narrator someone somebody anyone anybody everyone nobody people person show shows showed
    shown showing see sees saw seen seeing look looks looked looking watch watched appear appears appeared
    appearing visible view picture pictures pictured image images photo photos photograph photographs film
    films video videos clip clips movie scene scenes shot shots frame frames screen camera footage recording
    display displayed displays depict depicted depicts write writes wrote written writing read reads reading
    text texts word words letter letters line lines caption captions print printed inscription sentence
    sentences phrase happen happens happened happening come comes came coming go goes went going get gets
    got take takes took taken give gives gave given make makes made put puts let use used uses using call
    called calls name named names thing things something anything everything nothing kind kinds sort sorts
    type types part parts way moment time times first second last next following previous earlier later
    beginning start end middle
    """
)
"""Words about perceiving, telling and ordering, and verbs too light to tell one moment
from another: they frame a question and are not what it is about."""

PERSON_WORDS = word_set(
    """
    man men woman women boy boys girl girls child children kid kids baby guy guys lady ladies gentleman host
    presenter reporter teacher actor actress player players crowd audience character characters
    """
)
"""People by what they are: speech does not name them and the label model of this release has no
person among its classes, so evidence cannot be asked to."""

ATTRIBUTE_WORDS = word_set(
    """
    name number address url website title headline colour color price cost score date year day month age size
    length height weight speed temperature code brand amount distance duration label logo phone email
    reason result answer meaning purpose
    """
)
"""Nouns for the form of an answer: a page shows "0800 555" and does not call it a number, so
evidence need not name them."""

STATE_VERBS = word_set(
    """
    cost costs mean means meant weigh weighs last lasts need needs needed want wants wanted contain contains
    belong belongs hold holds include includes included measure measures cover covers consist exist exists
    located situated stand stands stood lie lies lay live lives lived know knows knew known like likes love
    loves think thinks thought believe believes feel feels felt hope hopes wear wears wore worn own owns
    """
)
"""Verbs of being, having and thinking: evidence tells such a state without naming it, as in
"it is 5 euros"."""

FRAMING_NOUNS = word_set("thing things part parts moment time times way kind kinds sort sorts one")
"""Framing words that stand where a noun would: "the best *thing* about spring"."""

_SMALL_NUMBERS = (
    "zero one two three four five six seven eight nine ten "
    "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"

NUMBER_WORDS: dict[str, str] = {
    **{word: str(value) for value, word in enumerate(_SMALL_NUMBERS.split(" "))},
    **{word: str(10 * value) for value, word in enumerate(_TENS.split(" "), start=2)},
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
}

_IRREGULAR = _pairs(
    """
    men:man women:woman children:child people:person mice:mouse geese:goose feet:foot teeth:tooth
    knives:knife leaves:leaf lives:life wolves:wolf ran:run bought:buy brought:bring thought:think
    taught:teach caught:catch sold:sell held:hold kept:keep left:leave felt:feel met:meet sat:sit
    stood:stand won:win lost:lose paid:pay built:build sent:send spent:spend began:begin begun:begin
    broke:break broken:break chose:choose chosen:choose drove:drive driven:drive ate:eat eaten:eat fell:fall
    fallen:fall flew:fly flown:fly forgot:forget forgotten:forget grew:grow grown:grow knew:know known:know
    rode:ride ridden:ride sang:sing sung:sing swam:swim threw:throw thrown:throw wore:wear worn:wear
    found:find lay:lie lain:lie drank:drink drunk:drink drew:draw drawn:draw hid:hide hidden:hide
    slept:sleep woke:wake rose:rise colour:color colours:color grey:gray centre:center metre:meter
    """
)
_IRREGULAR_NOUNS = word_set(
    """
    men women children people mice geese feet teeth knives leaves lives wolves left rose lay colour colours
    grey centre metre
    """
)


def words(text: str) -> list[str]:
    """The words of `text` in lower case, possessive endings taken off."""
    found = (word.lower().replace("\u2019", "'") for word in _WORD.findall(text))
    return [word[:-2] if word.endswith("'s") else word for word in found]


def stem(word: str) -> str:
    """One form for the inflections of an English word.

    Plurals, -ing, -ed and -ly are taken off as in steps 1a to 1c of Porter, "An algorithm for
    suffix stripping" (1980), with a table for irregular forms; the final e goes, so that
    "bake" meets "baking". Numbers in words become digits. The result need not be a word.
    """
    word = NUMBER_WORDS.get(word, word)
    word = _IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isalpha():
        return word
    word = without_plural(word)
    for ending in ("ing", "ed"):
        root = word[: -len(ending)]
        if word.endswith(ending) and len(root) >= 3 and _VOWEL.search(root):
            word = root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root
            break
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    if word.endswith("y") and len(word) > 3 and word[-2] not in "aeiou":
        return word[:-1] + "i"
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def is_past_form(word: str) -> bool:
    """Whether a word (lower case) may be an irregular past form: "built", "found"."""
    return word in _IRREGULAR and word not in _IRREGULAR_NOUNS


def is_content(word: str) -> bool:
    """Whether a word (lower case) says what a sentence is about."""
    return word not in FUNCTION_WORDS and word not in FRAMING_WORDS


def content_stems(text: str) -> tuple[str, ...]:
    """Stems of the content words of `text`, in order, each once."""
    return tuple(dict.fromkeys(stem(word) for word in words(text) if is_content(word)))


def all_stems(text: str) -> frozenset[str]:
    """Stems of every word of `text` that is not a closed-class word."""
    return frozenset(stem(word) for word in words(text) if word not in FUNCTION_WORDS)


def has_number(text: str) -> bool:
    """Whether `text` tells a number, in digits or in words."""
    return any(word in NUMBER_WORDS or any(c.isdigit() for c in word) for word in words(text))


def likeness(left: Iterable[str], right: Iterable[str]) -> float:
    """Jaccard likeness of two bags of stems, 0 to 1; 1 for two empty ones."""
    one, other = set(left), set(right)
    union = one | other
    return len(one & other) / len(union) if union else 1.0


def number_word(number: int) -> str:
    """A small number as people say it; a larger one in digits."""
    named = ("none", *_SMALL_NUMBERS.split()[1:13])
    return named[number] if 0 <= number < len(named) else str(number)
