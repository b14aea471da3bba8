"""Options that several commands share, so that they are spelt and explained alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stream.messages.cue import Cue

Store = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="The store; by default in the platform's data folder."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only what was recorded at or after this time.")
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Only what was recorded before this time.")
]


def _writable(names: list[str] | None) -> list[str] | None:
    """Names that are no UTF-8 in the letters of their uri: a message cannot carry their bytes."""
    if not names:
        return names
    from os import fsencode
    from urllib.parse import quote

    return [
        quote(fsencode(name)) if any("\ud800" <= letter <= "\udfff" for letter in name) else name
        for name in names
    ]


Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="NAME",
        callback=_writable,
        help="Only this source, by file name, uri or id; of a file of several chats all, or one by its name;"
        " repeatable.",
    ),
]
InHearingOf = Annotated[
    str,
    typer.Option(
        "--in-hearing-of",
        metavar="NAME",
        help="Only what was said when this person was there: to it, by it, or in a talk of its own.",
    ),
]
WithWords = Annotated[bool, typer.Option("--with-words", help="With --person: what it said, too.")]
Place = Annotated[
    str,
    typer.Option(
        "--place",
        metavar="PLACE",
        help="Only what was perceived there: a label, or the first digits of a place's id (places list).",
    ),
]
AsOf = Annotated[
    int | None,
    typer.Option(
        "--as-of",
        metavar="COMMIT",
        min=0,
        help="As the store was at this commit: nothing that came later shows. status tells the newest.",
    ),
]
Preset = Annotated[
    str, typer.Option("--preset", help="Preset of the processes, if they are started now: archive, live, …")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Your configuration, for processes that are started now."),
]
IdleExit = Annotated[
    float,
    typer.Option(
        "--idle-exit", metavar="SECONDS", help="How long processes that are started now stay when idle."
    ),
]
DEFAULT_IDLE_EXIT_S = 600.0
KINDS = ("shot", "frame", "caption", "seen_text", "utterance", "chapter", "voice", "view", "gap")
"""Kinds of observation that this release makes."""


def kinds(names: list[str] | None) -> tuple[str, ...]:
    """The kinds that `--kind` names.

    Raises:
        ConfigError: If nothing is ever of one of them.
    """
    from stream.errors import ConfigError

    for name in names or ():
        if name not in KINDS:
            raise ConfigError(f"--kind: there is no kind {name!r}", remedy=f"kinds are {', '.join(KINDS)}")
    return tuple(names or ())


def asked(text: str, gates: Cue, what: str) -> str:
    """What is asked, if there is anything to look for: a word, or a time range without any.

    Args:
        text: As it was typed.
        gates: What goes with it.
        what: What the command calls it: "question", "cue".

    Raises:
        ConfigError: If there is neither.
    """
    import unicodedata

    from stream.errors import ConfigError

    says = any(unicodedata.category(c)[0] not in "PZC" for c in text)
    if not says and gates.t0_ns is None and gates.t1_ns is None:
        raise ConfigError(
            f"the {what} {text!r} has no words",
            remedy="say what to look for, or give --since or --until for all of a time",
        )
    return text


def timed(text: str, gates: Cue) -> tuple[Cue, tuple[str, ...]]:
    """A cue of some words, the times that they name as its range, and what is to be said of that.

    Dates of the calendar stay words: memory gates turns of chats by them, with some reach. Where a range
    was set outright, or there is nothing but times, the words stay as they are.
    """
    from datetime import datetime

    from msgspec.structs import replace

    from stream.clock_words import clock_words
    from stream.local_time import now_here

    plain = replace(gates, text=text)
    if gates.t0_ns is not None or gates.t1_ns is not None:
        return plain, ()
    here = now_here()
    clock = clock_words(text, here)
    if clock is None or clock.loose:
        return plain, ()
    since_ns, until_ns = clock.hull
    ends = [
        f"{side} {datetime.fromtimestamp(t_ns / 1e9, here.tzinfo):%Y-%m-%d %H:%M}"
        for side, t_ns in (("from", since_ns), ("to", until_ns))
        if t_ns is not None
    ]
    told = f'"{clock.words}" is read as {" ".join(ends)}; --since and --until set it outright'
    return replace(gates, text=clock.rest, t0_ns=since_ns, t1_ns=until_ns), (told,)


def gates(
    since: str | None,
    until: str | None,
    sources: list[str] | None,
    as_of: int | None = None,
    place: str = "",
) -> Cue:
    """What `--since`, `--until`, `--source`, `--as-of` and `--place` let through, as a cue without words.

    Raises:
        ConfigError: If a time is not understood.
    """
    from stream.commands.dates import utc_ns
    from stream.messages.cue import Cue

    return Cue(
        t0_ns=utc_ns(since, "--since"),
        t1_ns=utc_ns(until, "--until"),
        sources=tuple(sources or ()),
        as_of_commit=as_of,
        place=place,
    )


def store_dir(told: Path | None) -> Path:
    """The store that was named, by the option, by `OMNIRECALL_STORE`, or the platform's default."""
    if told is not None:
        return told.expanduser().absolute()
    named = os.environ.get("OMNIRECALL_STORE")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_path("omnirecall")) / "store"
