"""One wording for what people ask in many: frames, contractions and inversions taken out of a question.

"Can you tell me, what Anna did buy?", "Anna did buy what?" and "What'd Anna buy, do you know?" ask what
"What did Anna buy?" asks. What is looked for, and what is required of evidence, must not depend on which of
these was chosen.
"""

from __future__ import annotations

import re

_WH = r"(?:what|which|who|whom|whose|where|when|why|how)"
_ASKS = rf"(?=(?:(?:for|in|on|at|by|from|to|with|of|about|until|since|under)\s+)?(?:{_WH}|if|whether)\b)"
_ASKS_ANY = r"(?=\w)"
_FRAMES = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|so|and|well|please)\b[\s,]*|"
    r"(?:(?:can|could|would|will)\s+you\s+)?(?:please\s+)?(?:tell|remind|show)\s+me\s*"
    rf"(?:[,:]\s*{_ASKS_ANY}|{_ASKS}|(?=about\b))|"
    rf"(?:do|can|did|could)\s+you\s+(?:know|remember|recall|say)\s*(?:[,:]\s*{_ASKS_ANY}|{_ASKS})|"
    rf"i(?:\s+would|'d|\u2019d)?\s+(?:want|like|need|love)\s+to\s+know(?:\s+this)?\s*(?:[,:]\s*{_ASKS_ANY}|{_ASKS})|"
    rf"i(?:\s+am|'m|\u2019m)?\s+(?:wonder|wondering|curious)\s*[,:]?\s*{_ASKS}|"
    r"(?:(?:quick|short|one|another|a|my)\s+)+question\s*[,:]\s*)+",
    re.I,
)
_TAIL = re.compile(
    r"\s*,\s*(?:(?:do|can|would|could)\s+you\s+(?:(?:happen\s+to\s+)?(?:know|remember|recall)|(?:please\s+)?tell\s+me)|"
    r"tell\s+me|please)(?:\s+please)?$",
    re.I,
)
_PLEASE = re.compile(r"[\s,]*\bplease\b[\s,]*$", re.I)
_IS = re.compile(rf"\b({_WH})(?:'s|\u2019s)\b(?!\s+(?:been|got|had|done|gone)\b)", re.I)
_HAS = re.compile(rf"\b({_WH})(?:'s|\u2019s)\b", re.I)
_DID = re.compile(rf"\b({_WH})(?:'d|\u2019d)\b", re.I)
_NAME = r"[A-Z][\w\u2019'-]*(?:\s+(?:and\s+)?[A-Z][\w\u2019'-]*)*"
_DO = r"(?:did|does|do|will|can|has|had)"
_WH_LAST = re.compile(
    rf"^(?P<who>{_NAME})\s+(?P<do>{_DO})\s+(?P<rest>[a-z].*?)\s+(?P<wh>(?i:{_WH})(?:\s+[a-z]+)?)$"
)
_NOT_INVERTED = re.compile(
    rf"^(?P<wh>(?i:what|where|when|why|how)(?:\s+(?:many|much|long|often)(?:\s+[a-z]+)?)?)\s+(?P<who>{_NAME})"
    rf"\s+(?P<do>{_DO})\s+(?P<rest>[a-z].*)$"
)


def straight(text: str) -> str:
    """A question without its frame, in the order of words of a question, its contractions written out.

    Args:
        text: The question, its spaces tidy, with or without its question mark.
    """
    text = _PLEASE.sub("", _TAIL.sub("", text.rstrip(" ?.!")))
    text = _FRAMES.sub("", text).strip()
    text = _DID.sub(r"\1 did", _HAS.sub(r"\1 has", _IS.sub(r"\1 is", text)))
    if match := _WH_LAST.match(text) or _NOT_INVERTED.match(text):
        wh = match["wh"]
        text = f"{wh[:1].upper()}{wh[1:]} {match['do']} {match['who']} {match['rest']}"
    return text
