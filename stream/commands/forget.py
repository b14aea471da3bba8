"""`omnirecall forget`: shows what would go, asks, has it taken away everywhere, and checks that it is."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options
from stream.commands.index import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.commands.connection import Connection
    from stream.commands.outcomes import Teller
    from stream.messages.evidence import EvidenceItem
    from stream.messages.forget import ForgetAsk, ForgetDone

ASK_TIMEOUT_S = 60.0
BEGIN_TIMEOUT_S = 600.0
"""To take the rows: some milliseconds each, where there are very many."""
POLL_S = 0.3
PATIENCE_S = 120.0
"""How long memory may stay away, or wait for something, before the command leaves it to go on by itself."""
LEAST_SHARE = 0.5
"""Of the words of a cue, the share that a question must have to be meant by it."""
DECLINED = 1
"""Exit code where the person did not want it after all."""
STAGES = ("media", "views", "log", "spool", "search", "done")
WORDS = {
    "media": "wiping pictures",
    "views": "writing indexes anew",
    "log": "writing the log anew",
    "spool": "waiting for what is on its way",
    "search": "looking for traces",
}
_POSITION = re.compile(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:\.\d*)?)s?")


def forget(
    spans: Annotated[
        list[str] | None,
        typer.Option("--span", metavar="ID", help="An event or shot, all of it, by id; repeatable."),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Option(
            "--id", metavar="ID", help="An observation or a correction of yours, by the id of a citation."
        ),
    ] = None,
    source: options.Sources = None,
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--between",
            metavar="A B",
            help="From A until B: times, or with --source positions in it (90, 1:30, 1:02:03).",
        ),
    ] = None,
    matching: Annotated[
        str,
        typer.Option(
            "--matching",
            metavar="CUE",
            help="What a search for this finds: you say which of it; with --yes all that is like it.",
        ),
    ] = "",
    person: Annotated[
        str,
        typer.Option(
            "--person", metavar="WHO", help="A person: its voice, its names, what you decided about it."
        ),
    ] = "",
    with_words: options.WithWords = False,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="With --matching: how many at most.")] = 10,
    snapshots: Annotated[
        list[Path] | None,
        typer.Option(
            "--snapshot",
            metavar="DIR",
            help="Take it out of this snapshot too; alone: all that the store has forgotten. Repeatable.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and end.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Forget something for good: rows, indexes, pictures, what is on its way. It cannot be undone."""
    from stream.commands.connection import to_store
    from stream.commands.outcomes import Teller

    teller = Teller(as_json=as_json)
    store_dir = options.store_dir(store)
    named = [bool(spans), bool(ids), bool(source) or between is not None, bool(matching), bool(person)]
    if snapshots and not any(named):
        _in_snapshots(snapshots, store_dir, teller)
        return
    _check(named)
    told_person = _of_person(person, with_words=with_words)
    with to_store(store_dir, preset, config, idle_exit) as connection:
        if told_person is not None:
            _told_apart(connection)
        asks_which = bool(matching) and not (yes or dry_run or as_json) and sys.stdin.isatty()
        ask = told_person or _ask(spans, ids, source, between)
        ask = _found(connection, matching, k, asks_which) if matching else ask
        told = _taken(connection, ask, teller, person, yes=yes, dry_run=dry_run, as_json=as_json)
    if told is None:
        return
    if snapshots:
        _in_snapshots(snapshots, store_dir, teller)
    _say_end(told, teller)


def forget_this(
    ask: ForgetAsk,
    store_dir: Path,
    preset: str,
    config: Path | None,
    idle_exit: float,
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Forgets what another command names, as `forget` does: shows it, asks, follows it to its end."""
    from stream.commands.connection import to_store
    from stream.commands.outcomes import Teller

    teller = Teller(as_json=as_json)
    with to_store(store_dir, preset, config, idle_exit) as connection:
        told = _taken(connection, ask, teller, yes=yes, dry_run=dry_run, as_json=as_json)
    if told is not None:
        _say_end(told, teller)


def _taken(
    connection: Connection,
    ask: ForgetAsk,
    teller: Teller,
    person: str = "",
    *,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> ForgetDone | None:
    """What was forgotten; None where nothing was to be, or only a look was asked for."""
    would = _would(connection, ask)
    teller.event("would", "" if as_json else words_of(would), **would_json(would))
    if dry_run or not (_is_any(would) or person):
        if not dry_run:
            teller.event("end", "", over=True, verified=True, counts=would.counts)
        return None
    if not yes:
        _confirm(_told_of(would, person), as_json=as_json)
    return _forgotten(connection, ask, teller)


def _check(named: list[bool]) -> None:
    from stream.errors import ConfigError

    if sum(named) != 1:
        raise ConfigError(
            "say what to forget, in one way: --span, --id, --source and --between, --person, or --matching",
            remedy="omnirecall forget --help",
        )


def _ask(
    spans: list[str] | None, ids: list[str] | None, source: list[str] | None, between: tuple[str, str] | None
) -> ForgetAsk:
    from stream.commands.dates import utc_ns
    from stream.messages.forget import ForgetAsk

    if spans or ids:
        return ForgetAsk(spans=tuple(spans or ()), ids=tuple(ids or ()))
    if between is None:
        return ForgetAsk(sources=tuple(source or ()))
    positions = [position_ns(one) for one in between] if source else [None, None]
    if positions[0] is not None and positions[1] is not None:
        return ForgetAsk(sources=tuple(source or ()), pts0_ns=positions[0], pts1_ns=positions[1])
    t0_ns, t1_ns = (utc_ns(one, "--between") for one in between)
    return ForgetAsk(sources=tuple(source or ()), t0_ns=t0_ns, t1_ns=t1_ns)


def position_ns(text: str) -> int | None:
    """A position in a source as people write it: `90`, `1:30`, `1:02:03.5`; None where it is none."""
    found = _POSITION.fullmatch(text.strip())
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    whole, _, part = seconds.partition(".")
    total = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(whole)
    return total * 1_000_000_000 + int((part + "0" * 9)[:9])


def _of_person(person: str, *, with_words: bool) -> ForgetAsk | None:
    """The request for a person; None where none is named.

    Raises:
        ConfigError: If words are to go, and nobody says whose.
    """
    from stream.errors import ConfigError
    from stream.messages.forget import ForgetAsk

    if with_words and not person:
        raise ConfigError(
            "--with-words goes with a person", remedy="omnirecall forget --person NAME --with-words"
        )
    return ForgetAsk(person=person, with_words=with_words) if person else None


def _told_apart(connection: Connection) -> None:
    """Has every voice heard first: whose voice it is must be known, for all of it to go.

    Raises:
        ConfigError: If that takes longer, or people are off.
    """
    from stream.errors import ConfigError
    from stream.messages.people import PeopleAsk, PeopleTold

    told = connection.ask("memory", PeopleTold, PeopleAsk(limit=0), timeout_s=ASK_TIMEOUT_S)
    if told.more:
        raise ConfigError(
            "voices are still being told apart: not all that this person said is known yet",
            remedy="forget once omnirecall people says no more of that",
        )


def _found(connection: Connection, cue: str, k: int, asks_which: bool) -> ForgetAsk:
    """What recall finds for a cue, by its ids: the words of the cue go nowhere else.

    Recall gives the best that there is, be it good or not: a person says which of it is meant. Where none is
    asked, what is not like the cue stays.
    """
    from stream.commands.ask import whereabouts
    from stream.commands.playable import away_uris
    from stream.commands.search import said_by
    from stream.commands.terminal import clean, note
    from stream.errors import ConfigError
    from stream.messages.cue import Cue, RecallAsk
    from stream.messages.dialogue import EXCHANGE
    from stream.messages.evidence import Evidence
    from stream.messages.forget import ForgetAsk

    words = options.asked(cue, Cue(), "cue")
    found = connection.ask("memory", Evidence, RecallAsk(cue=Cue(text=words), k=k), timeout_s=ASK_TIMEOUT_S)
    # What was asked is found in no other way.
    asked = RecallAsk(cue=Cue(text=words), k=k, unit="dialogue")
    questions = [
        one
        for one in connection.ask("memory", Evidence, asked, timeout_s=ASK_TIMEOUT_S).items
        if one.kind == EXCHANGE and one.score >= LEAST_SHARE
    ]
    items = [*sorted(found.items, key=lambda item: -item.score), *questions]
    if asks_which and items:
        away = away_uris(item.uri for item in items)
        for place, item in enumerate(items, start=1):
            note(f"{place:3}  {whereabouts(item, away)}")
            note(f"     {clean(said_by(item))}")
        told = typer.prompt("Which of them? Numbers (1 3-5), all or none", err=True, default="none")
        items = [items[place - 1] for place in chosen(told, len(items))]
    elif not asks_which:
        items = like_the_cue(items)
        if not items:
            raise ConfigError(
                "nothing in the store is like that",
                remedy="omnirecall search shows the nearest; forget it by --id, or choose without --yes",
            )
    return ForgetAsk(ids=tuple(item.observation_id.hex() for item in items))


def like_the_cue(items: Sequence[EvidenceItem]) -> list[EvidenceItem]:
    """Those of what a search gave that may be meant by it, and not only the nearest that there is."""
    from stream.process.roles import resolve

    may_be_meant = resolve("memory.recall.verdict:may_be_meant")
    return [item for item in items if may_be_meant(item.grounding)]


def chosen(text: str, n: int) -> list[int]:
    """The numbers from 1 to `n` that a person wrote: `1 3-5`, `all` or `none`.

    Raises:
        ConfigError: If it is something else.
    """
    from stream.errors import ConfigError

    words = text.replace(",", " ").split()
    if words == ["all"]:
        return list(range(1, n + 1))
    if words in ([], ["none"]):
        return []
    found: set[int] = set()
    for word in words:
        first, dash, last = word.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"{word!r} is no number of the list", remedy="write for example: 1 3-5")
        found.update(range(int(first), int(last or first) + 1))
    if not found or min(found) < 1 or max(found) > n:
        raise ConfigError(f"the list goes from 1 to {n}", remedy="write for example: 1 3-5")
    return sorted(found)


def _would(connection: Connection, ask: ForgetAsk) -> ForgetDone:
    from stream.messages.forget import ForgetDone

    is_any = ask.ids or ask.spans or ask.sources or ask.person or ask.places or ask.t0_ns is not None
    if not is_any:
        return ForgetDone(counts={"observations": 0})  # A search that found nothing.
    return connection.ask("memory", ForgetDone, ask, timeout_s=ASK_TIMEOUT_S)


def _told_of(would: ForgetDone, person: str) -> str:
    n = would.counts.get("observations", 0)
    if person:
        return f"{person} and {_counted(n, 'observations')}" if n else person
    n += would.counts.get("acts", 0)
    return "this" if n == 1 else f"these {n}"


def _confirm(what: str, *, as_json: bool) -> None:
    """Asks the person.

    Raises:
        ConfigError: If nobody can be asked.
    """
    from stream.errors import ConfigError

    if as_json or not sys.stdin.isatty():
        raise ConfigError("nobody is there to be asked", remedy="give --yes, after a look with --dry-run")
    if not typer.confirm(f"Forget {what} for good?", err=True):
        raise typer.Exit(DECLINED)


def _forgotten(connection: Connection, ask: ForgetAsk, teller: Teller) -> ForgetDone:
    """Begins, and follows it to its end."""
    from msgspec.structs import replace
    from rich.progress import BarColumn, Progress, TextColumn

    from stream.commands.terminal import console
    from stream.messages.forget import ForgetDone

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as drawn:
        bar = drawn.add_task("taking rows away", total=len(STAGES))
        told = connection.ask("memory", ForgetDone, replace(ask, begin=True), timeout_s=BEGIN_TIMEOUT_S)
        teller.event("begun", "", erasure=told.erasure_id.hex(), counts=told.counts)
        moved_s = time.monotonic()
        try:
            while not told.over:
                place = STAGES.index(told.stage) + 1 if told.stage in STAGES else 0
                drawn.update(bar, completed=place, description=WORDS.get(told.stage, told.stage))
                time.sleep(POLL_S)
                before, told = told, _how_far(connection, told)
                if told.stage != before.stage:
                    moved_s = time.monotonic()
                    teller.event("progress", "", erasure=told.erasure_id.hex(), stage=told.stage)
                elif told.problem and time.monotonic() - moved_s > PATIENCE_S:
                    break
        except KeyboardInterrupt:
            teller.event("interrupted", "it is out of sight already; wiping goes on by itself")
            raise typer.Exit(INTERRUPTED) from None
    return told


def _how_far(connection: Connection, told: ForgetDone) -> ForgetDone:
    """How it goes; a memory that was killed is given time to come back."""
    from stream.errors import DeadlineExceeded, RoleUnavailable
    from stream.messages.forget import ForgetAsk, ForgetDone

    ends_at_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return connection.ask(
                "memory", ForgetDone, ForgetAsk(erasure_id=told.erasure_id), timeout_s=ASK_TIMEOUT_S
            )
        except (RoleUnavailable, DeadlineExceeded):
            if time.monotonic() > ends_at_s:
                raise
        time.sleep(POLL_S)


def _say_end(told: ForgetDone, teller: Teller) -> None:
    """Says how it ended.

    Raises:
        StoreError: If it is not over, or something of it was found.
    """
    from stream.errors import StoreError

    teller.event(
        "end",
        end_words(told),
        erasure=told.erasure_id.hex(),
        counts=told.counts,
        over=told.over,
        verified=told.verified,
        remains=told.remains,
        problem=told.problem,
    )
    if not told.over:
        raise StoreError(
            f"out of sight, and not wiped yet: {told.problem}",
            remedy="it goes on by itself while the processes run, and at their next start",
        )
    if not told.verified:
        found = ", ".join(f"{n} in {place}" for place, n in told.remains.items())
        raise StoreError(f"bytes of it were found: {found}", remedy="omnirecall doctor; then forget it again")


def _in_snapshots(folders: list[Path], store_dir: Path, teller: Teller) -> None:
    """Takes what the store has forgotten out of snapshots."""
    from stream.errors import StoreError
    from stream.process.roles import resolve

    forget_in = resolve("memory.snapshot.replay:forget_in")
    for folder in folders:
        done = forget_in(folder.expanduser().absolute(), store_dir)
        teller.event(
            "snapshot",
            f"{folder}: {done.observations} observations taken out",
            folder=str(folder),
            observations=done.observations,
            remains=done.remains,
        )
        if done.remains:
            raise StoreError(f"bytes of it were found in {folder}", remedy="remove this snapshot")


def words_of(would: ForgetDone) -> str:
    """What would go, for people."""
    from stream.commands.shapes import iso
    from stream.commands.terminal import clean, position

    lines: list[str] = []
    for part in would.parts:
        name = clean(part.uri) or part.source_id.hex()
        # Of the dialogue positions are UTC.
        times = [] if part.pts0_ns == part.t0_ns else [f"{position(part.pts0_ns)}-{position(part.pts1_ns)}"]
        times += [f"{iso(part.t0_ns)} to {iso(part.t1_ns)}"] if part.t0_ns is not None else []
        whole = ", all of it and its name" if part.whole else ""
        lines.append(f"{name}  {', '.join(times)}  {_counted(part.observations, 'observations')}{whole}")
    lines += [f"    {clean(title)}" for title in would.titles]
    n = would.counts.get("observations", 0)
    if "voices" in would.counts:
        heard = _counted(would.counts["voices"], "utterances")
        lines.append(f"the voice in {heard}, its names, and the acts that tell of it")
        if not n:
            return "\n".join([*lines, "these would go, and what was said stays: --with-words takes it, too"])
    elif not _is_any(would):
        return "nothing of that is in the store"
    acts = would.counts.get("acts", 0)
    told = _counted(acts, "corrections") if acts and not n else _counted(n, "observations")
    told += f" and {_counted(acts, 'corrections')}" if acts and n else ""
    made = "it" if n + acts == 1 else "them"
    return "\n".join([*lines, f"{told} would go, with all that was made of {made}"])


def _is_any(would: ForgetDone) -> bool:
    return any(would.counts.get(name) for name in ("observations", "sources", "acts"))


def _counted(n: int, things: str) -> str:
    return f"{n} {things.removesuffix('s') if n == 1 else things}"


def would_json(would: ForgetDone) -> dict[str, Any]:
    """What would go, for programs."""
    from stream.commands.shapes import iso, seconds

    return {
        "counts": would.counts,
        "sources": [
            {
                "source": part.uri,
                "id": part.source_id.hex(),
                "session": part.session,
                "observations": part.observations,
                "t0_s": seconds(part.pts0_ns),
                "t1_s": seconds(part.pts1_ns),
                "t0": iso(part.t0_ns),
                "t1": iso(part.t1_ns),
                "whole": part.whole,
            }
            for part in would.parts
        ],
        "titles": list(would.titles),
    }


def end_words(told: ForgetDone) -> str:
    """What went, for people."""
    from stream.commands.terminal import size

    counts = told.counts
    named = (
        "observations",
        "voices",
        "names",
        "keys",
        "spans",
        "media",
        "citations",
        "acts",
        "claims",
        "sources",
    )
    went = ", ".join(_counted(counts[name], name) for name in named if counts.get(name))
    wiped = f" ({size(counts['media_bytes'])} of pictures)" if counts.get("media_bytes") else ""
    checked = "; no byte of it was found" if told.verified else ""
    return f"forgotten: {went}{wiped}{checked}"
