"""Lanes: threads for work that would block a process's loop, with their age in view.

The loop goes on beating while a lane works, so the beat carries how old the oldest work
is: a hung lane is found by its age, not by a silent loop.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from stream.process.threads import named_thread


class Wake:
    """Wakes a poll loop from any thread; `descriptor` becomes readable."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Makes the loop look at what is finished."""
        try:
            os.write(self._write, b"\0")
        except BlockingIOError:
            pass  # It is full of wake-ups already.
        except OSError:
            pass  # The loop has ended.

    def clear(self) -> None:
        """Empties the pipe."""
        try:
            while os.read(self.descriptor, 4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Closes both ends."""
        os.close(self.descriptor)
        os.close(self._write)


Done = Callable[[Any], None]
Failed = Callable[[BaseException], None]


class _Work:
    __slots__ = ("arguments", "done", "failed", "run", "started_s")

    def __init__(
        self, run: Callable[..., Any], arguments: tuple[Any, ...], done: Done | None, failed: Failed | None
    ) -> None:
        self.run, self.arguments, self.done, self.failed = run, arguments, done, failed
        self.started_s: float | None = None


class Lane:
    """One or more threads that take work in order; results come back to the loop.

    Args:
        name: For thread names.
        wake: The loop's.
        threads: With more than one, results may come out of order.
    """

    def __init__(self, name: str, wake: Wake, threads: int = 1) -> None:
        self.name = name
        self._wake = wake
        self._todo: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._active: set[_Work] = set()
        self._pending = 0
        self._threads = [named_thread(self._serve, f"{name}-{index}") for index in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(
        self, run: Callable[..., Any], *arguments: Any, done: Done | None = None, failed: Failed | None = None
    ) -> None:
        """Queues work. `done(result)` or `failed(error)` is called in the loop's thread.

        An error without `failed` ends the process: work that fails unheard would be lost.
        """
        with self._lock:
            self._pending += 1
        self._todo.put(_Work(run, arguments, done, failed))

    @property
    def pending(self) -> int:
        """How much work is queued or running, or finished and not yet taken by the loop."""
        with self._lock:
            return self._pending

    def working_s(self) -> float:
        """Age in seconds of the oldest running work; 0 when idle."""
        with self._lock:
            started = [work.started_s for work in self._active if work.started_s is not None]
        return time.monotonic() - min(started) if started else 0.0

    def goes_on(self) -> None:
        """The running work has come further: its age counts from now. Called by the work itself."""
        with self._lock:
            for work in self._active:
                work.started_s = time.monotonic()

    def deliver(self) -> None:
        """Calls back for all finished work; called by the loop."""
        while True:
            try:
                callback = self._finished.get_nowait()
            except queue.Empty:
                return
            with self._lock:
                self._pending -= 1
            callback()

    def close(self, timeout_s: float = 1.0) -> None:
        """Ends the threads once they are idle; a busy one is left behind as a daemon."""
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join(timeout_s)

    def _serve(self) -> None:
        while (work := self._todo.get()) is not None:
            work.started_s = time.monotonic()
            with self._lock:
                self._active.add(work)
            callback = self._run(work)
            with self._lock:
                self._active.discard(work)
            self._finished.put(callback)
            self._wake.ring()

    @staticmethod
    def _run(work: _Work) -> Callable[[], None]:
        try:
            result = work.run(*work.arguments)
        except Exception as error:  # Handed on to the loop, which knows what it means.
            return lambda error=error: _fail(work, error)  # type: ignore[misc]
        done = work.done
        return (lambda: done(result)) if done is not None else _nothing


def _fail(work: _Work, error: Exception) -> None:
    if work.failed is None:
        raise error
    work.failed(error)


def _nothing() -> None:
    return None
