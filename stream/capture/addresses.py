"""Addresses of live sources: what kind each is, how it is called, and which may be opened.

An address may carry a user and a password. They are given to the process that opens it, and to
nobody else: a source is called by its address without them.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from stream.errors import SourceRefused

if TYPE_CHECKING:
    from stream.capture.settings import CaptureSettings

Kind = Literal["camera", "microphone", "browser", "network"]
SCHEMES: dict[str, Kind] = {
    "camera": "camera",
    "microphone": "microphone",
    "browser": "browser",
    "rtsp": "network",
    "rtsps": "network",
    "http": "network",
    "https": "network",
}
"""Schemes of live sources; whatever has another one is a file, or nothing."""
MOST_CHARS = 1000
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BROWSER_NAME = re.compile(r"[\w .@-]{1,64}")
_SECRET = re.compile(r"(?i)(pass|pwd|token|secret|key|auth|sig|user|credential)")


def scheme_of(uri: str) -> str:
    """The scheme of an address in lower case; empty where it has none."""
    found = _SCHEME.match(uri)
    return found[1].lower() if found else ""


def kind_of(uri: str) -> Kind | None:
    """What kind of live source an address names; None if it is none."""
    return SCHEMES.get(scheme_of(uri))


def checked(uri: str) -> str:
    """An address of a live source that is well formed, its scheme and host in lower case.

    Raises:
        SourceRefused: If it is not; the error does not tell what stands in it.
    """
    scheme, kind = scheme_of(uri), kind_of(uri)
    rest = uri[len(scheme) + 1 :]
    if kind is None or len(uri) > MOST_CHARS or any(ord(letter) < 32 or letter == "\x7f" for letter in uri):
        raise SourceRefused(
            "this is no address of a live source",
            remedy=f"give one of {', '.join(f'{name}:' for name in SCHEMES)}",
        )
    if kind == "browser" and not _BROWSER_NAME.fullmatch(rest):
        raise SourceRefused(
            "browser: is followed by a name of letters, digits, blanks and .-@_",
            remedy="such as browser:phone",
        )
    if kind in ("camera", "microphone") and not rest:
        raise SourceRefused(
            f"{kind}: names no device", remedy="such as camera:/dev/video0 or microphone:default"
        )
    if kind != "network":
        return f"{scheme}:{rest}"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host:
        raise SourceRefused(
            f"this {scheme} address names no host", remedy=f"such as {scheme}://camera.local/live"
        )
    return urlunsplit((scheme, _netloc(uri, with_user=True), parts.path, parts.query, ""))


def public(uri: str) -> str:
    """How a source is called everywhere: its address without user, password, and secrets of its query."""
    if kind_of(uri) != "network":
        return uri
    try:
        parts = urlsplit(uri)
        query = "&".join(_public_field(field) for field in parts.query.split("&"))
        return urlunsplit((parts.scheme.lower(), _netloc(uri, with_user=False), parts.path, query, ""))
    except ValueError:
        return f"{scheme_of(uri)}://"


def user_of(uri: str) -> tuple[str, str] | None:
    """User and password of an address; None where it has none."""
    parts = urlsplit(uri)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def origin_of(uri: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address: what a redirect must not leave."""
    parts = urlsplit(uri)
    usual = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or usual.get(parts.scheme.lower())


def source_id_of(uri: str) -> bytes:
    """The id of a live source, (16,) bytes: that of its name, whoever opens it."""
    return hashlib.blake2b(b"live:" + public(uri).encode("utf-8", "surrogateescape"), digest_size=16).digest()


def ensure_allowed(uri: str, settings: CaptureSettings) -> None:
    """Makes sure that somebody who is not at the command line may have this opened.

    Raises:
        SourceRefused: If it is no live source, or the configuration does not allow it.
    """
    scheme, kind = scheme_of(uri), kind_of(uri)
    told = settings.plain_sources()
    if uri in told or any(uri == public(source) for source in told):
        return
    if kind is None:
        raise SourceRefused("only live sources are opened from here", remedy="omnirecall index opens files")
    if scheme not in settings.allow_schemes:
        raise SourceRefused(
            f"{scheme}: is not allowed from here", remedy=f"add {scheme} to capture.allow_schemes"
        )
    host = (urlsplit(uri).hostname or "").lower() if kind == "network" else ""
    if kind == "network" and host not in {name.lower() for name in settings.allow_hosts}:
        raise SourceRefused(f"{host} is not allowed from here", remedy=f"add {host} to capture.allow_hosts")


def configured(uri: str, settings: CaptureSettings) -> str:
    """The address with its password of a source that the configuration knows by this name; else the same."""
    return next((source for source in settings.plain_sources() if public(source) == uri), uri)


def scrubbed(text: str, uri: str) -> str:
    """A text in which nothing of the secrets of an address stands."""
    user = user_of(uri) if kind_of(uri) == "network" else None
    secrets = [uri, *(user or ())]
    secrets += [f.partition("=")[2] for f in urlsplit(uri).query.split("&") if _public_field(f) != f]
    for secret in sorted((one for one in secrets if one), key=len, reverse=True):
        text = text.replace(secret, public(uri) if secret == uri else "…")
    return text


def _netloc(uri: str, *, with_user: bool) -> str:
    parts = urlsplit(uri)
    user, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{user}{at}{host}{port}" if with_user else f"{host}{port}"


def _public_field(field: str) -> str:
    """A field of a query; cameras take passwords there too."""
    name, equals, _ = field.partition("=")
    return f"{name}=…" if equals and _SECRET.search(name) else field
