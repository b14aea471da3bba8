"""Other models by configuration alone, through the real processes: tiny ones of the real classes."""

from __future__ import annotations

import sqlite3
import threading

import av
import cv2
import numpy as np
import pytest

from stream.commands import checks
from stream.messages import Cue, RecallAsk
from stream.messages.evidence import Evidence
from stream.models import model_file
from stream.models.named import named_model
from tests.perception.chat_server import ChatServer
from tools import tiny_models
from tools.house import House

pytestmark = [pytest.mark.system, pytest.mark.model]

COLOURS = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}


@pytest.fixture(scope="module")
def walls(tmp_path_factory):
    """Nine seconds without sound: three walls, each of another colour and pattern, three seconds each."""
    path = tmp_path_factory.mktemp("walls") / "walls.mp4"
    rng = np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for colour in COLOURS.values():
            pattern = cv2.resize(rng.integers(0, 90, (12, 16, 1), np.uint8), (320, 240))[..., None]
            picture = np.clip(np.array(colour, np.int16) + pattern - 45, 0, 255).astype(np.uint8)
            for _ in range(30):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def server():
    chat = ChatServer()
    threading.Thread(target=chat.serve_forever, daemon=True).start()
    yield chat
    chat.shutdown()
    chat.server_close()


def rows(store, sql):
    with sqlite3.connect(f"file:{store / 'log.sqlite'}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def left_out(house):
    return house.roles()["video"].counters.get("captions_left_out", 0)


def keys_of(store):
    return dict(rows(store, "SELECT encoder_id, COUNT(*) FROM key GROUP BY encoder_id"))


def recalled(house, text):
    ask = RecallAsk(cue=Cue(text=text), k=5)
    return house.caller("memory").ask_for(Evidence, ask, timeout_s=60)


def joint_hits(house, text):
    """The items that the text was compared with among the pictures."""
    return [item for item in recalled(house, text).items if "image_text" in item.grounding]


def test_another_image_model_and_captions_by_configuration_alone(walls, tmp_path, server):
    clip = tiny_models.make_joint(tmp_path / "tiny-clip", "clip")
    told = {
        "encoder__image_model": clip,
        "encoder__device": "cpu",
        "video__text": "false",
        "video__captions__server_url": server.url,
        "video__captions__server_model": "tiny-vl",
        "memory__recall__key_timeout_s": 30,
    }
    store = tmp_path / "store"
    encoder_id = f"{named_model(str(clip)).id}/torch-fp32"
    with House(store, overrides=told) as house:
        assert house.follow(house.open(walls)).state == "done"
        house.wait_for(lambda: house.memory().pending_keys == 0, 60, "all texts have keys")
        hits = joint_hits(house, "a photo of a red boat")
        assert {item.kind for item in hits} == {"shot"}
        assert all("image_text" in item.scorers for item in hits)
        assert house.memory().counts["unsearched_keys"] == 0
        answer = house.ask("Where is the red wall?")
    keys = rows(store, "SELECT DISTINCT encoder_id, dimension FROM key WHERE kind = 'image'")
    assert keys == [(encoder_id, 24)]
    shots = rows(store, "SELECT text FROM observation WHERE kind = 'shot' ORDER BY pts0_ns")
    assert len(shots) == 3
    assert all(text.startswith("a photo of ") for (text,) in shots)
    frames = rows(store, "SELECT DISTINCT producer_id FROM observation WHERE kind = 'frame'")
    assert frames == [(f"{named_model(str(clip)).id}+zero-shot/1",)]
    captions = rows(
        store, "SELECT text, producer_id FROM observation WHERE kind = 'caption' ORDER BY pts0_ns"
    )
    assert captions == [(f"a {name} wall of 320 px", "tiny-vl/captions/1") for name in COLOURS]
    assert server.most_in_call == 1
    assert "red wall" in answer.answer
    assert answer.citations[0].kind == "caption"

    # The same store, pictures by the model of this release and texts by another: texts get keys of
    # their new encoder, which then takes over and the old ones go; the old keys of pictures, which
    # nothing can make anew, are told, and searched no more.
    n_texts = keys_of(store)["all-minilm-l6-v2@1110a243/onnx-fp32"]
    assert n_texts >= 6
    sentences = tiny_models.make_sentences(tmp_path / "tiny-bert")
    text_id = f"{named_model(str(sentences)).id}/torch-fp32"
    told = {"video__text": "false", "encoder__text_model": sentences, "encoder__device": "cpu"}
    with House(store, overrides=told) as house:
        house.wait_for(lambda: "unsearched_keys" in house.memory().counts, 60, "the encoder is known")
        house.wait_for(lambda: keys_of(store).get(text_id) == n_texts, 60, "all texts have new keys")
        house.wait_for(lambda: set(keys_of(store)) == {text_id, encoder_id}, 60, "the old ones are gone")
        per_encoder = keys_of(store)
        others = sum(n for name, n in per_encoder.items() if name != text_id)
        house.wait_for(lambda: house.memory().counts["unsearched_keys"] == others, 60, "old keys are told")
        assert any("dense" in item.grounding for item in recalled(house, "a red wall").items)
        assert house.memory().indexes[encoder_id]["searched"] is False
        assert joint_hits(house, "a photo of a red boat") == []
        check = checks.unsearched_keys(store)
        assert check.finding == "warn"
        assert f"{others} keys" in check.told
        assert encoder_id in check.told


def test_siglip_a_captioner_in_the_process_and_another_whisper(walls, tmp_path):
    """Every role with a model of its own by folder; the file has no sound, so Whisper is only loaded."""
    captioner = tiny_models.make_captioner(tmp_path / "tiny-vl")
    words = model_file("whisper-tiny.en", "tokenizer.json")
    told = {
        "encoder__image_model": tiny_models.make_joint(tmp_path / "tiny-siglip", "siglip"),
        "encoder__device": "cpu",
        "audio__speech__model": tiny_models.make_whisper(tmp_path / "tiny-whisper", words),
        "video__text": "false",
        "video__captions__model": captioner,
        "video__captions__device": "cpu",
        "video__captions__max_tokens": 8,
        "memory__recall__key_timeout_s": 30,
    }
    ids = []
    for store in (tmp_path / "one", tmp_path / "two"):
        with House(store, overrides=told) as house:
            assert house.follow(house.open(walls)).state == "done"
            assert house.roles()["audio"].state == "serving"
            assert house.roles()["video"].restarts == 0, "it beats while the captioner is loaded"
            assert {item.kind for item in joint_hits(house, "a red wall")} == {"shot"}
        producer = f"{named_model(str(captioner)).id}/captions/1"
        captions = rows(store, "SELECT producer_id, text FROM observation WHERE kind = 'caption'")
        assert [one for one, _ in captions] == [producer] * 3
        assert all(text for _, text in captions)
        ids.append(rows(store, "SELECT observation_id, text FROM observation ORDER BY observation_id"))
    assert ids[0] == ids[1], "the same file gives the same ids and words"


def test_killed_while_a_caption_is_written_the_ids_are_those_of_an_undisturbed_run(walls, tmp_path, server):
    told = {
        "video__text": "false",
        "video__captions__server_url": server.url,
        "video__captions__server_model": "tiny-vl",
    }
    ids = []
    for store, is_disturbed in ((tmp_path / "one", False), (tmp_path / "two", True)):
        held = threading.Event()
        server.asked.clear()
        server.planned = [held] if is_disturbed else []
        with House(store, overrides=told) as house:
            uri = house.open(walls)
            if is_disturbed:
                house.wait_for(lambda: server.asked, 60, "the first caption is asked for")
                house.kill("video")
                held.set()
            assert house.follow(uri).state == "done"
            assert house.roles()["video"].restarts == int(is_disturbed)
        ids.append(rows(store, "SELECT observation_id, kind, text FROM observation ORDER BY observation_id"))
    assert [kind for _, kind, _ in ids[0]].count("caption") == 3
    assert ids[0] == ids[1]


def test_a_damaged_captioner_ends_the_role_with_its_reason(walls, tmp_path):
    captioner = tiny_models.make_captioner(tmp_path / "tiny-vl")
    (captioner / "model.safetensors").write_bytes(b"torn")
    told = {"video__text": "false", "video__captions__model": captioner, "video__captions__device": "cpu"}
    with House(tmp_path / "store", overrides=told) as house:
        house.open(walls)
        house.wait_for(lambda: "ModelDamaged" in house.roles()["video"].last_error, 120, "it is said")
        assert house.roles()["video"].state == "broken"
        assert str(captioner) in house.roles()["video"].last_error


def test_a_server_that_is_away_costs_captions_and_nothing_else_and_coverage_says_so(walls, tmp_path):
    told = {
        "video__text": "false",
        "video__captions__server_url": "http://127.0.0.1:9/v1",
        "video__captions__server_model": "nobody",
        "video__captions__backoff_s": 0,
        "video__captions__wait_s": 3,
    }
    with House(tmp_path / "store", overrides=told) as house:
        assert house.follow(house.open(walls)).state == "done"
        house.wait_for(lambda: left_out(house) == 3, 60, "the beat tells what was left out")
        assert house.roles()["video"].restarts == 0, "it beats while it waits"
        (gap,) = recalled(house, "a red wall").coverage.gaps
        assert (gap.reason, gap.lost, gap.pts0_ns) == ("caption server away", "captions", 0)
        assert 8 < gap.pts1_ns / 1e9 < 10, "the gaps of three shots are told as one"
    kinds = dict(rows(tmp_path / "store", "SELECT kind, COUNT(*) FROM observation GROUP BY kind"))
    assert kinds["shot"] == 3
    assert (kinds["gap"], "caption" in kinds) == (3, False)


def test_a_model_that_was_not_pulled_ends_with_its_name_and_remedy(walls, tmp_path):
    told = {"encoder__image_model": "us/siglip2@0123456", "video__text": "false"}
    with House(tmp_path / "store", overrides=told) as house:
        house.open(walls)
        house.wait_for(lambda: "us/siglip2@0123456" in house.roles()["video"].last_error, 60, "it is said")
        assert house.ask("Where is the red wall?").verdict == "not_seen"


def test_doctor_says_which_named_model_is_not_here(tmp_path, monkeypatch):
    assert checks.named_models().finding == "ok"
    monkeypatch.setenv("OMNIRECALL__VIDEO__CAPTIONS__MODEL", "us/vl@1")
    check = checks.named_models()
    assert (check.finding, check.exit_code) == ("bad", 5)
    assert "us/vl@1" in check.told
    assert "models pull --hub us/vl@1" in check.remedy
    folder = tiny_models.make_joint(tmp_path / "tiny-clip", "clip")
    monkeypatch.setenv("OMNIRECALL__VIDEO__CAPTIONS__MODEL", str(folder))
    assert checks.named_models().finding == "ok"
