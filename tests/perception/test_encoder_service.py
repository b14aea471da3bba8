"""The encoder process, real, over its real socket."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from stream.errors import Malformed, ModelMissing, TooLarge
from stream.messages.media import EncodeAsk, EncodeKeys
from stream.process.clock import RealClock
from stream.wire.caller import Caller
from stream.wire.parts import array_part, blob_part
from stream.wire.sender import Sender
from stream.wire.sockets import Peer, Rejections

pytestmark = [pytest.mark.system, pytest.mark.model]


def texts(*some, lane="question"):
    return EncodeAsk(encoder="text", lane=lane, texts=some)


def test_texts_and_pictures_become_keys(house):
    own = house("encoder")
    with Caller(own.run_dir, "encoder", "test") as encoder:
        reply = encoder.ask(texts("a cat", "a dog"), timeout_s=30)
        assert reply.message == EncodeKeys(
            encoder_id="all-minilm-l6-v2@1110a243/onnx-fp32", n=2, dimension=384
        )
        assert np.linalg.norm(reply.array("keys"), axis=1) == pytest.approx(1.0, abs=1e-5)
        pixels = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
        _, jpeg = cv2.imencode(".png", pixels[..., ::-1])  # lossless, so that both ways are one picture
        ask = EncodeAsk(encoder="image", lane="bulk", n_images=2)
        parts = [array_part("image0", pixels), blob_part("image1", jpeg.tobytes(), "jpeg")]
        reply = encoder.ask(ask, parts, timeout_s=30)
        assert (reply.message.n, reply.message.dimension) == (2, 1280)
        assert reply.message.encoder_id == "efficientnet-lite0@57934424/onnx-fp32"
        keys, norms = reply.array("keys"), reply.array("norms")
        assert np.array_equal(keys[0], keys[1])
        assert norms.shape == (2,)
        assert (norms > 0).all()


def test_bad_requests_are_answered_by_name_and_the_process_lives_on(house):
    own = house("encoder", encoder={"texts_per_request": 3, "images_per_request": 2})
    image = EncodeAsk(encoder="image", lane="bulk", n_images=1)
    with Caller(own.run_dir, "encoder", "test") as encoder:
        with pytest.raises(TooLarge, match="4 text items"):
            encoder.ask(texts(*"abcd"))
        with pytest.raises(TooLarge, match="1000000000 image items"):
            encoder.ask(EncodeAsk(encoder="image", lane="bulk", n_images=1_000_000_000))
        with pytest.raises(Malformed, match="nothing to encode"):
            encoder.ask(texts())
        with pytest.raises(Malformed, match="image0"):
            encoder.ask(image)
        with pytest.raises(Malformed, match="not a picture"):
            encoder.ask(image, [blob_part("image0", b"no jpeg", "jpeg")], timeout_s=20)
        with pytest.raises(Malformed, match="picture"):
            encoder.ask(image, [array_part("image0", np.zeros((4, 4), np.float32))], timeout_s=20)
        assert encoder.ask(texts("still there"), timeout_s=20).message.n == 1
    assert own.status()["encoder"].restarts == 0


def test_a_model_that_was_not_pulled_is_said_with_its_remedy(house, tmp_path):
    own = house("encoder", environment=[("OMNIRECALL_MODELS", str(tmp_path / "none"))])
    with Caller(own.run_dir, "encoder", "test") as encoder:
        with pytest.raises(ModelMissing, match="all-minilm-l6-v2") as caught:
            encoder.ask(texts("a cat"), timeout_s=20)
        assert "models pull" in caught.value.remedy


def test_a_question_waits_for_one_slice_of_bulk_work_only(house):
    """Some seconds of bulk work are queued first; questions are answered long before it ends."""
    own = house("encoder")
    with Caller(own.run_dir, "encoder", "test") as encoder:
        encoder.ask(texts("warm up"), timeout_s=30)
        done = threading.Event()

        def bulk():
            with Caller(own.run_dir, "encoder", "bulk") as other:
                words = [f"sentence number {n} about nothing in particular" for n in range(800)]
                other.ask(texts(*words, lane="bulk"), timeout_s=120)
            done.set()

        thread = threading.Thread(target=bulk)
        thread.start()
        time.sleep(0.3)
        answered = 0
        while not done.is_set() and answered < 8:
            encoder.ask(texts("where are my keys"), timeout_s=20)
            answered += not done.is_set()
        thread.join()
    assert answered >= 4


def test_work_past_its_deadline_is_dropped_and_counted(house):
    own = house("encoder")
    with Caller(own.run_dir, "encoder", "test") as encoder:
        encoder.ask(texts("warm up"), timeout_s=30)
        peer = Peer(own.run_dir, "encoder", Sender("test", RealClock()), Rejections())
        words = [f"sentence number {n} about nothing in particular" for n in range(400)]
        peer.send(texts(*words, lane="bulk"), deadline_ns=time.time_ns() + 60_000_000_000)
        peer.send(texts("late", lane="bulk"), deadline_ns=time.time_ns() + 1)
        peer.send(texts(*words, lane="bulk"), deadline_ns=time.time_ns() + 300_000_000)
        counters = own.wait_for(
            lambda: (
                (c := own.status()["encoder"].counters).get("expired", 0) + c.get("too_late", 0) >= 2 and c
            )
        )
        assert counters["expired"] >= 1
        peer.close()
