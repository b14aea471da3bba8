"""Making the keys of a store anew, as a person follows it: what is chosen, and how far it has come."""

from __future__ import annotations

import sqlite3

from memory.bounds import NAME_CHARS
from memory.keys import speaks
from memory.keys.counts import KeyCounts
from memory.keys.encoder import EncoderLink
from memory.keys.maker import KeyMaker
from memory.keys.speaks import Choice, Speaks
from stream.messages.control import ReindexAsk, ReindexTold
from stream.wire.bounds import shortened

RESOLVE_TIMEOUT_S = 90.0
"""To find a model: torch may be loaded for it, and a folder's content is read once."""


class Reindex:
    """Answers `reindex.ask`. Its methods are for lanes.

    Args:
        link: The way to the encoder.
        keys: Who makes the keys.
    """

    def __init__(self, link: EncoderLink, keys: KeyMaker) -> None:
        self._link = link
        self._keys = keys
        self._counts = KeyCounts(facts=keys.makes_facts)

    def forget(self) -> None:
        """Keys have gone: they are counted anew."""
        self._counts.forget()

    def resolve(self, ask: ReindexAsk) -> tuple[Speaks, Choice | None]:
        """The encoder that a request names, and the choice which that is; None: the configuration decides.

        Raises:
            ModelError, ConfigError: If there is no such model.
            RoleUnavailable, DeadlineExceeded: If the encoder cannot be asked.
        """
        configured = self._link.text_space("", RESOLVE_TIMEOUT_S)
        if not ask.text:
            return configured, None
        named = self._link.text_space(ask.text, RESOLVE_TIMEOUT_S)
        return named, None if named == configured else Choice(named.model, configured.encoder_id)

    def wanted(self, db: sqlite3.Connection) -> Speaks | None:
        """The encoder that is to answer, as the store and the configuration have it; None: not known yet."""
        configured, choice = self._link.known_text(""), speaks.chosen(db)
        if configured is None:
            return self._keys.wanted
        if choice is None or choice.instead_of != configured.encoder_id:
            return configured
        return self._link.known_text(choice.model) or self._keys.wanted

    def told(self, db: sqlite3.Connection, would: Speaks | None = None) -> ReindexTold:
        """How far it is, in one snapshot; or how far it would be, were that encoder wanted."""
        answering, wanted = speaks.answering(db), would or self.wanted(db)
        in_use = {one.encoder_id for one in (answering, self.wanted(db), would) if one is not None}
        replaced = {one: speaks.count_keys(db, one) for one in speaks.replaced(db, in_use)}
        wanted_id = wanted.encoder_id if wanted else ""
        keep_old, total = speaks.keeps_old(db), self._counts.total(db)
        made = self._counts.made(db, wanted_id)
        problems = tuple(shortened(one, 4 * NAME_CHARS) for one in self._keys.problems())
        is_settled = answering is not None and answering.encoder_id == wanted_id
        return ReindexTold(
            answering=answering.encoder_id if answering else "",
            answering_model=answering.model if answering else "",
            answering_keys=self._counts.made(db, answering.encoder_id).all if answering else 0,
            wanted=wanted_id,
            wanted_model=wanted.model if wanted else "",
            made=min(made.all, total.all),
            total=total.all,
            turns_made=min(made.turns, total.turns),
            turns_total=total.turns,
            unencodable=self._keys.unencodable(wanted_id),
            replaced=replaced,
            keep_old=keep_old,
            over=(is_settled or (wanted is not None and total.all == 0))
            and not self._keys.has_pending(db, wanted_id)
            and (keep_old or not replaced),
            problems=problems,
        )
