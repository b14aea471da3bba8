"""Word error rate of what the pipeline hears, beside plain faster-whisper, and the words that it invents.

`python -m tools.eval_speech --manifest FILE.jsonl [--json OUT] [--preset archive] [--model NAME] [--quiet
[PATH...]]`. Each line of a manifest has `file`, beside it, and `text`, and may have `language`.

`ours` is the real pipeline with the preset: capture, voice activity, speech and memory as processes on a
store of their own, all files in it, the utterances read back from the log; its CPU seconds are the audio
process's, loading the model included. `faster_whisper` and `faster_whisper_vad` are its `transcribe` with its
defaults (beam 5, other temperatures where it doubts), without and with its voice filter, with the same model
(for `auto`: whisper-base) and arithmetic in the same run; `faster_whisper_our_beam` has our beam. With
`--quiet`, `invented_words` are the words that each of them writes for sound without speech: made by
`tools.speech_material`, and PATHs. With `--speakers` it is voices instead of words: `tools.eval_speakers`.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.errors import ConfigError, OmniRecallError, SourceError, StoreBusy
from tools.house import House
from tools.process_use import cpu_s
from tools.wer import SPACELESS, Edits, characters, edits, interval, words

DEFAULT_BEAM = 5
"""Hypotheses that faster-whisper keeps where it is not told otherwise."""
BASELINES = {
    "faster_whisper": (DEFAULT_BEAM, False),
    "faster_whisper_vad": (DEFAULT_BEAM, True),
    "faster_whisper_our_beam": (0, False),
}
"""Name, beam (0: ours), and whether faster-whisper's own voice filter is on."""


@dataclass(frozen=True)
class Line:
    """What a manifest says of one file. Text is empty where nobody speaks."""

    path: Path
    text: str
    language: str = "en"


@dataclass
class Run:
    """What one system heard, per file, and what it took. `languages` are those that it told."""

    heard: dict[Path, str] = field(default_factory=dict)
    languages: dict[Path, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0


def read_manifest(path: Path) -> list[Line]:
    """The lines of a manifest.

    Raises:
        ConfigError: It cannot be read, or a line has no `file` or `text`, or names a file that is not there.
    """
    lines = []
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: {error}", remedy="name a manifest: JSON lines with file and text"
        ) from error
    for number, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            told = json.loads(row)
            line = Line(path.parent / told["file"], str(told["text"]), str(told.get("language", "en")))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path}:{number}: {error!r}", remedy='each line is {"file": …, "text": …}'
            ) from error
        if not line.path.is_file():
            raise ConfigError(
                f"{path}:{number}: {line.path} is not there", remedy="put it beside the manifest"
            )
        lines.append(line)
    return lines


# Systems.


def ours(
    paths: Sequence[Path],
    preset: str,
    overrides: dict[str, object],
    look: Callable[[Path, dict[Path, bytes]], None] | None = None,
) -> Run:
    """The pipeline: every file into one store, the utterances read back from its log.

    Args:
        paths: The files.
        preset: Of the configuration.
        overrides: Settings of it.
        look: Called with the store and the id of each file before the store goes.
    """
    from memory.log.database import LOG_NAME, connect_reader

    run = Run()
    with tempfile.TemporaryDirectory(prefix="omnirecall-speech-") as folder:
        store = Path(folder) / "store"
        sources: dict[Path, bytes] = {}  # Files of equal bytes are one source.
        with House(store, preset, overrides) as house:
            began_s = time.perf_counter()
            for path in paths:
                state = house.follow(_opened(house, path), timeout_s=3600, pause_s=0.05)
                if state.state == "rejected":
                    raise SourceError(f"{path}: {state.reason}", remedy=state.remedy)
                sources[path] = state.source_id
                _tell(f"ours: {len(sources)} of {len(paths)}")
            run.seconds = time.perf_counter() - began_s
            run.cpu_s = sum(_cpu_of(role.pid) for role in house.roles().values() if role.role == "audio")
        log = connect_reader(store / LOG_NAME)
        try:
            for path, source_id in sources.items():
                rows = log.execute(
                    "SELECT text, language FROM observation WHERE kind = 'utterance' AND source_id = ?"
                    " ORDER BY pts0_ns, n",
                    (source_id,),
                ).fetchall()
                run.heard[path] = _joined(text for text, _ in rows)
                run.languages[path] = sorted({language for _, language in rows})
        finally:
            log.close()
        if look is not None:
            look(store, sources)
    return run


def _opened(house: House, path: Path, patience_s: float = 60.0) -> str:
    """Has a file read once the one before it is out of the way."""
    ends_at_s = time.monotonic() + patience_s
    while True:
        try:
            return house.open(path)
        except StoreBusy:
            if time.monotonic() > ends_at_s:
                raise
            time.sleep(0.02)


def plain(lines: Sequence[Line], model: str, compute_type: str, beam: int, *, vad_filter: bool) -> Run:
    """faster-whisper as its documentation uses it, on one thread."""
    from faster_whisper import WhisperModel

    from stream.models.speech import speech_model

    whisper = WhisperModel(
        str(speech_model(model).folder),
        device="cpu",
        compute_type=compute_type,
        cpu_threads=1,
        local_files_only=True,
    )
    run = Run()
    began_s, began_cpu_s = time.perf_counter(), _own_cpu_s()
    for line in lines:
        passes, info = whisper.transcribe(str(line.path), beam_size=beam, vad_filter=vad_filter)
        run.heard[line.path] = _joined(pass_.text for pass_ in passes)
        run.languages[line.path] = [info.language]
        _tell(f"faster-whisper: {len(run.heard)} of {len(lines)}")
    run.seconds = time.perf_counter() - began_s
    run.cpu_s = _own_cpu_s() - began_cpu_s
    return run


def _joined(texts: Iterable[str]) -> str:
    return " ".join(text.strip() for text in texts)


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process; 0 where it has ended."""
    try:
        return cpu_s(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return 0.0


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text}\033[K")
        sys.stderr.flush()


# Figures.


def score(lines: Sequence[Line], run: Run, audio_s: float) -> dict[str, Any]:
    """The figures of a system on lines with words."""
    parts = [
        edits(words(line.text, line.language), words(run.heard[line.path], line.language)) for line in lines
    ]
    whole = sum(parts, Edits())
    low, high = interval(parts)
    figures: dict[str, Any] = {
        "wer": round(whole.rate, 4),
        "wer_low": round(low, 4),
        "wer_high": round(high, 4),
        "insertions": whole.inserted,
        "deletions": whole.deleted,
        "substitutions": whole.substituted,
        "words": whole.said,
        "language_right": round(
            sum(run.languages[line.path] == [line.language] for line in lines) / len(lines), 4
        ),
    }
    if any(line.language in SPACELESS for line in lines):
        apart = [
            edits(characters(line.text, line.language), characters(run.heard[line.path], line.language))
            for line in lines
        ]
        figures["cer"] = round(sum(apart, Edits()).rate, 4)
    if run.seconds:
        figures["seconds"] = round(run.seconds, 1)
        figures["x_realtime"] = round(audio_s / run.seconds, 1)
        figures["cpu_s_per_s"] = round(run.cpu_s / audio_s, 4)
    return figures


def by_language(lines: Sequence[Line], runs: dict[str, Run]) -> dict[str, dict[str, dict[str, Any]]]:
    """The figures per language, without times."""
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for language in sorted({line.language for line in lines}):
        own = [line for line in lines if line.language == language]
        parts[language] = {
            name: score(own, Run(heard=run.heard, languages=run.languages), 0.0) for name, run in runs.items()
        }
    return parts


def invented(runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    """Words where nobody speaks, per system, with the sounds that they were written for."""
    return {
        name: {
            "invented_words": sum(len(text.split()) for text in run.heard.values()),
            "written": {path.name: text for path, text in run.heard.items() if text},
            "seconds": round(run.seconds, 1),
        }
        for name, run in runs.items()
    }


def seconds_of(path: Path) -> float:
    """Seconds of sound in a file."""
    from faster_whisper.audio import decode_audio

    return len(decode_audio(str(path))) / 16_000


def measured(lines: Sequence[Line], options: argparse.Namespace, speech: Any) -> dict[str, Run]:
    """Every system on the same files, all on the CPU and in the same arithmetic."""
    overrides: dict[str, object] = {"audio__speech__model": speech.model, "audio__speech__beam": speech.beam}
    overrides["audio__speech__device"] = "cpu"
    runs = {"ours": ours([line.path for line in lines], options.preset, overrides)}
    from perception.audio.speech_places import places_of
    from perception.audio.whisper import models_of

    *_, model = models_of(speech.model)
    ((_, compute_type),) = places_of(speech.model_copy(update={"device": "cpu"}))
    for name, (beam, vad_filter) in BASELINES.items():
        runs[name] = plain(lines, model, compute_type, beam or speech.beam, vad_filter=vad_filter)
    return runs


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as the object that is written.

    Raises:
        OmniRecallError: One of its kinds, for bad input or a missing model.
    """
    from stream.config import load_config

    began_s = time.perf_counter()
    speech = load_config(preset=options.preset).section("audio").speech  # type: ignore[attr-defined]
    changes = {"model": options.model, "beam": options.beam}
    speech = speech.model_copy(update={name: value for name, value in changes.items() if value})
    result: dict[str, Any] = {
        "tool": "eval_speech",
        "data": str(options.manifest or ""),
        "config": {"preset": options.preset, **speech.model_dump()},
        "models": {"speech": speech.model},
    }
    if options.manifest is not None:
        lines = read_manifest(options.manifest)
        audio_s = sum(seconds_of(line.path) for line in lines)
        runs = measured(lines, options, speech)
        result |= {"items": len(lines), "audio_s": round(audio_s, 1)}
        result["systems"] = {name: score(lines, run, audio_s) for name, run in runs.items()}
        result["by"] = {"language": by_language(lines, runs)}
        result["heard"] = {line.path.name: {n: r.heard[line.path] for n, r in runs.items()} for line in lines}
    if options.quiet is not None:
        result["quiet"] = _quiet(options, speech)
        if "systems" not in result:
            result["systems"] = result["quiet"]["systems"]
        for name, figures in result["quiet"]["systems"].items():
            result["systems"][name]["invented_words"] = figures["invented_words"]
    result["seconds"] = round(time.perf_counter() - began_s, 1)
    return result


def sounds_of(named: Sequence[Path]) -> list[Path]:
    """Files with sound that were named, and those of named folders; what has none there is skipped and said.

    Raises:
        ConfigError: A file that was named itself is not there or has no sound.
    """
    paths = []
    for path in named:
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in inside:
            try:
                seconds_of(file)
            except (OSError, ValueError, IndexError) as error:  # PyAV's errors are of these
                if not path.is_dir():
                    raise ConfigError(f"{file}: {error}", remedy="name files with sound") from error
                sys.stderr.write(f"skipped, no sound in it: {file}\n")
                continue
            paths.append(file)
    return paths


def _quiet(options: argparse.Namespace, speech: Any) -> dict[str, Any]:
    from tools.speech_material import quiet_files

    with tempfile.TemporaryDirectory(prefix="omnirecall-quiet-") as folder:
        paths = quiet_files(Path(folder))
        paths += sounds_of(options.quiet)
        lengths = {path: seconds_of(path) for path in paths}
        runs = measured([Line(path, "") for path in paths], options, speech)
    return {
        "audio_s": round(sum(lengths.values()), 1),
        "made_of": {path.name: round(length, 1) for path, length in lengths.items()},
        "systems": invented(runs),
    }


def show(result: dict[str, Any]) -> None:
    """Prints the tables."""
    if "items" in result:
        print(f"{result['items']} files, {result['audio_s']} s, model {result['models']['speech']}")
        _table(result["systems"])
        for language, systems in result["by"]["language"].items():
            if len(result["by"]["language"]) > 1:
                print(f"\n{language}")
                _table(systems)
    if "quiet" in result:
        print(f"\nwithout speech: {result['quiet']['audio_s']} s, made of")
        for name, length in result["quiet"]["made_of"].items():
            print(f"  {length:7.1f} s  {name}")
        for name, figures in result["quiet"]["systems"].items():
            print(f"{name:20s}invented_words {figures['invented_words']}   {figures['seconds']} s")


def _table(systems: dict[str, dict[str, Any]]) -> None:
    for name, figures in systems.items():
        shown = {key: value for key, value in figures.items() if key not in ("written", "words")}
        print(f"{name:20s}" + "  ".join(f"{key} {value}" for key, value in shown.items()))


def options_of(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.eval_speech", description=__doc__)
    parser.add_argument("--manifest", type=Path, default=None, help="JSON lines: file, text, language")
    parser.add_argument("--json", type=Path, default=None, help="where the figures are written as JSON")
    parser.add_argument("--preset", default="archive")
    parser.add_argument("--model", default="", help="audio.speech.model; empty: the preset's")
    parser.add_argument("--beam", type=int, default=0, help="audio.speech.beam; 0: the preset's")
    parser.add_argument(
        "--quiet", type=Path, nargs="*", default=None, help="count invented words; folders or files are added"
    )
    parser.add_argument(
        "--speakers", action="store_true", help="measure voices, not words: tools.eval_speakers"
    )
    parser.add_argument("--diarise", type=Path, default=None, help="folder with sounds, ref.rttm and *.uem")
    parser.add_argument(
        "--utterances", action="store_true", help="with --diarise: the whole pipeline as well"
    )
    options = parser.parse_args(argv)
    if options.speakers and options.manifest is None and options.diarise is None:
        parser.error("nothing to measure: give --manifest, --diarise or both")
    if not options.speakers and options.manifest is None and options.quiet is None:
        parser.error("nothing to measure: give --manifest, --quiet or both")
    return options


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 for bad input or a missing model."""
    options = options_of(argv)
    report: Callable[[str], object] = sys.stderr.write
    from tools import eval_speakers

    try:
        result = (eval_speakers.evaluate if options.speakers else evaluate)(options)
    except OmniRecallError as error:
        report(f"{error}\n{error.remedy}\n")
        return 1
    (eval_speakers.show if options.speakers else show)(result)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
