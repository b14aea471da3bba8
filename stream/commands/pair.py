"""`omnirecall pair`: a link that logs a browser in, for processes that serve the page already."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import options


def pair(
    viewer: Annotated[
        bool, typer.Option("--viewer", help="Whoever follows it may read and ask, and change nothing.")
    ] = False,
    qr: Annotated[bool, typer.Option("--qr", help="Also as a QR code, for a phone.")] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a link that logs one browser in, once, within five minutes.

    Exit code 6 where no page is served.
    """
    from stream.commands.gateway_link import address_of, link_to, on_this_machine, print_qr
    from stream.commands.terminal import say, say_json
    from stream.errors import RoleUnavailable

    store_dir = options.store_dir(store)
    address = address_of(store_dir)
    if address is None:
        raise RoleUnavailable(
            f"no page is served for {store_dir}", remedy="omnirecall live, or omnirecall serve --web"
        )
    link = link_to(store_dir, address, "viewer" if viewer else "owner")
    here = on_this_machine(link, address)
    if as_json:
        say_json({"url": link.url, "here": here, "expires_s": link.expires_s})
        return
    say(here if address.is_loopback else link.url)
    if qr:
        print_qr(link.url)
    say(f"logs one browser in, within {link.expires_s / 60:.0f} minutes")
