"""Who speaks to whom in a question: "what did Anna tell Tom" asks for Anna's words, in Tom's hearing.

Who is spoken to is named as often as who speaks, and what that one says answers such a question seldom
(perspective as in EMMA: who said what, about whom, in whose hearing).
"""

from __future__ import annotations

import re
from collections.abc import Collection

_TOLD = (
    r"tell|tells|told|telling|ask|asks|asked|give|gives|gave|show|shows|showed|promise|promises|promised"
    r"|advise|advises|advised|teach|teaches|taught|offer|offers|offered|send|sends|sent|remind|reminds|reminded"
    r"|warn|warns|warned|answer|answers|answered"
)
"""Verbs after which whoever is spoken to follows at once."""
_SPOKE = (
    r"say|says|said|talk|talks|talked|speak|speaks|spoke|mention|mentions|mentioned|recommend|recommends"
    r"|recommended|suggest|suggests|suggested|explain|explains|explained|describe|describes|described|share"
    r"|shares|shared|write|writes|wrote|show|shows|showed|give|gives|gave|offer|offers|offered"
)
"""Verbs after which whoever is spoken to follows behind "to", "with" or "for"."""
_WORD = re.compile(r"[^\W_]+")


def spoken_to(question: str, names: Collection[str]) -> set[str]:
    """Those of some names, in small letters, that a question names as who is spoken to by another of them.

    Args:
        question: As it was asked.
        names: Words of names, without case.
    """
    text = question.casefold()
    known = {one.casefold() for one in names}
    named = [(match.start(), match[0]) for match in _WORD.finditer(text) if match[0] in known]
    if len({name for _, name in named}) < 2:
        return set()
    found: set[str] = set()
    for place, (start, name) in enumerate(named):
        before = text[:start]
        others = [one for _, one in named[:place] if one != name]
        direct = re.search(rf"\b(?:{_TOLD})\s+$", before)
        behind = re.search(rf"\b(?:{_SPOKE})\b[^?.!]*\b(?:to|with|for)\s+$", before)
        if others and (direct or behind):
            found.add(name)
    return found
