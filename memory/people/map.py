"""The person map: voices to persons, online, in the order of the log. No database and no clock.

A **voice** is what one speaker says in one source: all utterances of one turn of its diarisation, or, where
no turn is known, those that were heard alike. A **person** is voices that are alike across sources. What two
voices that cannot be one person say (they talk at once, or are different turns of one file) never comes
together, however alike they sound; what the owner decided goes before everything that was heard.

The result depends on the utterances in their order and on the acts that stand, and on nothing else: whoever
hears the same log again gets the same persons with the same ids.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from memory.people.calibration import Calibration
from memory.people.wishes import Named, Wishes

MOST_WEIGHED_S = 60.0
"""Seconds of one voice beyond which it weighs no more in its person: a lecture is not three meetings."""
MOVES_FROM = 0.03
"""How much nearer another person must be before a voice moves there: no flutter between two alike."""
AT_ONCE_NS = 250_000_000
"""Time that two utterances share from which two people talk; less is where a cut was put."""
LONGEST_NS = 120_000_000_000
"""No utterance is longer; what begins so much earlier is over."""
MOST_LOOKED_AT = 32
"""Persons near enough that are looked at for one that a voice may join, the nearest first."""

Vector = npt.NDArray[np.float32]
Sums = npt.NDArray[np.float64]
Origin = tuple[bytes, int]
VoiceKey = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance with its voice key.

    `vector` is (D,) float32 of unit length, `seconds` the voice behind it, `overlap` the share of it in
    which somebody else talks too, `turn` the speaker's number inside its source, -1 where that is not known.
    """

    n: int
    observation_id: bytes
    source_id: bytes
    session: int
    turn: int
    pts0_ns: int
    pts1_ns: int
    seconds: float
    overlap: float
    vector: Vector


@dataclass(slots=True, eq=False)
class Voice:
    """What one speaker says in one source. `total` is the sum of its vectors, each by its seconds."""

    key: VoiceKey
    origin: Origin
    turn: int
    first_n: int
    anchor: bytes
    total: Sums
    seconds: float = 0.0
    utterances: int = 0
    due_s: float = 0.0
    weighed: Sums | None = None
    person: Person | None = None
    rivals: set[VoiceKey] = field(default_factory=set)
    apart: set[VoiceKey] = field(default_factory=set)
    together: set[VoiceKey] = field(default_factory=set)
    names: list[Named] = field(default_factory=list)
    voice_id: bytes = b""
    """Made of its first utterance, (16,) bytes."""

    def __post_init__(self) -> None:
        self.voice_id = hashlib.blake2b(b"voice" + self.anchor, digest_size=16).digest()

    @property
    def name(self) -> str:
        """The newest name that the owner gave it, without case; empty for none."""
        own = [one for one in self.names if not one.also]
        return max(own, key=lambda one: one.order).name.casefold() if own else ""

    def unit(self) -> Sums:
        """Its mean vector, of unit length."""
        made: Sums = self.total / max(float(np.linalg.norm(self.total)), 1e-9)
        return made


@dataclass(slots=True, eq=False)
class Person:
    """Voices that are one person's. `slot` is its row in the matrix of means."""

    slot: int
    first: Voice
    total: Sums
    voices: dict[VoiceKey, Voice] = field(default_factory=dict)

    @property
    def person_id(self) -> bytes:
        """Made of the first utterance that was heard of it, (16,) bytes."""
        return hashlib.blake2b(b"person" + self.first.anchor, digest_size=16).digest()

    @property
    def seconds(self) -> float:
        """Of voice, all of it."""
        return sum(voice.seconds for voice in self.voices.values())

    @property
    def names(self) -> list[Named]:
        """The names that its voices were given: the one it goes by first, then the others, newest first."""
        given = sorted(
            (one for voice in self.voices.values() for one in voice.names),
            key=lambda one: (one.also, -one.order),
        )
        return list({one.name.casefold(): one for one in reversed(given)}.values())[::-1]

    @property
    def name(self) -> str:
        """The one it goes by, without case."""
        return next((one.name.casefold() for one in self.names if not one.also), "")


class PersonMap:
    """The person map of the voices of one encoder.

    Args:
        calibration: How alike two voices of this encoder must be.
        wishes: What the owner decided, of all acts that stand.
    """

    def __init__(self, calibration: Calibration, wishes: Wishes) -> None:
        self._scale, self._wishes = calibration, wishes
        self._voices: dict[VoiceKey, Voice] = {}
        self._anchors: dict[bytes, Voice] = {}
        self._persons: dict[int, Person] = {}
        self._means: Vector = np.zeros((0, 0), np.float32)
        self._free: list[int] = []
        self._spoken: dict[Origin, list[tuple[int, int, int]]] = {}
        self._keys_of: dict[int, VoiceKey] = {}
        self.voice_of: dict[int, tuple[Voice, float]] = {}
        """The voice of each utterance, by its row number, and its seconds."""
        self.fresh: list[int] = []
        """Utterances heard since whoever writes them down emptied this; their voices stay theirs."""
        self.merged: dict[bytes, bytes] = {}
        """Persons that were found to be others, by their ids."""

    def hear(self, heard: Heard) -> None:
        """Takes the next utterance of the log."""
        voice = self._voice_for(heard)
        if voice is None:
            return  # Too short to tell whose it is.
        self.voice_of[heard.n] = (voice, heard.seconds)
        self.fresh.append(heard.n)
        parted = self._note_rivals(heard, voice)
        weight = heard.seconds * max(0.0, 1.0 - heard.overlap)
        voice.total += weight * heard.vector
        voice.seconds += weight
        voice.utterances += 1
        self._weigh(voice)
        if heard.observation_id in self._wishes.anchors:
            self._heed(voice, heard.observation_id)
        if voice.seconds >= voice.due_s or (voice.together and voice.person is None):
            voice.due_s = max(2.0 * voice.seconds, self._scale.least_s)
            self._settle(voice)
        for one in parted:
            if one.person is None:
                self._settle(one)

    def persons(self) -> list[Person]:
        """The persons that stand, in the order in which they were first heard."""
        return sorted(self._persons.values(), key=lambda one: one.first.first_n)

    def voices(self) -> Iterator[Voice]:
        """Every voice, also those that are nobody's yet."""
        return iter(self._voices.values())

    # Voices.

    def _voice_for(self, heard: Heard) -> Voice | None:
        """The voice that an utterance belongs to, made if it is the first of it."""
        origin = (heard.source_id, heard.session)
        if heard.observation_id in self._wishes.alone or (
            heard.turn < 0 and heard.observation_id in self._wishes.anchors
        ):
            return self._made(("own", heard.observation_id), heard, origin)
        if heard.turn >= 0:
            return self._made((*origin, heard.turn), heard, origin)
        near = self._nearest(heard.vector.astype(np.float64), heard.seconds, self._at_once(heard))
        if near is not None:
            return self._bucket(near, origin, heard)
        if heard.seconds * (1.0 - heard.overlap) < self._scale.least_s:
            return None
        return self._made((*origin, "n", heard.observation_id), heard, origin)

    def _made(self, key: VoiceKey, heard: Heard, origin: Origin) -> Voice:
        voice = self._voices.get(key)
        if voice is None:
            total = np.zeros(heard.vector.size, np.float64)
            turn = heard.turn if key[0] != "own" else -1
            voice = Voice(key, origin, turn, heard.n, heard.observation_id, total, due_s=self._scale.least_s)
            self._voices[key] = voice
        return voice

    def _bucket(self, person: Person, origin: Origin, heard: Heard) -> Voice:
        """The voice of a person in a source whose turns nobody told apart."""
        own = [
            voice
            for voice in person.voices.values()
            if voice.origin == origin and voice.turn < 0 and voice.key[0] != "own"
        ]
        if own:
            return min(own, key=lambda voice: voice.first_n)
        voice = self._made((*origin, "n", heard.observation_id), heard, origin)
        self._join(voice, person)
        return voice

    def _at_once(self, heard: Heard) -> set[VoiceKey]:
        """The voices that are heard while this utterance is, in the same source."""
        found: set[VoiceKey] = set()
        spoken = self._spoken.get((heard.source_id, heard.session), [])
        for pts0_ns, pts1_ns, n in reversed(spoken):
            if pts0_ns < heard.pts0_ns - LONGEST_NS:
                break
            shared = min(pts1_ns, heard.pts1_ns) - max(pts0_ns, heard.pts0_ns)
            if shared >= AT_ONCE_NS and n in self._keys_of:
                found.add(self._keys_of[n])
        return found

    def _note_rivals(self, heard: Heard, voice: Voice) -> list[Voice]:
        """Two who talk at once are two; returns those that were taken for one with the other so far."""
        parted: list[Voice] = []
        for key in self._in_order(self._at_once(heard)):
            other = self._voices[key]
            if other is not voice and not (voice.origin == other.origin and 0 <= voice.turn == other.turn):
                voice.rivals.add(key)
                other.rivals.add(voice.key)
                if voice.person is not None and voice.person is other.person and key not in voice.together:
                    less = min(voice, other, key=lambda one: (one.seconds, -one.first_n))
                    self._leave(less)
                    parted.append(less)
        self._keys_of[heard.n] = voice.key
        insort(self._spoken.setdefault(voice.origin, []), (heard.pts0_ns, heard.pts1_ns, heard.n))
        return parted

    def _in_order(self, keys: set[VoiceKey]) -> list[VoiceKey]:
        """As they were first heard: the order of a set is another one in each process."""
        return sorted(keys, key=lambda key: self._voices[key].first_n)

    # The owner's word.

    def _heed(self, voice: Voice, observation_id: bytes) -> None:
        """An utterance that an act names was heard: whatever the act says of its voice holds from here."""
        self._anchors[observation_id] = voice
        voice.names += self._wishes.names.get(observation_id, ())
        for other in self._others(observation_id, self._wishes.together):
            if other is not voice:
                voice.together.add(other.key)
                other.together.add(voice.key)
        for other in self._others(observation_id, self._wishes.apart):
            if other is not voice:
                voice.apart.add(other.key)
                other.apart.add(voice.key)
        person = voice.person
        if person is not None and any(self._must_part(voice, one) for one in person.voices.values()):
            self._leave(voice)
            voice.due_s = 0.0
        if voice.together and voice.person is not None:
            self._unite(voice)

    def _others(self, observation_id: bytes, pairs: dict[bytes, tuple[bytes, ...]]) -> list[Voice]:
        return [self._anchors[one] for one in pairs.get(observation_id, ()) if one in self._anchors]

    def _must_part(self, one: Voice, other: Voice) -> bool:
        """Whether the owner said that two voices are not one person's."""
        if one is other or other.key in one.together:
            return False
        named = one.name and other.name and one.name != other.name
        return bool(named) or other.key in one.apart

    def _unite(self, voice: Voice) -> None:
        """Brings the persons together of whom the owner said that they are one."""
        for key in self._in_order(voice.together):
            near = self._voices[key]
            other, person = near.person, voice.person
            if person is None or other is None or other is person:
                continue
            if not self._are_parted(person, other):
                self._merge(*sorted((person, other), key=lambda one: one.first.first_n))
                continue
            # The two persons have been told apart: this voice alone goes to the one that it was said to be.
            moves, to = (near, person) if voice.name and not near.name else (voice, other)
            self._leave(moves)
            self._join(moves, to)

    def _are_parted(self, one: Person, other: Person) -> bool:
        return any(self._must_part(a, b) for a in one.voices.values() for b in other.voices.values())

    # Persons.

    def _settle(self, voice: Voice) -> None:
        """Decides whose voice it is, as well as is known by now."""
        known = [self._voices[key].person for key in self._in_order(voice.together)]
        mine = next((one for one in known if one is not None), None)
        if mine is not None:
            if voice.person is None:
                self._join(voice, mine)
            self._unite(voice)
            return
        if voice.seconds < self._scale.least_s and not voice.names and not voice.apart:
            return
        near = self._nearest(voice.unit(), voice.seconds, voice.rivals, voice)
        if near is None:
            if voice.person is None:
                self._join(voice, None)
        elif near is not voice.person:
            if voice.person is not None:
                self._leave(voice)
            self._join(voice, near)
        if voice.person is not None:
            self._join_alike(voice.person)

    def _nearest(
        self,
        unit: Sums,
        seconds: float,
        rivals: set[VoiceKey] | frozenset[VoiceKey] = frozenset(),
        voice: Voice | None = None,
    ) -> Person | None:
        """The nearest person that a voice may be; its own where none is clearly nearer."""
        if not self._persons:
            return None
        cosines = self._means @ unit.astype(np.float32)
        own = voice.person if voice is not None else None
        least, stays = self._scale.join_at(seconds), None
        if own is not None and voice is not None:
            cosines[own.slot] = -1.0
            if len(own.voices) > 1:
                alone = own.total - (voice.weighed if voice.weighed is not None else 0.0)
                to_own = float(alone @ unit / max(float(np.linalg.norm(alone)), 1e-9))
                # Whoever was let in stays in by less than it takes to come in.
                if to_own >= least - MOVES_FROM:
                    stays, least = own, max(least, to_own + MOVES_FROM)
        order = np.lexsort((np.arange(len(cosines)), -cosines))[:MOST_LOOKED_AT]
        for slot in order.tolist():
            if cosines[slot] < least:
                break
            person = self._persons.get(slot)
            if person is not None and self._may(voice, person, rivals):
                return person
        if own is not None and stays is None and voice is not None and len(own.voices) > 1:
            self._leave(voice)
            return None
        return stays if stays is not None else own

    def _may(self, voice: Voice | None, person: Person, rivals: set[VoiceKey] | frozenset[VoiceKey]) -> bool:
        """Whether a voice can be of a person, as far as anything but its sound tells."""
        if rivals and any(key in person.voices for key in rivals):
            return False
        return voice is None or not any(self._differ(voice, one) for one in person.voices.values())

    def _differ(self, one: Voice, other: Voice) -> bool:
        if one is other or other.key in one.together:
            return False
        of_turns = one.origin == other.origin and one.turn >= 0 and other.turn >= 0 and one.turn != other.turn
        return of_turns or other.key in one.rivals or self._must_part(one, other)

    def _join(self, voice: Voice, person: Person | None) -> None:
        """Gives a voice to a person; None: to a new one."""
        if person is None:
            slot = self._slot(voice.total.size)
            person = Person(slot, voice, np.zeros(voice.total.size, np.float64))
            self._persons[slot] = person
        voice.person = person
        person.voices[voice.key] = voice
        if voice.first_n < person.first.first_n:
            person.first = voice
        self._weigh(voice)

    def _leave(self, voice: Voice) -> None:
        person = voice.person
        if person is None:
            return
        del person.voices[voice.key]
        voice.person = None
        if voice.weighed is not None:
            person.total -= voice.weighed
            voice.weighed = None
        if not person.voices:
            self._drop(person)
            return
        if person.first is voice:
            person.first = min(person.voices.values(), key=lambda one: one.first_n)
        self._note_mean(person)

    def _weigh(self, voice: Voice) -> None:
        """Brings a person's mean in step with one of its voices."""
        person = voice.person
        if person is None:
            return
        weighed = voice.unit() * min(voice.seconds, MOST_WEIGHED_S)
        person.total += weighed - (voice.weighed if voice.weighed is not None else 0.0)
        voice.weighed = weighed
        self._note_mean(person)

    def _note_mean(self, person: Person) -> None:
        self._means[person.slot] = person.total / max(float(np.linalg.norm(person.total)), 1e-9)

    def _slot(self, dimension: int) -> int:
        if self._free:
            return self._free.pop()
        slot = len(self._persons)
        if slot >= len(self._means):
            grown = np.zeros((max(16, 2 * len(self._means)), dimension), np.float32)
            grown[: len(self._means)] = self._means.reshape(len(self._means), dimension)
            self._means = grown
        return slot

    def _drop(self, person: Person) -> None:
        del self._persons[person.slot]
        self._means[person.slot] = 0.0
        self._free.append(person.slot)

    def _join_alike(self, person: Person) -> None:
        """Two persons that turn out to sound alike, now that more was heard of them, become one."""
        while person.seconds >= self._scale.sure_s:
            cosines = self._means @ self._means[person.slot]
            cosines[person.slot] = -1.0
            order = np.lexsort((np.arange(len(cosines)), -cosines))[:MOST_LOOKED_AT]
            alike = (
                self._persons[slot]
                for slot in order.tolist()
                if cosines[slot] >= self._scale.merge_at and slot in self._persons
            )
            other = next((one for one in alike if self._may_merge(person, one)), None)
            if other is None:
                return
            person = self._merge(*sorted((person, other), key=lambda one: one.first.first_n))

    def _may_merge(self, one: Person, other: Person) -> bool:
        if other.seconds < self._scale.sure_s:
            return False
        return not any(self._differ(a, b) for a in one.voices.values() for b in other.voices.values())

    def _merge(self, stays: Person, goes: Person) -> Person:
        """Two persons become the one that was heard first."""
        gone_id = goes.person_id
        for voice in list(goes.voices.values()):
            self._leave(voice)
            self._join(voice, stays)
        self.merged[gone_id] = stays.person_id
        return stays
