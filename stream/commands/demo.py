"""`omnirecall demo`: the main job on real media, from end to end, judged by its own recipe."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.capture.demo_recipe import Question
    from stream.commands.connection import Connection
    from stream.messages.answer import Answer

LEAST_RIGHT = 7
"""Of the eight questions; those about what is not there must be right in any case."""
NOT_GOOD_ENOUGH = 1


def demo(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Where to write the timeline.")
    ] = None,
    film_only: Annotated[
        bool, typer.Option("--film-only", help="Bring models and media, make the film, and stop.")
    ] = False,
    store: options.Store = None,
    idle_exit: options.IdleExit = options.DEFAULT_IDLE_EXIT_S,
    as_json: options.AsJson = False,
) -> None:
    """Make a film from free media, watch it, and answer eight questions about it."""
    from stream.capture.demo_recipe import QUESTIONS
    from stream.commands.connection import Connection
    from stream.commands.page import write_page
    from stream.commands.terminal import say, say_json
    from stream.commands.timeline import all_entries

    film = _film()
    if film_only:
        say_json({"film": str(film)}) if as_json else say(str(film))
        return
    store_dir = options.store_dir(store) if store is not None else film.with_suffix("") / "store"
    html = (html or store_dir.parent / f"{film.stem}.html").absolute()
    with Connection(store_dir, idle_exit_s=idle_exit) as connection:
        outcome = _index(connection, film)
        asked = [_ask(connection, question) for question in QUESTIONS]
        write_page(html, all_entries(connection, "event"), store_dir)
    right = sum(one["right"] for one in asked)
    absent_right = all(one["right"] for one in asked if one["sense"] == "absent")
    passed = right >= LEAST_RIGHT and absent_right
    if as_json:
        document = {"film": str(film), "store": str(store_dir), "timeline": str(html), "indexing": outcome}
        say_json({**document, "questions": asked, "right": right, "of": len(asked), "passed": passed})
    else:
        _show(asked, film, store_dir, html)
    if not passed:
        raise typer.Exit(NOT_GOOD_ENOUGH)


def _film() -> Path:
    """The film, its media and the models, each brought or made if it is missing."""
    from stream.capture.demo_film import assemble_film, film_path
    from stream.commands.models import progress_bars
    from stream.commands.terminal import note
    from stream.models import Condition, demo_media, models
    from stream.models.pull import pull

    for collection in (models(), demo_media()):
        if any(state.condition is not Condition.PRESENT for state in collection.states()):
            with progress_bars() as report:
                for told in pull(collection, (), report).notes:
                    note(f"note: {told}")
    media = demo_media()
    if film_path(media).is_file():
        return film_path(media)
    from rich.progress import Progress

    from stream.commands.terminal import console

    note("making the film from free photographs, clips and a recorded voice")
    screen = console(stderr=True)
    with Progress(console=screen, disable=not screen.is_terminal) as drawn:
        bar = drawn.add_task("film", total=None)
        return assemble_film(media, report=lambda done, total: drawn.update(bar, completed=done, total=total))


def _index(connection: Connection, film: Path) -> dict[str, object]:
    from stream.commands.indexing import Indexing, Job
    from stream.commands.outcomes import job_json, progress
    from stream.commands.terminal import note
    from stream.errors import SourceError

    job = Job(path=film)
    with progress([job], lambda job: note(f"{job.outcome}: {job.path} ({job.seconds:.1f} s)")) as bars:
        Indexing(connection, [job], bars.told).run()
    if job.outcome in ("rejected", "stopped"):
        raise SourceError(f"the film could not be read: {job.reason}", remedy=job.remedy)
    return job_json(job)


def _ask(connection: Connection, question: Question) -> dict[str, Any]:
    """One question, its answer, and whether that is right by the recipe."""
    from stream.commands.ask import TIMEOUT_S
    from stream.messages.envelope import new_id
    from stream.messages.turn import TurnFinal, TurnOpen

    began_s = time.perf_counter()
    turn = TurnOpen(turn_id=new_id(), question=question.text)
    answer = connection.ask("reasoning", TurnFinal, turn, timeout_s=TIMEOUT_S, trace_id=new_id()).answer
    took_ms = (time.perf_counter() - began_s) * 1e3
    cited_s = [(item.pts0_ns / 1e9, item.pts1_ns / 1e9) for item in answer.citations]
    return {
        "question": question.text,
        "sense": question.sense,
        "answer": answer.answer,
        "verdict": answer.verdict,
        "when": _when(answer),
        "cited_s": cited_s,
        "right": question.is_right(answer.verdict, answer.answer, cited_s),
        "ms": round(took_ms, 1),
    }


def _when(answer: Answer) -> str:
    from stream.commands.terminal import position

    return ", ".join(f"{position(item.pts0_ns)}-{position(item.pts1_ns)}" for item in answer.citations)


def _show(asked: list[dict[str, Any]], film: Path, store_dir: Path, html: Path) -> None:
    from stream.commands.terminal import say, table

    rows = [
        (
            one["question"],
            one["answer"],
            one["when"] or "-",
            "right" if one["right"] else "wrong",
            f"{one['ms']:.0f}",
        )
        for one in asked
    ]
    table(("question", "answer", "when", "", "ms"), rows)
    say(f"{sum(one['right'] for one in asked)} of {len(asked)} right")
    say(f"film:     {film}")
    say(f"store:    {store_dir}")
    say(f"timeline: {html}")
    say(f'ask more: omnirecall ask "…" --store {store_dir}')
