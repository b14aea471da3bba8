"""Sessions of browsers, and pairing a phone."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from stream.gateway.access import Identity
from stream.gateway.gateway import DAY_S, Gateway, identity_of
from stream.gateway.guard import Refusal, identity_of_token
from stream.gateway.sessions import COOKIE, PAIRING_S


class TokenIn(BaseModel):
    """A token, once, for a session."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=512)


class CodeIn(BaseModel):
    """A one-time code."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(max_length=128)


class PairingIn(BaseModel):
    """Whom the code logs in."""

    model_config = ConfigDict(extra="forbid")

    identity: Identity = "owner"


def router(gateway: Gateway) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/api/v1", tags=["session"])

    @routes.post("/session")
    async def open_session(told: TokenIn, request: Request, response: Response) -> dict[str, str]:
        """A token for a session cookie, which no script can read."""
        identity = identity_of_token(
            told.token,
            request.scope["state"]["address"],
            keys=gateway.keys,
            patience=gateway.patience,
            metrics=gateway.metrics,
        )
        return _logged_in(gateway, response, identity)

    @routes.post("/pair")
    async def pair(told: CodeIn, request: Request, response: Response) -> dict[str, str]:
        """A one-time code for a session cookie."""
        address = request.scope["state"]["address"]
        if wait_s := gateway.patience.wait_s(address):
            raise Refusal(429, "Unauthorised", "too many wrong codes", "wait a minute", wait_s)
        identity = gateway.pairing.redeem(told.code)
        if identity is None:
            gateway.patience.wrong(address)
            raise Refusal(401, "Unauthorised", "this code is used, or too old", "make a new one")
        return _logged_in(gateway, response, identity)

    @routes.get("/session")
    async def session(request: Request) -> dict[str, str]:
        """Whose session it is."""
        return {"identity": identity_of(request)}

    @routes.delete("/session")
    async def end_session(request: Request, response: Response) -> dict[str, bool]:
        """Ends the session of this cookie."""
        gateway.sessions.end(request.cookies.get(COOKIE, ""))
        response.delete_cookie(COOKIE, path="/")
        return {"ended": True}

    @routes.post("/pairing")
    async def pairing(told: PairingIn | None = None) -> dict[str, Any]:
        """A one-time code for another device, as address and as QR code."""
        import segno

        code = gateway.pairing.code(told.identity if told else "owner")
        url = f"{gateway.lan_url()}/#pair={code}"
        svg = segno.make(url, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff")
        return {"url": url, "qr_svg": svg, "expires_s": PAIRING_S}

    return routes


def _logged_in(gateway: Gateway, response: Response, identity: Identity) -> dict[str, str]:
    response.set_cookie(
        COOKIE,
        gateway.sessions.open(identity),
        max_age=int(gateway.settings.session_days * DAY_S),
        path="/",
        secure=gateway.settings.tls,
        httponly=True,
        samesite="strict",
    )
    return {"identity": identity}
