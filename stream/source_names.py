"""What a source may be called by people: its uri, its file, and each of several chats of a file."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote


def names_of(uri: str, *, is_chat: bool = False) -> set[str]:
    """The names of a source that was met under a uri; no id is among them.

    Args:
        uri: Where it was met.
        is_chat: Whether what stands behind a `#` is the name of one of several chats of a file.
    """
    names = _names(uri)
    file, mark, chat = uri.rpartition("#")
    if is_chat and mark and file:
        names |= _names(file) | {chat}
    return names


def _names(uri: str) -> set[str]:
    # As the uri writes it too: a name that is no UTF-8 can be written in no other way.
    written = uri.removeprefix("file://")
    path = unquote(written)
    return {uri, path, PurePosixPath(path).name, written, PurePosixPath(written).name}
