"""Classes of common English verbs, and their forms.

The classes follow B. Levin, English Verb Classes and Alternations (1993): motion is 51.1 (inherently
directed motion), 51.3.2 (run verbs), 51.4 (vehicles) and 51.5 to 51.7; taking 13.5 (get, obtain) and
10.5 (steal); holding 15.1 (hold, keep) and 11.4 (carry); giving 13.1 and 11.1 (send); putting 9.1 to
9.3; letting go 17.1 (throw) with the phrasal verbs of dictionaries. Their members here are those that
are common in speech.
"""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MOTION = word_set(
    "go come arrive return enter head travel journey move walk run jog drive ride fly sail hike "
    "march stroll wander rush hurry race dash climb crawl swim cycle bike ski skate step stride "
    "amble tiptoe sneak creep trot gallop roam drift float glide skip hop jump leap limp march "
    "trek pace prance saunter scamper scramble scurry shuffle slide stagger stumble sprint swagger "
    "tramp trudge waddle row paddle cruise taxi commute relocate migrate transfer proceed advance "
    "retreat escape flee follow get"
)
"""Whoever does it is where it leads."""
TAKE = word_set(
    "get take grab fetch pick collect obtain receive acquire buy purchase steal catch snatch seize "
    "find accept borrow gather win earn retrieve recover gain secure pocket"
)
"""Whoever does it has the thing afterwards."""
HOLD = word_set("have hold carry keep own possess wear clutch grasp grip bear")
LET_GO = word_set("drop discard leave release abandon lose throw toss dump ditch scrap relinquish")
"""Whoever does it has the thing no more; with "down" and "away" also put, set, lay, give."""
GIVE = word_set("give pass hand lend sell loan send return offer bring mail forward deliver transfer")
"""Whoever receives it has the thing afterwards."""
PUT = word_set("put place set lay store park hang leave stash stow install position rest keep drop")
"""The thing is where it was put."""
CHANGE = word_set(
    "change update switch move reschedule push postpone delay shift rename correct set raise lower "
    "increase reduce cut bump go extend"
)
"""Something has another value than before."""
IRREGULAR = {
    "go": "went gone goes going",
    "come": "came come comes coming",
    "run": "ran run runs running",
    "drive": "drove driven drives driving",
    "ride": "rode ridden rides riding",
    "fly": "flew flown flies flying",
    "swim": "swam swum swims swimming",
    "creep": "crept creeps creeping",
    "sneak": "sneaked snuck sneaks sneaking",
    "leap": "leapt leaped leaps leaping",
    "stride": "strode strides striding",
    "flee": "fled flees fleeing",
    "slide": "slid slides sliding",
    "get": "got gotten gets getting",
    "take": "took taken takes taking",
    "buy": "bought buys buying",
    "steal": "stole stolen steals stealing",
    "catch": "caught catches catching",
    "find": "found finds finding",
    "win": "won wins winning",
    "have": "has had having",
    "hold": "held holds holding",
    "keep": "kept keeps keeping",
    "wear": "wore worn wears wearing",
    "bear": "bore borne bears bearing",
    "leave": "left leaves leaving",
    "lose": "lost loses losing",
    "throw": "threw thrown throws throwing",
    "give": "gave given gives giving",
    "lend": "lent lends lending",
    "sell": "sold sells selling",
    "send": "sent sends sending",
    "bring": "brought brings bringing",
    "put": "puts putting",
    "set": "sets setting",
    "lay": "laid lays laying",
    "hang": "hung hanged hangs hanging",
    "cut": "cuts cutting",
    "carry": "carried carries carrying",
    "hurry": "hurried hurries hurrying",
    "skip": "skipped skips skipping",
    "hop": "hopped hops hopping",
    "step": "stepped steps stepping",
    "trot": "trotted trots trotting",
    "drop": "dropped drops dropping",
    "grab": "grabbed grabs grabbing",
    "grip": "gripped grips gripping",
    "jog": "jogged jogs jogging",
    "travel": "travelled traveled travels travelling traveling",
    "transfer": "transferred transfers transferring",
    "scrap": "scrapped scraps scrapping",
    "pass": "passed passes passing",
    "rest": "rested rests resting",
}


def forms_of(verb: str) -> tuple[str, ...]:
    """The forms of a verb, itself first."""
    if verb in IRREGULAR:
        return (verb, *IRREGULAR[verb].split())
    if verb.endswith("e"):
        return verb, f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb, f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return verb, f"{verb}es", f"{verb}ed", f"{verb}ing"
    return verb, f"{verb}s", f"{verb}ed", f"{verb}ing"


LEMMAS = {
    form: verb
    for verb in sorted(MOTION | TAKE | HOLD | LET_GO | GIVE | PUT | CHANGE)
    for form in reversed(forms_of(verb))
}
"""Each form of those verbs, with the verb."""


def lemma(word: str) -> str:
    """The verb that a word is a form of: of those classes, or else by its regular ending."""
    low = word.casefold()
    if low in LEMMAS:
        return LEMMAS[low]
    if low.endswith("ies") and len(low) > 4:
        return f"{low[:-3]}y"
    if low.endswith(("ches", "shes", "sses", "xes", "zes")):
        return low[:-2]
    return low[:-1] if low.endswith("s") and not low.endswith("ss") else low
