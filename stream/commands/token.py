"""`omnirecall token`: the key by which the page and other programs come in."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands import options


def token(
    identity: Annotated[
        str,
        typer.Argument(metavar="[owner|viewer]", help="Whose: a viewer reads and asks, the owner may all."),
    ] = "owner",
    new: Annotated[
        bool, typer.Option("--new", help="Make it anew: the one before counts no more, nor do its sessions.")
    ] = False,
    store: options.Store = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the token of the gateway, which is made when it is first wanted."""
    from stream.commands.terminal import say, say_json
    from stream.errors import ConfigError
    from stream.gateway.keys import IDENTITIES, gateway_dir, new_token, token_of

    whose = next((one for one in IDENTITIES if one == identity), None)
    if whose is None:
        raise ConfigError(f"there is no identity {identity!r}", remedy=f"it is {' or '.join(IDENTITIES)}")
    store_dir = options.store_dir(store)
    told = new_token(store_dir, whose) if new else token_of(store_dir, whose)[0]
    if as_json:
        path = str(gateway_dir(store_dir) / f"{whose}.token")
        say_json({"identity": whose, "token": told, "file": path, "new": new})
        return
    say(told)
