"""`omnirecall ask`: a question, an answer, and what it rests on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Collection

    from stream.commands.connection import Connection
    from stream.messages.answer import Answer
    from stream.messages.cue import Cue
    from stream.messages.evidence import EvidenceItem

TIMEOUT_S = 30.0
DIALOGUE = "ask"
"""Questions without a name of a dialogue are of this one; each begins it anew unless it says `--follow`."""


def ask(
    question: Annotated[
        str | None,
        typer.Argument(
            help="In plain English; left out, questions are read from the terminal until an empty line."
            " Words for times (this morning, last Tuesday after five, in 2023) limit time, by this machine's"
            " clock; a date of the calendar does loosely: 2 days more to either side of a day, 15 before a"
            " month and 31 after it; --since and --until are strict. What happened on Tuesday, this morning,"
            " last week or on 3 March is told from digests of the very days."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="It follows the last question: 'and after that?', 'who said it?'")
    ] = False,
    dialogue: Annotated[
        str | None,
        typer.Option("--dialogue", metavar="NAME", help="It follows the last question of this dialogue."),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    source: options.Sources = None,
    place: options.Place = "",
    as_of: options.AsOf = None,
    valid_at: Annotated[
        str | None,
        typer.Option(
            "--valid-at", metavar="TIME", help="What held at this time, for questions about what holds now."
        ),
    ] = None,
    hearing: options.InHearingOf = "",
    store: options.Store = None,
    preset: options.Preset = "archive",
    config: options.ConfigFile = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Answer a question from what was seen and heard, with citations."""
    began_s = time.perf_counter()
    from msgspec.structs import replace

    from stream.commands.connection import to_store
    from stream.commands.dates import utc_ns
    from stream.messages.cue import Talk

    if question is None:
        _no_question(as_json)
    store_dir = options.store_dir(store)
    gates = options.gates(since, until, source, as_of, place)
    if hearing.strip():
        gates = replace(gates, talk=Talk(in_hearing_of=hearing.strip()))
    if valid_at is not None:
        gates = replace(gates, valid_at_ns=utc_ns(valid_at, "--valid-at"))
    if question is not None:
        question = options.asked(question, gates, "question")
    with to_store(store_dir, preset, config, idle_exit) as connection:
        connected_s = time.perf_counter()
        if question is None:
            _converse(connection, gates)
            return
        begins = dialogue is None and not follow
        answer = _answered(connection, question, gates, dialogue or DIALOGUE, begins=begins)
    if as_json:
        from stream.commands.shapes import answer_json
        from stream.commands.terminal import say_json

        document = answer_json(answer, store_dir)
        ended_s = time.perf_counter()
        document["timings_ms"] |= {
            "connect": round((connected_s - began_s) * 1e3, 3),
            "ask": round((ended_s - connected_s) * 1e3, 3),
        }
        say_json(document)
    else:
        show(answer)


def _no_question(as_json: bool) -> None:
    """Nothing was asked: only a terminal can be asked what.

    Raises:
        typer.BadParameter: If there is none, or JSON is wanted.
    """
    import sys

    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter("Missing argument 'QUESTION'.")


def _answered(
    connection: Connection, question: str, gates: Cue, dialogue: str, *, begins: bool = False
) -> Answer:
    from hashlib import blake2b

    from stream.messages.envelope import new_id
    from stream.messages.turn import TurnFinal, TurnOpen

    turn = TurnOpen(
        turn_id=new_id(),
        question=question,
        cue=gates,
        dialogue_id=blake2b(dialogue.encode("utf-8", "surrogateescape"), digest_size=16).digest(),
        begins=begins,
    )
    return connection.ask("reasoning", TurnFinal, turn, timeout_s=TIMEOUT_S, trace_id=new_id()).answer


def _converse(connection: Connection, gates: Cue) -> None:
    """Questions from the terminal, each of which may follow the one before, until an empty line."""
    from stream.commands.terminal import note
    from stream.errors import OmniRecallError

    dialogue, begins = f"terminal {time.time_ns()}", True
    while True:
        try:
            question = input("? ").strip()
        except EOFError:
            return
        if not question:
            return
        try:
            show(
                _answered(
                    connection, options.asked(question, gates, "question"), gates, dialogue, begins=begins
                )
            )
        except OmniRecallError as error:
            note(f"error: {error.message}")
        begins = False


def show(answer: Answer) -> None:
    """The answer for people: its sentences with the numbers of their citations, then these."""
    from stream.commands.playable import away_uris
    from stream.commands.terminal import clean, note, say

    plain = " ".join(sentence.text for sentence in answer.sentences)
    marked = [
        sentence.text + "".join(f" [{number + 1}]" for number in sentence.citations)
        for sentence in answer.sentences
    ]
    # What follows the sentences is how far the memory reaches.
    say(clean(" ".join(marked) + answer.answer.removeprefix(plain)))
    away = away_uris(item.uri for item in answer.citations if item.uri)
    for number, item in enumerate(answer.citations, start=1):
        who = f"{clean(item.speaker)}: " if item.speaker and item.kind == "utterance" else ""
        say(f"  [{number}] {who}{whereabouts(item, away)}")
    for conflict in answer.conflicts:
        say(f"  but: {clean(conflict)}")
    for notice in answer.notices:
        note(f"note: {clean(notice)}")


def whereabouts(item: EvidenceItem, away: Collection[str]) -> str:
    """Where a piece of evidence is, in one line: kind, date, and where it plays."""
    from stream.commands.playable import SHOWN_DIGITS, play_text
    from stream.commands.shapes import iso
    from stream.commands.terminal import clean
    from stream.messages.dialogue import EXCHANGE
    from stream.shown_times import has_date, shown

    if item.kind == "correction":
        return (
            f"your correction  {shown(item.t0_ns or 0, 'UTC')}  id {item.observation_id.hex()[:SHOWN_DIGITS]}"
        )
    if item.kind == EXCHANGE:
        when = shown(item.t0_ns or 0, "UTC")
        return f"your question  {when}  id {item.observation_id.hex()[:SHOWN_DIGITS]}"
    if item.t0_ns is not None and has_date(item.source_kind, item.t0_ns):
        offline = " (offline)" if item.uri in away else ""
        when = shown(item.t0_ns, item.time_zone)
        place = f"{clean(item.uri)}{offline}  id {item.observation_id.hex()[:SHOWN_DIGITS]}"
        return f"{item.kind.replace('_', ' ')}  {when}  {place}"
    date = f"  {(iso(item.t0_ns) or '')[:19].replace('T', ' ')} UTC" if item.t0_ns is not None else ""
    place = play_text(item.uri, item.pts0_ns, item.pts1_ns, item.observation_id, away)
    return f"{item.kind.replace('_', ' ')}{date}  {place}"
