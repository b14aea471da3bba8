"""The supervisor with toy roles in real processes over real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stream.errors import RoleUnavailable, SchemaTooNew, TooLarge
from stream.messages.control import StatusAsk, StatusMemory, StatusRoles
from stream.messages.observation import MarkAsk, MarkLast
from stream.process.start import ensure_running, is_running, owner_pid, run_dir_now
from stream.process.store_lock import take_lock
from stream.wire.bus import Subscriber
from stream.wire.caller import Caller
from stream.wire.endpoints import run_dir_for

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
"""Every wait below has its end; together, on a disk that syncs slowly, they might take many minutes."""

TOYS = Path(__file__).parent / "toy"
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from stream.config import Config
from stream.errors import OmniRecallError
from stream.process.roles import Role
from stream.process.run import end_with_parent
from stream.process.supervisor import Supervisor
end_with_parent()  # Also where the tests are killed, nothing stays behind.
own = "stream.process.settings:SupervisorSettings"
sections = {"cpu": "stream.process.settings:CpuSettings", "supervisor": own}
names = {"memory": "ToyMemory", "video": "ToyCounter", "audio": "ToyHang"}
if len(sys.argv) > 4:
    names[sys.argv[5] if len(sys.argv) > 5 else "reasoning"] = sys.argv[4]
roles = {n: Role(f"toys:{c}", own, "always", 0, int(n == "memory")) for n, c in names.items()}
sections |= {n: own for n in names}
fast = {"beat_s": 0.2, "silent_s": float(sys.argv[3]), "backoff_s": 0.1, "breaker_restarts": 3}
try:
    Supervisor(Path(sys.argv[1]), Config({"supervisor": fast}, sections), None, roles).run()
except OmniRecallError as error:
    sys.exit(error.exit_code)
"""


def wait_for(what, timeout_s=20.0):
    ends_at = time.monotonic() + timeout_s
    while time.monotonic() < ends_at:
        if got := what():
            return got
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


@pytest.fixture
def toys(tmp_path):
    started = []

    def start(*extra, silent_s=10.0):
        """Starts the supervisor; most tests let a role be silent while a busy disk syncs its outbox."""
        store = tmp_path / "store"
        paths = [str(TOYS), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
        command = [sys.executable, "-P", "-c", RUN, str(store), str(TOYS), str(silent_s), *extra]
        child = subprocess.Popen(command, env=env)
        started.append(child)
        run_dir = run_dir_for(store)

        def is_there():
            assert child.poll() is None, f"the supervisor ended with code {child.returncode}"
            if extra:
                return (run_dir / "supervisor").exists()
            return is_running(store) and (run_dir / "ready").exists()

        wait_for(is_there)
        return child, store, run_dir

    yield start
    for child in started:
        child.kill()
        child.wait()


def status(run_dir):
    with Caller(run_dir, "supervisor", "test") as supervisor:
        return {r.name: r for r in supervisor.ask_for(StatusRoles, StatusAsk(), timeout_s=10).roles}


def serving(run_dir, name, killed=()):
    """A role once it serves, in another process than those that were killed, of which word may not be out.

    Before that its pid may be 0, and signals to 0 go to our own group.
    """
    return wait_for(
        lambda: (r := status(run_dir)[name]).state == "serving" and r.pid not in (0, *killed) and r
    )


def seen(store):
    return [int(line) for line in (store / "seen.txt").read_text().split()]


def test_everything_put_arrives_though_the_receiver_is_killed(toys):
    _, store, run_dir = toys()
    subscriber = Subscriber(run_dir, ("event.",))
    killed = []
    with Caller(run_dir, "video", "test") as video:
        wait_for(lambda: subscriber.socket.poll(100) or _nudge(video), 10)
        for block in range(10):
            ask = MarkAsk(source_id=b"s" * 16, session=10 + block * 30, track=40 + block * 30)
            video.ask_for(MarkLast, ask, timeout_s=20)
            if block in (2, 5):
                killed.append(serving(run_dir, "memory", killed).pid)
                os.kill(killed[-1], signal.SIGKILL)
    wait_for(lambda: set(range(10, 310)) <= set(seen(store)), 30)
    after = serving(run_dir, "memory", killed)
    assert after.restarts == 2
    assert "SIGKILL" in after.last_error
    assert sum(1 for _ in subscriber.receive()) > 0
    assert subscriber.lost == 0
    subscriber.close()


def _nudge(video):
    video.ask_for(MarkLast, MarkAsk(source_id=b"s" * 16, session=0, track=1), timeout_s=5)
    return False


def test_a_frozen_and_a_hung_role_are_replaced_while_the_others_serve(toys):
    _, _, run_dir = toys(silent_s=1.5)
    before = status(run_dir)
    assert before["audio"].pid > 0
    os.kill(before["audio"].pid, signal.SIGSTOP)
    with Caller(run_dir, "video", "test") as video:
        video.ask_for(MarkLast, MarkAsk(source_id=b"s" * 16, session=0, track=1), timeout_s=2)
    wait_for(lambda: status(run_dir)["audio"].pid not in (0, before["audio"].pid))
    after = wait_for(lambda: (s := status(run_dir))["audio"].state == "serving" and s)
    assert after["memory"].pid == before["memory"].pid
    assert "silent" in after["audio"].last_error


def test_roles_that_somebody_told_to_end_are_started_again(toys):
    """Whoever sees their pids in `status` may well send them SIGTERM; commands would wait for ever."""
    _, _, run_dir = toys()
    before = {name: serving(run_dir, name).pid for name in ("memory", "video")}
    for pid in before.values():
        os.kill(pid, signal.SIGTERM)
    for name, pid in before.items():
        after = serving(run_dir, name, (pid,))
        assert after.last_error == "was told to end"


def test_a_role_that_cannot_start_is_left_alone_and_the_rest_serves(toys):
    _, _, run_dir = toys("ToyCrash")
    broken = wait_for(lambda: (r := status(run_dir)["reasoning"]).state == "broken" and r)
    assert broken.restarts < 3
    assert "code 3" in broken.last_error
    with Caller(run_dir, "memory", "test") as memory:
        assert memory.ask_for(StatusMemory, StatusAsk(), timeout_s=10).schema == 1


def test_a_role_that_says_no_restart_helps_is_not_restarted(toys):
    _, _, run_dir = toys("ToyHopeless")
    broken = wait_for(lambda: (r := status(run_dir)["reasoning"]).state == "broken" and r)
    assert broken.restarts == 0
    assert "SchemaTooNew" in broken.last_error
    told = run_dir / "broken"
    wait_for(told.exists)
    assert "newer release" in told.read_text()


def test_where_memory_cannot_serve_all_end_and_who_waits_is_told_why(toys):
    supervisor, store, run_dir = toys("ToyHopeless", "memory")
    with pytest.raises(SchemaTooNew, match=r"memory process of .* cannot serve: written by a newer release"):
        ensure_running(store, timeout_s=20)
    assert supervisor.wait(20) == SchemaTooNew.exit_code
    assert not is_running(store)
    assert not (run_dir / "broken").exists()


def test_memory_that_crashes_again_and_again_ends_them_too(toys):
    supervisor, store, _ = toys("ToyCrash", "memory")
    with pytest.raises(RoleUnavailable, match="code 3"):
        ensure_running(store, timeout_s=20)
    assert supervisor.wait(20) == RoleUnavailable.exit_code


def stopped(store, *words):
    command = [sys.executable, "-P", "-m", "stream.commands.app", "stop", "--store", str(store), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("extra", [(), ("ToyCrash",)])
def test_stop_ends_the_processes_of_a_store_and_only_once(toys, extra):
    supervisor, store, _ = toys(*extra)
    done = stopped(store, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert {"memory", "video", "audio"} <= {*told["ended"], *(("audio",) if extra else ())}
    assert supervisor.wait(10) == 0
    assert not is_running(store)
    again = stopped(store)
    assert again.returncode == RoleUnavailable.exit_code
    assert "no process runs" in again.stderr


def test_an_answer_beyond_the_bounds_of_the_wire_is_an_error_and_no_crash(toys):
    _, _, run_dir = toys()
    before = status(run_dir)["memory"].pid
    with Caller(run_dir, "memory", "test") as memory:
        with pytest.raises(TooLarge):
            memory.ask(MarkAsk(source_id=b"s" * 16, session=0, track=0), timeout_s=10)
        assert memory.ask_for(StatusMemory, StatusAsk(), timeout_s=10).counts["pid"] == before


def test_a_new_supervisor_after_kill_9_takes_over_what_the_old_one_left(toys):
    child, store, run_dir = toys()
    with Caller(run_dir, "video", "test") as video:
        stopped = serving(run_dir, "memory").pid
        os.kill(stopped, signal.SIGSTOP)  # so that the outbox fills
        video.ask_for(MarkLast, MarkAsk(source_id=b"s" * 16, session=0, track=20), timeout_s=20)
    child.kill()
    child.wait()
    os.kill(stopped, signal.SIGCONT)
    left = store / "spool" / "capture-0123456789ab.sqlite"
    left.touch()
    _, store, run_dir = toys()
    assert not left.exists()
    wait_for(lambda: (store / "seen.txt").exists() and set(range(20)) <= set(seen(store)), 40)
    with Caller(run_dir, "video", "test") as video:
        video.ask_for(MarkLast, MarkAsk(source_id=b"s" * 16, session=20, track=30), timeout_s=20)
    wait_for(lambda: set(range(30)) <= set(seen(store)), 30)


def test_a_command_that_comes_while_the_old_processes_end_starts_new_ones(tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    started = []

    def start(*_):
        started.append(time.monotonic())
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])

    monkeypatch.setattr("stream.process.start.launched", start)
    ending = take_lock(store)  # somebody is draining: locked, and not ready
    threading.Timer(0.4, ending.close).start()
    with pytest.raises(RoleUnavailable):
        ensure_running(store, timeout_s=1.2)
    assert len(started) == 1


def test_who_comes_with_another_temporary_folder_finds_the_processes_that_run(toys, tmp_path, monkeypatch):
    child, store, run_dir = toys()
    wait_for(lambda: (run_dir / "ready").exists(), 20)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
        monkeypatch.setenv(name, str(elsewhere))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert run_dir_for(store) != run_dir
    assert ensure_running(store, timeout_s=5) == run_dir
    assert owner_pid(store) == child.pid
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 0
    assert run_dir_now(store) == run_dir_for(store), "nobody runs"


def test_no_process_and_no_socket_outlives_the_supervisor(toys):
    child, store, run_dir = toys()
    pids = [r.pid for r in status(run_dir).values()]
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 0
    assert not is_running(store)
    assert not run_dir.exists()
    child, store, run_dir = toys()
    pids += [r.pid for r in status(run_dir).values()]
    child.kill()
    child.wait()
    wait_for(lambda: not any(_lives(pid) for pid in pids), 15)


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_second_supervisor_on_the_same_store_gives_way(toys):
    _, store, _ = toys()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "stream.process.supervisor", "--store", str(store)],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert is_running(store)
