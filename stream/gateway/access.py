"""Who may do what: the one table of routes, which is enforced, documented and tested.

What is not in it does not exist: the guard answers 404 before any route is looked for, and a test
compares the table with the routes of the application.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Identity = Literal["viewer", "owner"]
Needs = Literal["nothing", "viewer", "owner"]
SOCKET = "SOCKET"
"""Stands for the method of a WebSocket."""

_RANKS: dict[str | None, int] = {None: 0, "nothing": 0, "viewer": 1, "owner": 2}


@dataclass(frozen=True, slots=True)
class Row:
    """One route.

    `path` has parameters as FastAPI writes them; one that ends in `/*` stands for all below it. `does` is
    for the document.
    """

    method: str
    path: str
    needs: Needs
    does: str

    def lets(self, identity: Identity | None) -> bool:
        """Whether that identity may use it."""
        return _RANKS[identity] >= _RANKS[self.needs]


def _row(line: str) -> Row:
    method, path, needs, does = line.split(maxsplit=3)
    return Row(method, path, needs, does)  # type: ignore[arg-type]


ACCESS: tuple[Row, ...] = tuple(
    _row(line)
    for line in """
GET    /healthz                                nothing  whether it serves
GET    /                                       nothing  the page, which holds no data
GET    /static/*                               nothing  its files
POST   /api/v1/session                         nothing  a token for a session cookie
POST   /api/v1/pair                            nothing  a one-time code for a session cookie
GET    /api/v1/session                         viewer   whose session it is
DELETE /api/v1/session                         viewer   end it
POST   /api/v1/pairing                         owner    a one-time code, as address and QR code
GET    /openapi.json                           viewer   this interface as an OpenAPI document
GET    /metrics                                viewer   counters of all processes, for Prometheus
GET    /api/v1/status                          viewer   processes, sources, store
POST   /api/v1/ask                             viewer   an answer with citations, whole or word by word
GET    /api/v1/search                          viewer   evidence only
GET    /api/v1/timeline                        viewer   spans of a day or a range, and the days there are
GET    /api/v1/now                             viewer   what is remembered of the last seconds
GET    /api/v1/media/{digest}                  viewer   a picture, by its hash
GET    /api/v1/moments/{moment_id}             viewer   the moment itself, as a browser plays it
GET    /api/v1/sources/{source_id}/frame       viewer   the newest picture of a source
GET    /api/v1/places                          viewer   places
POST   /api/v1/places/{place_id}/label         owner    name a place
GET    /api/v1/people                          viewer   voices
POST   /api/v1/people/{person_id}/label        owner    name a voice
POST   /api/v1/sources                         owner    open a source that the configuration allows
POST   /api/v1/sources/pause                   owner    pause or resume sources
GET    /api/v1/watches                         viewer   standing questions
POST   /api/v1/watches                         owner    set one
DELETE /api/v1/watches/{watch_id}              owner    drop one
GET    /api/v1/alerts                          viewer   what they told
POST   /api/v1/forget                          owner    forget a range, a span or a source
POST   /api/v1/remember                        owner    add a note, where that is switched on
GET    /v1/models                              viewer   OpenAI: the models there are
GET    /v1/models/{model}                      viewer   OpenAI: one of them
POST   /v1/chat/completions                    viewer   OpenAI: an answer to the last message
GET    /mcp                                    viewer   MCP over streamable HTTP
POST   /mcp                                    viewer   MCP over streamable HTTP
DELETE /mcp                                    viewer   MCP over streamable HTTP
SOCKET /api/v1/live                            viewer   the live page: state, words, media
""".strip().splitlines()
)


def find(method: str, path: str) -> tuple[Row | None, bool]:
    """The row of a request, and whether the path is known by another method.

    Args:
        method: In capitals, or `SOCKET`; a HEAD is a GET without its body.
        path: Without query.
    """
    wanted = "GET" if method == "HEAD" else method
    rows = [row for row in ACCESS if _pattern(row.path).fullmatch(path)]
    for row in rows:
        if row.method == wanted:
            return row, True
    return None, bool(rows)


@lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    if path.endswith("/*"):
        return re.compile(re.escape(path[:-1]) + r"[^\0]+")
    parts = ["[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]+\})", path)]
    return re.compile("".join(parts))
