"""`omnirecall status`: processes, store and sources. It starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.errors import OmniRecallError
    from stream.messages.control import SourceState, SourceStatus, StatusMemory, StatusRoles

DAY_NS = 86_400_000_000_000


def status(
    data: Annotated[
        bool,
        typer.Option("--data", help="Walk the store: what every byte of it is. Starts the processes."),
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the processes, what the store holds, and how reading its sources goes."""
    if data:
        from stream.commands.retention import show_data

        show_data(options.store_dir(store), as_json=as_json)
        return
    from stream.commands.connection import Connection
    from stream.commands.terminal import say, say_json
    from stream.errors import OmniRecallError, RoleUnavailable
    from stream.process.start import is_running

    store_dir = options.store_dir(store)
    roles: StatusRoles | None = None
    memory: StatusMemory | None = None
    error: OmniRecallError | None = None
    if is_running(store_dir):
        with Connection(store_dir) as connection:
            roles = connection.roles()
            try:
                memory = connection.memory()
            except OmniRecallError as failed:
                error = failed
    if as_json:
        say_json(_document(store_dir, roles, memory, error))
    elif roles is None:
        exists = (store_dir / "log.sqlite").is_file()
        say(f"store {store_dir}: {'no process runs' if exists else 'does not exist yet'}")
        say(f"on disk: {_disk(store_dir)}")
    else:
        _show(store_dir, roles, memory, error)
    if error is not None or (roles is not None and any(role.state == "broken" for role in roles.roles)):
        raise typer.Exit(RoleUnavailable.exit_code)


def _document(
    store_dir: Path, roles: StatusRoles | None, memory: StatusMemory | None, error: OmniRecallError | None
) -> dict[str, Any]:
    from stream.commands.shapes import error_json, held_json, reading_json, role_json

    document: dict[str, Any] = {
        "store": str(store_dir),
        "exists": (store_dir / "log.sqlite").is_file(),
        "running": roles is not None,
        "ready": roles is not None and roles.ready,
        "page": _page(store_dir) if roles is not None else None,
        "processes": [role_json(role) for role in roles.roles] if roles else [],
        "reading": [reading_json(source) for source in roles.sources] if roles else [],
    }
    if memory is not None:
        document["memory"] = {
            "commit_no": memory.commit_no,
            "schema": memory.schema,
            "counts": memory.counts,
            "bytes": memory.n_bytes,
            "indexes": memory.indexes,
            "pending_keys": memory.pending_keys,
            "lexicon": memory.lexicon,
            "reindex": memory.reindex,
            "short_term": memory.short_term,
            "clips": memory.clips,
            "retention": memory.retention,
            "sources": [
                held_json(source, offline=source.uri in offline)
                for offline in (offline_uris(memory.sources),)
                for source in memory.sources
            ],
        }
    return document | (error_json(error) if error else {})


def _show(
    store_dir: Path, roles: StatusRoles, memory: StatusMemory | None, error: OmniRecallError | None
) -> None:
    from stream.commands.terminal import clean, say, size, table

    say(f"store {store_dir}: {'ready' if roles.ready else 'not ready'}")
    rows = [
        (
            role.name,
            role.state,
            str(role.pid or ""),
            f"{role.age_s:.0f} s",
            size(role.rss_bytes),
            str(role.restarts),
            role.last_error,
        )
        for role in roles.roles
    ]
    table(("process", "state", "pid", "age", "memory", "restarts", "last error"), rows)
    if page := _page(store_dir):
        say(f"the page: {page}; omnirecall pair makes a link that logs you in")
    if error is not None:
        say(f"memory does not answer: {clean(error.message)}")
    if memory is not None:
        _show_memory(memory)
    for source in roles.sources:
        if source.state in ("starting", "reading"):
            say(_reading(source))


def _page(store_dir: Path) -> str | None:
    """Where the gateway listens; None where none serves."""
    from stream.commands.gateway_link import address_of

    address = address_of(store_dir)
    return address.url if address is not None else None


def _show_memory(memory: StatusMemory) -> None:
    from stream.commands.terminal import say, size, table

    counts = ", ".join(f"{count} {plain(name)}" for name, count in memory.counts.items())
    disk = ", ".join(f"{name} {size(n)}" for name, n in memory.n_bytes.items())
    say(f"commit {memory.commit_no}; {counts or 'empty'}")
    say(f"on disk: {disk or 'nothing'}; {to_make(memory)}")
    for name, index in memory.indexes.items():
        say(f"keys of {name}: {words_of_index(index)}")
    if memory.lexicon:
        say("words: " + ", ".join(f"{key} {value}" for key, value in memory.lexicon.items()))
    if memory.reindex:
        made, total = memory.reindex.get("made", 0), memory.reindex.get("total", 0)
        old, new = memory.reindex.get("answering", ""), memory.reindex.get("wanted", "")
        say(f"reindex: {old} answers; {made} of {total} keys of {new} are made")
    for what, told in (("short-term", memory.short_term), ("clips", memory.clips)):
        if told:
            say(f"{what}: " + ", ".join(f"{count} {plain(key)}" for key, count in told.items()))
    if memory.retention:
        from stream.commands.retention import budget_lines

        for line in budget_lines(memory.retention):
            say(line)
    if memory.sources:
        offline = offline_uris(memory.sources)
        rows = [
            (
                source.uri,
                length_of(source),
                str(source.observations),
                _reach(source) + ("; offline: index it where it is now" if source.uri in offline else ""),
            )
            for source in memory.sources
        ]
        table(("source", "length", "observations", "known"), rows)


def plain(name: str) -> str:
    """The name of a count, for people."""
    return "keys that are not searched" if name == "unsearched_keys" else name.replace("_", " ")


def to_make(memory: StatusMemory) -> str:
    """How many keys are still to be made, facts apart."""
    texts = f"{memory.pending_keys - memory.pending_turns} keys to make"
    return f"{texts}, and those of what {memory.pending_turns} turns state" if memory.pending_turns else texts


def words_of_index(index: dict[str, object]) -> str:
    """What an index is and how well it finds, for people."""
    from stream.commands.terminal import size

    said = [str(index.get("n", 0))]
    if index.get("searched") is False:
        why = "their model is not configured"
        if index.get("being_made"):
            why = "they are being made"
        elif index.get("replaced"):
            why = "another model answers; they are kept" if index.get("kept") else "another model answers"
        said.append(f"not searched: {why}")
    if "dimension" not in index:
        return ", ".join(said)
    said.append(f"{index['dimension']} numbers each, {size(int(str(index.get('n_bytes', 0))))} in memory")
    if index.get("exact"):
        said.append("an exact index")
    else:
        recall, of = index.get("recall_at_10"), index.get("of_keys")
        measured = "not measured" if recall is None else f"finds {recall} of the true ten nearest of {of}"
        said.append(f"an index of lists, {measured}")
    said += ["on the GPU"] if index.get("gpu") else []
    said += [] if index.get("saved") else ["not saved yet"]
    return ", ".join([*said, f"to commit {index.get('commit_no', 0)}"])


def offline_uris(sources: Sequence[SourceStatus]) -> frozenset[str]:
    """The files that are not where they were met last."""
    from stream.commands.playable import away_uris

    return away_uris(source.uri for source in sources if source.kind == "file")


def length_of(source: SourceStatus) -> str:
    """How long a source is; a chat of days in days."""
    from stream.commands.terminal import position

    if source.kind == "chat" and (source.duration_ns or 0) >= 2 * DAY_NS:
        return f"{(source.duration_ns or 0) // DAY_NS} days"
    return position(source.duration_ns)


def _reach(source: SourceStatus) -> str:
    from stream.commands.terminal import position

    if source.consolidated:
        return "all"
    marks = [f"{track.media} to {position(track.through_pts_ns) or '0:00'}" for track in source.tracks]
    return ", ".join(marks) or "nothing yet"


def _reading(source: SourceState) -> str:
    from stream.commands.terminal import clean, position

    of = f" of {position(source.duration_ns)}" if source.duration_ns else ""
    return f"reading {clean(source.uri)}: {position(source.position_ns)}{of}, {source.dropped} dropped"


def _disk(store_dir: Path) -> str:
    from stream.commands.terminal import size

    return size(sum(path.stat().st_size for path in store_dir.rglob("*") if path.is_file()))
