"""The commands on real processes and real media: a clip without sound and a recording without picture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import wave
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest

from stream.models import demo_media
from stream.process.start import is_running

pytestmark = [pytest.mark.system, pytest.mark.model]

COMMAND = [sys.executable, "-P", "-m", "stream.commands.app"]


def run(*words, code=0):
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=180)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def as_json(*words, code=0):
    document = json.loads(run(*words, "--json", code=code).stdout)
    assert document["version"] == 1
    return document


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Two media and one file that is none."""
    folder = tmp_path_factory.mktemp("album")
    for item, file in (("bikes", "bikes.mp4"), ("two-cities", "two_cities.wav")):
        (folder / file).symlink_to(demo_media().file(item, file))
    (folder / "broken.mp4").write_bytes(b"this is no film" * 100)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, album):
    """A store into which the album was read by the command."""
    store = tmp_path_factory.mktemp("commands") / "store"
    done = run("index", album, "--store", store, "--json", "--idle-exit", 20)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["version"] for line in lines} == {1}
    outcomes = {line["source"].rsplit("/", 1)[-1]: line for line in lines if line["event"] == "file"}
    assert {name: one["outcome"] for name, one in outcomes.items()} == {
        "bikes.mp4": "done",
        "broken.mp4": "rejected",
        "two_cities.wav": "done",
    }
    assert outcomes["broken.mp4"]["reason"]
    assert lines[-1] == {
        "version": 1, "event": "end", "files": 3, "outcomes": {"done": 2, "rejected": 1},
    }  # fmt: skip
    return store


def test_what_is_there_is_not_read_again(store, album):
    began_s = time.monotonic()
    done = run("index", album / "bikes.mp4", "--store", store)
    assert "already there" in done.stderr
    assert time.monotonic() - began_s < 5


def test_where_nothing_can_be_read_the_code_is_3(store, album):
    assert "rejected" in run("index", album / "broken.mp4", "--store", store, code=3).stderr
    assert "rejected" in run("index", album / "gone.mp4", "--store", store, code=3).stderr


def test_a_question_is_answered_with_citations(store):
    answer = as_json("ask", "What was it the winter of?", "--store", store)
    assert answer["verdict"] == "answered"
    assert "winter of despair" in answer["answer"]
    cited = answer["citations"][answer["sentences"][0]["citations"][0]]
    assert cited["source"].endswith("two_cities.wav")
    assert cited["kind"] == "utterance"
    assert 15 < cited["t0_s"] < 25
    people = run("ask", "What was it the winter of?", "--store", store).stdout
    assert "winter of despair" in people
    assert "[1]" in people


def test_what_is_not_there_was_not_seen(store):
    answer = as_json("ask", "What did the penguin say about taxes?", "--store", store)
    assert (answer["verdict"], answer["citations"]) == ("not_seen", [])


def test_gates_hold(store):
    named = as_json("ask", "What was it the winter of?", "--source", "bikes.mp4", "--store", store)
    assert named["verdict"] == "not_seen"
    unknown = as_json("ask", "What is shown?", "--source", "no-such-file.mp4", "--store", store, code=3)
    assert unknown["error"]["type"] == "SourceGone"


def test_search_gives_hits_with_scores(store):
    found = as_json("search", "the age of wisdom", "-k", 3, "--kind", "utterance", "--store", store)
    assert 0 < len(found["hits"]) <= 3
    assert "wisdom" in found["hits"][0]["text"]
    assert found["hits"][0]["scorers"]
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_the_timeline_is_one_page_with_pictures(store, tmp_path):
    page = tmp_path / "timeline.html"
    document = as_json("timeline", "--html", page, "--store", store)
    assert document["html"] == str(page)
    assert {span["source"].rsplit("/", 1)[-1] for span in document["spans"]} == {
        "bikes.mp4",
        "two_cities.wav",
    }
    pictures = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            pictures.extend(value for name, value in attrs if (tag, name) == ("img", "src"))

    Reader().feed(page.read_text(encoding="utf-8"))
    assert pictures
    assert all(source.startswith("data:image/") for source in pictures)
    assert "winter of despair" in run("timeline", "--store", store).stdout


def test_episodes_roll_up_and_every_line_of_theirs_cites(store):
    ends_at_s = time.monotonic() + 30
    while True:
        document = as_json("timeline", "--level", "episode", "--store", store)
        spans = {span["source"].rsplit("/", 1)[-1]: span for span in document["spans"]}
        if {span["why"] for span in document["spans"]} == {"eof"} and len(spans) == 2:
            break
        assert time.monotonic() < ends_at_s, document
        time.sleep(0.5)
    heard = spans["two_cities.wav"]
    assert len(heard["cites"]) == len(heard["lines"]) > 0
    assert set(heard["cites"]) <= set(heard["observations"])


def test_views_are_made_anew_while_they_stand(store):
    before = as_json("timeline", "--store", store)["spans"]
    lines = [
        json.loads(one) for one in run("reindex", "--views", "--store", store, "--json").stdout.splitlines()
    ]
    assert lines[-1]["views_over"] is True
    after = as_json("timeline", "--store", store)["spans"]
    assert [span["span"] for span in after] == [span["span"] for span in before]
    assert [span["digest"] for span in after] == [span["digest"] for span in before]


def first_frame(path):
    with av.open(str(path)) as opened:
        return next(opened.decode(video=0)).to_ndarray(format="rgb24")


def frame_at(path, t_s):
    """The frame that is shown at a time."""
    with av.open(str(path)) as opened:
        shown = None
        for frame in opened.decode(video=0):
            if frame.time > t_s + 1e-6:
                break
            shown = frame
        return shown.to_ndarray(format="rgb24")


def test_a_citation_becomes_a_clip_of_the_original(store, album, tmp_path):
    hit = as_json("search", "bicycles", "-k", 1, "--source", "bikes.mp4", "--store", store)["hits"][0]
    assert not hit["play"]["offline"]
    assert hit["play"]["uri"].startswith((album / "bikes.mp4").as_uri() + "#t=")
    target = tmp_path / "moment.mp4"
    made = as_json("clip", hit["id"], "-o", target, "--store", store)
    assert (made["path"], made["bytes"], made["exact"]) == (str(target), target.stat().st_size, False)
    assert made["t1_s"] - made["t0_s"] >= 2
    assert made["start_s"] <= made["t0_s"] <= hit["observed_t0_s"]
    assert np.array_equal(first_frame(target), frame_at(album / "bikes.mp4", made["start_s"]))
    with av.open(str(target)) as opened:
        assert opened.duration / 1e6 == pytest.approx(made["end_s"] - made["start_s"], abs=0.1)
    assert "there already" in run("clip", hit["id"][:10], "-o", target, "--store", store, code=2).stderr
    exact = as_json("clip", hit["id"][:8], "-o", target, "--exact", "--force", "--store", store)
    assert exact["start_s"] == exact["t0_s"]
    difference = first_frame(target).astype(int) - frame_at(album / "bikes.mp4", exact["t0_s"])
    assert np.abs(difference).mean() < 6


def test_what_was_said_becomes_a_clip_of_sound_and_a_span_one_too(store, tmp_path):
    said = as_json("search", "winter of despair", "-k", 1, "--kind", "utterance", "--store", store)["hits"][0]
    made = as_json("clip", said["id"], "-o", tmp_path / "x.wav", "--before", 1, "--store", store)
    assert made["t0_s"] <= said["observed_t0_s"] - 0.999
    with av.open(made["path"]) as opened:
        assert opened.duration / 1e6 == pytest.approx(made["end_s"] - made["start_s"], abs=0.1)
    made = as_json("clip", said["span"], "-o", tmp_path / "y.wav", "--store", store)
    assert made["t1_s"] - made["t0_s"] > said["observed_t1_s"] - said["observed_t0_s"]
    unknown = as_json("clip", "f" * 32, "-o", tmp_path / "z.wav", "--store", store, code=2)
    assert unknown["error"]["type"] == "ConfigError"


def test_an_original_that_moved_is_missed_and_its_remedy_works(store, album, tmp_path):
    hit = as_json("search", "bicycles", "-k", 1, "--source", "bikes.mp4", "--store", store)["hits"][0]
    moved = (album / "bikes.mp4").rename(tmp_path / "moved.mp4")
    try:
        told = as_json("clip", hit["id"], "-o", tmp_path / "x.mp4", "--store", store, code=3)["error"]
        assert (told["type"], str(album / "bikes.mp4") in told["message"]) == ("SourceGone", True)
        page = tmp_path / "away.html"
        run("timeline", "--source", "bikes.mp4", "--html", page, "--store", store)
        assert "offline" in page.read_text(encoding="utf-8")
    finally:
        moved.rename(album / "bikes.mp4")
    assert as_json("clip", hit["id"], "-o", tmp_path / "x.mp4", "--store", store)["bytes"]


def test_what_was_said_is_exported_and_plays_as_subtitles(store, tmp_path):
    run("export", "--format", "srt", "--source", "two_cities.wav", "-o", tmp_path / "x.srt", "--store", store)
    with av.open(str(tmp_path / "x.srt")) as opened:
        cues = [(float(p.pts * p.time_base), bytes(p).decode()) for p in opened.demux() if p.size]
    assert [t for t, _ in cues] == sorted(t for t, _ in cues)
    assert any(15 < t < 25 and "despair" in text for t, text in cues)
    vtt = run("export", "--format", "vtt", "--store", store).stdout
    assert vtt.startswith("WEBVTT\n\n")
    done = as_json("export", "--format", "jsonl", "-o", tmp_path / "all.jsonl", "--store", store)
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    held = as_json("status", "--store", store)["memory"]["counts"]["observations"]
    assert len(lines) == len({line["id"] for line in lines}) == done["files"][0]["observations"] == held
    pictures = [medium["path"] for line in lines for medium in line["media"]]
    assert pictures
    assert all(Path(path).is_file() for path in pictures)


def test_status_and_doctor_see_the_processes(store):
    status = as_json("status", "--store", store)
    assert status["ready"]
    assert {"memory", "encoder", "reasoning"} <= {process["role"] for process in status["processes"]}
    assert {source["consolidated"] for source in status["memory"]["sources"]} == {True}
    run("status", "--store", store)
    checks = {check["name"]: check for check in json.loads(run_any("doctor", "--store", store))["checks"]}
    assert "none listens on the network" in checks["ports"]["told"]


def run_any(*words):
    """Output of a command whose exit code depends on the machine."""
    return subprocess.run(
        [*COMMAND, *map(str, words), "--json"], capture_output=True, text=True, timeout=60
    ).stdout


def said_again(path, to, times):
    """A recording one after itself so many times: one that is not read before a command has looked."""
    with wave.open(str(path)) as once, wave.open(str(to), "wb") as long:
        long.setparams(once.getparams())
        sound = once.readframes(once.getnframes())
        for _ in range(times):
            long.writeframes(sound)


def test_interrupted_indexing_goes_on_where_it_stopped(tmp_path, album):
    store = tmp_path / "store"
    said_again(album / "two_cities.wav", tmp_path / "long.wav", 4)
    words = [*COMMAND, "index", str(tmp_path / "long.wav"), "--store", str(store), "--idle-exit", "5"]
    child = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    ends_at_s = time.monotonic() + 60
    while not is_running(store) or "reading" not in states(store):
        assert time.monotonic() < ends_at_s, "nothing is read"
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "goes on from here" in told
    # What had been sent is perceived to its end, which may be that of the file.
    told = run(*words[len(COMMAND) :]).stderr
    assert "done" in told or "already there" in told
    assert as_json("status", "--store", store)["memory"]["sources"][0]["consolidated"]


def states(store):
    try:
        return [source["state"] for source in json.loads(run_any("status", "--store", store))["reading"]]
    except (json.JSONDecodeError, KeyError):
        return []


def test_serve_ends_when_idle(tmp_path):
    store = tmp_path / "store"
    child = subprocess.Popen(
        [*COMMAND, "serve", "--store", str(store), "--idle-exit", "1"], stderr=subprocess.PIPE, text=True
    )
    _, told = child.communicate(timeout=90)
    assert child.returncode == 0
    assert f"serving {store}" in told
    assert not is_running(store)


def test_only_one_serves_a_store(tmp_path):
    store = tmp_path / "store"
    first = subprocess.Popen(
        [*COMMAND, "serve", "--store", str(store), "--idle-exit", "600"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert f"serving {store}" in first.stderr.readline()
        assert "running already" in run("serve", "--store", store, code=4).stderr
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=90)
    assert not is_running(store)
