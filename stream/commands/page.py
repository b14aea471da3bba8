"""The timeline as one HTML page that needs nothing else: no host, no script, no file beside it.

Thumbnails are data URIs. Each moment links to its original with the seconds as a media
fragment, so that a browser plays from there; one whose original was not there when the page
was written is marked as offline. Everything that came from a store is escaped, and the page's
content policy would load nothing even if something slipped through.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from stream.commands.playable import away_uris, link_of
from stream.commands.shapes import iso
from stream.commands.terminal import clean, position
from stream.shown_times import has_date, shown

if TYPE_CHECKING:
    from stream.messages.span import TimelineEntry

MAX_THUMBNAIL_BYTES = 256 << 10
"""A larger file under `media/` is no thumbnail and is left out of the page."""

PICTURE_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5a6270; --paper: #fbfbf9; --card: #ffffff;
  --line: #d9dce1; --mark: #0b57a4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9ec; --soft: #a4abb8; --paper: #15171b;
  --card: #1e2127; --line: #363b45; --mark: #8ab8ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
header p, .date { color: var(--soft); margin: .25rem 0 0; }
ol { list-style: none; margin: 0; padding: 0; }
li { display: grid; grid-template-columns: 10rem 1fr; gap: 1rem; padding: .75rem; margin: 0 0 .75rem;
  background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
img, .blank { width: 10rem; height: auto; min-height: 2.5rem; border-radius: .25rem;
  background: var(--line); }
time { font-weight: 600; font-variant-numeric: tabular-nums; color: var(--mark); }
p { margin: .25rem 0 0; }
.offline { color: var(--soft); font-size: .85rem; }
@media (max-width: 34rem) { li { grid-template-columns: 1fr; } img { width: 100%; }
  .blank { display: none; } }
@media print { li { break-inside: avoid; } }
"""


def write_page(path: Path, entries: Sequence[TimelineEntry], store_dir: Path) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: Where to; an existing file is replaced.
        entries: Spans in order of source and time.
        store_dir: Whose `media/` holds the thumbnails.

    Raises:
        ConfigError: If the file cannot be written.
    """
    from stream.errors import ConfigError

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(page_of(entries, store_dir), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def page_of(entries: Sequence[TimelineEntry], store_dir: Path) -> str:
    """The page as text."""
    sources = list(dict.fromkeys(entry.uri for entry in entries))
    away = away_uris(sources)
    parts = [_head(len(entries), len(sources))]
    for uri in sources:
        parts.append(f"<section>\n<h2>{_text(_name(uri))}</h2>\n<ol>\n")
        parts += (_item(entry, store_dir, away) for entry in entries if entry.uri == uri)
        parts.append("</ol>\n</section>\n")
    parts.append("</main>\n</body>\n</html>\n")
    return "".join(parts)


def _head(n_spans: int, n_sources: int) -> str:
    spans = "1 moment" if n_spans == 1 else f"{n_spans} moments"
    sources = "1 source" if n_sources == 1 else f"{n_sources} sources"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>OmniRecall timeline</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>Timeline</h1>\n<p>{spans} from {sources}, in order of time.</p>\n</header>\n<main>\n"
    )


def _item(entry: TimelineEntry, store_dir: Path, away: Collection[str]) -> str:
    span = entry.span
    when = when_of(entry).replace("-", "–") if _is_position(entry) else when_of(entry)  # noqa: RUF001 - a range
    date = iso(span.t0_ns) if _is_position(entry) else None
    dated = f'<p class="date">{_text(date[:19].replace("T", " "))} UTC</p>' if date else ""
    lines = "".join(f"<p>{_text(line)}</p>" for line in _lines(entry))
    picture = _picture(span.thumbnail, when, store_dir)
    time = f'<time datetime="PT{span.pts0_ns / 1e9:.3f}S">{when}</time>'
    link = link_of(entry.uri, span.pts0_ns, span.pts1_ns, away)
    if not entry.uri:
        time = f"<time>{when}</time>"  # A day is of no source.
    elif link is None:
        time += ' <span class="offline">offline</span>'
    else:
        href = escape(link, quote=True)
        picture = f'<a href="{href}">{picture}</a>' if picture.startswith("<img") else picture
        time = f'<a href="{href}" title="Play the original from here">{time}</a>'
    return f"<li>{picture}<div>{time}{dated}{lines}</div></li>\n"


def when_of(entry: TimelineEntry) -> str:
    """When a span was: positions in its source, or the dates of a chat."""
    span = entry.span
    if span.level == "day":
        return (iso(span.pts0_ns) or "")[:10]
    if span.t0_ns is None or _is_position(entry):
        return f"{position(span.pts0_ns)}-{position(span.pts1_ns)}"
    return shown(span.t0_ns, entry.time_zone, end_ns=span.t1_ns)


def _is_position(entry: TimelineEntry) -> bool:
    return not has_date(entry.source_kind, entry.span.t0_ns)


def _lines(entry: TimelineEntry) -> Iterable[str]:
    return entry.lines or ((entry.span.digest,) if entry.span.digest else ())


def _picture(thumbnail: str, when: str, store_dir: Path) -> str:
    body = _thumbnail_bytes(thumbnail, store_dir) if thumbnail else b""
    if not body:
        return '<div class="blank" aria-hidden="true"></div>'
    media_type = PICTURE_TYPES[PurePath(thumbnail).suffix.lower()]
    encoded = base64.b64encode(body).decode("ascii")
    return f'<img src="data:{media_type};base64,{encoded}" alt="Picture at {when}" loading="lazy">'


def _thumbnail_bytes(thumbnail: str, store_dir: Path) -> bytes:
    """The bytes of a picture of the store; none for a path that leaves it or is no picture."""
    media = (store_dir / "media").resolve()
    path = (media / thumbnail).resolve()
    if not path.is_relative_to(media) or path.suffix.lower() not in PICTURE_TYPES:
        return b""
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_THUMBNAIL_BYTES else b""
    except OSError:
        return b""


def _name(uri: str) -> str:
    return PurePath(uri).name or uri or "Days"


def _text(text: str) -> str:
    return escape(clean(text), quote=True)
