"""Subtitles and chapters inside and beside films: which are taken, and what they stand for."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from stream.capture.cues import Cue
from stream.capture.observations import decided, first_cue_id, planned
from stream.capture.probe import Probe, probe
from stream.capture.settings import CaptureSettings
from stream.capture.subtitles import SIDECAR_BYTES, Subtitles, taken
from stream.capture.text_tracks import SIDECAR_TRACK, TextTrack, ranked, sidecars
from stream.messages.control import SourceHeld, TrackStatus
from stream.messages.envelope import Envelope
from stream.messages.observation import SourceRecord
from stream.wire.codec import decode, encode
from tests.stream.capture_clips import pan, tone, write_clip

S = 10**9
HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, Text\n"
LINES = [(0, 800, "One <i>fish</i>."), (900, 1900, "Two fish."), (2000, 3900, "[music] Red fish.")]
SRT = "\n\n".join(
    f"{n}\n00:00:{a // 1000:02},{a % 1000:03} --> 00:00:{b // 1000:02},{b % 1000:03}\n{text}"
    for n, (a, b, text) in enumerate(LINES)
)


def write_talkie(path: Path, tracks: list[dict], chapters=(), sounds=("eng",)) -> Path:
    """Four seconds with sound and text tracks; of these `codec`, `language`, `flags` and `lines`."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        voices = []
        for language in sounds:
            voice = out.add_stream("aac", rate=16_000, layout="mono")
            voice.metadata["language"] = language
            voices.append(voice)
        texts = []
        for track in tracks:
            text = out.add_stream(track.get("codec", "srt"))
            text.codec_context.subtitle_header = HEADER
            text.metadata["language"] = track.get("language", "eng")
            text.disposition = track.get("flags", av.stream.Disposition(0))
            texts.append(text)
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": n,
                        "start": a,
                        "end": b,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for n, (a, b, title) in enumerate(chapters)
                ]
            )
        for index, picture in enumerate(pan(100)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for voice in voices:
            for at in range(0, 64_000, 1024):
                frame = av.AudioFrame.from_ndarray(tone(1024)[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 16_000, at, Fraction(1, 16_000)
                out.mux(voice.encode(frame))
            out.mux(voice.encode(None))
        for text, track in zip(texts, tracks, strict=True):
            for n, (a, b, line) in enumerate(track.get("lines", LINES)):
                packet = av.Packet(_body(track.get("codec", "srt"), n, line))
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = a
                packet.duration = b - a
                out.mux(packet)
    return path


def _body(codec: str, n: int, line: str) -> bytes:
    if codec == "ass":
        return f"{n},0,Default,,0,0,0,,{line}".encode()
    body = line.encode()
    return len(body).to_bytes(2, "big") + body if codec == "mov_text" else body


def words(path: Path, settings: CaptureSettings | None = None) -> tuple[Subtitles | None, list[str], Probe]:
    settings = settings or CaptureSettings()
    found = probe(path, settings)
    notes: list[str] = []
    read = [one for one in taken(found, settings, notes) if one is not None]
    return (read[-1] if read else None), notes, found


def plan_of(found: Probe, subtitles: Subtitles | None, settings: CaptureSettings | None = None):
    record = SourceRecord(
        source_id=found.source_id,
        session=0,
        kind="file",
        uri=found.uri,
        duration_ns=found.duration_ns,
        t_origin_ns=10**18,
        tracks=found.tracks,
    )
    return planned(record, found, subtitles, settings or CaptureSettings())


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mkv", "srt"), (".mkv", "ass"), (".mkv", "webvtt"), (".mp4", "mov_text"), (".mov", "mov_text")],
)
def test_text_tracks_of_containers(tmp_path, suffix, codec):
    lines = [(a, b, text.replace("<i>", "").replace("</i>", "")) for a, b, text in LINES]
    path = write_talkie(tmp_path / f"film{suffix}", [{"codec": codec, "lines": lines}])
    subtitles, notes, _ = words(path)
    assert [(c.pts0_ns, c.pts1_ns, c.text) for c in subtitles.cues] == [
        (0, 800_000_000, "One fish."),
        (900_000_000, 1_900_000_000, "Two fish."),
        (2 * S, 3_900_000_000, "Red fish."),
    ]
    assert (subtitles.track.origin, subtitles.track.language, subtitles.covers) == ("embedded", "en", True)
    assert notes == []
    again, _, _ = words(path)
    assert again.producer_id == subtitles.producer_id
    assert subtitles.producer_id.startswith("subtitles/1+")


def test_observations_of_cues_and_chapters(tmp_path):
    chapters = [(0, 2000, "Fish  that are few"), (2000, 4000, ""), (3000, 4000, "Fish that are red")]
    path = write_talkie(tmp_path / "film.mkv", [{}], chapters)
    subtitles, _, found = words(path)
    plan = plan_of(found, subtitles)
    (put,) = plan.puts
    said = [one for one in put.observations if one.kind == "utterance"]
    assert next((o.text, o.pts0_ns, o.t0_ns, o.language, o.payload) for o in said) == (
        "One fish.", 0, 10**18, "en", {"origin": "embedded", "cue": 0},
    )  # fmt: skip
    titles = [one for one in put.observations if one.kind == "chapter"]
    assert [(o.text, o.pts0_ns, o.pts1_ns, o.producer_id) for o in titles] == [
        ("Fish that are few", 0, 2 * S, "chapters/1"),
        ("Fish that are red", 3 * S, 4 * S, "chapters/1"),
    ]
    assert [track.media for track in put.sources[0].tracks] == ["video", "audio", "text"]
    assert [track.media for track in plan.tracks] == ["video"]  # Nobody listens.
    assert {(mark.track, mark.eof) for mark in put.marks} == {(2, True), (1, True)}
    assert plan.notes == ("3 cues of text track 2 (en) were taken instead of listening",)
    again = plan_of(found, words(path)[0])
    assert again == plan
    assert len({o.observation_id for o in put.observations}) == 5


def test_a_file_as_a_camera_has_no_chapters_yet(tmp_path):
    found = probe(write_talkie(tmp_path / "film.mkv", [], [(0, 2000, "Fish that are few")]))
    record = SourceRecord(source_id=b"c" * 16, session=1, kind="camera", uri="c", tracks=found.tracks)
    assert planned(record, found, None, CaptureSettings()).puts[0].observations == ()


def test_another_text_beside_the_same_film_makes_other_observations(tmp_path):
    path = write_clip(tmp_path / "film.mp4", pan(100))
    (tmp_path / "film.srt").write_text(SRT)
    one, _, found = words(path)
    (tmp_path / "film.srt").write_text(SRT.replace("Two", "2"))
    other, _, _ = words(path)
    ids = [{o.observation_id for o in plan_of(found, text).puts[0].observations} for text in (one, other)]
    assert not ids[0] & ids[1]


def test_long_texts_travel_in_batches_that_the_wire_takes(tmp_path):
    path = write_clip(tmp_path / "film.mp4", pan(100))
    line = "word " * 700
    lines = [f"00:00:0{n % 4}.{n % 1000:03} --> 00:00:0{n % 4 + 1}.000\n{line}{n}" for n in range(700)]
    (tmp_path / "film.vtt").write_text("WEBVTT\n\n" + "\n\n".join(lines))
    subtitles, _, found = words(path)
    plan = plan_of(found, subtitles)
    assert len(plan.puts) > 3
    envelope = Envelope(message_id=b"m" * 16, sender="capture", seq=1, published_ns=1)
    assert sum(len(decode(encode(put, envelope)).message.observations) for put in plan.puts) == 700
    assert all(put.sources[0].tracks == found.tracks and not put.marks for put in plan.puts[:-1])
    assert plan.puts[-1].marks


def test_the_owners_language_then_that_of_the_sound_then_the_default(tmp_path):
    flags = av.stream.Disposition
    tracks = [
        {"language": "fre", "flags": flags.default},
        {"language": "eng", "flags": flags.forced},
        {"language": "eng", "flags": flags.hearing_impaired},
        {"language": "eng"},
        {"language": "ger"},
        {"language": "eng", "flags": flags.comment},
    ]
    path = write_talkie(tmp_path / "film.mkv", tracks)
    subtitles, notes, found = words(path)
    assert subtitles.track.number == 5
    assert sorted(notes) == [f"text track {n} ({x}) was left out" for n, x in ((2, "fr"), (3, "en"), (4, "en"), (6, "de"), (7, "en"))]  # fmt: skip  # noqa: E501
    german, _, _ = words(path, CaptureSettings(languages=("de",)))
    assert german.track.language == "de"
    assert german.covers
    # It is in another language than the sound, so that somebody listens all the same.
    plan = plan_of(found, german)
    assert [track.media for track in plan.tracks] == ["video", "audio"]
    assert "in another language" in plan.notes[0]


def test_beside_and_ignore_and_what_covers_too_little(tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [{}])
    subtitles, _, found = words(path)
    beside = plan_of(found, subtitles, CaptureSettings(subtitles="beside"))
    assert [track.media for track in beside.tracks] == ["video", "audio"]
    few = write_talkie(tmp_path / "few.mkv", [{"lines": [(1000, 1400, "Sign: Exit")]}])
    sparse, _, found = words(few)
    assert not sparse.covers
    plan = plan_of(found, sparse)
    assert [track.media for track in plan.tracks] == ["video", "audio"]
    assert len(plan.puts[0].observations) == 1
    assert "cover" in plan.notes[0]


def test_a_hole_of_a_quarter_is_listened_to(tmp_path):
    lines = [(0, 1000, "At the beginning."), (2500, 4000, "At the end.")]
    subtitles, _, _ = words(write_talkie(tmp_path / "film.mkv", [{"lines": lines}]))
    assert subtitles.cover.share > 0.6
    assert not subtitles.covers


def test_of_all_sound_tracks_those_of_other_languages_are_heard(tmp_path):
    settings = CaptureSettings(audio_tracks="all")
    path = write_talkie(tmp_path / "film.mkv", [{}], sounds=("eng", "ger"))
    subtitles, _, found = words(path, settings)
    plan = plan_of(found, subtitles, settings)
    assert [(track.media, track.language) for track in plan.tracks] == [("video", ""), ("audio", "ger")]


def test_bitmaps_are_left_out_and_said():
    tracks = [TextTrack(3, "hdmv_pgs_subtitle", "en"), TextTrack(4, "dvdsub")]
    assert ranked(tracks, "en", ()) == []


def test_bitmaps_are_told(tmp_path):
    path = write_clip(tmp_path / "film.mp4", pan(5))
    found = replace(probe(path), texts=(TextTrack(3, "pgssub", "en"), TextTrack(4, "eia_608")))
    notes: list[str] = []
    assert list(taken(found, CaptureSettings(), notes)) == []
    assert notes == [
        "text track 3 (en): pictures of text are not read",
        "text track 4: captions of this kind are not read",
    ]


def test_which_files_lie_beside_a_film(tmp_path):
    film = tmp_path / "film.mp4"
    mine = ["film.srt", "film.en.srt", "film.pt-BR.vtt", "Film.DE.SRT", "film.en.forced.srt", "film.mp4.srt", "film.sdh.srt"]  # fmt: skip  # noqa: E501
    others = ["film.part2.srt", "film2.srt", "film.txt", "film.en.de.srt", "other.srt", "film.srt.bak"]
    for name in (*mine, *others):
        (tmp_path / name).touch()
    found = {track.path.name: track for track in sidecars(film)}
    assert set(found) == set(mine)
    assert found["film.pt-BR.vtt"].language == "pt"
    assert found["film.en.forced.srt"].is_forced
    assert found["film.sdh.srt"].is_impaired


def test_a_sidecar_in_an_old_encoding(tmp_path):
    path = write_clip(tmp_path / "film.mp4", pan(100))
    text = SRT.replace("One <i>fish</i>.", "Où est-il allé ?")
    (tmp_path / "film.fr.srt").write_bytes(text.encode("cp1252"))
    subtitles, _, _ = words(path)
    assert (subtitles.cues[0].text, subtitles.track.language) == ("Où est-il allé ?", "fr")
    assert subtitles.track.origin == "sidecar"


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SIDECAR_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0"), "is not text"),
        (lambda path: path.write_bytes(b""), "holds no words"),
        (lambda path: path.write_text("Dear reader,\n" * 100), "holds no words"),
        (lambda path: path.write_text("1\n00:00:xx --> 0\nbroken\n"), "1 broken cues"),
        (
            lambda path: path.write_text("1\n01:00:00,000 --> 01:00:09,000\nfar away\n"),
            "holds no words within",
        ),
        (_huge, "larger than 20 MB"),
        (lambda path: os.mkfifo(path), "is not a file"),
        (lambda path: path.symlink_to(path), "leads to itself"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.symlink_to("nowhere"), "is not there"),
    ],
)
def test_what_is_wrong_with_a_sidecar_is_a_note_and_the_next_is_taken(tmp_path, make, told):
    path = write_clip(tmp_path / "film.mp4", pan(100))
    make(tmp_path / "film.srt")
    (tmp_path / "film.und.srt").write_text(SRT)
    subtitles, notes, _ = words(path)
    assert subtitles.track.path.name == "film.und.srt"
    (note,) = notes
    assert note.startswith("film.srt was not read: ")
    assert told in note


def test_a_film_whose_text_track_is_damaged_keeps_what_can_be_read(tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [{}])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    subtitles, notes, _ = words(path)
    assert subtitles is None or 0 < len(subtitles.cues) <= 3
    assert subtitles is not None or notes


# Sound tracks.


def test_the_wanted_sound_track_is_taken_and_the_others_are_told(tmp_path):
    path = write_talkie(tmp_path / "film.mkv", [], sounds=("ger", "eng", "fre"))
    assert [t.language for t in probe(path).tracks if t.media == "audio"] == ["ger"]
    found = probe(path, CaptureSettings(languages=("it", "en")))
    assert [t.language for t in found.tracks if t.media == "audio"] == ["eng"]
    assert found.notes == ("sound track 1 (de) was left out", "sound track 3 (fr) was left out")


@pytest.mark.parametrize(
    ("flags", "title", "why"),
    [
        (av.stream.Disposition.comment, "", "commentary"),
        (av.stream.Disposition.visual_impaired, "", "description"),
        (av.stream.Disposition.default, "Director's Commentary", "commentary"),
    ],
)
def test_commentaries_and_descriptions_are_not_the_sound_of_a_film(tmp_path, flags, title, why):
    path = tmp_path / "film.mka"
    with av.open(str(path), "w", format="matroska") as out:
        streams = [out.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        streams[0].disposition = flags
        streams[0].metadata["title"] = title
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(tone(1600)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    found = probe(path)
    assert [track.track for track in found.tracks] == [1]
    assert found.notes == (f"sound track 0 ({why}) was left out",)


def test_cues_of_many_bytes_travel_in_batches_that_the_wire_takes(tmp_path):
    subtitles, _, found = words(write_talkie(tmp_path / "film.mkv", [{}]))
    cues = [Cue(n, n * 1000, n * 1000 + 500, "魚", "名" * 5000) for n in range(300)]
    plan = plan_of(found, replace(subtitles, cues=tuple(cues)))
    assert sum(len(put.observations) for put in plan.puts) == 300
    for put in plan.puts:
        encode(put, Envelope(message_id=b"m" * 16, sender="capture", seq=1, published_ns=1))
    small = plan_of(found, subtitles)
    assert len(small.puts) == 1


def held(found, *tracks):
    """What memory has: tracks as (number, medium, how far, whether ended)."""
    told = tuple(TrackStatus(track=n, media=m, through_pts_ns=at, eof=eof) for n, m, at, eof in tracks)
    return SourceHeld(
        source_id=found.source_id, session=0, uris=(), duration_ns=None, tracks=told, consolidated=False
    )


def test_words_that_an_earlier_run_decided_on_stand(tmp_path):
    subtitles, _, found = words(write_talkie(tmp_path / "film.mkv", [{}]))
    record = plan_of(found, subtitles).puts[0].sources[0]
    video, sound = (0, "video", 5, False), (1, "audio", None, False)
    assert decided(record, subtitles, None) == ""
    assert decided(record, subtitles, held(found, video, sound)) == ""
    heard = (1, "audio", 7, False)
    assert "listening had begun" in decided(record, subtitles, held(found, video, heard))
    beside = (SIDECAR_TRACK, "text", 9, True)
    assert "other words were" in decided(record, subtitles, held(found, video, sound, beside))
    assert decided(record, subtitles, held(found, video, heard, (2, "text", 9, True))) == ""
    first = next(o for put in plan_of(found, subtitles).puts for o in put.observations)
    assert first_cue_id(record, subtitles) == first.observation_id


def test_tracks_that_are_not_read_any_more_end_with_the_plan(tmp_path):
    subtitles, _, found = words(write_talkie(tmp_path / "film.mkv", [{}]))
    known = held(found, (0, "video", 5, False), (1, "audio", 7, True), (7, "audio", S, False))
    record = plan_of(found, None).puts[0].sources[0]
    for taken_now in (None, subtitles):
        plan = planned(record, found, taken_now, CaptureSettings(), known)
        ends = {mark.track: mark.through_pts_ns for mark in plan.puts[-1].marks if mark.eof}
        assert ends[7] == found.duration_ns
        assert 0 not in ends
