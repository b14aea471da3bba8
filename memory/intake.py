"""What came in for the log, as the store takes it."""

from __future__ import annotations

from typing import cast

from memory.log.store import PutItem
from stream.messages import CommitPut
from stream.process.service import Received


def put_item(received: Received) -> PutItem:
    """A batch with its binary parts by name."""
    parts = {
        part.name: (part, body)
        for part, body in zip(received.envelope.parts, received.decoded.parts, strict=True)
    }
    return PutItem(received.envelope.sender, cast(CommitPut, received.message), parts)
