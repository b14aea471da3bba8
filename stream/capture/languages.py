"""Languages as Whisper and the store name them, from the many ways in which media name them."""

from __future__ import annotations

import re

UNKNOWN = frozenset({"", "und", "mis", "mul", "zxx", "unk", "xx"})

_TWO_OF_THREE = dict(
    pair.split(":")
    for pair in """
    afr:af alb:sq sqi:sq amh:am ara:ar arm:hy hye:hy aze:az baq:eu eus:eu bel:be ben:bn bos:bs bul:bg
    bur:my mya:my cat:ca chi:zh zho:zh hrv:hr scr:hr cze:cs ces:cs dan:da dut:nl nld:nl eng:en est:et
    fil:tl tgl:tl fin:fi fre:fr fra:fr geo:ka kat:ka ger:de deu:de glg:gl gre:el ell:el guj:gu hau:ha
    heb:he hin:hi hun:hu ice:is isl:is ind:id ita:it jpn:ja jav:jv kan:kn kaz:kk khm:km kor:ko lao:lo
    lat:la lav:lv lit:lt ltz:lb mac:mk mkd:mk mal:ml may:ms msa:ms mar:mr mlt:mt mon:mn nep:ne nor:no
    nob:no nno:nn per:fa fas:fa pol:pl por:pt pan:pa rum:ro ron:ro rus:ru san:sa slo:sk slk:sk slv:sl
    som:so spa:es srp:sr scc:sr sun:su swa:sw swe:sv tam:ta tat:tt tel:te tha:th tib:bo bod:bo tur:tr
    ukr:uk urd:ur uzb:uz vie:vi wel:cy cym:cy yid:yi yor:yo
    """.split()  # noqa: SIM905 - a list this long is read more easily as text
)
"""ISO 639-2, bibliographic and terminological, to ISO 639-1."""

LANGUAGES = frozenset(_TWO_OF_THREE.values())
"""The two-letter codes that are known to be languages."""


def language_of(code: str) -> str:
    """A language as ISO 639-1 where it has such a code, else as it was given; empty where unknown.

    Takes two and three letters, in any case, with a region or script behind (`en-US`, `pt_BR`).
    """
    first = re.split(r"[-_]", code.strip().lower(), maxsplit=1)[0]
    return "" if first in UNKNOWN else _TWO_OF_THREE.get(first, first)


def is_language(word: str) -> bool:
    """Whether a word, as from a file name, names a language."""
    return language_of(word) in LANGUAGES


def may_be_same(one: str, other: str) -> bool:
    """Whether two codes can mean one language: they are equal, or one of them is unknown."""
    first, second = language_of(one), language_of(other)
    return not first or not second or first == second


def rank_of(code: str, wanted: tuple[str, ...]) -> int:
    """Place of a language among the wanted ones, the first being 0; behind them all where it is none."""
    places = [language_of(language) for language in wanted]
    language = language_of(code)
    return places.index(language) if language in places else len(places)
