"""The memory process in a store that it cannot open."""

from __future__ import annotations

import pytest

from memory.log.store import LogStore
from memory.service import MOST_AWAITED, MemoryService
from stream.config import Config
from stream.errors import Corrupt
from stream.process.roles import SECTIONS
from stream.process.surroundings import Surroundings


def service_in(store_dir, run_dir):
    run_dir.mkdir(exist_ok=True)
    config = Config({}, {name: SECTIONS[name] for name in ("cpu", "supervisor", "memory")})
    return MemoryService(
        Surroundings(
            role="memory",
            name="memory",
            store_dir=store_dir,
            run_dir=run_dir,
            config=config,
            settings=config.section("memory"),
        )
    )


def test_a_store_that_cannot_be_opened_is_named_and_nothing_else(tmp_path):
    (tmp_path / "log.sqlite").write_bytes(b"this was never a database" * 100)
    service = service_in(tmp_path, tmp_path / "run")
    with pytest.raises(Corrupt, match=r"log\.sqlite"):
        service.set_up()
    service.close()


def test_what_was_opened_before_a_failure_is_closed(tmp_path, monkeypatch):
    service = service_in(tmp_path, tmp_path / "run")
    monkeypatch.setattr("memory.service.IndexShelf", lambda *_, **__: (_ for _ in ()).throw(Corrupt("views")))
    with pytest.raises(Corrupt, match="views"):
        service.set_up()
    service.close()
    LogStore(tmp_path, patience_s=0.2).close()


def test_the_sources_that_were_named_last_are_remembered_for_the_status(tmp_path):
    service = service_in(tmp_path, tmp_path / "run")
    for n in [*range(MOST_AWAITED), 0, MOST_AWAITED]:
        service._await(b"%d" % n, 0)
    assert len(service._awaited) == MOST_AWAITED
    assert (b"0", 0) in service._awaited, "it was named again"
    assert (b"1", 0) not in service._awaited
    service.close()
