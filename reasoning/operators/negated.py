"""What is not so: `answer_negated`, for "who did not come?", "what was never found?".

That nothing tells of a thing does not say that it was not so, and what tells that it was so is no
answer: only what denies it answers, or, less surely, what says that something was missed or failed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile

from reasoning.answer import not_seen, tell
from reasoning.asking import Asking
from reasoning.evidence import Support, budgeted, weigh
from reasoning.question import Question
from reasoning.question.scope import is_negated
from reasoning.tokens import Token, told_of
from reasoning.verify import judge
from reasoning.words import all_stems, word_set, words
from stream.messages.answer import Answer

NOT_DENIED = "it is asked what is not so, and nothing that was seen or heard says so"
_ASKS = re.compile(
    r"^(?:(?:in|at|on|to|with|from|of|for)\s+)?(?:who|whom|whose|what|which|where|how\s+(?:many|often))\b(?P<main>.*)$",
    re.I | re.S,
)
_SUBORDINATE = re.compile(
    r",|\b(?:if|when|while|because|since|although|though|that|who|whose|where|so|about|after|before|until|unless)\b",
    re.I,
)
"""Where the main clause is over: "what should you do if it does not start?" asks for what is so."""
_OF_NOT = re.compile(r"\b(?:of|for|by|from|on|about|with)\s+not\s+\w+ing\b", re.I)
"""The decision of not going is a decision."""
_INVERTED = re.compile(r"n['\u2019]t\s+(?P<rest>.+)", re.I | re.S)
_ARTICLES = word_set("the a an this that these those my our your his her its their")
_NO_LONGER = re.compile(r"\bno\s+longer\b", re.I)
_MISSING = word_set(
    """
    miss missed misses missing fail failed fails refuse refused refuses skip skipped skips absent lack lacks
    lacked forgot forgotten forgets avoid avoided avoids unable decline declined declines away except
    """
)


def denied_in(question: Question) -> frozenset[str]:
    """Stems of what a question asks not to be so; none where it asks for no such thing.

    The empty stem stands for what is only "done" or "so": whatever is denied may answer that.
    """
    match = _ASKS.match(question.content.strip())
    if match is None or not question.negated:
        return frozenset()
    main = _OF_NOT.sub(" ", _SUBORDINATE.split(match["main"], maxsplit=1)[0])
    if not is_negated(main):
        return frozenset()
    behind = _behind_subject(main, question.names)
    return behind or frozenset(one.stem for one in _tokens(main) if one.is_negated) or frozenset(("",))


def _behind_subject(main: str, names: Collection[str]) -> frozenset[str]:
    """What is done, with its subject behind the negation: "what hasn't Bob *eaten*?"; maybe the empty stem.

    The last of the words of meaning there, up to the next of the others; nothing where no subject is plain.
    """
    match = _INVERTED.search(main)
    tokens = told_of(match["rest"]).tokens if match is not None else ()
    has_article = bool(tokens) and tokens[0].word in _ARTICLES
    if not tokens or not (has_article or tokens[0].stem in names):
        return frozenset()
    run = list(takewhile(lambda one: one.kind not in ("function", "mark"), tokens[has_article:]))
    return frozenset((run[-1].stem if len(run) > 1 else "",))


def answer_negated(asking: Asking, weighed: Callable[[], None]) -> Answer | None:
    """The evidence that denies what is asked not to be so; None where that is not asked."""
    question, settings = asking.question, asking.settings
    denied = denied_in(question) if settings.denials else frozenset()
    if not denied:
        return None
    supports = weigh(question, asking.recall_when(question.content), settings.evidence)
    weighed()
    about = frozenset(question.key) - denied
    surely = [one for one in supports if _denies(one, denied, about) is True]
    denying = [*surely, *(one for one in supports if _denies(one, denied, about) is False)]
    judgement = judge(question, denying, asking.probe, settings.evidence)
    asking.supported = judgement.supported
    if judgement.verdict == "not_seen":
        asking.notices[NOT_DENIED] = None
        return not_seen(asking.coverage)
    verdict = judgement.verdict if surely else "uncertain"
    limit, close = settings.sentences, settings.close_share
    chosen = budgeted(surely or denying, settings.evidence, limit=limit, close_share=close)
    return tell(question, chosen, verdict, asking.coverage, settings)


def _tokens(text: str) -> Sequence[Token]:
    return told_of(_NO_LONGER.sub("not", text)).tokens


def _denies(support: Support, denied: Collection[str], about: Collection[str]) -> bool | None:
    """Whether an item denies it: surely, or only by something else that is not so; None where it does not.

    What says that something else is not so must at least speak of what else the question names.
    """
    tokens = _tokens(support.item.text)
    if any(one.stem in denied and not one.is_negated for one in tokens):
        return None
    if any(one.stem in denied for one in tokens):
        return True
    is_missing = not _MISSING.isdisjoint(words(support.item.text)) or any(one.is_negated for one in tokens)
    return False if is_missing and not all_stems(support.item.text).isdisjoint(about) else None
