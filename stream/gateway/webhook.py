"""Alerts to a webhook of the owner's: a signed POST to the one address that the configuration names.

The address comes from the configuration alone, never from a message. Redirects are not followed: what is
signed for one host is not carried to another. The signature is HMAC-SHA256 over the time, a dot and the body,
so that neither can be changed and an old request can be told from a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stream.errors import ConfigError, DeadlineExceeded, RoleUnavailable
from stream.messages.watch import WatchAlert

SIGNATURE = "X-Omnirecall-Signature"
TIMESTAMP = "X-Omnirecall-Timestamp"
ALERT_ID = "X-Omnirecall-Alert"
MOST_RETRIES = 10
ANSWER_BYTES = 4_096
"""Of the answer no more is read: its status is what counts."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where alerts are posted to.

    `url` is http or https; `secret` signs; `timeout_s` is for one attempt; `retries` more attempts follow a
    failed one, after `pause_s` seconds, twice as many each time.
    """

    url: str
    secret: str
    timeout_s: float = 5.0
    retries: int = 3
    pause_s: float = 0.5


class Webhook:
    """Posts alerts. Blocks: belongs to a thread or lane of its own.

    Args:
        settings: Where to, and how.
        sleep: Waits so many seconds; a test need not.
        now_s: UTC seconds.

    Raises:
        ConfigError: If the address is no http address, or nothing signs.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        sleep: Callable[[float], None] = time.sleep,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        at = urlsplit(settings.url)
        if at.scheme not in ("http", "https") or not at.hostname or at.username or at.password:
            raise ConfigError(
                "the webhook's address is no http or https address without a name and password in it",
                remedy="such as https://example.org/hook",
            )
        if not settings.secret:
            raise ConfigError(
                "the webhook has no secret", remedy="any long random text; the receiver needs it"
            )
        if not 0 <= settings.retries <= MOST_RETRIES or settings.timeout_s <= 0 or settings.pause_s < 0:
            raise ConfigError(
                f"a webhook has a timeout, and at most {MOST_RETRIES} retries",
                remedy="omnirecall config show",
            )
        self._settings = settings
        self._at = at
        self._sleep = sleep
        self._now_s = now_s

    def post(self, alert: WatchAlert) -> int:
        """Posts one alert; the number of attempts that it took.

        Raises:
            ConfigError: If the receiver refuses it for good (a redirect, or a status of the 400s).
            DeadlineExceeded: If no attempt was answered in its time.
            RoleUnavailable: If the receiver could not be reached, or failed each time.
        """
        body = json.dumps(alert_body(alert), ensure_ascii=False).encode()
        told, is_late = "", False
        for attempt in range(1 + self._settings.retries):
            if attempt:
                self._sleep(self._settings.pause_s * 2 ** (attempt - 1))
            try:
                status = self._attempt(body, alert.alert_id.hex())
            except TimeoutError:
                told, is_late = "did not answer in time", True
                continue
            except (OSError, http.client.HTTPException) as error:
                told, is_late = f"cannot be reached: {type(error).__name__}", False
                continue
            if 200 <= status < 300:
                return attempt + 1
            if status < 500 and status not in (408, 425, 429):
                raise ConfigError(f"the webhook answered {status}", remedy="look at its address and secret")
            told, is_late = f"answered {status}", False
        kind = DeadlineExceeded if is_late else RoleUnavailable
        raise kind(f"the webhook {told}, {1 + self._settings.retries} times", remedy="look at the receiver")

    def _attempt(self, body: bytes, alert_id: str) -> int:
        at, own = self._at, self._settings
        kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
        connection = kind(at.hostname or "", at.port, timeout=own.timeout_s)
        now_s = str(int(self._now_s()))
        headers = {
            "Content-Type": "application/json",
            ALERT_ID: alert_id,
            TIMESTAMP: now_s,
            SIGNATURE: signature(own.secret, now_s, body),
        }
        path = (at.path or "/") + (f"?{at.query}" if at.query else "")
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES)
            return answer.status
        finally:
            connection.close()


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What the receiver must find: `sha256=` and the HMAC of the time, a dot and the body, in digits."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def alert_body(alert: WatchAlert) -> Mapping[str, object]:
    """What is posted: the alert and what it rests on, as in `omnirecall watch --alerts --json`."""
    from stream.commands.watch import alert_json

    return {"version": 1, "alert": alert_json(alert)}
