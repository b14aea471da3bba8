"""Voices: the equal error rate of voice keys, and the error rate of who speaks when. See `tools.eval_speech`.

`python -m tools.eval_speech --speakers [--manifest FILE.jsonl] [--diarise FOLDER] [--json OUT]`.

A manifest's lines have `file` and `speaker`; every pair of files is a trial. A folder has the sounds,
`ref.rttm` and `*.uem`; each file is scored inside its UEM, without a collar and with one of 0.25 s, and all
of them joined end to end as one recording, so that a voice that comes back has to be known again.

`ours` is the archive's own way without words: voice activity, batches, windows, speakers. `ours_utterances`,
with `--utterances`, are the utterances that the whole pipeline puts into a store, words and all. Baselines:
`one_speaker` (our voice activity, one name), `random` (as many names as there are speakers, drawn anew for
each window of ours), `mfcc` (means of cepstra instead of voice keys; its threshold is the one that is best on
the other files). `one_at_a_time` is what no system can pass that names one speaker at a time in our voice
activity.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from perception.audio.settings import AudioSettings, SpeakerSettings
from perception.audio.speakers import Speakers, Voiced, key_of, told_apart, turns_of
from perception.audio.speech import Batch, Batcher
from perception.audio.track import Hole, TrackState
from perception.audio.voice import Silero, VoiceSegment, VoiceStart
from perception.audio.voice_encoder import FFT, HOP, MELS, VoiceEncoder, VoiceWindows, mel_powers
from stream.errors import ConfigError
from stream.messages.media import AUDIO_RATE_HZ
from tools.diarisation import Errors, SpokenTurn, equal_error_rate, errors, read_rttm, read_uem

COLLARS_S = {"": 0.0, "_collar": 0.25}
CEPSTRA = 20
MFCC_THRESHOLDS = tuple(round(n / 20, 2) for n in range(-4, 18))
EDGE_S = 0.2
"""Of the padding of a voice segment, what counts as voice: the rest is silence on both sides."""
SPANS_S = (1.6, 3.0, 5.0)
"""Lengths of sound for which the equal error rate is told apart."""
SAMPLES_OF_CHUNK = 1600

Sound = NDArray[np.int16]
Vectors = NDArray[np.float64]


@dataclass
class Clock:
    """CPU seconds by stage, and the seconds of sound that they were for."""

    sound_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)

    def timed(self, stage: str, run: Callable[[], Any]) -> Any:
        """Runs something and counts its CPU seconds."""
        began_s = time.process_time()
        result = run()
        self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + time.process_time() - began_s
        return result


class Recording(NamedTuple):
    """A sound, who speaks when in it, and what of it is scored."""

    name: str
    samples: Sound
    truth: list[SpokenTurn]
    scored: tuple[float, float]


def decoded(path: Path) -> Sound:
    """A file's sound, 16 kHz mono.

    Raises:
        ConfigError: It is not there, or has none.
    """
    from stream.capture.file import chunks
    from stream.errors import OmniRecallError

    if not path.is_file():
        raise ConfigError(f"{path} is not there", remedy="put it beside the reference")
    try:
        pieces = [chunk.samples for chunk in chunks(path, 0)]
    except OmniRecallError as error:
        raise ConfigError(f"{path}: {error}", remedy="name files with sound") from error
    if not pieces:
        raise ConfigError(f"{path} has no sound", remedy="name files with sound")
    return np.concatenate(pieces).astype(np.int16)


class Listening:
    """Everything of the audio process but words."""

    def __init__(self, settings: AudioSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self._silero = Silero()
        self._encoder = VoiceEncoder()

    def batches(self, samples: Sound) -> list[Batch]:
        """The voice segments of a file in the batches in which an archive hears them."""
        state = TrackState(self._silero, self.settings.voice, live=False)
        batcher = Batcher(live=False, wait_s=self.settings.speech.batch_wait_s)
        found: list[Batch] = []
        events = []
        for first in range(0, len(samples), SAMPLES_OF_CHUNK):
            piece = samples[first : first + SAMPLES_OF_CHUNK]
            events += self.clock.timed("voice", partial(state.chunk, first, piece))
        events += state.gap()
        for event in events:
            if not isinstance(event, VoiceStart | Hole):
                found += batcher.add(event)
        self.clock.sound_s += len(samples) / AUDIO_RATE_HZ
        return [batch for batch in (*found, *batcher.rest()) if batch.segments]

    def windows(self, segments: Sequence[VoiceSegment]) -> list[VoiceWindows]:
        """The windows of voice of each segment."""
        hop = round(self.settings.speakers.hop_s * AUDIO_RATE_HZ / HOP) * HOP

        def run() -> list[VoiceWindows]:
            return [self._encoder.windows(one.samples, one.start_sample, hop) for one in segments]

        found: list[VoiceWindows] = self.clock.timed("voice keys", run)
        return found


class Heard(NamedTuple):
    """A recording as it was heard: its segments with their windows, in batches."""

    recording: Recording
    batches: list[tuple[tuple[VoiceSegment, ...], list[VoiceWindows]]]


def listened(recording: Recording, listening: Listening) -> Heard:
    """The segments and windows of a recording."""
    batches = listening.batches(recording.samples)
    return Heard(recording, [(batch.segments, listening.windows(batch.segments)) for batch in batches])


# Who speaks when.


def diarised(heard: Heard, settings: SpeakerSettings) -> list[tuple[VoiceSegment, Voiced]]:
    """Every segment with its speakers, each batch with what those before it left."""
    state, found = Speakers(), []
    for segments, windows in heard.batches:
        voiced, state = told_apart(windows, state, settings)
        found += list(zip(segments, voiced, strict=True))
    return found


def spoken_turns(found: Iterable[tuple[VoiceSegment, Voiced]], pad_s: float) -> list[SpokenTurn]:
    """Turns in seconds, without the silence that segments are padded with."""
    trim = round(max(0.0, pad_s - EDGE_S) * AUDIO_RATE_HZ)
    return [
        SpokenTurn(turn.start_sample / AUDIO_RATE_HZ, turn.end_sample / AUDIO_RATE_HZ, str(turn.speaker))
        for segment, voiced in found
        for turn in turns_of(voiced, segment.start_sample + trim, segment.end_sample - trim)
    ]


def _renamed(
    found: Sequence[tuple[VoiceSegment, Voiced]], name: Callable[[Voiced], NDArray[np.int64]]
) -> list[tuple[VoiceSegment, Voiced]]:
    return [
        (segment, Voiced(voiced.windows, name(voiced), np.zeros(len(voiced.speakers), np.bool_)))
        for segment, voiced in found
    ]


def _drawn(rng: np.random.Generator, people: int, own: Voiced) -> NDArray[np.int64]:
    return rng.integers(0, people, len(own.speakers))


def one_at_a_time(recording: Recording, found: Sequence[SpokenTurn]) -> list[SpokenTurn]:
    """Our voice activity with a true speaker's name wherever one speaks: of two, who goes on for longer."""
    step_s, best = 0.01, []
    for turn in found:
        times = np.arange(turn.start_s, turn.end_s, step_s) + step_s / 2
        names = [
            max(
                (one for one in recording.truth if one.start_s <= at < one.end_s),
                key=lambda one: (one.end_s, one.speaker),
                default=SpokenTurn(0, 0, "nobody"),
            ).speaker
            for at in times
        ]
        for name, own in groupby(range(len(names)), key=names.__getitem__):
            places = list(own)
            begin = turn.start_s + places[0] * step_s
            best.append(SpokenTurn(begin, turn.start_s + (places[-1] + 1) * step_s, name))
    return best


def cepstra(samples: NDArray[np.float32]) -> Vectors:
    """(n,) -> (frames, 20) float64: the cosine transform of the log mel powers, without its first term."""
    powers = np.log(mel_powers(samples).astype(np.float64) + 1e-10)
    angles = np.pi / MELS * (np.arange(MELS) + 0.5)[:, None] * np.arange(1, CEPSTRA + 1)[None, :]
    return np.asarray(powers @ np.cos(angles), np.float64)


def of_cepstra(heard: Heard) -> Heard:
    """The same windows with means of cepstra instead of voice keys, less their mean, of unit length."""
    own = [
        [_means_of(segment, one) for segment, one in zip(segments, windows, strict=True)]
        for segments, windows in heard.batches
    ]
    mean = np.concatenate([rows for batch in own for rows in batch]).mean(axis=0) if own else 0.0
    batches = []
    for (segments, windows), rows in zip(heard.batches, own, strict=True):
        centred = [
            VoiceWindows(
                one.centres, ((row - mean) / np.linalg.norm(row - mean, axis=1, keepdims=True)).astype("<f4")
            )
            for one, row in zip(windows, rows, strict=True)
        ]
        batches.append((segments, centred))
    return Heard(heard.recording, batches)


def _means_of(segment: VoiceSegment, windows: VoiceWindows) -> Vectors:
    frames = cepstra(segment.samples)
    rows = []
    for centre in windows.centres:
        middle = int(centre - segment.start_sample) // HOP
        rows.append(frames[max(0, middle - 80) : middle + 80].mean(axis=0))
    return np.array(rows)


def _mfcc_settings(threshold: float) -> SpeakerSettings:
    return SpeakerSettings().model_copy(update={"same_voice": threshold, "unlike": -1.0, "steady": False})


def diarisation_error(
    heard: Sequence[Heard], listening: Listening, more: dict[str, dict[str, list[SpokenTurn]]]
) -> dict[str, Any]:
    """The error rates of every system, over all recordings and by recording."""
    pad_s, rng = listening.settings.voice.pad_s, np.random.default_rng(0)
    mfcc = {
        threshold: {
            one.recording.name: spoken_turns(diarised(of_cepstra(one), _mfcc_settings(threshold)), pad_s)
            for one in heard
        }
        for threshold in MFCC_THRESHOLDS
    }
    turns: dict[str, dict[str, list[SpokenTurn]]] = {}
    for one in heard:
        name, truth = one.recording.name, one.recording.truth
        found = listening.clock.timed("speakers", partial(diarised, one, listening.settings.speakers))
        people = len({turn.speaker for turn in truth})
        single = spoken_turns(_renamed(found, lambda own: np.zeros(len(own.speakers), np.int64)), pad_s)
        drawn = _renamed(found, partial(_drawn, rng, people))
        own_turns = {
            "ours": spoken_turns(found, pad_s),
            "one_speaker": single,
            "random": spoken_turns(drawn, pad_s),
            "mfcc": mfcc[_best_elsewhere(mfcc, heard, name)][name],
            "one_at_a_time": one_at_a_time(one.recording, single),
        }
        for system, of_one in own_turns.items():
            turns.setdefault(system, {})[name] = of_one
    return figures({**turns, **more}, [one.recording for one in heard])


def _best_elsewhere(
    mfcc: dict[float, dict[str, list[SpokenTurn]]], heard: Sequence[Heard], name: str
) -> float:
    """The threshold of the least error on the other recordings; on this one where there is no other."""
    others = [one.recording for one in heard if one.recording.name != name]
    others = others or [one.recording for one in heard]
    return min(
        mfcc,
        key=lambda threshold: sum(
            (errors(one.truth, mfcc[threshold][one.name], one.scored)[0] for one in others), Errors()
        ).rates()["der"],
    )


def figures(turns: dict[str, dict[str, list[SpokenTurn]]], recordings: Sequence[Recording]) -> dict[str, Any]:
    """Rates by system, and by recording and system."""
    systems: dict[str, dict[str, Any]] = {}
    by: dict[str, dict[str, Any]] = {}
    for system, found in turns.items():
        for suffix, collar_s in COLLARS_S.items():
            whole = Errors()
            for one in recordings:
                own, _ = errors(one.truth, found[one.name], one.scored, collar_s)
                whole += own
                rates = {f"{key}{suffix}": rate for key, rate in own.rates().items()}
                by.setdefault(one.name, {}).setdefault(system, {}).update(rates)
            rates = {f"{key}{suffix}": rate for key, rate in whole.rates().items()}
            systems.setdefault(system, {}).update(rates)
        for one in recordings:
            by[one.name][system]["speakers"] = len({turn.speaker for turn in found[one.name]} - {"-1"})
    for one in recordings:
        by[one.name]["truth"] = {"speakers": len({turn.speaker for turn in one.truth})}
    return {"systems": systems, "by": by}


def joined(recordings: Sequence[Recording]) -> Recording:
    """All recordings end to end, as one."""
    at_s, truth = 0.0, []
    for one in recordings:
        truth += [SpokenTurn(at_s + a, at_s + b, who) for a, b, who in one.truth]
        at_s += len(one.samples) / AUDIO_RATE_HZ
    return Recording("joined", np.concatenate([one.samples for one in recordings]), truth, (0.0, at_s))


def recurring(heard: Sequence[Heard], listening: Listening) -> list[dict[str, Any]]:
    """How alike the voices of every two people of two recordings are, each by all that is found of one.

    A found speaker stands for the true one whom it has most in common with, and counts from two seconds on.
    """
    voices: list[tuple[str, str, float, NDArray[np.float32]]] = []
    for one in heard:
        found = diarised(one, listening.settings.speakers)
        turns = spoken_turns(found, listening.settings.voice.pad_s)
        _, taken_for = errors(one.recording.truth, turns, one.recording.scored)
        for speaker, person in sorted(taken_for.items()):
            own = [turn for turn in turns if turn.speaker == speaker]
            seconds = sum(turn.end_s - turn.start_s for turn in own)
            keys = [
                key_of(voiced, 0, 1 << 60, int(speaker))[0]
                for _, voiced in found
                if (voiced.speakers == int(speaker)).any()
            ]
            if seconds >= 2.0 and speaker != "-1":
                mean = np.mean(keys, axis=0)
                voices.append((one.recording.name, person, seconds, mean / np.linalg.norm(mean)))
    return [
        {
            "voices": [f"{a[0]} {a[1]}", f"{b[0]} {b[1]}"],
            "seconds": [round(a[2], 1), round(b[2], 1)],
            "is_same": a[1] == b[1],
            "likeness": round(float(a[3] @ b[3]), 3),
        }
        for at, a in enumerate(voices)
        for b in voices[at + 1 :]
        if a[0] != b[0]
    ]


def recordings_of(folder: Path) -> list[Recording]:
    """The recordings of a folder that its reference names and that are there.

    Raises:
        ConfigError: There is no reference, no UEM, or none of the sounds.
    """
    truth, scored = read_rttm(folder / "ref.rttm"), read_uem(sorted(folder.glob("*.uem")))
    found = []
    for name in sorted(truth):
        paths = [path for path in sorted(folder.glob(f"{name}.*")) if path.suffix not in (".uem", ".rttm")]
        if paths and name in scored:
            found.append(Recording(name, decoded(paths[0]), truth[name], scored[name]))
    if not found:
        raise ConfigError(
            f"{folder}: no sound that ref.rttm and a .uem name", remedy="put them into one folder"
        )
    return found


def utterance_turns(recordings: Sequence[Recording], preset: str) -> dict[str, list[SpokenTurn]]:
    """The utterances of the whole pipeline with speakers switched on, as turns."""
    import wave

    import msgpack

    from memory.log.database import LOG_NAME, connect_reader
    from tools.eval_speech import ours

    turns: dict[str, list[SpokenTurn]] = {}
    with tempfile.TemporaryDirectory(prefix="omnirecall-speakers-") as folder:
        paths = {}
        for one in recordings:
            path = paths[one.name] = Path(folder) / f"{one.name}.wav"
            with wave.open(str(path), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(AUDIO_RATE_HZ)
                file.writeframes(one.samples.astype("<i2").tobytes())

        def look(store: Path, sources: dict[Path, bytes]) -> None:
            log = connect_reader(store / LOG_NAME)
            try:
                for name, path in paths.items():
                    rows = log.execute(
                        "SELECT pts0_ns, pts1_ns, payload FROM observation WHERE kind = 'utterance'"
                        " AND source_id = ? ORDER BY pts0_ns",
                        (sources[path],),
                    ).fetchall()
                    turns[name] = [
                        SpokenTurn(a / 1e9, b / 1e9, str(msgpack.unpackb(body)["voice"]["turn"]))
                        for a, b, body in rows
                    ]
            finally:
                log.close()

        ours(list(paths.values()), preset, {"audio__speakers__enabled": True}, look)
    return turns


# Whether two recordings are of one voice.


def key_error(manifest: Path, listening: Listening) -> dict[str, Any]:
    """The equal error rate over all pairs of the files of a manifest.

    Raises:
        ConfigError: It cannot be read, or all pairs are of one kind.
    """
    rows = _speakers_of(manifest)
    who = np.array([speaker for _, speaker in rows])
    first, second = np.triu_indices(len(rows), 1)
    is_same = who[first] == who[second]
    keys: dict[str, list[Vectors]] = {}
    for path, _ in rows:
        samples = decoded(path)
        segments = [segment for batch in listening.batches(samples) for segment in batch.segments]
        if not segments:  # nothing that voice activity believes: the file as it is
            whole = (samples / np.float32(32768)).astype(np.float32)
            segments = [VoiceSegment(0, len(whole), "eof", len(whole), 1.0, whole, whole[:0])]
        keys.setdefault("ours", []).append(_mean(listening.windows(segments)))
        for span_s in SPANS_S:
            keys.setdefault(f"ours {span_s} s", []).append(_mean(listening.windows(_first(segments, span_s))))
        frames = np.concatenate([cepstra(segment.samples) for segment in segments])
        keys.setdefault("mfcc", []).append(frames.mean(axis=0))
    keys["mfcc"] = list(np.array(keys["mfcc"]) - np.mean(keys["mfcc"], axis=0))
    keys["random"] = list(np.random.default_rng(0).normal(size=(len(rows), 256)))
    found: dict[str, dict[str, float]] = {}
    for system, some in keys.items():
        vectors = np.array(some)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        eer, at = equal_error_rate((vectors @ vectors.T)[first, second], is_same)
        found[system] = {"eer": round(eer, 4), "likeness_there": round(at, 3)}
    systems = {name: own for name, own in found.items() if not name.startswith("ours ")}
    spans = {name.removeprefix("ours "): {"ours": own} for name, own in found.items() if name not in systems}
    return {
        "items": len(rows),
        "pairs": len(first),
        "same_pairs": int(is_same.sum()),
        "systems": systems,
        "by": {"voice": spans},
    }


def _first(segments: Sequence[VoiceSegment], seconds: float) -> list[VoiceSegment]:
    """The first seconds of the first segment."""
    from dataclasses import replace

    first = segments[0]
    samples = first.samples[: FFT + round(seconds * AUDIO_RATE_HZ)]
    return [replace(first, samples=samples, end_sample=first.start_sample + len(samples))]


def _mean(windows: Sequence[VoiceWindows]) -> Vectors:
    return np.asarray(np.concatenate([one.vectors for one in windows]).astype(np.float64).mean(axis=0))


def _speakers_of(manifest: Path) -> list[tuple[Path, str]]:
    from tools.eval_speech import read_manifest

    lines = read_manifest(manifest)
    rows = [json.loads(row) for row in manifest.read_text(encoding="utf-8").splitlines() if row.strip()]
    try:
        return [(line.path, str(row["speaker"])) for line, row in zip(lines, rows, strict=True)]
    except KeyError as error:
        raise ConfigError(
            f"{manifest}: a line without {error}", remedy="say who speaks in each file"
        ) from error


# The whole.


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as the object that is written.

    Raises:
        OmniRecallError: One of its kinds, for bad input or a missing model.
    """
    from stream.config import load_config

    began_s = time.perf_counter()
    settings: Any = load_config(preset=options.preset).section("audio")
    listening = Listening(settings)
    result: dict[str, Any] = {
        "tool": "eval_speech",
        "data": ", ".join(str(path) for path in (options.manifest, options.diarise) if path),
        "config": {"preset": options.preset, **settings.speakers.model_dump()},
        "models": {"voice": VoiceEncoder.encoder_id},
        "systems": {},
    }
    if options.manifest is not None:
        result["keys"] = key_error(options.manifest, listening)
        for name, own in result["keys"]["systems"].items():
            result["systems"].setdefault(name, {})["eer"] = own["eer"]
    if options.diarise is not None:
        recordings = recordings_of(options.diarise)
        listening.clock = Clock()
        heard = [listened(one, listening) for one in recordings]
        more = {}
        if options.utterances:
            more["ours_utterances"] = utterance_turns(recordings, options.preset)
        result["diarisation"] = diarisation_error(heard, listening, more)
        whole = listened(joined(recordings), listening)
        result["joined"] = diarisation_error([whole], listening, {})["systems"]
        result["recurring"] = recurring(heard, listening)
        for name, rates in result["diarisation"]["systems"].items():
            result["systems"].setdefault(name, {}).update(rates)
    clock = listening.clock
    result["cpu_s_per_s"] = {
        stage: round(cpu_s / clock.sound_s, 4) for stage, cpu_s in clock.cpu_s.items() if clock.sound_s
    }
    result["seconds"] = round(time.perf_counter() - began_s, 1)
    return result


def show(result: dict[str, Any]) -> None:
    """Prints the tables."""
    if "keys" in result:
        keys = result["keys"]
        print(f"{keys['items']} files, {keys['pairs']} pairs, {keys['same_pairs']} of one voice")
        _table(keys["systems"])
        for span, own in keys["by"]["voice"].items():
            print(f"  of the first {span}: {own['ours']}")
    if "diarisation" in result:
        for name, systems in result["diarisation"]["by"].items():
            print(f"\n{name}")
            _table(systems)
        print("\nall")
        _table(result["diarisation"]["systems"])
        print("\nall as one recording")
        _table(result["joined"])
        print("\nvoices of two recordings")
        for pair in sorted(result["recurring"], key=lambda one: -one["likeness"]):
            kind = "one person " if pair["is_same"] else "two persons"
            print(f"  {pair['likeness']:.3f}  {kind}  {' · '.join(pair['voices'])}")
    print(f"\nCPU seconds per second of sound: {result['cpu_s_per_s']}")


def _table(systems: dict[str, dict[str, Any]]) -> None:
    for name, own in systems.items():
        print(f"{name:20s}" + "  ".join(f"{key} {value}" for key, value in own.items()))
