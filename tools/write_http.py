"""Writes `docs/http.md` from the table of routes: `python -m tools.write_http [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from stream.gateway.access import ACCESS, SOCKET, Row
from stream.gateway.forms import STATUSES
from stream.gateway.page import MOST_WORDS
from stream.gateway.settings import GatewaySettings

FILE = Path(__file__).parents[1] / "docs" / "http.md"

HEAD = """# HTTP and WebSocket

<!-- Written by `python -m tools.write_http`; a test compares it with the code. -->

The gateway serves where `gateway.enabled` is set: on {host}:{port} unless the configuration says otherwise.
`omnirecall token` tells the owner's token, `omnirecall token viewer` one that reads and asks. A program
sends it as `Authorization: Bearer TOKEN`; the page exchanges it for a cookie. `/openapi.json` has every
field.

    curl -H "Authorization: Bearer $(omnirecall token viewer)" \\
         -d '{{"question": "Where is the spare key?"}}' -H 'Content-Type: application/json' \\
         http://localhost:{port}/api/v1/ask

## Who may do what

| | route | who | what |
|---|---|---|---|
"""

TAIL = """
A request whose Host is none of this machine's names, or whose Origin is another page's, is refused whatever
it asks. What comes by cookie and changes something has to tell its Origin. A body has at most {body:,} bytes.
After {wrong} wrong tokens in a minute an address waits.

## Errors

`{{"error", "message", "remedy"}}`: the name of an error of the tree, what is wrong, and what to do.

| error | status |
|---|---|
{errors}

Without a token, or with a wrong one: 401. With a viewer's where the owner's is wanted, or from another page:
403. Another host: 421. Too many wrong tokens: 429. A body too large: 413.

## Words as they come

`POST /api/v1/ask` with `"stream": true` answers with server-sent events: `token` {{"index", "text",
"sentence"}}, then `answer` (as `ask --json`), or `error`. Only sentences that were checked against the
evidence are told.

In every answer `thumbnail` is an address or null, and `play.uri` an address of the moment or null. Such a
file may begin before the moment, at a keyframe: `x-omnirecall-lead-s` tells by how much.

## The live socket

`WS /api/v1/live`, by cookie or by the subprotocols `omnirecall.v1` and `token.TOKEN`. Text messages are JSON.

| the page says | |
|---|---|
| `ask` question, epoch, turn_id, dialogue_id | a question; epoch is one more than the newest it knows |
| `cancel` epoch | stop; words of lower epochs are discarded |
| `playing` epoch, state, text | what is being spoken aloud, so that it is not taken for a user's |
| `talk` state, name | push-to-talk, `down` or `up`, of the camera of that name |
| `camera` state, name, segment, mime, has_video, has_audio | `open` or `close` |
| binary | version 1, kind 1 (WebM), u32 segment, u32 index, u64 UTC ns, big-endian; then the bytes |

| the page is told | |
|---|---|
| `hello` identity, epoch, dialogue_id, settings | first |
| `state` | as `/api/v1/status`, each second; only the newest waits |
| `camera`, `pushed` segment, through, window, restart, paused | chunks are taken, or were |
| `voice`, `transcript`, `seen` | what is heard and seen |
| `forgotten` | something was forgotten: what is shown may be of it, and is asked for anew |
| `turn` phase, epoch, turn_id, text, reason | `duck`, `resume`, `cancel`, `open`, `ignored`; `cancelled` |
| `token`, `answer`, `error` turn_id, epoch | as above |
| `alert` | a standing question was answered |

An epoch that is more than 10,000 ahead of every known one, and of UTC milliseconds, is refused. `playing`,
`talk` and `camera` are the owner's alone. What is held is let go with the connection, and after 5 minutes.

A page that lets {words} words wait is closed with code 1013, and may come back; at the end all are closed
with 1001. One whose session has ended, or whose token was made anew, is closed with 4401 within seconds.
{chunk:,} bytes is the largest binary message.
"""


def table() -> str:
    """The rows, as a table of Markdown."""
    return "".join(_line(row) for row in ACCESS)


def _line(row: Row) -> str:
    method = "WebSocket" if row.method == SOCKET else row.method
    who = "anybody" if row.needs == "nothing" else row.needs
    return f"| {method} | `{row.path}` | {who} | {row.does} |\n"


def document() -> str:
    """The whole page."""
    own = GatewaySettings()
    errors = "\n".join(f"| {kind.__name__} | {status} |" for kind, status in STATUSES)
    tail = TAIL.format(
        body=own.body_bytes,
        wrong=own.wrong_tokens,
        errors=errors,
        words=f"{MOST_WORDS:,}",
        chunk=own.chunk_bytes,
    )
    return HEAD.format(host=own.host, port=own.port) + table() + tail


def main(argv: list[str]) -> int:
    """Writes it, or says whether it is as the code has it."""
    text = document()
    if "--check" in argv:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
