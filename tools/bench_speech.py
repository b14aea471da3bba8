"""What recognition costs: windows together or one by one, and languages told from short probes.

`python -m tools.bench_speech --manifest FILE.jsonl [--model NAME] [--json OUT]`. The files are laid end to
end and cut into windows of 28 s; each row is CPU seconds per second of sound on one thread, the best of
`--rounds`, all in the same run. The probes' rows also say in how many files the language told is the
manifest's, beside the full window of 30 s.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perception.audio.settings import AudioSettings
from perception.audio.speech import WINDOW_S
from perception.audio.speech_places import places_of
from perception.audio.whisper import Whisper, models_of
from stream.errors import OmniRecallError
from stream.messages.media import AUDIO_RATE_HZ
from tools.eval_speech import Line, read_manifest

Samples = NDArray[np.float32]

BATCHES = (1, 2, 4)
PROBES_S = (2.0, 3.0, 4.0, 6.0, 30.0)


def cheapest_s(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the process for the cheapest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        best = min(best, time.process_time() - began_s)
    return best


def windows_of(sounds: Sequence[Samples], most: int) -> list[Samples]:
    """Full windows of all sounds laid end to end; the rest is left out."""
    whole = np.concatenate(sounds)
    length = round(WINDOW_S * AUDIO_RATE_HZ)
    return [whole[at : at + length] for at in range(0, len(whole) - length + 1, length)][:most]


def decoded_together(
    whisper: Whisper, windows: Sequence[Samples], size: int, beam: int
) -> Callable[[], None]:
    """Encodes and decodes windows, `size` in each call of CTranslate2; without word times."""
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_ctranslate2_storage

    model = whisper.model
    tokenizer = Tokenizer(model.hf_tokenizer, whisper.is_multilingual, task="transcribe", language="en")
    features = [pad_or_trim(model.feature_extractor(window)[:, :-1]) for window in windows]

    def work() -> None:
        for at in range(0, len(features), size):
            group = features[at : at + size]
            encoded = model.model.encode(get_ctranslate2_storage(np.stack(group)))
            model.model.generate(encoded, [tokenizer.sot_sequence] * len(group), beam_size=beam)

    return work


def batching(whisper: Whisper, windows: Sequence[Samples], beam: int, rounds: int) -> dict[str, Any]:
    """CPU seconds per second of sound, by windows per call."""
    sound_s = sum(len(window) for window in windows) / AUDIO_RATE_HZ
    return {
        f"{size} at once": {
            "cpu_s_per_s": round(
                cheapest_s(decoded_together(whisper, windows, size, beam), rounds) / sound_s, 4
            )
        }
        for size in BATCHES
    }


def telling(whisper: Whisper, lines: Sequence[Line], sounds: Sequence[Samples]) -> dict[str, Any]:
    """What a probe costs and how often it is right, by its length."""
    rows: dict[str, Any] = {}
    for seconds in PROBES_S:
        probes = [sound[: round(seconds * AUDIO_RATE_HZ)] for sound in sounds]
        right = 0
        began_s = time.process_time()
        for line, probe in zip(lines, probes, strict=True):
            (found,) = whisper.languages([probe], seconds)
            right += max(found, key=lambda name: found[name]) == line.language
        rows[f"{seconds:g} s"] = {
            "cpu_s_per_probe": round((time.process_time() - began_s) / len(probes), 4),
            "right": round(right / len(probes), 4),
        }
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 for bad input or a missing model."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_speech", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="JSON lines: file, text, language")
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--windows", type=int, default=8, help="windows that are decoded")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args(argv)
    from faster_whisper.audio import decode_audio

    speech = AudioSettings().speech
    try:
        lines = read_manifest(options.manifest)
        *_, model = models_of(options.model)
        ((_, compute_type),) = places_of(speech.model_copy(update={"device": "cpu"}))
        whisper = Whisper(model, compute_type=compute_type, threads=1)
    except OmniRecallError as error:
        sys.stderr.write(f"{error}\n{error.remedy}\n")
        return 1
    sounds = [np.asarray(decode_audio(str(line.path)), np.float32) for line in lines]
    systems: dict[str, Any] = {
        "windows": batching(whisper, windows_of(sounds, options.windows), speech.beam, options.rounds)
    }
    if whisper.is_multilingual:
        systems["probes"] = telling(whisper, lines, sounds)
    for table, rows in systems.items():
        for name, figures in rows.items():
            print(f"{table:10s}{name:12s}" + "  ".join(f"{key} {value}" for key, value in figures.items()))
    if options.json is not None:
        result = {"tool": "bench_speech", "data": str(options.manifest), "items": len(lines)}
        options.json.write_text(json.dumps(result | {"models": {"speech": model}, "systems": systems}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
