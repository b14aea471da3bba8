"""What sentences of English state about slots: copula, possession, motion, giving and taking.

Rules are of forms (who, verb of a class, preposition, what) and know no subject matter: names, places
and things are whatever stands there. Tense and negation decide what is so now; hedges make a claim
uncertain; questions, conditions, plans and wishes state nothing. Who "I" and "you" are is told from
outside; other pronouns are not resolved, and what is said of them is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from memory.claims.clauses import (
    ANY_MORE,
    BE,
    END,
    NOT,
    PLACE,
    SUBJECT,
    TIME_LEAD,
    TIMES,
    TO,
    Said,
    Voices,
    clauses_of,
    is_judgement,
    is_named,
    is_place,
    resolve,
    said_in,
    sentences_of,
    slot_of,
    subject_of,
    value_of,
)
from memory.claims.statement import (
    DENIED,
    EMPLOYER,
    HOLDER,
    HOLDS,
    HOME,
    IS,
    JOB,
    LOCATION,
    MANY,
    MAYBE,
    NAME,
    NUMBER,
    PHONE,
    PHONE_NUMBER,
    PRICE,
    TIME,
    Statement,
    normal,
    relation_name,
)
from memory.claims.verbs import GIVE, HOLD, LEMMAS, LET_GO, MOTION, PUT, TAKE, lemma, word_set


def statements_of(text: str, voices: Voices) -> list[Statement]:
    """What a text states about slots, in its order; each once."""
    found: dict[Statement, None] = {}
    for sentence in sentences_of(text):
        for one in _of_sentence(sentence, voices):
            found[one] = None
    return list(found)


def _of_sentence(sentence: str, voices: Voices) -> Iterator[Statement]:
    subject = ""
    for clause in clauses_of(sentence):
        said = said_in(clause, voices)
        if said is None:
            continue
        made = list(_of_clause(said))
        if not made and subject:
            made = list(_of_clause(replace(said, text=f"{subject} {said.text}")))
        yield from made
        subject = subject_of(said.text) or subject


# Clauses.


def _of_clause(said: Said) -> Iterator[Statement]:
    for rule in (_changed, _given, _put, _moved, _attribute, _lived, _held, _copula, _habit):
        made = list(rule(said))
        if made:
            yield from made
            return


def _state(said: Said, about: str, relation: str, value: str, *, denied: bool = False) -> Iterator[Statement]:
    value = value_of(value)
    if about and relation and value and not is_judgement(value):
        confidence = DENIED if denied else said.confidence
        if relation == NUMBER and PHONE_NUMBER.match(value):
            relation = PHONE
        yield Statement(about, relation, value, confidence, said.shift_ns)


@lru_cache(maxsize=64)
def _verbs(*names: str) -> str:
    """A pattern of all forms of the verbs of some classes that tell what happened or is so."""
    classes = {"motion": MOTION, "take": TAKE, "hold": HOLD, "let": LET_GO, "give": GIVE, "put": PUT}
    wanted = {verb for name in names for verb in classes[name]}
    forms = sorted((form for form, verb in LEMMAS.items() if verb in wanted), key=len, reverse=True)
    return f"(?:{'|'.join(forms)})"


_AUX = r"(?:(?:has|have|had|did|is|are|was|were|am)\s+)?(?:been\s+)?"
_CHANGED = re.compile(
    rf"^{SUBJECT}\s+(?:has\s+|have\s+)?(?:(?:was|were|been|got|gets|is)\s+)*"
    r"(?:changed|updated|switched|moved|rescheduled|pushed(?:\s+back)?|postponed|delayed|shifted|"
    r"renamed|set|raised|lowered|"
    r"increased|reduced|went|rose|fell|dropped|cut|bumped|extended|corrected|brought\s+forward|"
    r"put\s+off|became|becomes)"
    r"(?:\s+from\s+(?P<old>.+?)(?=\s+(?:to|until|till)\s))?(?:\s+(?:to|until|till|for))?\s+(?P<new>.+)$",
    re.I,
)
_CHANGES = re.compile(
    rf"^{SUBJECT}\s+(?:has\s+|have\s+)?(?:changed|updated|switched|moved|rescheduled|"
    rf"pushed(?:\s+back)?|postponed|delayed|"
    r"shifted|renamed|set|raised|lowered|increased|reduced|cut|bumped|extended|corrected|"
    r"brought\s+forward|put\s+off)\s+"
    r"(?P<what>(?:my|our|his|her|their|your|the|[A-Z][\w-]*'s)\s+[\w' -]+?)"
    r"(?:\s+from\s+.+?)?\s+(?:to|until|till)\s+(?P<new>.+)$",
    re.I,
)
_RENAMED = re.compile(rf"^{SUBJECT}\s+(?:has\s+|have\s+|was\s+)?renamed\s", re.I)
_GOT_NEW = re.compile(
    rf"^{SUBJECT}\s+(?:has|have|got|has\s+got|have\s+got)\s+(?:a|an|the)\s+(?P<what>new\s+[\w' -]+?)"
    rf"\s*[:\u2013-]\s*(?P<new>.+)$",
    re.I,
)


def _changed(said: Said) -> Iterator[Statement]:
    """Of "X's R changed to V", "X changed her R to V", "the meeting was moved to 5"."""
    gained = _GOT_NEW.match(said.text)
    if gained:
        about = resolve(gained["who"], said.voices)
        yield from _state(said, about, relation_name(gained["what"]), gained["new"])
        return
    match = _CHANGES.match(said.text)
    if match:
        what = re.sub(r"^(?:his|her|their)\s+", f"{match['who']}'s ", match["what"], flags=re.I)
        if _RENAMED.match(said.text):
            yield from _state(said, resolve(what, said.voices), NAME, match["new"])
        else:
            yield from _new_value(said, what, match["new"])
        return
    match = _CHANGED.match(said.text)
    if match is None:
        return
    if _RENAMED.match(said.text):
        yield from _state(said, resolve(match["who"], said.voices), NAME, match["new"])
    elif (
        match["old"]
        or TIMES.match(value_of(match["new"]))
        or not re.search(r"\s(?:went|moved|fell|dropped|pushed|set|cut)\s", said.text)
    ) and resolve(match["who"], said.voices) not in (normal(said.voices.speaker), ""):
        yield from _new_value(said, match["who"], match["new"])


def _new_value(said: Said, phrase: str, value: str) -> Iterator[Statement]:
    value = value_of(value)
    slot = slot_of(phrase, said.voices)
    if slot and _is_number(value):
        yield from _state(said, *slot, value)  # "5" may be an hour or not.
    if TIMES.match(value):
        yield from _state(said, resolve(phrase, said.voices), TIME, TIME_LEAD.sub("", value))
    elif slot:
        yield from _state(said, *slot, value)
    elif re.match(r"^the\s", phrase.strip(), re.I):
        yield from _state(said, resolve(phrase, said.voices), IS, value)


_GIVEN_TO = re.compile(
    rf"^{SUBJECT}\s+{_AUX}{_verbs('give')}\s+(?P<what>.+?)\s+(?:over\s+|on\s+|back\s+)?to\s+(?P<to>.+)$",
    re.I,
)
_GIVEN = re.compile(
    rf"^{SUBJECT}\s+{_AUX}{_verbs('give')}\s+(?P<to>[A-Z][\w-]*|me|us|you)\s+(?P<what>(?:the|a|an|"
    rf"my|your|her|his|their|our|some|[A-Z][\w-]*'s)\s+.+)$"
)


_DEFINITE = re.compile(r"^(?:the|my|our|your|his|her|their|this|that|[A-Z][\w-]*'s)\s", re.I)


def _given(said: Said) -> Iterator[Statement]:
    """Giver, thing and receiver; a place as receiver ("sent the box to the office") moves the thing."""
    match = _GIVEN_TO.match(said.text) or _GIVEN.match(said.text)
    if match is None or not said.text:
        return
    who, what, to = (resolve(value_of(match[name]), said.voices) for name in ("who", "what", "to"))
    if not is_named(match["who"]) or not _DEFINITE.match(match["what"]):
        return
    if not (who and what and to) or re.match(r"^(?:up|in|back|over|out|on|off)\b", match["what"], re.I):
        return
    named = value_of(match["to"])
    if re.match(r"^(?:the|a|an)\s", named, re.I) and not re.search(
        r"(?:er|or|man|woman|boy|girl|guy|child)$", named
    ):
        yield from _state(said, what, LOCATION, named)
        yield from _let_go(said, who, what, match)
        return
    yield from _let_go(said, who, what, match)
    yield from _gained(said, to, what, named, value_of(match["what"]))


def _let_go(said: Said, who: str, what: str, match: re.Match[str]) -> Iterator[Statement]:
    yield from _state(said, what, HOLDER, _who_shown(match["who"], said), denied=True)
    yield from _state(said, who, HOLDS, _shown(match["what"], what), denied=True)


def _gained(said: Said, who: str, what: str, who_shown: str, what_shown: str) -> Iterator[Statement]:
    yield from _state(said, what, HOLDER, _who_shown(who_shown, said))
    yield from _state(said, who, HOLDS, _shown(what_shown, what))


def _who_shown(phrase: str, said: Said) -> str:
    """A holder as people name them: who "I" is, by name."""
    plain = normal(phrase)
    return (
        said.voices.speaker
        if plain in ("i", "we", "me", "us")
        else said.voices.partner
        if plain == "you"
        else phrase.strip()
    )


def _shown(phrase: str, resolved: str) -> str:
    plain = normal(_there(phrase))
    return resolved if plain.split()[:1] and plain.split()[0] in ("my", "our", "your") else plain


def _there(phrase: str) -> str:
    return re.sub(r"\s+(?:there|here|up|down|away|along|with\s+\w+)$", "", phrase.strip(), flags=re.I)


_PUT = re.compile(
    rf"^{SUBJECT}\s+{_AUX}{_verbs('put')}\s+(?P<what>.+?)\s+(?:down\s+|back\s+|"
    rf"away\s+)?(?P<at>{PLACE}|into|onto)\s+(?P<where>.+)$",
    re.I,
)


def _put(said: Said) -> Iterator[Statement]:
    match = _PUT.match(said.text)
    if match is None or not resolve(match["who"], said.voices) or re.search(rf"\s{BE}\s", match["what"]):
        return
    what = resolve(match["what"], said.voices)
    if not what or what in ("up", "down", "off", "back") or TIMES.match(value_of(match["where"])):
        return
    if not is_place(match["where"]) or not is_named(match["who"]):
        return
    yield from _state(said, what, LOCATION, match["where"])
    if lemma(said.text[len(match["who"]) :].split()[0]) != "keep":
        yield from _let_go(said, resolve(match["who"], said.voices), what, match)


_MOVED = re.compile(
    rf"^{SUBJECT}\s+{_AUX}(?P<verb>{_verbs('motion')})\s+(?P<way>{TO})\s+(?P<where>.+)$", re.I
)
_ENTERED = re.compile(
    rf"^{SUBJECT}\s+{_AUX}(?:entered|reached|enters)\s+(?P<where>(?:the|a|an|my|our|[A-Z]).*)$"
)


def _moved(said: Said) -> Iterator[Statement]:
    """Whoever moved is where the motion led; a move to a named place is a change of home as well."""
    match = _MOVED.match(said.text) or _ENTERED.match(said.text)
    if match is None:
        return
    who, where = resolve(match["who"], said.voices), value_of(match["where"])
    if not who or not where or not is_named(match["who"]) or TIMES.match(where) or not is_place(where):
        return
    verb = match.groupdict().get("verb", "")
    if re.search(
        rf"\s(?:is|are|am)\s+{verb}$", f" {said.text[: match.start('way')].strip()}"
    ) and verb.endswith("ing"):
        return
    yield from _state(said, who, LOCATION, where)
    if lemma(verb) in ("move", "relocate") and re.match(r"^[A-Z]", where):
        yield from _state(said, who, HOME, where)


_LET_DOWN = re.compile(
    rf"^{SUBJECT}\s+{_AUX}(?:{_verbs('let')}|(?:put|set|laid|gave|threw)\s+(?:down|away|back))"
    rf"\s+(?:down\s+|away\s+|behind\s+)?"
    r"(?P<what>.+?)(?:\s+(?:down|away|behind))?$",
    re.I,
)
_TAKEN = re.compile(
    rf"^{SUBJECT}\s+{_AUX}(?P<verb>{_verbs('take', 'hold')})\s+(?:up\s+|back\s+|"
    rf"on\s+)?(?P<what>(?:the|my|our|your|a|an|some|[A-Z][\w-]*'s)\s+.+)$",
    re.I,
)
_FROM = re.compile(r"\s+from\s+(?P<giver>[\w' -]+)$", re.I)


def _held(said: Said) -> Iterator[Statement]:
    """Taking, holding and letting go."""
    match = _LET_DOWN.match(said.text)
    if match and re.match(r"^(?:the|my|our|your|his|her|their|[A-Z][\w-]*'s)\s", match["what"], re.I):
        who, what = resolve(match["who"], said.voices), resolve(_there(match["what"]), said.voices)
        if who and what:
            yield from _let_go(said, who, what, match)
        return
    match = _TAKEN.match(said.text)
    if match is None or (
        lemma(match["verb"]) in ("get", "have", "take") and re.search(r"\sto\s", match["what"])
    ):
        return
    told = END.sub("", match["what"])
    giver = _FROM.search(told)
    told = _FROM.sub("", told)
    denied = re.search(r"\s(?:not|no\s+longer|never)$", f" {match['who']}") is not None or bool(
        ANY_MORE.search(said.text)
    )
    name = re.sub(r"\s+(?:does|do|did|has|have|is|am|are)?\s*(?:not|no\s+longer|never)$", "", match["who"])
    who, what = resolve(name, said.voices), resolve(_there(told), said.voices)
    if not who or not what or not is_named(name) or re.match(r"^(?:an?|some)\s", told, re.I):
        return  # "a great time", "some rest": what has no identity is not the same thing later.
    if giver and resolve(giver["giver"], said.voices):
        yield from _state(said, resolve(giver["giver"], said.voices), HOLDS, _shown(told, what), denied=True)
    yield from _state(said, what, HOLDER, _who_shown(name, said), denied=denied)
    yield from _state(said, who, HOLDS, _shown(told, what), denied=denied)


_IS = re.compile(rf"^{SUBJECT}\s+{BE}{NOT}\s+(?P<rest>.+)$", re.I)
_EITHER = re.compile(
    rf"^(?:either\s+)?(?:(?P<at>{PLACE})\s+)?(?:either\s+)?(?P<one>.+?)"
    rf",?\s+or\s+(?:{PLACE}\s+)?(?P<other>.+)$",
    re.I,
)
_AT = re.compile(rf"^(?P<at>{PLACE})\s+(?P<where>.+)$", re.I)
_CALLED = re.compile(r"^(?:called|named)\s+(?P<name>.+)$", re.I)
_COSTS = re.compile(rf"^{SUBJECT}\s+(?:costs?|is\s+priced\s+at)\s+(?P<what>.+)$", re.I)


def _attribute(said: Said) -> Iterator[Statement]:
    """Of "X's R is V", "X is called V", "X costs V"."""
    costs = _COSTS.match(said.text)
    if costs:
        yield from _state(said, resolve(costs["who"], said.voices), PRICE, costs["what"])
        return
    match = _IS.match(said.text)
    if match is None:
        return
    rest, denied = match["rest"], _is_denied(match, said)
    called = _CALLED.match(rest)
    if called:
        yield from _state(said, resolve(match["who"], said.voices), NAME, called["name"], denied=denied)
        return
    slot = slot_of(match["who"], said.voices)
    timed = TIMES.match(value_of(rest))
    if slot is None or _AT.match(rest) or (timed and not rest[:1].isdigit() and not _is_number(rest)):
        return
    if re.match(r"^(?:being|very|so|too|really|quite|\w+ing\s)\b", rest, re.I):
        return
    if timed and not re.search(
        r"(?:number|size|age|code|price|pin|score|room|floor|year|weight|height|password)$", slot[1]
    ):
        return
    yield from _either(said, *slot, rest, denied=denied)


def _is_number(text: str) -> bool:
    return re.match(r"^\d+$", text.strip()) is not None


def _is_denied(match: re.Match[str], said: Said) -> bool:
    return bool(match["not"] or match["nt"] or ANY_MORE.search(said.text))


def _either(said: Said, about: str, relation: str, rest: str, *, denied: bool) -> Iterator[Statement]:
    match = _EITHER.match(value_of(rest) or rest)
    if match and not denied and (rest.lower().startswith("either") or " either " in rest or match["at"]):
        unsure = replace(said, confidence=MAYBE)
        yield from _state(unsure, about, relation, match["one"])
        yield from _state(unsure, about, relation, match["other"])
        return
    yield from _state(said, about, relation, rest, denied=denied)


_LIVES = re.compile(
    rf"^{SUBJECT}\s+(?:(?:is|am|are|have\s+been|has\s+been)\s+)?(?:do(?:es)?\s+)?(?P<not>not\s+|"
    rf"no\s+longer\s+)?(?:lives?|living|resides?|residing|"
    r"stay(?:s|ing)?|based)\s+(?:in|at|on)\s+(?P<where>.+)$",
    re.I,
)
_WORKS = re.compile(
    rf"^{SUBJECT}\s+(?:(?:is|am|are|have\s+been|has\s+been)\s+)?(?:do(?:es)?\s+)?(?P<not>not\s+|"
    rf"no\s+longer\s+)?(?:works?|working|employed)\s+"
    r"(?P<how>at|for|as|by|in)\s+(?P<where>.+)$",
    re.I,
)
_JOINED = re.compile(
    rf"^{SUBJECT}\s+(?:has\s+|have\s+)?(?:joined|started\s+(?:(?:working|work|a\s+job)\s+)?(?:at|"
    rf"with|for)|got\s+a\s+(?:new\s+)?job\s+(?:at|with))\s+(?P<where>.+)$",
    re.I,
)
_QUIT = re.compile(rf"^{SUBJECT}\s+(?:has\s+|have\s+)?quit\s+(?P<where>.+)$", re.I)


def _lived(said: Said) -> Iterator[Statement]:
    """Where people live and work."""
    match = _LIVES.match(said.text)
    if match:
        denied = bool(match["not"] or ANY_MORE.search(said.text))
        yield from _state(said, resolve(match["who"], said.voices), HOME, match["where"], denied=denied)
        return
    match = _WORKS.match(said.text)
    if match:
        relation = JOB if match["how"].casefold() == "as" else EMPLOYER
        denied = bool(match["not"] or ANY_MORE.search(said.text))
        yield from _state(said, resolve(match["who"], said.voices), relation, match["where"], denied=denied)
        return
    match = _JOINED.match(said.text) or _QUIT.match(said.text)
    if match and re.match(r"^(?:the\s+)?[A-Z]", match["where"]):
        denied = _QUIT.match(said.text) is not None
        yield from _state(said, resolve(match["who"], said.voices), EMPLOYER, match["where"], denied=denied)


def _copula(said: Said) -> Iterator[Statement]:
    """Where and when something is, and what it is: "X is in Y", "the meeting is at 5", "the code is V"."""
    match = _IS.match(said.text)
    if match is None:
        return
    about, rest, denied = resolve(match["who"], said.voices), match["rest"], _is_denied(match, said)
    if not about or re.match(r"^\w+ing\s", rest):
        return
    value = value_of(rest)
    place = _AT.match(re.sub(r"^(?:either\s+|back\s+|over\s+|up\s+|down\s+)", "", rest, flags=re.I))
    if TIMES.match(value):
        yield from _state(said, about, TIME, TIME_LEAD.sub("", value), denied=denied)
        if _is_number(value) and re.match(r"^(?:the|my|our|your|[A-Z][\w-]*'s)\s", match["who"], re.I):
            yield from _state(said, about, IS, value, denied=denied)  # "5" may be an hour or not.
    elif place:
        either = re.sub(r"^either\s+", "", place["where"], flags=re.I)
        if (
            not is_place(either)
            or not is_named(match["who"])
            or re.match(
                r"^(?:in|on|at)\s+(?:love|fact|time|fire|sale|general|trouble|touch|charge|my\s+way|"
                r"the\s+way)\b",
                place[0],
                re.I,
            )
        ):
            return
        if re.search(r"\sor\s", place["where"]):
            yield from _either(
                replace(said, confidence=MAYBE),
                about,
                LOCATION,
                f"{place['at']} {place['where']}",
                denied=False,
            )
        else:
            yield from _state(said, about, LOCATION, place["where"], denied=denied)
    elif re.match(r"^(?:the|my|our|your|[A-Z][\w-]*'s)\s", match["who"], re.I) and (
        value
        and len(value.split()) <= 5
        and not re.match(r"^(?:to|from|of|for|with|above|below|north|south|east|west)\b", value)
    ):
        yield from _state(said, about, IS, value, denied=denied)


_HABIT = re.compile(
    r"^(?!(?:The|An?|My|Our|Your|His|Her|Their|Its|This|That|These|Those|It|They|He|She|There)\s)"
    r"(?P<who>[A-Z][\w'-]*(?:\s[A-Z][\w'-]*)?|I|[Ww]e)\s+(?P<verb>[a-z]+)\s+(?P<what>(?:(?:the|a|an|"
    r"my|her|his|our|some)\s+)?[\w' -]{2,40})$"
)
_NO_HABIT = word_set(
    "am is are was were be been have has had do does did think thinks know knows love loves like "
    "likes hope hopes say says said feel feels see sees want wants need needs guess mean means "
    "believe appreciate agree understand remember tell told think thought knew saw made went came "
    "took got gave found let lets make makes not it that this they there and or but to"
)


def _habit(said: Said) -> Iterator[Statement]:
    """Of "Ana drives a Volvo": what is done as a rule; marked as new ("now") it takes the place of others."""
    match = _HABIT.match(said.text)
    if match is None or match["verb"] in _NO_HABIT:
        return
    is_first = match["who"].casefold() in ("i", "we")
    if is_first == match["verb"].endswith("s") or match["verb"].endswith(("ed", "ss", "ing", "ly")):
        return
    about = resolve(match["who"], said.voices)
    value = re.sub(r"^(?:the|a|an|some|my|her|his|our)\s+", "", value_of(match["what"]))
    if about and value:
        relation = f"{MANY}{lemma(match['verb'])}"
        if said.is_now:
            yield Statement(about, relation, "", DENIED, said.shift_ns)
        yield Statement(about, relation, value, said.confidence, said.shift_ns)
