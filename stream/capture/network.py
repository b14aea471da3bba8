"""A source in the network: RTSP by libav, HTTP(S) by Python's own client, whose answer libav demuxes.

libav's HTTP follows any redirect, believes any certificate and opens whatever a playlist names. Here
only the host that was named is spoken to, certificates are checked, and libav is handed bytes alone.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from urllib.parse import urlsplit

from stream.capture.addresses import Kind, origin_of, public, scheme_of, user_of
from stream.capture.container import SELF_CONTAINED
from stream.capture.live_input import IsWanted, Opened, contained
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone, SourceRefused

HEAD_BYTES = 8192
_DENIED = (401, 403, 407)


class NetworkInput:
    """A source by its address.

    Args:
        uri: With user and password, where it has them; neither is ever told.
        settings: Limits in time.
    """

    kind: Kind = "network"
    waits = False

    def __init__(self, uri: str, settings: CaptureSettings) -> None:
        self._uri, self._settings, self._name = uri, settings, public(uri)
        self._is_rtsp = scheme_of(uri) in ("rtsp", "rtsps")

    @contextmanager
    def opened(self, is_wanted: IsWanted) -> Iterator[Opened]:
        """Opens it; raises SourceGone or SourceRefused, without user and password."""
        with self._rtsp() if self._is_rtsp else self._http(is_wanted) as opened:
            yield opened

    @contextmanager
    def _rtsp(self) -> Iterator[Opened]:
        ensure_no_redirect(self._uri, self._settings.open_s)
        protocols = "rtsp,rtp,tcp" + (",tls" if scheme_of(self._uri) == "rtsps" else "")
        told = {"protocol_whitelist": protocols, "format_whitelist": "rtsp,rtp,sdp,mpegts"}
        limits = (self._settings.open_s, self._settings.stall_s)
        options = {"rtsp_transport": "tcp"}
        if scheme_of(self._uri) == "rtsps":
            authorities = ssl.get_default_verify_paths().cafile
            options |= {"tls_verify": "1", **({"ca_file": authorities} if authorities else {})}
        with contained(
            self._uri,
            self._name,
            form="rtsp",
            options=options,
            whitelist=told,
            timeout=limits,
            named=self._named,
        ) as container:
            yield Opened(container)

    @contextmanager
    def _http(self, is_wanted: IsWanted) -> Iterator[Opened]:
        try:
            answer = opener_for(self._uri).open(request_for(self._uri), timeout=self._settings.stall_s)
        except Exception as error:
            raise self._named(error) from None
        with answer:
            body = _Body(answer, self._name, is_wanted)
            form = form_of(answer.headers.get("Content-Type", ""))
            with contained(
                body,
                self._name,
                form=form,
                whitelist={"format_whitelist": f"{SELF_CONTAINED},mpjpeg", "protocol_whitelist": ""},
                named=lambda error: body.failure or self._named(error),
            ) as container:
                yield Opened(container, lambda: body.failure)

    def _named(self, error: Exception) -> SourceError:
        """The error of the project's tree for what opening raised; nothing of its text is passed on."""
        if isinstance(error, SourceError):
            return error
        if isinstance(error, urllib.error.HTTPError):
            if error.code in _DENIED:
                return SourceRefused(
                    f"{self._name} wants a user and a password (it answered {error.code})",
                    remedy="write them into its address in the configuration: https://user:password@host/…",
                )
            return SourceGone(f"{self._name} answered {error.code}", remedy="check the address")
        cause: object = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, SourceError):
            return cause
        if isinstance(cause, ssl.SSLCertVerificationError):
            return SourceRefused(
                f"the certificate of {self._name} is not trusted",
                remedy="add it to those of this machine, or name its file in SSL_CERT_FILE",
            )
        return gone(self._name, cause)


def gone(name: str, cause: object) -> SourceGone:
    """Why an address does not answer, in words."""
    if isinstance(cause, socket.gaierror):
        return SourceGone(f"the host of {name} is not known", remedy="check the address and the network")
    if isinstance(cause, TimeoutError) or type(cause).__name__ == "ExitError":
        return SourceGone(f"{name} did not answer in time", remedy="check the address and the network")
    if isinstance(cause, ConnectionError):
        return SourceGone(f"{name} refused the connection, or cut it", remedy="see that it is switched on")
    return SourceGone(f"{name} cannot be opened ({type(cause).__name__})", remedy="see that it sends media")


def form_of(content_type: str) -> str | None:
    """The demuxer for a kind of content; None where libav may find out."""
    kind = content_type.partition(";")[0].strip().lower()
    return "mpjpeg" if kind == "multipart/x-mixed-replace" else None


# HTTP.


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows a redirect within the scheme, host and port that the owner named, and no other."""

    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The next request; raises SourceRefused where it would leave."""
        if origin_of(newurl) != origin_of(req.full_url):
            raise SourceRefused(
                f"{public(req.full_url)} sends on to another address, which is not followed",
                remedy="name the address that is meant in the configuration",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener_for(uri: str) -> urllib.request.OpenerDirector:
    """A client that speaks HTTP(S) to one origin: no proxies, no files, no other protocols."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _SameOrigin(),
    ]
    user = user_of(uri)
    if user is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        scheme, host, port = origin_of(uri)
        known.add_password(None, f"{scheme}://{_bracketed(host)}:{port}", *user)
        handlers += [
            urllib.request.HTTPDigestAuthHandler(known),
            urllib.request.HTTPBasicAuthHandler(known),
        ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def request_for(uri: str) -> urllib.request.Request:
    """The request for an address; user and password are not part of it."""
    parts = urlsplit(uri)
    host = _bracketed((parts.hostname or "").lower()) + (f":{parts.port}" if parts.port is not None else "")
    target = f"{parts.scheme}://{host}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    return urllib.request.Request(  # noqa: S310 - the opener knows no other scheme
        target, headers={"User-Agent": "OmniRecall", "Accept": "*/*"}
    )


class _Body:
    """The body of an answer as something that libav reads; why it ended is kept."""

    def __init__(self, answer: Any, name: str, is_wanted: IsWanted) -> None:
        self._answer, self._name, self._is_wanted = answer, name, is_wanted
        self.failure: SourceError | None = None

    def read(self, n_bytes: int) -> bytes:
        """Up to so many bytes, as they come."""
        if self.failure is not None or not self._is_wanted():
            return b""
        try:
            found: bytes = self._answer.read1(n_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.failure = _cut(self._name, error)
            return b""
        if not found:
            self.failure = SourceGone(f"{self._name} ended", remedy="it is opened again")
        return found


def _cut(name: str, error: Exception) -> SourceGone:
    if isinstance(error, TimeoutError):
        return SourceGone(f"nothing more came from {name}", remedy="it is opened again")
    return SourceGone(f"{name} cut the connection", remedy="it is opened again")


# RTSP.


def ensure_no_redirect(uri: str, timeout_s: float) -> None:
    """Asks an RTSP server about an address, and refuses one that sends on to another: libav would go.

    Raises:
        SourceGone: If it cannot be reached.
        SourceRefused: If it answers with another address.
    """
    scheme, host, port = origin_of(uri)
    name = public(uri)
    try:
        with socket.create_connection((host, port or 554), timeout=timeout_s) as plain:
            link: socket.socket = plain
            if scheme == "rtsps":
                link = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            ask = f"DESCRIBE {name} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
            link.sendall(ask.encode())
            head = b""
            while b"\r\n" not in head and len(head) < HEAD_BYTES:
                block = link.recv(1024)
                if not block:
                    break
                head += block
    except (OSError, ValueError) as error:
        raise gone(name, error) from None
    status = 0
    with suppress(IndexError, ValueError):
        status = int(head.split(b" ", 2)[1])
    if 300 <= status < 400:
        raise SourceRefused(
            f"{name} sends on to another address, which is not followed",
            remedy="name the address that is meant in the configuration",
        )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
