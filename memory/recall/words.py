"""Words: which of a question's count, what their stems are, and how rare they are.

Stems come from SQLite's own `porter unicode61` tokenizer, the one that made the text
index, so that a word in a question and in the store are cut alike.
"""

from __future__ import annotations

import math
import re
import sqlite3
import threading
from collections.abc import Iterable, Sequence

from memory.keys.lexicon import Lexicon

REMEMBERED_WORDS = 65_536
"""Some 6 MB; then remembering begins anew."""
MOST_WORDS = 32
"""Words of a question that are searched for; the rest of a longer one is left out."""

_FUNCTION_WORDS = (
    "a about above after again all also am an and any are as at back be because been before being below"
    " between both but by can cannot could did do does doing done down during each either else ever every"
    " few first for from further had has have having he her here hers herself him himself his how i if in"
    " into is it its itself just last let like many may me might more most much must my myself neither next"
    " no nor not now of off on once one only or other our ours ourselves out over own per please quite"
    " rather really same shall she should since so some such than that the their theirs them themselves"
    " then there these they thing this those though through to too under until up upon us very was we were"
    " what when where whether which while who whom whose why will with within without would yes yet you"
    " your yours yourself don didn doesn isn wasn aren couldn wouldn won ll ve re"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words that carry no topic; matching them costs recall, and time in a large store."""

_QUESTION_WORDS = (
    "anyone anybody anything somebody someone something everyone nobody nothing"
    " say says said saying tell tells told telling speak speaks spoke spoken speaking mention mentions"
    " mentioned mentioning talk talks talked talking discuss discussed discusses hear hears heard hearing"
    " see sees saw seen seeing show shows showed shown showing look looks looked looking appear appears"
    " appeared watch watched visible read reads written write wrote text word words kind sort called"
    " happen happens happened happening video film movie clip scene recording picture photo image frame"
    " screen moment time find describe"
)
QUESTION_WORDS = frozenset(_QUESTION_WORDS.split())
"""Words by which a question asks, rather than what it asks about; used only where nothing else is left."""

_SURFACES = (
    r"(?:sign|card|label|slide|title|caption|banner|poster|screen|page|board|button|headline|credit"
    r"|subtitle|logo|menu|ticket|receipt|note|letter|book|cover|shirt|window|dialog|badge|background)s?"
)
"""What carries words."""

_SENSES = (
    (
        ("seen_text",),
        r"written|writing|texts?|letters|headline|caption|printed|typed|spelt|spelled|website|url"
        r"|e-?mail address|(?:on|in) the (?:sign|label|screen|slide|title)",
    ),
    (
        ("utterance",),
        r"sa(?:y|ys|id)|tells?|told|mention(?:s|ed)?|talk(?:s|ed|ing)?|speaks?|spoken?|speaker|explain(?:s|ed)?"
        r"|asks?|asked|hears?|heard|discuss(?:es|ed)?",
    ),
    (
        ("shot", "frame", "caption"),
        r"colou?r(?:s|ed)?|looks? like|wears?|wearing|worn|sees?|seen|shown?|shows|visible|pictured?",
    ),
)
_GROUND_OF = re.compile(
    r"\b(?P<colour>black|gr[ae]y|white|red|orange|brown|yellow|green|blue|purple|pink) (?:\w+ )?"
    rf"{_SURFACES}\b",
    re.I,
)
_SENSE_OF = tuple((kinds, re.compile(rf"\b(?:{words})\b", re.I)) for kinds, words in _SENSES)
"""How questions name a sense, by the kinds of observation that it gives; the first that fits counts."""
_MEDIUM = (
    r"(?: of (?:the |this |that )?(?:video|film|movie|clip|recording|footage|talk|meeting|call|interview))"
)
_EDGE_OF = tuple(
    (
        edge,
        # "the end of the corridor" is a place in the picture, "the end of the month" a date.
        re.compile(
            rf"\b(?:at|in|towards?|near|from|by) the (?:very )?(?:{words})\b(?!\s+of\b)"
            rf"|\b(?:{words})\b{_MEDIUM}\b|\bhow does (?:the|this) \w+ (?:{verbs})\b",
            re.I,
        ),
    )
    for edge, words, verbs in (("end", "end|ending", "end"), ("beginning", "beginning|start", "begin|start"))
)

_WORD = re.compile(r"[^\W_]+")


def content_words(text: str) -> list[str]:
    """The words of a question that say what it is about, in order, none twice.

    Function words never count; words of asking only where there is nothing else.
    """
    words = [word for word in dict.fromkeys(_WORD.findall(text.casefold())) if _counts(word)]
    topical = [word for word in words if word not in QUESTION_WORDS]
    return (topical or words)[:MOST_WORDS]


def match_query(words: Sequence[str]) -> str:
    """An FTS5 query for rows with any of the words; quoted, so that none is taken for an operator."""
    return " OR ".join('"' + word.replace('"', '""') + '"' for word in words)


def sense_of(text: str) -> tuple[str, ...]:
    """The kinds of observation that a question asks for by its words: a wish; empty where it names none."""
    return next((kinds for kinds, pattern in _SENSE_OF if pattern.search(text)), ())


def ground_of(text: str) -> str:
    """The colour of the card or sign whose words a question asks for; empty where it names none."""
    found = _GROUND_OF.search(text)
    return found["colour"].lower().replace("gray", "grey") if found else ""


def edge_of(text: str) -> str:
    """`end` or `beginning`, where a question says that its answer lies there; else empty."""
    return next((edge for edge, pattern in _EDGE_OF if pattern.search(text)), "")


def _counts(word: str) -> bool:
    return word not in FUNCTION_WORDS and (len(word) > 1 or word.isdigit() or not word.isascii())


class Stemmer:
    """Stems of texts, as the text index has them; safe to use from every thread.

    Words that were met are remembered, up to `REMEMBERED_WORDS`; `forget` drops them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("CREATE VIRTUAL TABLE t USING fts5 (x, content='', tokenize='porter unicode61')")
        self._db.execute("CREATE VIRTUAL TABLE v USING fts5vocab (t, instance)")
        self._known: dict[str, tuple[str, ...]] = {}

    def stems(self, texts: Sequence[str]) -> list[set[str]]:
        """The set of stems of each text."""
        split = [set(_WORD.findall(text.casefold())) for text in texts]
        with self._lock:
            if len(self._known) > REMEMBERED_WORDS:
                self._known.clear()
            unknown = set().union(*split) - self._known.keys()
            if unknown:
                self._learn(sorted(unknown))
            return [set().union(*map(self._known.__getitem__, words)) for words in split]

    def forget(self) -> None:
        """Drops the words that were met."""
        with self._lock:
            self._known.clear()

    def _learn(self, words: Sequence[str]) -> None:
        found: list[list[str]] = [[] for _ in words]
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(words, start=1))
        for term, row in self._db.execute("SELECT term, doc FROM v"):
            found[row - 1].append(term)
        self._db.execute("ROLLBACK")
        self._known.update((word, tuple(stems)) for word, stems in zip(words, found, strict=True))


def rarity(db: sqlite3.Connection, stems: Iterable[str], lexicon: Lexicon | None = None) -> dict[str, float]:
    """The weight of each stem: its inverse document frequency as in BM25, always positive.

    ln(1 + (N - n + ½) / (n + ½)) with N texts in the store, n of them with the stem; both are asked
    of the lexicon of a large store, where FTS5 would walk all n.
    """
    stems = list(stems)
    counted = None if lexicon is None else lexicon.counts(db, stems)
    if counted is not None:
        texts, withs = counted
        return {
            stem: math.log(1 + (max(texts, n) - n + 0.5) / (n + 0.5))
            for stem, n in zip(stems, withs, strict=True)
        }
    # FTS5's own table of document sizes: one small row per text, so it counts fast.
    total = int(db.execute("SELECT COUNT(*) FROM observation_fts_docsize").fetchone()[0])
    weights: dict[str, float] = {}
    for stem in stems:
        row = db.execute("SELECT doc FROM observation_vocab WHERE term = ?", (stem,)).fetchone()
        n = int(row[0]) if row else 0
        weights[stem] = math.log(1 + (max(total, n) - n + 0.5) / (n + 0.5))
    return weights
