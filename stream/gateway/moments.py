"""The moments themselves, as a browser plays them: cut when asked for, kept for a little while.

A cut moment is a file without a name: it goes with this process, and nothing of it lies in the store when
that is searched. What was forgotten is let go within seconds, also where another program forgot it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from stream.capture.browser_form import BrowserForm, browser_form
from stream.capture.clip import cut
from stream.capture.original import find_original
from stream.commands.moment import MOST_TOLD, Moment, best_clip, clip_ask, the_moment
from stream.errors import ConfigError, OmniRecallError
from stream.gateway.processes import Processes
from stream.gateway.settings import GatewaySettings
from stream.messages.log import LogAsk, LogRows
from stream.messages.media import ClipFound

KEPT_S = 120.0
"""Seconds after its last use that a cut moment is kept."""
SWEEP_S = 5.0
EXACT_S = 30.0
"""Longest moment that is encoded anew, in seconds: two cores encode about as fast as it plays."""
_VERIFIED = 64


@dataclass(slots=True)
class CutMoment:
    """An open file of a moment. `lead_ns` is how much before the moment itself it begins."""

    descriptor: int
    n_bytes: int
    media_type: str
    lead_ns: int
    used_s: float


class MomentResponse(FileResponse):
    """Sends a file without a name, in ranges where that is asked for."""

    def __init__(self, moment: CutMoment) -> None:
        # Its own descriptor: the moment may be let go while it is being sent.
        self._descriptor = os.dup(moment.descriptor)
        headers = {"x-omnirecall-lead-s": f"{moment.lead_ns / 1e9:.3f}"}
        path = f"/proc/self/fd/{self._descriptor}"
        super().__init__(
            path, media_type=moment.media_type, headers=headers, stat_result=os.fstat(self._descriptor)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it, and closes the file however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


class Moments:
    """Moments that were cut, the bytes of all of them bounded.

    Args:
        folder: Where they are made; emptied.
        processes: The way to memory.
        settings: The gateway's.
    """

    def __init__(self, folder: Path, processes: Processes, settings: GatewaySettings) -> None:
        self._folder = folder
        self._processes = processes
        self._settings = settings
        self._kept: OrderedDict[str, CutMoment] = OrderedDict()
        # One is cut at a time: the processes need the processor, too.
        self._cutting = asyncio.Lock()
        self._verified: OrderedDict[tuple[str, int, int, int], None] = OrderedDict()
        self._made = 0
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to let old ones go."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def get(self, named: str) -> CutMoment:
        """The moment that an id names.

        Raises:
            ConfigError: If nothing has this id.
            SourceError: If there is no original, or no clip, to cut it from.
            OmniRecallError: Of memory.
        """
        found = await self._found(named)
        key = found.own_id.hex()
        if key not in self._kept:
            async with self._cutting:
                if key not in self._kept:  # Whoever waited may find it cut.
                    self._kept[key] = await self._made_of(found)
                    self._bound()
        moment = self._kept[key]
        self._kept.move_to_end(key)
        moment.used_s = time.monotonic()
        return moment

    async def _found(self, named: str) -> Moment:
        rows = await self._processes.memory_for(LogRows, LogAsk(ids=(named,), limit=MOST_TOLD))
        return the_moment(named, rows)

    async def _made_of(self, found: Moment) -> CutMoment:
        original, begins_ns = None, 0
        if found.is_live:
            ask = clip_ask(found, found.pts0_ns, found.pts1_ns)
            told = await self._processes.memory_for(ClipFound, ask)
            best = best_clip(told, found, found.pts0_ns, found.pts1_ns)
            original, begins_ns = self._processes.store_dir / "media" / best.path, best.pts0_ns
        return await asyncio.to_thread(self._cut, found, original, begins_ns)

    def _cut(self, found: Moment, original: Path | None, begins_ns: int) -> CutMoment:
        """Runs in a thread."""
        source = original or self._original(found)
        form: BrowserForm = browser_form(source)
        longest_ns = int(min(self._settings.moment_s, EXACT_S if form.exact else 1e9) * 1e9)
        t0_ns = max(0, found.pts0_ns - begins_ns)
        t1_ns = min(max(t0_ns, found.pts1_ns - begins_ns), t0_ns + longest_ns)
        self._made += 1
        target = self._folder / f"{self._made}{form.suffix}"
        try:
            made = cut(source, target, t0_ns, t1_ns, exact=form.exact, force=True)
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            target.unlink(missing_ok=True)
        lead_ns = max(0, t0_ns - made.start_ns)
        return CutMoment(descriptor, made.n_bytes, form.media_type, lead_ns, time.monotonic())

    def _original(self, found: Moment) -> Path:
        """The file of a moment; it is compared with its hash once, and again when it has changed."""
        path = find_original(found.source, verify=False)
        status = path.stat()
        print_of = (found.source.content_hash, status.st_ino, status.st_size, status.st_mtime_ns)
        if print_of not in self._verified:
            path = find_original(found.source, verify=True)
            self._verified[print_of] = None
            while len(self._verified) > _VERIFIED:
                self._verified.popitem(last=False)
        return path

    def _bound(self) -> None:
        while len(self._kept) > 1 and sum(one.n_bytes for one in self._kept.values()) > (
            self._settings.moments_bytes
        ):
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        os.close(self._kept.pop(key).descriptor)

    def clear(self) -> None:
        """Lets all go: something was forgotten."""
        for key in list(self._kept):
            self._drop(key)

    async def _sweep(self) -> None:
        """Lets go what was not used for a while, and what memory does not know any more."""
        while True:
            await asyncio.sleep(SWEEP_S)
            for key, moment in list(self._kept.items()):
                is_old = time.monotonic() - moment.used_s > KEPT_S
                if (is_old or not await self._is_known(key)) and self._kept.get(key) is moment:
                    self._drop(key)

    async def _is_known(self, key: str) -> bool:
        try:
            await self._found(key)
        except ConfigError:
            return False
        except OmniRecallError:
            return True  # Nobody can tell now; it is asked again.
        return True

    def close(self) -> None:
        """Lets all go."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.clear()
        with contextlib.suppress(OSError):
            self._folder.rmdir()
