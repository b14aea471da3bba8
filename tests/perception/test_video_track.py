"""A track from frames to shots: keyframes, text, and the same ids after a kill anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception.intake import TrackId
from perception.video.captions import Caption
from perception.video.observations import Batch, SeenFrame, add_text, frame_observation
from perception.video.pictures import ENCODER_EDGE_PX, prepare, read_pixels, shrink, to_jpeg
from perception.video.seen_text import ChangeGate, Reading, ShotReader, TextLine, TextRules
from perception.video.shots import Shot, ShotRules
from perception.video.track import ShotDraft, TrackState, mean_labels
from perception.video.view_gate import ViewRules
from perception.video.views import MadeView, add_view
from stream.errors import Malformed
from stream.messages.envelope import Part
from stream.messages.media import ChangePoint
from stream.messages.place_view import PlaceView
from stream.wire.parts import array_part, blob_part

S = 1_000_000_000
FPS = 10
OWN = TrackId(b"s" * 16, 0, 0)
RULES = ShotRules(longest_ns=6 * S)
TEXT_RULES = TextRules(spacing_ns=S)
VIEW_RULES = ViewRules(spacing_ns=S, still_ns=4 * S)


class PrintedText:
    """Stands in for the networks: what a picture says is its grey level, 0 says nothing.

    The real ones run in test_video_seen_text.py and test_video_service.py.
    """

    producer_id = "drawn/1"

    def detect(self, picture):
        if not picture[0, 0, 0]:
            return np.empty((0, 4, 2), np.float32)
        return np.array([[[0, 0], [8, 0], [8, 8], [0, 8]]], np.float32)

    def crop(self, picture, corners):
        return picture[:8, :8]

    def recognise(self, crops):
        words = ("zero", "alpha", "bravo", "charlie", "delta")
        return [(words[int(crop[0, 0, 0]) // 50], 0.9) for crop in crops]


def frame(pts_ns, points, *, level=0, sharpness=1.0, t_ns=None, key=True):
    pixels = np.full((90, 160, 3), level, np.uint8)
    vector = np.zeros(1280, np.float32)
    vector[level] = 1.0
    return SeenFrame(
        pts_ns=pts_ns,
        t_ns=t_ns,
        curve=tuple(points),
        dropped=0,
        pixels=pixels,
        thumbnail=pixels,
        luma=np.full((90, 160), level, np.int16),
        strokes=np.full((22, 40), level / 255, np.float32),
        sharpness=sharpness,
        key=vector if key else None,
        encoder_id="test",
        labels=[("cup", 0.5), ("espresso", 0.25)],
        trace_id=pts_ns.to_bytes(8, "big"),
    )


def film(scenes):
    """Frames twice a second and at each cut; scenes are (seconds, level of the text)."""
    frames, points, tenth = [], [], 0
    for n, (seconds, level) in enumerate(scenes):
        for i in range(int(seconds * FPS)):
            score = 0.9 if i == 0 and n else 0.005
            points.append(ChangePoint(pts_ns=tenth * S // FPS, score=score))
            if tenth % 5 == 0 or score > 0.5:
                sharpness = float((tenth * 7) % 11)
                frames.append(frame(points[-1].pts_ns, points, level=level, sharpness=sharpness))
                points = []
            tenth += 1
    return frames


def run(frames, after_ns=None, *, end=True, rules=RULES):
    """All that reaches memory, batch by batch, reading each picture at once."""
    reader = lambda: ShotReader(PrintedText(), TEXT_RULES)  # noqa: E731
    state = TrackState(rules, TEXT_RULES, reader, after_ns, view_rules=VIEW_RULES)
    batches = []
    steps = [(f, state.frame(f)) for f in frames if after_ns is None or f.pts_ns > after_ns]
    if end:
        steps.append((None, state.finish("eof")))
    for seen, step in steps:
        if seen is not None:
            batches.append(Batch(observations=[frame_observation(OWN, seen)]))
        for job in step.jobs:
            assert job.draft.reader is not None
            job.draft.note(job.turn, job.draft.reader.read(job.turn, job.frame.pts_ns, job.pixels))
        for job in step.views:
            assert job.draft.views is not None
            view = PlaceView(quality=0.5)
            job.draft.views.made[job.turn] = MadeView(job.frame, np.ones(4, np.float32) / 2, view, "drawn")
        for draft in step.closed:
            assert draft.is_read
            batch = Batch()
            for made in draft.views.untold():
                add_view(batch, OWN, made, "drawn")
            draft.fill(batch, OWN, 80, with_text=True)
            batches.append(batch)
    return batches


def of_kind(batches, kind):
    return [o for batch in batches for o in batch.observations if o.kind == kind]


def test_a_film_of_three_scenes():
    batches = run(film([(3, 0), (4, 50), (2, 100)]))
    shots = of_kind(batches, "shot")
    assert [(s.pts0_ns // S, s.pts1_ns // S) for s in shots[:2]] == [(0, 3), (3, 7)]
    assert [s.payload["why"] for s in shots] == ["cut", "cut", "eof"]
    assert shots[0].text == "a photo of cup, espresso"
    assert shots[0].payload["labels"] == [["cup", 0.5], ["espresso", 0.25]]
    texts = of_kind(batches, "seen_text")
    assert [(t.text, t.pts0_ns // S, t.pts1_ns // S) for t in texts] == [("alpha", 3, 7), ("bravo", 7, 8)]
    assert texts[0].payload["boxes"] == [[[0.0, 0.0], [0.05, 0.0], [0.05, 0.0889], [0.0, 0.0889]]]
    assert len(of_kind(batches, "frame")) == 18


def test_the_keyframe_is_the_sharpest_with_a_key():
    frames = film([(2, 0)])
    frames[1] = frame(frames[1].pts_ns, frames[1].curve, sharpness=99.0)
    frames[2] = frame(frames[2].pts_ns, frames[2].curve, sharpness=100.0, key=False)
    (shot,) = of_kind(run(frames), "shot")
    assert shot.payload["keyframe_pts_ns"] == frames[1].pts_ns
    assert shot.payload["frames"] == 4


def test_marks_stand_on_the_last_frame_of_a_shot_and_carry_its_parts():
    batch = next(b for b in run(film([(3, 50), (3, 0)])) if b.marks)
    assert [m.through_pts_ns for m in batch.marks] == [29 * S // FPS]
    names = {out.part.name for out in batch.parts}
    for observation in batch.observations:
        for ref in (*observation.media, *observation.keys):
            assert ref.part in names
    (key,) = (out for out in batch.parts if out.part.encoding == "f32")
    assert key.part.shape == (1280,)


def test_times_are_known_only_where_the_recording_time_is():
    dated = [frame(i * S // 2, [ChangePoint(i * S // 2, 0.0)], t_ns=1000 * S + i * S // 2) for i in range(6)]
    (shot,) = of_kind(run(dated), "shot")
    assert (shot.t0_ns, shot.t1_ns) == (1000 * S + shot.pts0_ns, 1000 * S + shot.pts1_ns)
    (shot,) = of_kind(run(film([(2, 0)])), "shot")
    assert (shot.t0_ns, shot.t1_ns) == (None, None)


def test_a_picture_that_could_not_be_read_now_is_read_later():
    """Live, when the readers are busy: the picture must not count as read."""
    state = TrackState(RULES, TEXT_RULES, lambda: ShotReader(PrintedText(), TEXT_RULES))
    frames = film([(5, 50)])
    assert all(not state.frame(f, may_read=False).jobs for f in frames[:6])
    assert [job.turn for f in frames[6:] for job in state.frame(f).jobs] == [0]


def test_a_text_is_told_once():
    state = TrackState(RULES, TEXT_RULES, lambda: ShotReader(PrintedText(), TEXT_RULES))
    (draft,) = [job.draft for f in film([(4, 50)]) for job in state.frame(f).jobs]
    line = TextLine("alpha", 0.9, ())
    assert draft.note(0, Reading(0, (line,)))
    assert not draft.note(1, Reading(S, (line,)))
    assert not draft.note(2, None)
    assert not draft.note(3, Reading(3 * S, ()))
    assert draft.note(4, Reading(4 * S, (line,)))


def test_a_frame_that_could_not_be_opened_still_tells_its_curve():
    state = TrackState(RULES, TEXT_RULES, None)
    frames = film([(3, 0), (3, 0)])
    closed = []
    for f in frames:
        step = state.curve(f.curve, f.pts_ns) if f.pts_ns == 3 * S else state.frame(f)
        closed += step.closed
    assert [draft.shot.pts1_ns for draft in closed] == [3 * S]


def test_a_shot_without_any_frame_is_still_a_shot():
    state = TrackState(RULES, TEXT_RULES, None)
    state.curve([ChangePoint(i * S // FPS, 0.0) for i in range(30)], 3 * S)
    (draft,) = state.finish("eof", 4 * S).closed
    batch = Batch()
    draft.fill(batch, OWN, 80, with_text=True)
    (shot,) = batch.observations
    assert (shot.text, shot.media, shot.keys, shot.pts1_ns) == ("", (), (), 4 * S)


def test_a_shot_without_a_caption_has_a_gap_that_says_what_is_missing_and_goes_with_its_mark():
    state = TrackState(RULES, TEXT_RULES, None)
    state.frame(frame(0, [ChangePoint(0, 0.0)], t_ns=1000 * S))
    (draft,) = state.finish("eof", 4 * S).closed
    draft.uncaptioned = "caption server away"
    ids = []
    for _ in range(2):
        batch = Batch()
        draft.fill(batch, OWN, 80, with_text=True)
        (gap,) = of_kind([batch], "gap")
        assert gap.payload == {"reason": "caption server away", "lost": "captions"}
        assert (gap.pts0_ns, gap.pts1_ns, gap.t0_ns) == (0, 4 * S, 1000 * S)
        assert len(batch.marks) == 1
        ids.append(gap.observation_id)
    assert ids[0] == ids[1]
    assert OWN.gap("video/1", (0, 4 * S), None, "lost").observation_id != ids[0]


scenes = st.lists(
    st.tuples(st.sampled_from((0.7, 1.0, 2.5, 7.3)), st.sampled_from((0, 50, 100, 200))),
    min_size=1,
    max_size=7,
)


@settings(max_examples=60, deadline=None)
@given(scenes, st.data())
def test_killed_anywhere_and_resumed_at_the_mark_gives_the_same_observations(scenes, data):
    frames = film(scenes)
    whole = {o.observation_id: o for b in run(frames) for o in b.observations}
    told, mark = {}, None
    for _ in range(data.draw(st.integers(1, 3))):
        stop = data.draw(st.integers(0, len(frames)))
        for batch in run(frames[:stop], mark, end=False):
            told |= {o.observation_id: o for o in batch.observations}
            mark = batch.marks[-1].through_pts_ns if batch.marks else mark
    # A resumed reader sends the curve after the mark only.
    told |= {o.observation_id: o for b in run(frames, mark) for o in b.observations}
    assert told.keys() == whole.keys()
    for own_id, observation in told.items():
        assert (observation.pts0_ns, observation.pts1_ns, observation.text) == (
            whole[own_id].pts0_ns,
            whole[own_id].pts1_ns,
            whole[own_id].text,
        )


def test_two_tracks_of_one_source_share_no_ids():
    first, second = OWN, OWN._replace(track=1)
    assert first.observation_id("frame", "p", 5) != second.observation_id("frame", "p", 5)
    assert first.gap("video/1", (1, 2), 10, "lost").t0_ns == 11
    assert first.gap("video/1", (1, 2), None, "lost").t0_ns is None


def test_preparation_of_a_frame():
    pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    out = array_part("frame", pixels)
    prepared = prepare(out.part, memoryview(out.body), 320)
    assert np.array_equal(prepared.pixels, pixels)
    assert prepared.thumbnail.shape == (180, 320, 3)
    assert prepared.view.shape == (ENCODER_EDGE_PX, 455, 3)
    assert prepared.luma.shape == (90, 160)
    flat = array_part("frame", np.full((720, 1280, 3), 90, np.uint8))
    assert prepared.sharpness > prepare(flat.part, memoryview(flat.body), 320).sharpness == 0.0
    assert shrink(pixels[:100, :200], width_px=320).shape == (100, 200, 3)


def test_frames_travel_as_jpeg_too():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 0] = 255
    out = blob_part("frame", to_jpeg(pixels, 90), "jpeg")
    assert read_pixels(out.part, memoryview(out.body))[32, 32, 0] > 240


@pytest.mark.parametrize(
    ("part", "body"),
    [
        (Part(name="frame", encoding="jpeg", n_bytes=4), b"nope"),
        (Part(name="frame", encoding="jpeg", n_bytes=0), b""),
        (Part(name="frame", encoding="rgb24", n_bytes=4, shape=(2, 2)), b"abcd"),
        (Part(name="frame", encoding="f32", n_bytes=4, shape=(1,)), b"abcd"),
    ],
)
def test_what_is_no_frame_is_refused(part, body):
    with pytest.raises(Malformed):
        prepare(part, memoryview(body), 320)


def named(pts_ns, *labels):
    return replace(frame(pts_ns, ()), labels=list(labels))


def test_labels_of_several_frames_are_their_mean():
    frames = [named(0, ("cup", 0.6), ("bowl", 0.2)), named(S, ("bowl", 0.6), ("ladle", 0.3)), named(2 * S)]
    assert mean_labels(frames[:2]) == [("bowl", 0.4), ("cup", 0.3), ("ladle", 0.15)]
    assert mean_labels(frames, 1) == [("bowl", 0.2667)]


def test_a_long_shot_is_told_in_stretches_and_a_short_one_by_its_keyframe():
    frames = [
        replace(one, labels=[("bowl", 0.5)] if one.pts_ns < 10 * S else [("pan", 0.5)])
        for one in film([(20, 0), (7, 50)])
    ]
    long = ShotRules()
    batches = run(frames, rules=long)
    told = of_kind(batches, "caption")
    assert [o.text for o in told] == ["a photo of bowl", "a photo of pan, bowl", "a photo of pan"]
    assert [round(o.pts1_ns / S, 1) for o in told] == [6.7, 13.3, 20.0], "equal stretches of 8 s at most"
    assert [o.pts0_ns for o in told[1:]] == [o.pts1_ns for o in told[:-1]]
    for o in told:
        assert o.pts0_ns <= o.payload["keyframe_pts_ns"] < o.pts1_ns
        assert not o.media
        assert not o.keys
    again = of_kind(run(frames, rules=long), "caption")
    assert [o.observation_id for o in again] == [o.observation_id for o in told]
    mark = next(batch.marks[0] for batch in batches if batch.marks)
    assert not of_kind(run(frames, mark.through_pts_ns, rules=long), "caption"), "the second shot is short"


def test_a_long_shot_keeps_no_picture_of_its_frames_but_the_best():
    draft = ShotDraft(ChangeGate(TEXT_RULES), None)
    for one in film([(20, 0)]):
        draft.take(replace(one, labels=[("bowl", 0.5)]))
    assert len(draft.labelled) > 5
    for kept in draft.labelled:
        assert kept.pixels is None
        assert kept.picture is None
        assert kept.thumbnail.nbytes + kept.luma.nbytes + kept.strokes.nbytes == 0


def test_a_shot_is_named_by_all_its_frames_and_not_by_its_sharpest_alone():
    draft = ShotDraft(ChangeGate(TEXT_RULES), None)
    for place, one in enumerate(film([(3, 0)])):
        bird = [("television", 0.4), ("king penguin", 0.3)]
        labels, sharpness = ([("television", 0.9)], 9.0) if place == 1 else (bird, 1.0)
        draft.take(replace(one, labels=labels, sharpness=sharpness))
    draft.shot = Shot(0, 3 * S, 2 * S, "cut")
    batch = Batch()
    draft.fill(batch, OWN, 80, with_text=True)
    (shot,) = of_kind([batch], "shot")
    assert draft.keyframe.labels == [("television", 0.9)]
    assert shot.text == "a photo of television, king penguin"
    assert [name for name, _ in shot.payload["labels"]] == ["television", "king penguin"]


def test_a_seen_text_says_of_which_colour_its_ground_is():
    lines = (TextLine("OPEN", 0.99, ((0.2, 0.4), (0.8, 0.4), (0.8, 0.6), (0.2, 0.6))),)
    card = replace(frame(0, ()), thumbnail=np.full((90, 160, 3), (240, 130, 20), dtype=np.uint8))
    batch = Batch()
    add_text(batch, OWN, Reading(0, lines), card, (0, S), 80)
    assert batch.observations[0].payload["ground"] == "orange"
    # An id has one payload: who adds a field, or makes one otherwise, counts the version on.
    assert set(batch.observations[0].payload) == {"boxes", "confidences", "left_out", "ground"}
    assert batch.observations[0].producer_id.endswith("/3")


def test_stretches_can_be_left_out():
    draft = ShotDraft(ChangeGate(TEXT_RULES), None, stretch_ns=0)
    for one in film([(20, 0)]):
        draft.take(replace(one, labels=[("bowl", 0.5)]))
    draft.shot = Shot(0, 20 * S, 19 * S, "eof")
    batch = Batch()
    draft.fill(batch, OWN, 80, with_text=True)
    assert "caption" not in {o.kind for o in batch.observations}


def test_what_a_model_wrote_of_a_shot_stands_in_place_of_its_stretches():
    draft = ShotDraft(ChangeGate(TEXT_RULES), None)
    for one in film([(20, 0)]):
        draft.take(one)
    draft.shot = Shot(0, 20 * S, 19 * S, "eof")
    draft.caption = Caption("A cup on a table.", "vlm@1")
    batch = Batch()
    draft.fill(batch, OWN, 80, with_text=True)
    assert [o.text for o in batch.observations if o.kind == "caption"] == ["A cup on a table."]
