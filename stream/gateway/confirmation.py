"""Strings that say: this very thing was shown before, a short while ago, and now it is meant.

Nothing is kept for them: such a string holds what was shown, until when it counts, and a code over both by
a key of this process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from stream.errors import ConfigError

LASTS_S = 300
MOST_CHARS = 8_192
AGAIN = "ask without a confirmation: it tells what would go now, and gives a new one"


class Confirmations:
    """Makes them and reads them; those of another process count for nothing."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, shown: dict[str, Any], now_s: float | None = None) -> str:
        """The string for what is shown, a map of JSON; `now_s` is UTC seconds."""
        ends_s = int(time.time() if now_s is None else now_s) + LASTS_S
        body = json.dumps({"ends_s": ends_s, "shown": shown}, separators=(",", ":")).encode()
        return f"{base64.urlsafe_b64encode(body).decode()}.{self._code(body)}"

    def shown_by(self, told: str, now_s: float | None = None) -> dict[str, Any]:
        """What was shown when a string was made.

        Raises:
            ConfigError: If it was not made here, was changed, or is too old.
        """
        text, _, code = told.strip().partition(".")
        try:
            body = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            body = b""
        is_ours = hmac.compare_digest(code.encode("utf-8", "replace"), self._code(body).encode())
        if not is_ours or len(told) > MOST_CHARS:
            raise ConfigError("the confirmation is none that was given here", remedy=AGAIN)
        held = json.loads(body)
        if held["ends_s"] < (time.time() if now_s is None else now_s):
            raise ConfigError(f"the confirmation is older than {LASTS_S} s", remedy=AGAIN)
        shown: dict[str, Any] = held["shown"]
        return shown

    def _code(self, body: bytes) -> str:
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()
