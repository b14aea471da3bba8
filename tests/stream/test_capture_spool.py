"""What a capture process leaves in the spool: nothing, once all that it said is in memory."""

from __future__ import annotations

import msgspec
import pytest

from stream.capture.service import CaptureService
from stream.config import Config
from stream.errors import SourceRefused
from stream.messages.control import SourceOpen
from stream.messages.observation import CommitPut, SourceRecord
from stream.process.surroundings import Surroundings
from stream.wire.outbox import Outbox

SCHEMAS = {
    "capture": "stream.capture.settings:CaptureSettings",
    "supervisor": "stream.process.settings:SupervisorSettings",
}
RECORD = SourceRecord(source_id=b"s" * 16, session=0, kind="file", uri="f.mp4")


@pytest.fixture
def capture_of(tmp_path):
    made = []

    def capture_of(**more):
        config = Config({}, SCHEMAS)
        surroundings = Surroundings(
            role="capture", name="capture-1", store_dir=tmp_path / "store", run_dir=tmp_path, config=config,
            settings=config.section("capture"),
            arguments=msgspec.to_builtins(SourceOpen(uri=str(tmp_path / "f.mp4"), **more)),
        )  # fmt: skip
        service = CaptureService(surroundings)
        service.connect("supervisor")
        made.append(service)
        return service

    yield capture_of
    for service in made:
        for lane in service._lanes.values():
            lane.close()
        for peer in service._peers.values():
            peer.close()


def spooled(service):
    return sorted(path.name for path in service.surroundings.spool_dir.glob("*"))


def put(service):
    return service.outbox.put(CommitPut(outbox_seq=0, sources=(RECORD,)))


def test_a_capture_that_is_done_leaves_no_outbox(capture_of):
    service = capture_of()
    service.outbox.acknowledge(put(service), 8)
    assert spooled(service)
    service._finish()
    service.close()
    assert spooled(service) == []
    service.outbox.close()  # As the base does afterwards.


def test_a_refused_file_leaves_no_outbox(capture_of):
    service = capture_of()
    service.outbox.acknowledge(put(service), 8)
    service._refused(SourceRefused("no medium"))
    service.close()
    assert spooled(service) == []


def test_what_memory_has_not_stays(capture_of):
    service = capture_of()
    put(service)
    service._finish()
    service.close()
    service.outbox.close()
    with_rest = Outbox(service.outbox.path)
    assert with_rest.waiting == 1
    with_rest.close()


@pytest.mark.parametrize("more", [{}, {"as_camera": True}])
def test_one_that_did_not_end_by_itself_keeps_its_outbox(capture_of, more):
    service = capture_of(**more)
    service.outbox.acknowledge(put(service), 8)
    if more:
        service._finish()
    service.close()
    service.outbox.close()
    assert "capture-1.sqlite" in spooled(service)
