"""Voice activity: where somebody speaks, in a stream of samples.

Each window of 512 samples (32 ms) gets a speech probability from the Silero network
that faster-whisper carries; hysteresis, a hang-over and a shortest length turn the
probabilities into segments. Everything here depends on the samples alone: not on how
they were cut into chunks, and not on the wall clock.

**Marks.** At a mark the state is thrown away, in every run, so that a run which begins
at a mark gives exactly the segments of a run that passed it. Marks lie on multiples of
a window: in the silence after a segment, at the place where an overlong segment was
cut, and in every `quiet_mark_s` seconds without speech. A mark in silence lies before
the point where the silence was recognised; the windows in between are heard twice, so
that the fresh network is warm when the next word comes.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perception.audio.settings import VoiceSettings
from stream.errors import ModelFailed, ModelMissing
from stream.messages.media import AUDIO_RATE_HZ

Samples = NDArray[np.float32]

WINDOW = 512
"""Samples per probability: the only size that the network takes at 16 kHz."""

CONTEXT = 64
"""Samples of the window before, which the network wants in front of each window."""

BLOCK = 4
"""Windows per call. Fixed, and counted from the mark, so that every run makes the same
calls; four cost 40 % of the time of single ones and delay a live stream by 96 ms at most."""

STATE = 128
"""Width of the network's recurrent state."""

CUT_MARGIN = 0.1
"""Windows whose probability is this close to the lowest count as equally weak in a cut."""


@dataclass(frozen=True)
class VoiceStart:
    """Speech has lasted long enough to be believed; it began at `sample`.

    Of a live source also what came before that, for whoever must not wait: `heard` with the first window that
    sounds like speech, and `gone` where it was a click.
    """

    sample: int
    phase: Literal["heard", "sure", "gone"] = "sure"


@dataclass(frozen=True)
class VoiceSegment:
    """One stretch of speech.

    `start_sample` is its first sample and `end_sample` the one after its last, counted
    from the start of the source and padded. `why` says why it ended there. `mark_sample`
    is the mark that follows it. `probability` is the mean over its unpadded windows.
    `samples` is float32 (end_sample - start_sample,) in -1 to 1. `lead` is what was heard
    right before it, at most `join_s` and not what belongs to the segment before: the
    first segment of a run has less of it than in a run that came from further back.
    """

    start_sample: int
    end_sample: int
    why: Literal["pause", "max", "eof"]
    mark_sample: int
    probability: float
    samples: Samples = field(repr=False, compare=False)
    lead: Samples = field(repr=False, compare=False)


@dataclass(frozen=True)
class VoiceMark:
    """Nothing is pending before `sample`: a run may begin there."""

    sample: int


VoiceEvent = VoiceStart | VoiceSegment | VoiceMark


@dataclass
class SileroState:
    """What the network remembers between calls: (1, 1, 128) float32 twice, and 64 samples."""

    h: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1, STATE), np.float32))
    c: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1, STATE), np.float32))
    context: Samples = field(default_factory=lambda: np.zeros(CONTEXT, np.float32))


class Silero:
    """The network; one may serve many streams, since the state is the caller's.

    Raises:
        ModelMissing: If the installed faster-whisper does not carry the file.
    """

    def __init__(self, path: Path | None = None) -> None:
        onnxruntime = importlib.import_module("onnxruntime")  # it ships no types
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = path or silero_file()
        self._session: Any = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, windows: Samples, state: SileroState) -> NDArray[np.float32]:
        """Speech probabilities (n,) of `windows`, (n, 512) float32; `state` moves on.

        Raises:
            ModelFailed: If the network refuses the input.
        """
        tails = np.vstack((state.context[None, :], windows[:-1, -CONTEXT:]))
        batch = np.ascontiguousarray(np.hstack((tails, windows)), dtype=np.float32)
        try:
            result: list[Any] = list(self._session.run(None, {"input": batch, "h": state.h, "c": state.c}))
        except Exception as error:
            raise ModelFailed(f"voice activity failed on {len(windows)} windows: {error}") from error
        state.h, state.c = result[1], result[2]
        state.context = windows[-1, -CONTEXT:].copy()
        return np.asarray(result[0], np.float32).reshape(-1)


def silero_file() -> Path:
    """The network's file inside the installed faster-whisper.

    Raises:
        ModelMissing: If it is not there.
    """
    from importlib.util import find_spec

    spec = find_spec("faster_whisper")  # found, not imported: importing it takes a second
    origin = spec.origin if spec is not None else None
    file = Path(origin or "").parent / "assets" / "silero_vad_v6.onnx"
    if origin is None or not file.is_file():
        raise ModelMissing(
            f"faster-whisper does not carry {file.name} ({file})",
            remedy="install it again: pip install --force-reinstall 'faster-whisper>=1.2.1,<2'",
        )
    return file


def up(samples: float) -> int:
    """The first multiple of a window that is not before `samples`: where a run may begin."""
    return math.ceil(samples / WINDOW) * WINDOW


class VoiceActivity:
    """Segments of one stream.

    Holds at most `max_segment_s`, `join_s` and a second of samples beside what one push brings.

    Args:
        network: The network.
        settings: Thresholds and lengths.
        live: Take the shorter hang-over of a live source.
        start_sample: A mark, or 0; a multiple of a window.

    Raises:
        ValueError: If `start_sample` is no multiple of a window.
    """

    def __init__(
        self, network: Silero, settings: VoiceSettings, *, live: bool = False, start_sample: int = 0
    ) -> None:
        if start_sample % WINDOW:
            raise ValueError(f"a stream cannot begin at sample {start_sample}: not a multiple of {WINDOW}")
        self._network = network
        self._settings = settings
        self._tells_early = live
        hang_over_s = settings.hang_over_live_s if live else settings.hang_over_archive_s
        self._hang_over = up(hang_over_s * AUDIO_RATE_HZ)
        self._min_speech = int(settings.min_speech_s * AUDIO_RATE_HZ)
        self._pad = int(settings.pad_s * AUDIO_RATE_HZ)
        # The mark lies behind the padding and before the place where the silence was recognised.
        self._tail = min(self._pad, self._hang_over - 2 * WINDOW)
        self._max_segment = int(settings.max_segment_s * AUDIO_RATE_HZ) // WINDOW * WINDOW
        self._quiet = up(settings.quiet_mark_s * AUDIO_RATE_HZ)
        self._lead = int(settings.join_s * AUDIO_RATE_HZ)
        self._look_back = up(0.5 * AUDIO_RATE_HZ)
        self._kept = np.zeros(0, np.float32)
        self._kept_from = self._segment_end = start_sample
        self._reset(start_sample)

    @property
    def mark_sample(self) -> int:
        """The last mark: everything that ended before it has been returned."""
        return self._mark

    @property
    def received_sample(self) -> int:
        """The sample that the next push begins with."""
        return self._kept_from + len(self._kept)

    @property
    def held_samples(self) -> int:
        """How many samples are held in memory."""
        return len(self._kept)

    def push(self, samples: NDArray[np.int16] | Samples) -> list[VoiceEvent]:
        """Takes the next samples, (n,) int16 or float32 in -1 to 1, and returns what became certain."""
        self._kept = np.concatenate((self._kept, _to_float(samples)))
        events: list[VoiceEvent] = []
        while self.received_sample - self._next >= BLOCK * WINDOW:
            events.extend(self._hear(BLOCK))
        self._forget()
        return events

    def flush(self) -> list[VoiceEvent]:
        """Ends the stream: the tail is heard, padded with silence, and open speech is closed."""
        events: list[VoiceEvent] = []
        while self._next < self.received_sample:
            windows = min(BLOCK, math.ceil((self.received_sample - self._next) / WINDOW))
            events.extend(self._hear(windows))
        if self._speech is not None:
            end = self.received_sample if self._silence is None else self._silence
            events.extend(self._close(min(end, self.received_sample), "eof"))
        return events

    def _reset(self, sample: int) -> None:
        self._mark = self._next = sample
        self._state = SileroState()
        self._calm()

    def _calm(self) -> None:
        self._speech: int | None = None
        self._silence: int | None = None
        self._believed = False
        self._heard: list[float] = []

    def _hear(self, windows: int) -> list[VoiceEvent]:
        """Runs one block of which `windows` lie in the stream, and follows it to its end or to a mark."""
        offset = self._next - self._kept_from
        block = np.zeros(BLOCK * WINDOW, np.float32)
        there = self._kept[offset : offset + windows * WINDOW]
        block[: len(there)] = there
        mark = self._mark
        events: list[VoiceEvent] = []
        for probability in self._network.probabilities(block.reshape(BLOCK, WINDOW), self._state)[:windows]:
            events.extend(self._follow(float(probability)))
            if self._mark != mark:  # the rest of the block belongs to the state before the mark
                break
        return events

    def _follow(self, probability: float) -> Iterator[VoiceEvent]:
        here = self._next
        self._next = here + WINDOW
        if self._speech is None:
            if probability >= self._settings.threshold:
                self._speech = here
                self._heard.append(probability)
                if self._tells_early:
                    yield VoiceStart(here, "heard")
            elif self._next - self._mark >= self._quiet:
                self._reset(self._next - self._look_back)
                yield VoiceMark(self._mark)
            return
        self._heard.append(probability)
        yield from self._in_speech(self._speech, here, probability)

    def _in_speech(self, speech: int, here: int, probability: float) -> Iterator[VoiceEvent]:
        if probability >= self._settings.threshold:
            self._silence = None
        elif probability < self._settings.threshold_off and self._silence is None:
            self._silence = here
        if not self._believed and self._silence is None and self._next - speech >= self._min_speech:
            self._believed = True
            yield VoiceStart(self._padded(speech))
        if self._silence is not None and self._next - self._silence >= self._hang_over:
            yield from self._close(self._silence, "pause")
        elif self._next - self._padded(speech) >= self._max_segment:
            yield from self._close(self._weakest(speech), "max")

    def _padded(self, speech: int) -> int:
        return max(self._mark, speech - self._pad)

    def _close(self, end: int, why: Literal["pause", "max", "eof"]) -> Iterator[VoiceEvent]:
        speech = self._speech
        if speech is None:
            return
        if not self._believed:  # a click: no mark, since the next one may follow at once
            self._calm()
            if self._tells_early:
                yield VoiceStart(speech, "gone")
            return
        start = self._padded(speech)
        # While the stream ends, the next multiple of a window may lie beyond its last sample.
        mark = end if why == "max" else min(up(end + self._tail), self.received_sample)
        stop = end if why == "max" else min(end + self._tail, self.received_sample)
        mean = float(np.mean(self._heard[: (end - speech) // WINDOW]))
        taken = self._kept[start - self._kept_from : stop - self._kept_from].copy()
        lead_from = max(self._segment_end, start - self._lead)
        lead = self._kept[lead_from - self._kept_from : start - self._kept_from].copy()
        self._segment_end = stop
        if why == "eof":
            mark = self.received_sample
        self._reset(mark)
        yield VoiceSegment(start, stop, why, mark, mean, taken, lead)

    def _weakest(self, speech: int) -> int:
        """Where an overlong segment is cut: the quietest of its least speech-like windows.

        Probabilities are averaged over three windows, since single ones dip inside words.
        Only the second half is searched: two halves are better heard than a sliver.
        """
        probabilities = np.array(self._heard)
        smooth = np.convolve(probabilities, np.ones(3) / 3, mode="same")
        first, last = len(smooth) // 2, len(smooth) - 2
        weak = np.flatnonzero(smooth[first:last] <= smooth[first:last].min() + CUT_MARGIN) + first
        starts = speech - self._kept_from + weak * WINDOW
        energy = [float(np.square(self._kept[s : s + WINDOW]).sum()) for s in starts]
        return speech + int(weak[int(np.argmin(energy))]) * WINDOW

    def _forget(self) -> None:
        """Drops the samples that neither a segment nor a mark can still ask for."""
        if self._speech is not None:
            needed = self._padded(self._speech)
        else:
            needed = max(self._mark, self._next - self._look_back)
        needed -= self._lead + self._pad  # a speech that begins now may ask for both
        drop = needed - self._kept_from
        if drop > 0:
            self._kept = self._kept[drop:].copy()
            self._kept_from = needed


def _to_float(samples: NDArray[np.int16] | Samples) -> Samples:
    """Samples as float32 in -1 to 1; what is no number becomes silence, or it would poison the state."""
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768)
    return np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
