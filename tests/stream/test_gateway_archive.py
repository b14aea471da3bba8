"""Moments cut from real files, pictures, and what the owner decides; over a real server, memory is faked."""

from __future__ import annotations

import hashlib
import io

import av
import msgspec
import pytest

from stream.capture.browser_form import browser_form
from stream.errors import ConfigError, SourceRefused
from stream.gateway.processes import NOTES_URI
from stream.gateway.routes_archive import bounds_of
from stream.gateway.routes_control import LATEST_NS, ForgetIn, forget_ask
from stream.local_time import now_here
from stream.messages import CommitPut, Observation
from stream.messages.control import SourceOpen, SourcePause
from stream.messages.forget import ForgetAsk
from stream.messages.log import LogAsk, LogRow, LogRows, LogSource
from stream.messages.media import ClipFind, ClipFound, KeptClip
from stream.messages.people import PeopleAsk
from stream.messages.places import PlacePut
from stream.messages.span import TimelineAsk
from stream.messages.watch import WatchDrop, WatchSet
from tests.stream.capture_clips import pan, tone, write_clip
from tests.stream.gateway_house import SOURCE_ID, GatewayHouse
from tests.stream.live_media import recorded

S = 1_000_000_000
ID = b"o" * 16


def h264(path):
    frames = 60
    return write_clip(
        path, pan(frames), [n * 100 for n in range(frames)], options={"g": "10"},
        sound=[(0, tone(6 * 16_000))],
    )  # fmt: skip


def rows_for(path, kind="file", pts0_ns=2 * S, pts1_ns=4 * S):
    """What memory answers of an observation of this file."""
    source = LogSource(
        source_id=b"f" * 16,
        session=0 if kind == "file" else 1,
        kind=kind,
        uris=(str(path),),
        content_hash=hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest(),
        n_bytes=path.stat().st_size,
    )
    observation = Observation(
        observation_id=ID,
        source_id=source.source_id,
        session=source.session,
        track=0,
        kind="utterance",
        producer_id="test",
        pts0_ns=pts0_ns,
        pts1_ns=pts1_ns,
    )
    return LogRows(rows=(LogRow(n=1, commit_no=1, observation=observation),), sources=(source,))


@pytest.fixture
def house(tmp_path):
    with GatewayHouse(tmp_path / "store", remember=True) as own:
        own.told = {}
        plain = own.fakes._plain
        own.fakes._plain = lambda asked: own.told.get(type(asked)) or plain(asked)
        yield own


def cuts(house):
    """How many moments were cut."""
    return house.service._gateway.moments._made


def test_a_moment_is_cut_once_and_played_in_ranges(house, tmp_path):
    house.told[LogAsk] = rows_for(h264(tmp_path / "film.mp4"))
    address = f"/api/v1/moments/{ID.hex()}"
    with house.client("viewer") as viewer:
        whole = viewer.get(address)
        assert whole.status_code == 200
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        with av.open(io.BytesIO(whole.content)) as made:
            assert {stream.type for stream in made.streams} == {"video", "audio"}
            assert 1.8 <= made.duration / 1e6 <= 3.5
        part = viewer.get(address, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        assert viewer.head(address).headers["content-length"] == str(len(whole.content))
        assert viewer.get(address, headers={"range": f"bytes={len(whole.content)}-"}).status_code == 416
    assert cuts(house) == 1


def test_nothing_of_a_cut_moment_lies_in_the_store(house, tmp_path):
    house.told[LogAsk] = rows_for(h264(tmp_path / "film.mp4"))
    with house.client() as owner:
        assert owner.get(f"/api/v1/moments/{ID.hex()}").status_code == 200
    assert list((house.store_dir / "gateway" / "moments").iterdir()) == []


def test_a_forget_lets_moments_go_and_browsers_empty_their_caches(house, tmp_path):
    house.told[LogAsk] = rows_for(h264(tmp_path / "film.mp4"))
    with house.client() as owner:
        owner.get(f"/api/v1/moments/{ID.hex()}")
        assert len(house.service._gateway.moments._kept) == 1
        answer = owner.post("/api/v1/forget", json={"last_minutes": 5})
        assert answer.json()["verified"] is True
        assert answer.headers["clear-site-data"] == '"cache"'
        assert len(house.service._gateway.moments._kept) == 0
        house.told[LogAsk] = LogRows()
        assert owner.get(f"/api/v1/moments/{ID.hex()}").status_code == 400


def test_what_is_kept_of_moments_is_bounded(tmp_path):
    rows = rows_for(h264(tmp_path / "film.mp4"))
    with GatewayHouse(tmp_path / "store", moments_bytes=1 << 20) as house:
        kept = house.service._gateway.moments
        plain = house.fakes._plain
        with house.client() as owner:
            for n in range(3):
                own_id = bytes([n]) * 16
                seen = msgspec.structs.replace(rows.rows[0].observation, observation_id=own_id)
                told = LogRows(rows=(LogRow(n=1, commit_no=1, observation=seen),), sources=rows.sources)
                answers = {LogAsk: told}
                house.fakes._plain = lambda asked, answers=answers: answers.get(type(asked)) or plain(asked)
                assert owner.get(f"/api/v1/moments/{own_id.hex()}").status_code == 200
                list(kept._kept.values())[-1].n_bytes = 900_000
        assert list(kept._kept) == [(bytes([n]) * 16).hex() for n in (1, 2)]


def test_a_film_that_no_browser_plays_is_encoded_anew(house, tmp_path):
    film = write_clip(tmp_path / "film.mkv", pan(40), [n * 100 for n in range(40)], codec="mpeg4")
    assert browser_form(film).exact
    house.told[LogAsk] = rows_for(film, pts0_ns=S, pts1_ns=2 * S)
    with house.client() as owner:
        told = owner.get(f"/api/v1/moments/{ID.hex()}")
    assert told.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(told.content)) as made:
        assert made.streams.video[0].codec_context.name == "h264"


def test_a_moment_of_a_browser_source_comes_from_the_kept_clip(house, tmp_path):
    media = house.store_dir / "media" / "cd"
    media.mkdir(parents=True)
    clip = media / f"{'cd' * 16}.webm"
    clip.write_bytes(b"".join(recorded(4.0)))
    house.told[LogAsk] = rows_for(clip, kind="camera", pts0_ns=101 * S, pts1_ns=103 * S)
    found = KeptClip(
        observation_id=b"k" * 16, path=f"cd/{clip.name}", media_type="video/webm", pts0_ns=100 * S,
        pts1_ns=104 * S, n_bytes=clip.stat().st_size,
    )  # fmt: skip
    house.told[ClipFind] = ClipFound(clips=(found,))
    with house.client() as owner:
        told = owner.get(f"/api/v1/moments/{ID.hex()}")
        assert told.headers["content-type"] == "video/webm"
        with av.open(io.BytesIO(told.content)) as made:
            assert {stream.type for stream in made.streams} == {"video", "audio"}
    house.told[ClipFind] = ClipFound(reason="clips are off")
    with house.client() as owner:
        house.service._gateway.moments.clear()
        gone = owner.get(f"/api/v1/moments/{ID.hex()}")
    assert (gone.status_code, gone.json()["error"]) == (404, "SourceGone")
    assert "clips are off" in gone.json()["message"]


def test_an_original_that_has_gone_or_is_another_file_is_told(house, tmp_path):
    film = h264(tmp_path / "film.mp4")
    house.told[LogAsk] = rows_for(film)
    film.write_bytes(b"x" * film.stat().st_size)
    with house.client() as owner:
        other = owner.get(f"/api/v1/moments/{ID.hex()}").json()
        assert "another file" in other["message"]
        film.unlink()
        assert owner.get(f"/api/v1/moments/{ID.hex()}").status_code == 404


def test_sound_alone_and_words_alone(house, tmp_path):
    wav = write_clip(tmp_path / "talk.wav", sound=[(0, tone(3 * 16_000))], sound_codec="pcm_s16le")
    assert (browser_form(wav).suffix, browser_form(wav).exact) == (".wav", False)
    house.told[LogAsk] = rows_for(wav, pts0_ns=0, pts1_ns=S)
    with house.client() as owner:
        assert owner.get(f"/api/v1/moments/{ID.hex()}").headers["content-type"] == "audio/wav"
        chat = tmp_path / "chat.txt"
        chat.write_text("hello")
        house.told[LogAsk] = rows_for(chat, kind="chat")
        house.service._gateway.moments.clear()
        refused = owner.get(f"/api/v1/moments/{ID.hex()}")
    assert (refused.status_code, refused.json()["error"]) == (422, SourceRefused.__name__)


# Pictures.


def test_a_picture_is_served_by_its_hash_alone(house):
    folder = house.store_dir / "media" / "ab"
    folder.mkdir(parents=True)
    (folder / f"{'ab' * 16}.jpg").write_bytes(b"\xff\xd8 a picture")
    (folder / f"{'ab' * 15}cd.jpg").symlink_to("/etc/passwd")
    (folder / f"{'ab' * 15}ef.mp4").write_bytes(b"a clip")
    with house.client("viewer") as viewer:
        told = viewer.get(f"/api/v1/media/{'ab' * 16}")
        assert (told.status_code, told.headers["content-type"]) == (200, "image/jpeg")
        assert "immutable" in told.headers["cache-control"]
        for other in (f"{'ab' * 15}cd", f"{'ab' * 15}ef", "0" * 32):
            assert viewer.get(f"/api/v1/media/{other}").status_code == 404
        for no_hash in ("ab", "AB" * 16, "..", "..%2f..%2flog.sqlite", "g" * 32, "ab" * 17):
            assert viewer.get(f"/api/v1/media/{no_hash}").status_code in (404, 422)


def test_the_newest_picture_of_a_source(house):
    with house.client("viewer") as viewer:
        told = viewer.get(f"/api/v1/sources/{SOURCE_ID.hex()}/frame")
        assert told.headers["content-type"] == "image/jpeg"
        assert told.content.startswith(b"\xff\xd8")
        assert viewer.get(f"/api/v1/sources/{'00' * 16}/frame").status_code == 404


# What the owner decides.


def test_a_note_is_on_disk_when_it_is_answered(house):
    with house.client() as owner:
        told = owner.post("/api/v1/remember", json={"text": "  The spare key is\nin the shed. "})
    put = house.fakes.next(CommitPut)
    assert put.observations[0].text == "The spare key is in the shed."
    assert told.json()["id"] == put.observations[0].observation_id.hex()
    assert put.sources[0].uri == NOTES_URI
    assert put.marks[0].through_pts_ns == put.observations[0].pts1_ns


def test_notes_are_refused_where_they_are_off(tmp_path):
    with GatewayHouse(tmp_path / "store") as house, house.client() as owner:
        assert "off" in owner.post("/api/v1/remember", json={"text": "a"}).json()["message"]


def test_sources_are_opened_by_the_gateways_name_so_that_the_configuration_decides(house):
    with house.client() as owner:
        owner.post("/api/v1/sources", json={"uri": "camera:/dev/video0"})
        assert house.fakes.next(SourceOpen).uri == "camera:/dev/video0"
        owner.post("/api/v1/sources/pause", json={"uri": "all", "paused": True, "minutes": 5})
        paused = house.fakes.next(SourcePause)
        assert (paused.uri, paused.paused, paused.until_ns > 0) == ("", True, True)
        owner.post("/api/v1/sources/pause", json={"uri": "browser:phone", "paused": False})
        assert house.fakes.next(SourcePause) == SourcePause(uri="browser:phone", paused=False)
    assert house.service._gateway.processes.caller("supervisor")._sender.name.startswith("gateway-")


def test_labels_and_standing_questions_reach_the_processes(house):
    with house.client() as owner:
        owner.post("/api/v1/places/abcd/label", json={"label": "kitchen"})
        assert house.fakes.next(PlacePut).label == "kitchen"
        owner.post("/api/v1/people/abcd/label", json={"label": "Anna"})
        assert house.fakes.next(PeopleAsk).name == "Anna"
        owner.post("/api/v1/watches", json={"question": "Does it boil?", "cool_down_s": 5, "spoken": True})
        assert house.fakes.next(WatchSet) == WatchSet(question="Does it boil?", cool_down_s=5.0, spoken=True)
        owner.delete(f"/api/v1/watches/{'ab' * 16}")
        assert house.fakes.next(WatchDrop).watch_id == b"\xab" * 16


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ({"span": "ab"}, ForgetAsk(spans=("ab",))),
        ({"id": "cd"}, ForgetAsk(ids=("cd",))),
        ({"source": "film.mp4"}, ForgetAsk(sources=("film.mp4",))),
        ({"last_minutes": 1}, ForgetAsk(t0_ns=40 * S, t1_ns=LATEST_NS)),
        (
            {"between": ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"], "source": "a"},
            ForgetAsk(sources=("a",), t0_ns=S, t1_ns=2 * S),
        ),
    ],
)
def test_what_is_to_be_forgotten(told, asked):
    assert forget_ask(ForgetIn(**told), 100 * S) == asked


@pytest.mark.parametrize("told", [{}, {"span": "a", "id": "b"}, {"source": "a", "last_minutes": 1}])
def test_it_has_to_be_named_in_one_way(told):
    with pytest.raises(ConfigError, match="in one way"):
        forget_ask(ForgetIn(**told), 0)


def test_a_look_forgets_nothing(house):
    with house.client() as owner:
        told = owner.post("/api/v1/forget", json={"span": "abcdef01", "dry_run": True}).json()
    assert told["counts"] == {"observations": 2}
    assert not house.fakes.next(ForgetAsk).begin
    assert not [one for one in house.fakes.got.queue if isinstance(one, ForgetAsk)]


def test_a_day_goes_from_midnight_to_midnight():
    t0_ns, t1_ns = bounds_of("2026-01-31")
    assert 23 * 3600 * S <= t1_ns - t0_ns <= 25 * 3600 * S
    with pytest.raises(ConfigError):
        bounds_of("2026-02-31")


def test_the_days_of_a_timeline_are_counted_by_one_question(house):
    with house.client() as owner:
        told = owner.get("/api/v1/timeline").json()
    assert told["days"] == [{"day": now_here().date().isoformat(), "n": 3}]
    asked = [house.fakes.next(TimelineAsk) for _ in range(3)]
    assert [one.counted for one in asked] == [(), (), bounds_of(told["days"][0]["day"])]
