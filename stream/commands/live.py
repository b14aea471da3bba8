"""`omnirecall live`: the assistant. Processes, sources and the page, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from stream.commands import options

if TYPE_CHECKING:
    from stream.commands.gateway_link import Address
    from stream.commands.living import LiveRun
    from stream.messages.control import SourceState, StatusRoles

EVERY_S = 1.0


def live(
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", metavar="DEVICE", help="A camera of this machine: /dev/video0, or 0."),
    ] = None,
    mic: Annotated[
        list[str] | None,
        typer.Option("--mic", metavar="DEVICE", help="A microphone of this machine: default, or its name."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="URL",
            help="rtsp://…, http://…, or a file that plays as a camera; repeatable, as are the others.",
        ),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Listen here instead of on loopback.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65_535, help="0: any.")] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="Let phones of the local network in, by HTTPS; shows a QR code.")
    ] = False,
    store: options.Store = None,
    config: options.ConfigFile = None,
    as_json: options.AsJson = False,
) -> None:
    """Watch, listen, remember and answer, in a web page, until Ctrl-C.

    Without a source the page offers the camera and microphone of its browser. Where the processes run
    already they are used, and go on when this command ends.
    """
    from stream.commands.living import LiveRun, source_uris

    uris = source_uris(camera or (), mic or (), source or ())
    settings, chosen = _settings(host, port, lan=lan, config=config)
    store_dir = options.store_dir(store)
    run = LiveRun(store_dir, config, settings, chosen)
    with _ended_by_signal():
        try:
            address = run.start()
            _greet(run, address, no_browser=no_browser, as_json=as_json)
            _open_all(run, uris, as_json=as_json)
            _watch(run, as_json=as_json)
        except KeyboardInterrupt:
            pass
        finally:
            _end(run, as_json=as_json)


def _settings(
    host: str | None, port: int | None, *, lan: bool, config: Path | None
) -> tuple[dict[str, str], list[str]]:
    """The configuration that the options ask for, and the names of those that were given."""
    prefix = "OMNIRECALL__GATEWAY__"
    settings = {f"{prefix}ENABLED": "true"}
    chosen = ["--config"] if config is not None else []
    if lan:
        settings |= {f"{prefix}HOST": "'0.0.0.0'", f"{prefix}TLS": "true"}
        chosen.append("--lan")
    if host is not None:
        settings[f"{prefix}HOST"] = f"'{host}'"
        chosen.append("--host")
    if port is not None:
        settings[f"{prefix}PORT"] = str(port)
        chosen.append("--port")
    return settings, chosen


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """SIGTERM ends as Ctrl-C does; a second one of either, while it ends, changes nothing."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, taken in before.items():
            signal.signal(number, taken)


def _greet(run: LiveRun, address: Address, *, no_browser: bool, as_json: bool) -> None:
    from stream.commands.gateway_link import link_to, on_this_machine, print_qr
    from stream.commands.terminal import say, say_json_line

    link = link_to(run.store_dir, address)
    here = on_this_machine(link, address)
    # A code counts once: the phone has one of its own.
    other = None if address.is_loopback else link_to(run.store_dir, address).url
    if as_json:
        say_json_line({"event": "serving", "page": address.url, "link": here, "lan_link": other})
    else:
        say(f"the page: {here}")
        minutes = link.expires_s / 60
        say(f"the link logs one browser in, within {minutes:.0f} minutes; omnirecall pair makes more")
        if other is not None:
            say(f"for a phone: {other}")
            print_qr(other)
            _tell_certificate(run.store_dir)
    if not no_browser:
        import webbrowser

        webbrowser.open(here)


def _tell_certificate(store_dir: Path) -> None:
    """The print of the certificate, which a phone will ask about."""
    from stream.commands.terminal import say
    from stream.gateway.keys import FOLDER
    from stream.gateway.tls import fingerprint

    certificate = store_dir / FOLDER / "certificate.pem"
    if certificate.is_file():
        say(f"its certificate was made here, so the phone asks once; SHA-256 {fingerprint(certificate)}")


def _open_all(run: LiveRun, uris: Sequence[tuple[str, bool]], *, as_json: bool) -> None:
    from stream.commands.shapes import error_json
    from stream.commands.terminal import note, say_json_line
    from stream.errors import OmniRecallError

    for uri, as_camera in uris:
        try:
            run.open(uri, as_camera=as_camera)
        except OmniRecallError as error:
            # The others, and the page, are worth having without it.
            if as_json:
                say_json_line({"event": "source", "source": uri, **error_json(error)})
            else:
                note(f"{uri}: {error.message}" + (f"; try: {error.remedy}" if error.remedy else ""))


def _watch(run: LiveRun, *, as_json: bool) -> None:
    """Shows how it goes until a signal comes, or the processes end."""
    from stream.commands.terminal import console
    from stream.errors import DeadlineExceeded

    screen = console(stderr=True)
    told: dict[str, str] = {}
    shown = None
    if screen.is_terminal and not as_json:
        from rich.status import Status

        shown = Status("", console=screen, spinner="dots")
        shown.start()
    try:
        while True:
            try:
                state = run.state()
            except DeadlineExceeded:
                continue  # The machine is busy; the next look tells.
            _tell_changes(state, told, as_json=as_json)
            if shown is not None:
                from rich.text import Text

                shown.update(Text(line_of(state)))
            time.sleep(EVERY_S)
    finally:
        if shown is not None:
            shown.stop()


def _tell_changes(state: StatusRoles, told: dict[str, str], *, as_json: bool) -> None:
    """A line for each source that began, was lost, came back or ended, and each process that failed."""
    from stream.commands.terminal import clean, note, say_json_line

    now = {one.uri: _state_of(one) for one in state.sources}
    now |= {one.name: f"restarted {one.restarts} times" for one in state.roles if one.restarts}
    now |= {one.name: f"cannot serve: {one.last_error}" for one in state.roles if one.state == "broken"}
    for name, words in now.items():
        if told.get(name) == words:
            continue
        told[name] = words
        if as_json:
            say_json_line({"event": "state", "of": name, "state": words})
        else:
            note(f"{time.strftime('%H:%M:%S')} {clean(name)}: {clean(words)}")


def _state_of(source: SourceState) -> str:
    return f"{source.state}: {source.reason}" if source.reason else source.state


def line_of(state: StatusRoles) -> str:
    """One line: what each source does, what was dropped, what the processes hold."""
    from stream.commands.terminal import clean, size

    parts = []
    for one in state.sources:
        if one.state in ("done", "partial", "rejected", "closed"):
            continue
        dropped = f", {one.dropped} dropped" if one.dropped else ""
        speech = f", {one.audio_dropped} pieces of sound dropped" if one.audio_dropped else ""
        parts.append(f"{clean(_short(one.uri))} {one.state}: {one.read} pictures{dropped}{speech}")
    waiting = [one.name for one in state.roles if one.state not in ("serving", "draining")]
    parts += [f"waiting for {', '.join(waiting)}"] if waiting else []
    parts.append(size(sum(one.rss_bytes for one in state.roles)))
    return " · ".join(parts if state.sources else ["no source yet: open the page", *parts])


def _short(uri: str) -> str:
    return uri.rsplit("/", 1)[-1] if uri.startswith("/") else uri


def _end(run: LiveRun, *, as_json: bool) -> None:
    from stream.commands.terminal import note, say_json_line

    if not run.is_own:
        run.end()
        return
    if not as_json:
        note("ending: what is in hand is finished")
    began_s = time.monotonic()
    code = run.end()
    took_s = time.monotonic() - began_s
    if as_json:
        say_json_line({"event": "ended", "seconds": round(took_s, 3), "code": code})
    else:
        note(f"ended in {took_s:.1f} s")
    if code:
        raise typer.Exit(code)
