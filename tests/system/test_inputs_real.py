"""What lies beside pictures and sound, through the real processes: subtitles, a chapter, photos."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from PIL import Image

from stream.capture.probe import probe
from stream.models import demo_media

pytestmark = [pytest.mark.system, pytest.mark.model]

COMMAND = [sys.executable, "-P", "-m", "stream.commands.app"]
WORDS = "The lighthouse keeper has lost his umbrella."


def run(*words):
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "two_cities.wav").symlink_to(demo_media().file("two-cities", "two_cities.wav"))
    n_cues = round((probe(folder / "two_cities.wav").duration_ns or 0) / 4e9)
    cues = [
        f"{n}\n00:{n // 15:02}:{4 * n % 60:02},000 --> 00:{n // 15:02}:{4 * n % 60 + 3:02},900\n"
        f"{WORDS if n == 1 else f'Line {n}.'}"
        for n in range(n_cues)
    ]
    (folder / "two_cities.en.srt").write_text("\n\n".join(cues))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x9003: "2023:05:01 12:00:00", 0x9011: "+02:00"})
    exif.get_ifd(0x8825).update({1: "N", 2: (43.0, 30.0, 0.0), 3: "E", 4: (11.0, 45.0, 0.0)})
    photo = Image.open(demo_media().file("coffee", "coffee.png")).convert("RGB")
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "photo.jpg", exif=exif)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, folder):
    store = tmp_path_factory.mktemp("inputs") / "store"
    done = run("index", folder, "--store", store, "--json", "--idle-exit", 20)
    files = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["outcome"] for one in files if one["event"] == "file"] == ["done", "done"]
    return store


def hits(store, *words):
    return json.loads(run("search", *words, "--store", store, "--json").stdout)["hits"]


def test_what_a_sidecar_says_is_found_and_nobody_listened(store):
    best = hits(store, "umbrella of the lighthouse keeper")[0]
    assert (best["kind"], best["text"], best["observed_t0_s"], best["observed_t1_s"]) == (
        "utterance",
        WORDS,
        4.0,
        7.9,
    )
    said = hits(store, "the best of times, the worst of times", "--kind", "utterance", "-k", "20")
    assert said
    assert all(one["text"] == WORDS or one["text"].startswith("Line ") for one in said)


def test_a_photo_is_found_at_its_time(store):
    (best,) = [one for one in hits(store, "a photo", "--kind", "shot") if one["source"].endswith("photo.jpg")]
    assert best["t0"] == "2023-05-01T10:00:00.000Z"
    assert best["t0_s"] == 0.0
    assert best["thumbnail"]
