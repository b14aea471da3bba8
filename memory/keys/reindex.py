"""Making the keys of a store anew, as a person follows it: what is chosen, and how far it has come."""

from __future__ import annotations

import sqlite3

from memory.bounds import NAME_CHARS
from memory.keys import speaks
from memory.keys.encoder import EncoderLink
from memory.keys.keyers import count_texts
from memory.keys.maker import KeyMaker
from memory.keys.speaks import Choice, Speaks
from memory.log.reader import last_commit
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
        self._counted = (-1, 0)

    def resolve(self, ask: ReindexAsk) -> Choice | None:
        """What a request chooses; None: the configuration decides.

        Raises:
            ModelError, ConfigError: If there is no such model.
            RoleUnavailable, DeadlineExceeded: If the encoder cannot be asked.
        """
        configured = self._link.text_space("", RESOLVE_TIMEOUT_S)
        if not ask.text:
            return None
        named = self._link.text_space(ask.text, RESOLVE_TIMEOUT_S)
        return None if named == configured else Choice(named.model, configured.encoder_id)

    def wanted(self, db: sqlite3.Connection) -> Speaks | None:
        """The encoder that is to answer, as the store and the configuration have it; None: not known yet."""
        configured, choice = self._link.known_text(""), speaks.chosen(db)
        if configured is None:
            return self._keys.wanted
        if choice is None or choice.instead_of != configured.encoder_id:
            return configured
        return self._link.known_text(choice.model) or self._keys.wanted

    def told(self, db: sqlite3.Connection) -> ReindexTold:
        """How far it is, in one snapshot."""
        answering, wanted = speaks.answering(db), self.wanted(db)
        counts = speaks.keys_by_encoder(db)
        in_use = {one.encoder_id for one in (answering, wanted) if one is not None}
        replaced = {one: counts[one] for one in speaks.replaced(db, in_use)}
        wanted_id = wanted.encoder_id if wanted else ""
        keep_old = speaks.keeps_old(db)
        problems = tuple(shortened(one, 4 * NAME_CHARS) for one in self._keys.problems())
        is_settled = answering is not None and answering.encoder_id == wanted_id
        return ReindexTold(
            answering=answering.encoder_id if answering else "",
            answering_model=answering.model if answering else "",
            answering_keys=counts.get(answering.encoder_id, 0) if answering else 0,
            wanted=wanted_id,
            wanted_model=wanted.model if wanted else "",
            made=min(counts.get(wanted_id, 0) - _facts(db, wanted_id), self._total(db)),
            total=self._total(db),
            unencodable=self._keys.unencodable(wanted_id),
            replaced=replaced,
            keep_old=keep_old,
            over=(is_settled or (wanted is not None and self._total(db) == 0))
            and self._keys.count_pending(db, wanted_id) <= 2 * self._keys.unencodable(wanted_id)
            and (keep_old or not replaced),
            problems=problems,
        )

    def _total(self, db: sqlite3.Connection) -> int:
        """Texts that have a key or are to get one; counted anew after each commit."""
        commit_no = last_commit(db)
        if self._counted[0] != commit_no:
            self._counted = (commit_no, count_texts(db))
        return self._counted[1]


def _facts(db: sqlite3.Connection, encoder_id: str) -> int:
    """Keys that come after those of the texts, and are not counted among them."""
    row = db.execute("SELECT COUNT(*) FROM key WHERE encoder_id = ? AND kind = 'fact'", (encoder_id,))
    return int(row.fetchone()[0])
