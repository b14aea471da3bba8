"""The codec: what goes out comes back, what is hostile is refused, and old bytes stay readable."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import Malformed, TooLarge, VersionMismatch, WireError
from stream.messages import TOPICS, CommitPut, Envelope, Observation, Part, TrackMark, observation_id
from stream.messages.cue import Cue, RecallAsk
from stream.messages.media import ChangePoint, MediaFrame
from stream.wire.codec import MAX_PARTS, decode, encode, pack_body, unpack_body
from stream.wire.parts import array_part, blob_part, read_array

ENVELOPE = Envelope(
    message_id=b"m" * 16, sender="video-1", seq=7, published_ns=1_700_000_000_000_000_000, trace_id=b"t" * 16
)
FRAME = MediaFrame(
    source_id=b"s" * 16,
    session=0,
    track=0,
    stream_epoch=3,
    pts_ns=40_000_000,
    t_ns=None,
    width_px=2,
    height_px=1,
    curve=(ChangePoint(0, 0.0), ChangePoint(40_000_000, 0.25)),
)
GOLDEN = Path(__file__).parents[1] / "data" / "wire"


def test_a_frame_comes_back_as_it_was_sent():
    picture = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    frames = encode(FRAME, ENVELOPE, [array_part("frame", picture), blob_part("note", b"abc")])
    got = decode([bytes(f) for f in frames])
    assert got.message == FRAME
    assert got.envelope.trace_id == b"t" * 16
    assert np.array_equal(got.array("frame"), picture)
    assert got.part("note") == b"abc"
    assert got.unknown_keys == 0


def test_unknown_keys_of_the_same_major_version_are_ignored_and_counted():
    frames = [bytes(f) for f in encode(FRAME, ENVELOPE)]
    header = msgpack.unpackb(frames[1])
    header["later"] = 1
    header["body"]["also_later"] = [1, 2]
    got = decode([frames[0], msgpack.packb(header)])
    assert got.message == FRAME
    assert got.unknown_keys == 2


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda h: h.update(v=2), VersionMismatch),
        (lambda h: h.pop("body"), Malformed),
        (lambda h: h["body"].update(pts_ns="soon"), Malformed),
        (lambda h: h["body"].pop("source_id"), Malformed),
        (lambda h: h.update(seq=None), Malformed),
        (lambda h: h.update(parts=[{"name": "x", "encoding": "jpeg", "n_bytes": 5}]), Malformed),
    ],
)
def test_a_header_that_is_wrong_is_refused(change, error):
    frames = [bytes(f) for f in encode(FRAME, ENVELOPE)]
    header = msgpack.unpackb(frames[1])
    change(header)
    with pytest.raises(error):
        decode([frames[0], msgpack.packb(header)])


def test_floods_and_bombs_are_refused():
    frames = [bytes(f) for f in encode(FRAME, ENVELOPE)]
    with pytest.raises(TooLarge):
        decode([*frames, *([b""] * (MAX_PARTS + 1))])
    with pytest.raises(WireError):
        decode([frames[0], b"\x91" * 100_000])  # a bomb of depth
    with pytest.raises(WireError):
        decode([frames[0], b"\xdd\x00\x0f\x42\x40" + b"\x80" * 999_000])  # a million empty maps
    with pytest.raises(Malformed):
        decode([b"no.such.topic", frames[1]])
    with pytest.raises(Malformed):
        decode([frames[0]])


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_frames_raise_only_errors_of_the_wire(frames):
    with pytest.raises(WireError):
        decode(frames)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_still_a_message(position, value):
    frames = [bytes(f) for f in encode(FRAME, ENVELOPE)]
    header = bytearray(frames[1])
    header[position % len(header)] = value
    with contextlib.suppress(WireError):
        decode([frames[0], bytes(header)])


def test_an_array_whose_shape_lies_is_refused():
    out = array_part("x", np.zeros((2, 3), np.float32))
    with pytest.raises(Malformed):
        read_array(type(out.part)(name="x", encoding="f32", n_bytes=24, shape=(4, 2)), out.body)
    with pytest.raises(Malformed):
        array_part("x", np.zeros(3, np.float64))


@given(
    st.binary(max_size=64),
    st.sampled_from(["f32", "f16", "s16le", "rgb24", "jpeg", "x"]),
    st.lists(st.integers(-(2**62), 2**62), max_size=4),
)
def test_arrays_that_lie_raise_only_malformed(body, encoding, shape):
    part = Part(name="x", encoding=encoding, n_bytes=len(body), shape=tuple(shape))
    with contextlib.suppress(Malformed):
        assert read_array(part, body).nbytes == len(body)


def test_bodies_survive_the_outbox_form():
    mark = TrackMark(source_id=b"s" * 16, session=0, track=1, through_pts_ns=5, eof=True)
    put = CommitPut(outbox_seq=3, marks=(mark,))
    assert unpack_body("commit.put", pack_body(put)) == put


def test_observation_ids_are_those_that_stores_out_there_hold():
    """If this fails, every store already written would take all its content for new."""
    assert (
        observation_id(bytes(range(16)), 0, "utterance", "whisper-tiny.en", 1_500_000_000, 2).hex()
        == "7f4d9be6362b9e274d67fb5c82808e01"
    )
    same = {observation_id(b"a" * 16, 0, "k", "p", 1), observation_id(b"a" * 16, 0, "kp", "", 1)}
    assert len(same) == 2, "fields must not run into each other"


@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_golden_bytes_of_every_topic(topic):
    """Bytes written by protocol 1 stay readable: `tests/data/wire` is added to, never rewritten."""
    record = json.loads((GOLDEN / f"{topic}.json").read_text())
    frames = [bytes.fromhex(frame) for frame in record["frames"]]
    got = decode(frames)
    assert got.topic == topic
    again = [bytes(f) for f in encode(got.message, got.envelope)]
    assert again == frames


def test_an_observation_needs_its_id():
    with pytest.raises(TypeError):
        Observation(kind="shot")


def test_a_text_that_is_no_utf8_is_named():
    ask = RecallAsk(cue=Cue(text="bik\udce9s"))
    with pytest.raises(Malformed, match="not UTF-8"):
        encode(ask, ENVELOPE)
