"""A camera and microphone of a browser: chunks of WebM, pushed over the wire, read as a file that grows.

Each start of the recorder is a segment with a header of its own, and is demuxed anew. Where a chunk is
missing nothing after it is believed, nor after `capture.stall_s` without any: the segment ends there, and
the page is asked to begin another one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from stream.capture.addresses import Kind
from stream.capture.live_input import IsWanted, Opened, contained, unopened
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone
from stream.messages.media import MediaPush, MediaPushed

WINDOW = 32
"""Chunks that may be on the way or wait: at 200 ms each, six seconds."""
MOST_BYTES = 32 << 20
"""Bytes that may wait to be demuxed."""
LOOK_S = 0.2
"""How often a waiting reader looks whether it is still wanted."""


class _Segment:
    """One start of the recorder."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.next_index = 0
        self.chunks: deque[bytes] = deque()
        self.is_over = False
        self.why = ""


class BrowserInput:
    """The chunks of one browser. `push` is called by the loop, the rest by the feed's thread."""

    kind: Kind = "browser"
    waits = True

    def __init__(self, uri: str, settings: CaptureSettings) -> None:
        self._uri, self._settings = uri, settings
        self._came = threading.Condition()
        self._segments: deque[_Segment] = deque()
        self._newest: _Segment | None = None
        self._n_bytes = self._n_chunks = 0
        self._is_paused = False

    def push(self, message: MediaPush, chunk: bytes) -> MediaPushed:
        """Takes a chunk, or says what is to be done instead."""
        with self._came:
            if self._is_paused:
                return MediaPushed(
                    segment=message.segment, through_index=message.index, window=0, restart=True, paused=True
                )
            segment = self._segment_of(message)
            if segment is None or segment.is_over:
                return self._answer(message, restart=segment is None or bool(segment.why))
            if message.index < segment.next_index:
                return self._answer(message, through=segment.next_index - 1)  # It came before.
            full = self._n_bytes + len(chunk) > MOST_BYTES
            if message.index > segment.next_index or full:
                missing = f"{message.index - segment.next_index} chunk(s) did not arrive"
                self._end(segment, "more came than is read" if full else missing)
                return self._answer(message, restart=True)
            segment.next_index += 1
            if chunk:
                segment.chunks.append(chunk)
                self._n_bytes += len(chunk)
                self._n_chunks += 1
            if message.last:
                self._end(segment, "")
            self._came.notify_all()
            return self._answer(message)

    def pause(self, paused: bool) -> None:
        """Lets go of everything that waits, and takes nothing, until it is called again."""
        with self._came:
            self._is_paused = paused
            if paused:
                for segment in self._segments:
                    self._end(segment, "paused")
                    self._let_go(segment)
                self._segments.clear()
                if self._newest is not None:
                    self._end(self._newest, "paused")
            self._came.notify_all()

    @contextmanager
    def opened(self, is_wanted: IsWanted) -> Iterator[Opened]:
        """Waits for the next segment; raises SourceGone if it is no WebM, or not wanted any more."""
        segment = self._await(is_wanted)

        def why() -> SourceError | None:
            reason = segment.why or "the browser stopped sending"
            return SourceGone(f"{self._uri}: {reason}") if segment.is_over else None

        def named(error: Exception) -> SourceError:
            return why() or unopened(self._uri, error)

        try:
            file = _SegmentFile(self, segment, is_wanted)
            with contained(file, self._uri, form="matroska", named=named) as container:
                yield Opened(container, why)
        finally:
            with self._came:
                if not segment.is_over:
                    self._end(segment, "it could not be read")
                self._let_go(segment)

    def read(self, segment: _Segment, n_bytes: int, is_wanted: IsWanted) -> bytes:
        """Up to so many bytes, waiting for the first; empty at the end of the segment.

        Silence is an end: libav, which waits here, holds what it has back until more comes.
        """
        stall_s = self._settings.stall_s
        ends_s = time.monotonic() + stall_s
        with self._came:
            while not segment.chunks and not segment.is_over and is_wanted():
                if not self._came.wait(LOOK_S) and time.monotonic() >= ends_s:
                    self._end(segment, f"nothing came for {stall_s:g} s")
            if not segment.chunks or not is_wanted():
                return b""
            chunk = segment.chunks.popleft()
            self._n_chunks -= 1
            if len(chunk) > n_bytes:
                segment.chunks.appendleft(chunk[n_bytes:])
                self._n_chunks += 1
                chunk = chunk[:n_bytes]
            self._n_bytes -= len(chunk)
            return chunk

    def _segment_of(self, message: MediaPush) -> _Segment | None:
        """The segment of a chunk; None where it went on without its beginning."""
        newest = self._newest
        if newest is not None and message.segment == newest.number:
            return newest
        if newest is not None and message.segment < newest.number:
            passed = _Segment(message.segment)
            passed.is_over = True
            return passed
        if message.index:
            return None
        if newest is not None:
            self._end(newest, "")
        self._newest = _Segment(message.segment)
        self._segments.append(self._newest)
        return self._newest

    def _await(self, is_wanted: IsWanted) -> _Segment:
        with self._came:
            while is_wanted():
                if self._segments:
                    return self._segments.popleft()
                self._came.wait(LOOK_S)
        raise SourceGone(f"{self._uri} is not wanted any more")

    def _let_go(self, segment: _Segment) -> None:
        self._n_bytes -= sum(map(len, segment.chunks))
        self._n_chunks -= len(segment.chunks)
        segment.chunks.clear()

    def _end(self, segment: _Segment, why: str) -> None:
        if not segment.is_over:
            segment.is_over, segment.why = True, why
        self._came.notify_all()

    def _answer(
        self, message: MediaPush, *, restart: bool = False, through: int | None = None
    ) -> MediaPushed:
        return MediaPushed(
            segment=message.segment,
            through_index=message.index if through is None else through,
            window=0 if restart else max(1, WINDOW - self._n_chunks),
            restart=restart,
        )


class _SegmentFile:
    """A segment as something that libav reads; it cannot be sought in."""

    def __init__(self, browser: BrowserInput, segment: _Segment, is_wanted: IsWanted) -> None:
        self._browser, self._segment, self._is_wanted = browser, segment, is_wanted

    def read(self, n_bytes: int) -> bytes:
        """Up to so many bytes."""
        return self._browser.read(self._segment, n_bytes, self._is_wanted)
