"""Alerts to the owner's webhooks, beside the pages: in threads, and what failed is counted."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

from stream.errors import OmniRecallError
from stream.gateway.keys import gateway_dir, write_private
from stream.gateway.webhook import Webhook, WebhookSettings
from stream.messages.watch import WatchAlert
from stream.process.log import Log
from stream.process.metrics import Metrics

SECRET_FILE = "webhook.secret"  # noqa: S105 - where it lies
AT_ONCE = 4
MOST_WAITING = 256
"""Alerts that wait for slow receivers; of more the newest are left out, and counted. Pages have them."""


class Alerting:
    """The webhooks of the configuration.

    Args:
        urls: Their addresses.
        store_dir: Where the secret lies that signs for all of them.
        metrics: Counts what was posted, and what failed.

    Raises:
        ConfigError: If an address is none.
    """

    def __init__(self, urls: Sequence[str], store_dir: Path, metrics: Metrics) -> None:
        secret = secret_of(store_dir) if urls else ""
        self._webhooks = [Webhook(WebhookSettings(url=url, secret=secret)) for url in urls]
        self._metrics = metrics
        self._log = Log("gateway")
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def post(self, alert: WatchAlert) -> None:
        """Posts an alert everywhere; never raises, since the alert is kept in any case."""
        if not self._webhooks:
            return
        if self._waiting >= MOST_WAITING:
            self._metrics.count("webhooks_left_out")
            return
        self._waiting += 1
        try:
            await asyncio.gather(*(self._posted(webhook, alert) for webhook in self._webhooks))
        finally:
            self._waiting -= 1

    async def _posted(self, webhook: Webhook, alert: WatchAlert) -> None:
        try:
            async with self._room:
                await asyncio.to_thread(webhook.post, alert)
        except OmniRecallError as error:
            self._metrics.count("webhooks_failed")
            self._log.warning("webhook_failed", error=type(error).__name__)
        else:
            self._metrics.count("webhooks_posted")


def secret_of(store_dir: Path) -> str:
    """What signs; made when first wanted, the owner's alone.

    Raises:
        ConfigError, DiskFull: If it cannot be written.
    """
    path = gateway_dir(store_dir) / SECRET_FILE
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="ascii").strip()
