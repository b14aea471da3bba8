"""Captions: what a vision-language model writes of the keyframe of a closed shot. Off by default.

Either a model of a folder or a hub, by transformers in a lane of this process, or a server that
speaks OpenAI's chat completions, at the address that the owner gave: no redirect is followed,
no proxy asked, and the key comes from an environment variable and is never logged. What
comes back is data: a bounded line of text, and nothing is done because of it.

A live shot waits for its caption for a moment, and goes on without one, counted. A file's shot
waits while the server is away and asked again and again; after `wait_s` without any caption the
shots of files go on without, and a gap says so, until a shot now and then finds the server back.
A picture that the model fails on costs its own shot its caption; several in a row are no matter of
the pictures, and count as a server that is away. A model that cannot be opened, or a server that
knows no such key, model or address, ends the process with its reason.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from perception.encoder.networks import other_model
from perception.video.pictures import to_jpeg
from perception.video.settings import NANO, CaptionSettings
from stream.errors import (
    ConfigError,
    DeadlineExceeded,
    ModelDamaged,
    ModelFailed,
    ModelMissing,
    OmniRecallError,
    RoleUnavailable,
)
from stream.models.named import NamedModel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from stream.process.clock import Clock
    from stream.process.lanes import Lane
    from stream.process.log import Log
    from stream.process.metrics import Metrics

    Picture = npt.NDArray[np.uint8]

VERSION = "captions/1"
"""Version of what this file makes of a model's output; a change of it must change this."""

JPEG_QUALITY = 85
REPLY_BYTES = 256 << 10
"""Bytes of a server's reply that are read; a caption has some hundred."""
CONNECT_S = 5.0
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""HTTP statuses after which asking again can help."""
OF_THE_PICTURE = 500
"""Of these the one that may be due to the picture: a file's shot is not asked for again after it."""
REFUSED = (401, 403, 404)
"""Those that speak of the settings: no picture will fare better with this key, model and address."""
FAILED_SHOTS = 3
"""Shots that the model may fail on one after the other: it is the model then, not the pictures."""
WAITING_SHOTS = 4
"""Shots that wait for a caption before no more frames of a file are asked for; live ones are shed beyond."""
AGAIN_S = 1.0
"""Seconds before a server that is away is asked again for a file's shot; doubles, up to `pause_s`."""
RAREST = 16
"""By how much the pause between two looks whether the server is back may grow."""
AWAY = "caption server away"
SLOW = "caption model too slow"
FAILED = "captioning failed"
"""Reasons of gaps: a file's shot that has no caption."""
MANY = (
    "{prompt} There are {n} pictures. Answer with {n} lines, one for each picture in their order, each "
    "beginning with the number of the picture and a colon."
)
_LINE = re.compile(r"\s*(?:picture\s*)?(\d+)\s*[:.)]\s*(\S.*)", re.I)


class Captioner(Protocol):
    """Writes a line to each picture. Belongs to one thread."""

    producer_id: str
    pictures_per_call: int

    def load(self) -> None:
        """Opens what is needed; called once, before the first picture."""
        ...

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """The lines, in the order of the pictures (H, W, 3) uint8 RGB; empty where there is none."""
        ...


def cleaned(text: str, most_chars: int) -> str:
    """One line without control, format or private characters, cut at a word."""
    kept = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    line = " ".join(kept.split())
    return line if len(line) <= most_chars else line[: most_chars - 1].rsplit(" ", 1)[0] + "…"


def numbered(text: str, n: int) -> list[str] | None:
    """The lines of an answer about `n` pictures by their numbers; None unless there is one for each."""
    found = [match for line in text.splitlines() if (match := _LINE.match(line))]
    if [int(match[1]) for match in found] != list(range(1, n + 1)):
        return None
    return [match[2] for match in found]


class ServerCaptioner:
    """Asks a server that speaks OpenAI's chat completions, one call at a time.

    Args:
        settings: Address, model, limits.

    Raises:
        ConfigError: If the named environment variable holds no key.
    """

    def __init__(self, settings: CaptionSettings) -> None:
        import httpx2

        self._settings = settings
        self.producer_id = f"{settings.server_model}/{VERSION}"
        self.pictures_per_call = settings.pictures_per_call
        headers = {}
        if settings.key_env:
            key = os.environ.get(settings.key_env, "")
            if not key:
                raise ConfigError(
                    f"video.captions.key_env names {settings.key_env}, which is not set",
                    remedy="set that variable before the processes start, or leave key_env empty",
                )
            headers["Authorization"] = f"Bearer {key}"
        self._url = settings.server_url.rstrip("/") + "/chat/completions"
        # Asynchronous, since only so one deadline holds for all that an attempt does: a blocking
        # client knows but limits of each read, and a server may send a byte a second for ever.
        self._loop = asyncio.Runner()
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(None, connect=min(CONNECT_S, settings.timeout_s)),
            follow_redirects=False,
            trust_env=False,
        )

    def load(self) -> None:
        """Nothing has to be opened: whether the server is there is seen at the first picture."""

    def close(self) -> None:
        """Lets go of the connection; called in the thread that asked."""
        self._loop.run(self._client.aclose())
        self._loop.close()

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """As `Captioner.captions`; several pictures in one call where the answer can be told apart.

        Raises:
            ConfigError: If the server does not take the key, or knows no such model or address.
            ModelFailed: If the server refuses the pictures, or answers in another form.
            RoleUnavailable: If it cannot be reached, or says that it has no time.
            DeadlineExceeded: If an attempt takes longer than `timeout_s`, all its reads together.
        """
        prompt, n = self._settings.prompt, len(pictures)
        if n > 1:
            lines = numbered(self._ask(MANY.format(prompt=prompt, n=n), pictures), n)
            if lines is not None:
                return lines
        return [self._ask(prompt, [one]) for one in pictures]

    def _ask(self, prompt: str, pictures: Sequence[Picture]) -> str:
        content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
        for picture in pictures:
            body = base64.b64encode(to_jpeg(picture, JPEG_QUALITY)).decode("ascii")
            content.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{body}"}})
        asked = {
            "model": self._settings.server_model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": self._settings.max_tokens * len(pictures),
        }
        for attempt in range(self._settings.retries + 1):
            last = attempt == self._settings.retries
            status, body_ = self._post(asked, last=last)
            if status == 200:
                return _content_of(body_)
            if status and (last or status not in TRY_AGAIN):
                raise _refusal(status)
            time.sleep(self._settings.backoff_s * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _post(self, asked: dict[str, Any], *, last: bool) -> tuple[int, bytes]:
        """Status and body; (0, b"") where nothing came and there is another attempt."""
        import httpx2

        try:
            return self._loop.run(self._exchange(asked))
        except TimeoutError as error:
            if last:
                raise DeadlineExceeded(
                    f"the caption server did not answer in {self._settings.timeout_s:g} s",
                    remedy="raise video.captions.timeout_s, or choose a smaller model",
                ) from error
        except httpx2.HTTPError as error:
            if last:
                raise RoleUnavailable(
                    f"the caption server cannot be reached: {type(error).__name__}",
                    remedy="start it, or mend video.captions.server_url",
                ) from error
        return 0, b""

    async def _exchange(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        body = bytearray()
        async with (
            asyncio.timeout(self._settings.timeout_s),
            self._client.stream("POST", self._url, json=asked) as reply,
        ):
            async for piece in reply.aiter_bytes():
                body += piece
                if len(body) > REPLY_BYTES:
                    raise ModelFailed(f"the caption server sent more than {REPLY_BYTES} bytes")
        return reply.status_code, bytes(body)


def _refusal(status: int) -> OmniRecallError:
    """What a status other than 200 means for the shot, and for those after it."""
    kind: type[OmniRecallError] = ModelFailed
    if status in REFUSED:
        kind = ConfigError
    elif status in TRY_AGAIN and status != OF_THE_PICTURE:
        kind = RoleUnavailable
    return kind(
        f"the caption server answered with status {status}",
        remedy="look at its log; check video.captions.server_url, server_model and key_env",
    )


def _content_of(body: bytes) -> str:
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
        if not isinstance(content, str):
            raise TypeError("no text")
    except (ValueError, LookupError, TypeError) as error:
        raise ModelFailed(
            "the caption server answered in another form than chat completions",
            remedy="video.captions.server_url is the part of the address before /chat/completions",
        ) from error
    return content


class HubCaptioner:
    """Writes captions by a model of a folder or a hub.

    Any of transformers' image-text-to-text class whose processor has a chat template. Pictures are
    captioned one by one: in a batch the text would depend on what else is in it.

    Args:
        settings: Prompt and limits.
        model: Which.
        threads: Of torch.
    """

    def __init__(self, settings: CaptionSettings, model: NamedModel, threads: int = 1) -> None:
        self._settings, self._model, self._threads = settings, model, threads
        self.producer_id = f"{model.id}/{VERSION}"
        self.pictures_per_call = 1
        self._opened: tuple[Any, Any, str] | None = None

    def load(self) -> None:
        """Opens the model; a piece of work of its own, since a large one takes a minute.

        Raises:
            ModelDamaged: If the model cannot be opened.
            ConfigError: If its device is not there.
        """
        self._open()

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """As `Captioner.captions`.

        Raises:
            ModelDamaged, ConfigError: As `load`, where that was not called.
            ModelFailed: If it raises on a picture.
        """
        processor, network, device = self._open()
        try:
            return [self._write(processor, network, device, picture) for picture in pictures]
        except Exception as error:  # transformers and torch share no base of errors
            raise ModelFailed(f"{self._model.configured} failed on a picture: {error}") from error

    def _open(self) -> tuple[Any, Any, str]:
        if self._opened is None:
            from perception.encoder.pretrained import choose_device, opened, quiet_libraries

            quiet_libraries(self._threads)
            from transformers import AutoModelForImageTextToText, AutoProcessor

            device = choose_device(self._settings.device)
            processor = opened(self._model, "processor", AutoProcessor.from_pretrained)
            network = opened(
                self._model,
                "weights",
                AutoModelForImageTextToText.from_pretrained,
                use_safetensors=True,
                dtype=device.dtype,
            )
            self._opened = (processor, network.to(device.name).eval(), device.name)
        return self._opened

    def _write(self, processor: Any, network: Any, device: str, picture: Picture) -> str:
        import torch
        from PIL import Image

        content = [
            {"type": "image", "image": Image.fromarray(picture)},
            {"type": "text", "text": self._settings.prompt},
        ]
        given = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(device, dtype=network.dtype)
        with torch.inference_mode():
            made = network.generate(
                **given,
                do_sample=False,
                max_new_tokens=self._settings.max_tokens,
                max_time=self._settings.timeout_s,
            )
        written = made[0, given["input_ids"].shape[1] :]
        return str(processor.decode(written, skip_special_tokens=True))


def captioner_of(settings: CaptionSettings, threads: int = 1) -> Captioner | None:
    """The configured captioner; None where there is none.

    Raises:
        ConfigError: If the configuration names no model of that kind, or a key that is not set.
        ModelMissing: If the model is not on this machine.
    """
    if settings.server_url:
        return ServerCaptioner(settings)
    if settings.model:
        return HubCaptioner(settings, other_model(settings.model, "video.captions.model"), threads)
    return None


@dataclass(frozen=True, slots=True)
class Caption:
    """What was written, and by whom."""

    text: str
    producer_id: str


Done = Callable[[Caption | None, str], None]
"""Takes a caption; or None, and why a file's shot has none (empty where the model wrote nothing)."""


@dataclass(slots=True, eq=False)
class _Job:
    picture: Picture
    live: bool
    give_up_ns: int
    done: Done | None
    is_alone: bool = False
    """Asked for by itself, since the model failed on several pictures of which it was one."""

    def finish(self, caption: Caption | None, why: str = "") -> None:
        """Calls back, once."""
        done, self.done = self.done, None
        if done is not None:
            done(caption, why)


class CaptionDesk:
    """Shots that wait for captions, in the loop's thread; one call at a time in the lane.

    Args:
        captioner: Who writes.
        settings: How long to wait.
        lane: Of one thread.
        clock, log, metrics: The service's.
        broken: Called with what no further attempt can mend; nothing is asked after it.
    """

    def __init__(
        self,
        captioner: Captioner,
        settings: CaptionSettings,
        lane: Lane,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        broken: Callable[[OmniRecallError], None],
    ) -> None:
        self._captioner, self._settings, self._lane = captioner, settings, lane
        self._clock, self._log, self._metrics, self._broken = clock, log, metrics, broken
        self._waiting: deque[_Job] = deque()
        self._asked: list[_Job] = []
        self._is_loaded = False
        self._failures = 0
        self._failed_shots = 0
        self._why = SLOW
        self._again_ns = 0
        self._live_again_ns = 0
        # Of files: since when they wait in vain, and, once that is too long, when one looks again.
        self._waits_since_ns = 0
        self._is_away = False
        self._look_ns = 0
        self._looks = 0

    def begin(self) -> None:
        """Has the model loaded; nobody is given up before."""
        self._lane.submit(self._captioner.load, done=self._loaded, failed=self._not_loaded)

    @property
    def is_behind(self) -> bool:
        """Whether enough shots wait, or one looks whether the server is back: the others wait for that."""
        return self._is_full or (self._is_away and bool(self._files()))

    @property
    def _is_full(self) -> bool:
        return len(self._waiting) + len(self._asked) >= WAITING_SHOTS

    def submit(self, picture: Picture, *, live: bool, done: Done) -> None:
        """Asks for a caption; `done` is called once, with None where there will be none.

        Args:
            picture: Of the keyframe.
            live: Whether a caption that comes late is worth nothing.
            done: Called in the loop's thread.
        """
        now_ns = self._clock.monotonic_ns()
        job = _Job(picture, live, now_ns + int(self._settings.wait_latest_s * NANO), done)
        if live:
            if now_ns < self._live_again_ns or self._is_full:
                return self._leave_out([job])
        else:
            self._give_up(now_ns)
            if self._is_away and (now_ns < self._look_ns or self._files()):
                return self._leave_out([job])
        self._waiting.append(job)
        return self.turn()

    def turn(self) -> None:
        """Gives up on what waited for too long, and starts the next call."""
        now_ns = self._clock.monotonic_ns()
        self._give_up(now_ns)
        self._waiting = deque(job for job in self._waiting if job.done)
        if not self._is_loaded or self._asked or not self._waiting or now_ns < self._again_ns:
            return
        most = 1 if self._waiting[0].is_alone else self._captioner.pictures_per_call
        n = min(most, len(self._waiting))
        jobs = self._asked = [self._waiting.popleft() for _ in range(n)]
        self._lane.submit(
            self._captioner.captions,
            [job.picture for job in jobs],
            done=lambda lines: self._written(jobs, lines),
            failed=lambda error: self._failed(jobs, error),
        )

    def _files(self) -> list[_Job]:
        """The shots of files that wait for their captions."""
        return [job for job in (*self._asked, *self._waiting) if job.done and not job.live]

    def _give_up(self, now_ns: int) -> None:
        """Live shots are not waited for long; those of files while captions come, or may come soon."""
        both = (*self._asked, *self._waiting)
        self._leave_out([job for job in both if job.done and job.live and job.give_up_ns <= now_ns])
        files = self._files()
        if not files or not self._is_loaded:
            self._waits_since_ns = now_ns
        elif now_ns - self._waits_since_ns >= self._settings.wait_s * NANO:
            self._log.error("captions_given_up", reason=self._why)
            self._goes_away(now_ns)
            self._leave_out(files)

    def _goes_away(self, now_ns: int) -> None:
        """From now on a file's shot looks only now and then whether captions are written again."""
        pause_s = self._settings.pause_s * min(RAREST, 2**self._looks)
        self._is_away, self._looks = True, self._looks + 1
        self._look_ns, self._again_ns = now_ns + int(pause_s * NANO), 0

    def _leave_out(self, jobs: Sequence[_Job], why: str = "") -> None:
        for job in jobs:
            self._metrics.count("captions_left_out")
            job.finish(None, "" if job.live else why or self._why)

    def _loaded(self, _: None) -> None:
        self._is_loaded = True
        self.turn()

    def _not_loaded(self, error: BaseException) -> None:
        if not isinstance(error, OmniRecallError):
            raise error
        self._broken(error)

    def _written(self, jobs: Sequence[_Job], lines: Sequence[str]) -> None:
        self._asked = []
        self._failures = self._failed_shots = self._looks = self._again_ns = self._live_again_ns = 0
        self._is_away, self._why = False, SLOW
        self._waits_since_ns = self._clock.monotonic_ns()
        for job, line in zip(jobs, lines, strict=True):
            text = cleaned(line, self._settings.max_chars)
            self._metrics.count("captions" if text else "captions_empty")
            job.finish(Caption(text, self._captioner.producer_id) if text else None)

    def _failed(self, jobs: Sequence[_Job], error: BaseException) -> None:
        if not isinstance(error, OmniRecallError):
            raise error
        if isinstance(error, ModelDamaged | ModelMissing | ConfigError):
            self._broken(error)  # What was asked stays so: nothing else is begun.
            return
        self._asked = []
        self._failures += 1
        self._metrics.count("captions_failed", len(jobs))
        self._log.warning("caption_failed", error=type(error).__name__, message=error.message)
        now_ns = self._clock.monotonic_ns()
        self._pause_live(jobs, now_ns)
        files = [job for job in jobs if job.done and not job.live]
        is_absent = isinstance(error, RoleUnavailable | DeadlineExceeded)
        if not is_absent and self._is_of_a_picture(jobs, files, now_ns):
            return
        self._why = (SLOW if isinstance(error, DeadlineExceeded) else AWAY) if is_absent else FAILED
        if self._is_away:
            self._goes_away(now_ns)
            self._leave_out(files)
            return
        self._waiting.extendleft(reversed(files))
        wait_s = min(self._settings.pause_s, AGAIN_S * 2 ** min(self._failures - 1, 16))
        self._again_ns = now_ns + int(wait_s * NANO)

    def _is_of_a_picture(self, asked: Sequence[_Job], files: Sequence[_Job], now_ns: int) -> bool:
        """Whether a picture may be why the model failed; its shot of a file then goes on without.

        Of several pictures each is asked for by itself: which shots have no caption must not
        depend on which ones happened to wait together.
        """
        if len(asked) > 1:
            for job in files:
                job.is_alone = True
            self._waiting.extendleft(reversed(files))
        else:
            self._failed_shots += 1
            if self._is_away or self._failed_shots >= FAILED_SHOTS:
                return False
            self._leave_out(files, FAILED)
        self._waits_since_ns = now_ns  # It is there, and will say the same of the same picture.
        return True

    def _pause_live(self, asked: Sequence[_Job], now_ns: int) -> None:
        """Live shots go on without a caption; after several failures none waits for a while."""
        for job in asked:
            if job.live:
                job.finish(None)
        if self._failures % self._settings.pause_after == 0:
            self._live_again_ns = now_ns + int(self._settings.pause_s * NANO)
            self._metrics.count("captions_paused")
            for job in self._waiting:
                if job.live:
                    job.finish(None)
