"""Statements: what one sentence says of one slot; names of things and relations in one spelling."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

CERTAIN, MAYBE, DENIED = 1.0, 0.5, 0.0
"""`confidence` of a claim: said outright; hedged, or one of several; said not to be so."""

LOCATION, HOLDER, HOLDS, HOME, EMPLOYER, JOB, TIME, NAME, PRICE, IS = (
    "location",
    "holder",
    "holds",
    "home",
    "employer",
    "job",
    "time",
    "name",
    "price",
    "is",
)
NUMBER, PHONE = "number", "phone number"
PHONE_NUMBER = re.compile(r"^\+?(?:[\s().-]*\d){6,15}$")
"""A "number" of this form is a phone number: at least six digits, at most the fifteen of ITU-T E.164."""
MANY = "*"
"""Begins the name of a relation that has several values at once, so that none supersedes another."""
SAME_RELATIONS = {
    "telephone number": PHONE,
    "mobile number": PHONE,
    "cell number": PHONE,
    "cell phone number": PHONE,
    "mobile phone number": PHONE,
    "profession": JOB,
    "occupation": JOB,
    "workplace": EMPLOYER,
    "home town": HOME,
    "hometown": HOME,
    "residence": HOME,
    "whereabouts": LOCATION,
    "cost": PRICE,
    "color": "colour",
    "favorite color": "favourite colour",
}
_ARTICLE = re.compile(r"^(?:the|a|an|this|that|these|those|some)\s+", re.I)
_NEWNESS = re.compile(r"^(?:(?:brand\s+)?new|current|latest|present|updated)\s+", re.I)


class Statement(NamedTuple):
    """What was said of a slot (`about`, `relation`).

    `day_shift_ns` is the time of day that was told ("yesterday", "this morning"), from the start of
    the day of saying; None: what was told is so when it was said.
    """

    about: str
    relation: str
    value: str
    confidence: float = CERTAIN
    day_shift_ns: int | None = None

    @property
    def has_many(self) -> bool:
        """Whether the relation has several values at once."""
        return self.relation in (HOLDS,) or self.relation.startswith(MANY)


def normal(text: str) -> str:
    """A name of a thing in one spelling: no article, no case, plain apostrophes, single spaces."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    plain = " ".join(plain.split()).strip(" .,;:!?\"'()")
    return _ARTICLE.sub("", plain).casefold()


def relation_name(text: str) -> str:
    """The name of an attribute in one spelling; "new" and "current" are no part of it."""
    plain = _NEWNESS.sub("", normal(text).replace("favorite", "favourite"))
    return SAME_RELATIONS.get(plain, plain)
