"""Other wordings of a question that mean the same, made by rewrites of English; for measuring.

No rewrite knows any data set. Each gives nothing where its form is not met; `five` takes the first
five that apply, the likeliest slips of people first, and puts a question in other frames where fewer do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from reasoning.words import FRAMING_WORDS, FUNCTION_WORDS

_SYNONYMS = (
    "kids children|photo picture|photograph photo|movie film|buy purchase|begin start|big large|small little|"
    "job work|trip journey|talk speak|happy glad|sick ill|car vehicle|bike bicycle|shop store|gift present|"
    "hobby pastime|reason cause|fix repair|help assist|pick choose|town city|street road|house home|"
    "phone telephone|doctor physician|mom mother|dad father|favorite preferred|think believe|"
    "motivated inspired|type kind|find discover|receive get|recently lately|often frequently|"
    "area field|events occasions|"
    "activities pursuits|research study|plan intend|decide choose|enjoy like|mention say|items things|"
    "speaker person speaking|shown visible|show display|written printed|words text"
)
SYNONYMS = {
    one: other
    for pair in _SYNONYMS.split("|")
    for one, other in (pair.split(" ", 1), tuple(reversed(pair.split(" ", 1))))
    if " " not in one
}
_PARTICIPLES = {
    "buy": "bought", "make": "made", "find": "found", "give": "given", "see": "seen", "say": "said",
    "write": "written", "read": "read", "get": "got", "take": "taken", "bring": "brought", "choose": "chosen",
    "teach": "taught", "lose": "lost", "win": "won", "build": "built", "sell": "sold", "send": "sent",
    "wear": "worn", "eat": "eaten", "drink": "drunk", "draw": "drawn", "grow": "grown", "hold": "held",
}  # fmt: skip
_DID = re.compile(
    r"^(?P<wh>what|where|when|why|how|who|which \w+)\s+(?P<do>did|does|do)\s+(?P<who>[A-Z][a-z]+)\s+"
    r"(?P<rest>[a-z].*)$",
    re.I,
)
_IS = re.compile(r"^(?P<wh>what|who|where)\s+(?P<is>is|was|are|were)\s+(?P<rest>[\w' -]+)$", re.I)
_WHAT_DID = re.compile(
    r"^What did (?P<who>[A-Z][a-z]+) (?P<verb>[a-z]+)(?P<rest>(?: (?:in|at|on|for|during|from) .*)?)$"
)
_LONG = {
    "what is": "what's", "who is": "who's", "where is": "where's", "when is": "when's", "how is": "how's",
    "what did": "what'd", "where did": "where'd", "how did": "how'd", "who did": "who'd",
    "did not": "didn't", "does not": "doesn't", "is not": "isn't", "was not": "wasn't",
}  # fmt: skip
FRAMES = (
    "Please tell me: {q}?",
    "Hey, quick question: {q}?",
    "I would like to know this: {q}?",
    "{q}, do you know?",
)


def five(question: str) -> list[str]:
    """Five other wordings of a question, the same each time."""
    bare = question.strip().rstrip("?. ")
    found: dict[str, None] = {}
    for rewrite in REWRITES:
        if (told := rewrite(bare)) and told != question:
            found[told] = None
    low = bare[:1].lower() + bare[1:]
    found |= dict.fromkeys(frame.format(q=low if "{q}?" in frame else bare) for frame in FRAMES)
    return list(found)[:5]


def slip(question: str) -> str:
    """One letter left out, doubled or swapped with its neighbour, in the middle of the longest plain word."""
    words = re.findall(r"[A-Za-z]+", question)
    plain = [w for w in words if len(w) >= 6 and w.lower() not in FUNCTION_WORDS | FRAMING_WORDS]
    lower = [w for w in plain if w.islower()] or plain
    if not lower:
        return ""
    word = max(lower, key=len)
    seed = hashlib.blake2b(question.encode(), digest_size=2).digest()
    at = 2 + seed[0] % (len(word) - 4)
    pair = word[at : at + 2]
    made = (pair[1] + pair[0], pair[0], pair[0] * 2 + pair[1])[seed[1] % 3]
    return f"{question.replace(word, word[:at] + made + word[at + 2 :], 1)}?"


def unmarked(question: str) -> str:
    """In lower case, without its question mark."""
    return question.lower()


def embedded(question: str) -> str:
    """As a clause: "Can you tell me what Anna did buy?", "Do you know who Anna's boss is?"."""
    if match := _DID.match(question):
        wh = match["wh"].lower()
        return f"Can you tell me {wh} {match['who']} {match['do']} {match['rest']}?"
    match = _IS.match(question)
    if match and len(match["rest"].split()) <= 3 and not match["rest"].split()[-1].endswith("ing"):
        return f"Do you remember {match['wh'].lower()} {match['rest']} {match['is']}?"
    return f"Can you tell me, {question[:1].lower()}{question[1:]}?"


def passive(question: str) -> str:
    """Such as "What did Anna buy?" as "What was bought by Anna?"."""
    match = _WHAT_DID.match(question)
    if match is None:
        return ""
    verb = match["verb"]
    done = _PARTICIPLES.get(verb) or (f"{verb}d" if verb.endswith("e") else f"{verb}ed")
    return f"What was {done} by {match['who']}{match['rest']}?"


def moved(question: str) -> str:
    """With the question word at its end: "Anna did buy what?"."""
    match = _DID.match(question)
    if match is None or len(match["rest"].split()) > 5:
        return ""
    return f"{match['who']} {match['do']} {match['rest']} {match['wh'].lower()}?"


def synonym(question: str) -> str:
    """With one word in the place of another that means the same."""
    for word in re.findall(r"[a-z]+", question):
        if word in SYNONYMS:
            return re.sub(rf"\b{word}\b", SYNONYMS[word], question, count=1) + "?"
    return ""


def contracted(question: str) -> str:
    """With "is" and "did" drawn into the word before them, or the other way round."""
    for long, short in _LONG.items():
        for one, other in ((long, short), (short, long)):
            pattern = re.compile(rf"\b{re.escape(one)}\b", re.I)
            if pattern.search(question):
                made = pattern.sub(other, question, count=1)
                return f"{made[:1].upper()}{made[1:]}?"
    return ""


REWRITES: tuple[Callable[[str], str], ...] = (
    slip,
    unmarked,
    embedded,
    passive,
    synonym,
    moved,
    contracted,
)
