"""Questions while the language model fails in every way: `python -m tools.eval_faults --json OUT`.

A store with a chat is asked through the real processes: first without a model, then with a server in a
child process that is killed, hangs, drips, floods, talks garbage or refuses (`tools.ill_server`), then
with GGUF files that are absent, damaged, of noise, or too slow (where xllamacpp and the model are here).
For each fault:

in time     the answer came within the question's deadline
same        text, verdict, sentences and citations are those without a model
named       a notice says what is wrong with the language model
cancelled   seconds from a withdrawal to its reply, and until the server's reader, or the model, was free
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

from reasoning.language.choose import language_model_of
from reasoning.language.model import ChatMessage, Limits
from reasoning.language.rephrase import LOADING
from reasoning.settings import LanguageSettings
from stream.errors import Cancelled, DeadlineExceeded, ModelMissing
from stream.messages.answer import Answer
from stream.messages.control import ErrorReply
from stream.messages.envelope import new_id
from stream.messages.turn import TurnCancel, TurnOpen
from stream.models.named import named_model
from stream.process.clock import RealClock
from stream.wire.codec import decode, encode
from stream.wire.endpoints import ipc_address
from stream.wire.sender import Sender
from tools.child import tool_command, tool_environment
from tools.eval_injection import Canary
from tools.house import House
from tools.ill_server import MODES, STATUSES
from tools.injection_store import picture_of, read_text

SMALL = "smollm2-135m-instruct"
QUESTION_S = 4.0
"""Deadline of a question; the language model has half of it."""
LLM: dict[str, Any] = {"deadline_s": 2.0, "failures": 100, "pause_s": 0.001, "at_once": 2}
TURNS = (
    ("Anna", "The rent is due on Friday and it is 900 euros."),
    ("Tom", "The spare key hangs behind the blue door."),
    ("Anna", "The ferry to the island leaves every morning at seven."),
    ("Tom", "My grandmother bakes rye bread on Sundays."),
)
SEEN = "The boat to Alster leaves at nine on Monday."
"""Words on a picture, so that there is a keyframe to be sent."""
PICTURED = "When does the boat to Alster leave?"
QUESTIONS = ("When is the rent due?", "Where does the spare key hang?", "When does the ferry leave?")
TIME, REACH, REFUSED = "did not answer in time", "cannot be reached", "refused or gave no readable answer"
SETTINGS, UNSUPPORTED = "is not rightly configured", "words were not supported"
NAMED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(MODES, (REFUSED,)),
    **dict.fromkeys(STATUSES, (REFUSED,)),
    "refuses pictures": ("takes no pictures",),
    **dict.fromkeys(("401", "403", "404"), (SETTINGS,)),
    **dict.fromkeys(("429", "500", "503"), (REACH,)),
    **dict.fromkeys((one for one in MODES if one.startswith(("hangs", "one token", "headers"))), (TIME,)),
    **dict.fromkeys((one for one in MODES if one.startswith(("killed", "closes", "resets"))), (REACH,)),
    **dict.fromkeys((one for one in MODES if one.startswith("endless")), (TIME, REACH, REFUSED, UNSUPPORTED)),
    **dict.fromkeys(("stream without its end", "body cut off"), (REACH,)),
    **dict.fromkeys(
        ("empty stream", "half letters", "tool calls only", "thousands of lines"), (UNSUPPORTED,)
    ),
}
"""What a notice must say of each fault."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one question; `seconds` are those until its answer."""

    fault: str
    seconds: float
    in_time: bool
    same: bool
    named: bool
    notice: str


class Child:
    """The ill server, brought back on its port wherever it was killed.

    Args:
        elsewhere: Where its redirects lead.
    """

    def __init__(self, elsewhere: str) -> None:
        self._elsewhere = elsewhere
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _start(self) -> None:
        command = tool_command("ill_server", str(self.port), self._elsewhere)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=tool_environment())
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def take_on(self, mode: str) -> None:
        """Makes it ill; starts it first where it is dead."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._told("PUT", f"/mode/{mode.replace(' ', '%20')}")

    def gone_s(self) -> float:
        """When a reader was last seen to have left; monotonic seconds."""
        return float(self._told("GET", "/gone"))

    def _told(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path)
        told = connection.getresponse().read()
        connection.close()
        return told


def fill(house: House, folder: Path) -> None:
    """Imports the chat, and indexes a picture."""
    path = folder / "chat.jsonl"
    rows = [
        {"speaker": who, "text": text, "time": f"2025-03-01T09:0{n}:00Z"}
        for n, (who, text) in enumerate(TURNS)
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    read_text(house, path)
    picture_of([SEEN]).save(folder / "sign.png")
    house.follow(house.open(folder / "sign.png"))
    house.wait_for(lambda: house.memory().pending_keys == 0, 120, "keys are made")


def asked(
    house: House, fault: str, question: str, own: Answer, named: Sequence[str], deadline_s: float = QUESTION_S
) -> Row:
    """One question under a fault; `named` are words of which the notices must have some."""
    began_s = time.monotonic()
    try:
        answer = house.ask(question, timeout_s=deadline_s)
    except DeadlineExceeded:
        return Row(
            fault, time.monotonic() - began_s, in_time=False, same=False, named=False, notice="no answer"
        )
    seconds = time.monotonic() - began_s
    same = (answer.answer, answer.verdict, answer.sentences) == (own.answer, own.verdict, own.sentences)
    same = same and [i.observation_id for i in answer.citations] == [i.observation_id for i in own.citations]
    notice = " ".join(answer.notices)
    is_named = "language model" in notice.lower() and any(one in notice for one in named)
    return Row(fault, round(seconds, 2), seconds <= deadline_s, same, is_named, notice)


def server_rows(store: Path, own: dict[str, Answer], faults: Sequence[str], canary: Canary) -> Iterator[Row]:
    """Every illness of a server, one question each, and then every question to a server that is dead."""
    with Child(f"{canary.url}/elsewhere") as child:
        url = f"http://127.0.0.1:{child.port}/v1"
        llm = {**LLM, "kind": "server", "model": "ill", "url": url, "pictures": 2}
        with House(store, "test", _llm(llm)) as house:
            pid = house.roles()["reasoning"].pid
            for place, fault in enumerate(faults):
                child.take_on(fault)
                question = PICTURED if "pictures" in fault else QUESTIONS[place % len(QUESTIONS)]
                yield asked(house, fault, question, own[question], NAMED[fault])
            child.take_on("hangs before headers")
            question = QUESTIONS[0]
            yield asked(house, "hangs, 1 s for the question", question, own[question], (TIME,), 1.0)
            child.kill()
            for question in QUESTIONS:
                yield asked(house, "killed before the question", question, own[question], (REACH,))
            if house.roles()["reasoning"].pid != pid:
                yield Row(
                    "the process lives", 0.0, in_time=False, same=False, named=False, notice="it did not"
                )


def cancel_rows(store: Path, canary: Canary) -> Iterator[tuple[str, float, float]]:
    """Fault, seconds from a withdrawal to the reply, and to when the server saw its reader leave."""
    with Child(canary.url) as child:
        url = f"http://127.0.0.1:{child.port}/v1"
        with House(store, "test", _llm({**LLM, "kind": "server", "model": "ill", "url": url})) as house:
            for fault in ("hangs before headers", "hangs in the stream", "endless empty tokens"):
                child.take_on(fault)
                withdrawn_s, replied_s = withdrawn(house, QUESTIONS[0], after_s=0.8)
                house.wait_for(lambda at_s=withdrawn_s: child.gone_s() > at_s, 20, "the reader leaves")  # type: ignore[misc]
                yield fault, replied_s - withdrawn_s, child.gone_s() - withdrawn_s


def withdrawn(house: House, question: str, after_s: float) -> tuple[float, float]:
    """Asks and withdraws; when it did and when the reply came, in monotonic seconds.

    Raises:
        DeadlineExceeded: If no reply comes, or another than that it was withdrawn.
    """
    sender = Sender("eval_faults", RealClock())
    with zmq.Context().socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(ipc_address(house.run_dir, "reasoning"))
        turn = TurnOpen(turn_id=new_id(), question=question, turn_epoch=1)
        deadline_ns = time.time_ns() + 20_000_000_000
        dealer.send_multipart(encode(turn, sender.envelope(turn, deadline_ns=deadline_ns)))
        time.sleep(after_s)
        cancel = TurnCancel(turn_epoch=2)
        withdrawn_s = time.monotonic()
        dealer.send_multipart(encode(cancel, sender.envelope(cancel)))
        if not dealer.poll(10_000):
            raise DeadlineExceeded("a withdrawn question was not left within 10 s")
        reply = decode(dealer.recv_multipart()).message
        if not isinstance(reply, ErrorReply) or reply.error != "Cancelled":
            raise DeadlineExceeded(f"a withdrawn question was answered by {type(reply).__name__}")
        return withdrawn_s, time.monotonic()


def gguf_folders(folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Folders of models with each fault, and what a notice must say of it.

    Raises:
        ModelMissing: If the model that they are made of is not here.
    """
    (whole,) = named_model(SMALL).folder.glob("*.gguf")
    content = whole.read_bytes()
    noise = random.Random(1).randbytes(len(content) - 3_000_000)  # noqa: S311 - no secret
    bad = ("its file is damaged",)
    files: dict[str, tuple[dict[str, bytes], tuple[str, ...]]] = {
        "GGUF: no model in the folder": ({"readme.txt": b"nothing"}, (SETTINGS,)),
        "GGUF: two files": ({"a.gguf": content[:99], "b.gguf": content[:99]}, (SETTINGS,)),
        "GGUF: empty file": ({"a.gguf": b""}, bad),
        "GGUF: other file": ({"a.gguf": b"hello " * 1000}, bad),
        "GGUF: cut in half": ({"a.gguf": content[: len(content) // 2]}, bad),
        "GGUF: noise in its head": ({"a.gguf": content[:64] + noise[:4096] + content[4160:]}, bad),
        "GGUF: weights of noise": ({"a.gguf": content[:3_000_000] + noise}, (UNSUPPORTED, TIME)),
    }
    made = {}
    for place, (fault, (parts, named)) in enumerate(files.items()):
        own = folder / f"model{place}"
        own.mkdir(parents=True)
        for name, data in parts.items():
            (own / name).write_bytes(data)
        made[fault] = (own, named)
    return {"GGUF: no such folder": (folder / "absent", ("is not on this machine",)), **made}


def gguf_rows(store: Path, own: dict[str, Answer], folder: Path) -> Iterator[Row]:
    """Every fault of a file, with processes of its own, and a model that is well and too slow."""
    slow: dict[str, Any] = {"deadline_s": 0.1, "model": SMALL}
    runs = {fault: ({"model": str(path)}, named) for fault, (path, named) in gguf_folders(folder).items()}
    # The question before it may have the model's turn still, which is told by its own name.
    too_slow = (slow, (TIME, "is busy with other questions"))
    for fault, (settings, named) in {**runs, "GGUF: too slow": too_slow}.items():
        with House(store, "test", _llm({**LLM, "kind": "gguf", **settings})) as house:
            question = QUESTIONS[0]
            with contextlib.suppress(DeadlineExceeded):
                house.wait_for(lambda own=house: LOADING not in own.ask(QUESTIONS[1]).notices, 60, "opened")  # type: ignore[misc]
            yield asked(house, fault, question, own[question], named)


def gguf_cancel() -> Iterator[tuple[str, float, float]]:
    """Where a text is withdrawn, seconds until it is left, and until a word was written for the next one."""
    model = language_model_of(LanguageSettings(kind="gguf", model=SMALL, context_tokens=4096))
    assert model is not None
    model.load()
    short = (ChatMessage("user", "Hi"),)
    list(model.generate(short, Limits(1, time.monotonic() + 60)))
    prompts = (
        ("GGUF: in the middle of a prompt", "The cat sat on the mat and looked at a bird. " * 100, 0),
        ("GGUF: in the middle of a text", "Tell a long story.", 3),
    )
    for where, text, n_pieces in prompts:
        stop = threading.Event()
        limits = Limits(1500, time.monotonic() + 300, stop.is_set)
        pieces = model.generate((ChatMessage("user", text),), limits)
        for _ in range(n_pieces):
            next(pieces)
        at_s: list[float] = []
        threading.Timer(0.4, lambda at=at_s, end=stop: (at.append(time.monotonic()), end.set())).start()
        with contextlib.suppress(Cancelled):
            for _ in pieces:
                pass
        left_s = time.monotonic()
        list(model.generate(short, Limits(1, time.monotonic() + 60)))
        yield where, left_s - at_s[0], time.monotonic() - at_s[0]
    model.close()


def _llm(settings: dict[str, Any]) -> dict[str, object]:
    return {f"reasoning__llm__{name}": value for name, value in settings.items()}


def main() -> int:
    """Measures, prints, and writes JSON; 1 where a question was not answered as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--faults", nargs="*", default=[*MODES, *STATUSES], metavar="NAME", help="of a server"
    )
    parser.add_argument("--no-gguf", action="store_true", help="leave out the model in the process")
    parser.add_argument("--json", type=Path, metavar="OUT")
    told = parser.parse_args()
    unknown = sorted({*told.faults} - {*MODES, *STATUSES})
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}")
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as own:
        rows, cancels, elsewhere = run(told, Path(own))
    faulty = [row for row in rows if row.fault != "well"]
    for row in rows:
        marks = "".join(f"{'yes' if one else 'NO':>9}" for one in (row.in_time, row.same, row.named))
        print(f"{row.fault:30}{row.seconds:7.2f} s{marks}  {row.notice}")
    for fault, replied_s, free_s in cancels:
        print(f"withdrawn, {fault:34} left after {replied_s:.2f} s, free after {free_s:.2f} s")
    print(f"connections to where a redirect led: {elsewhere}")
    shares = {name: sum(getattr(row, name) for row in faulty) for name in ("in_time", "same", "named")}
    print(f"{len(faulty)} faults: " + ", ".join(f"{name} {count}" for name, count in shares.items()))
    if told.json:
        document = {
            "tool": "eval_faults",
            "data": "a chat of four turns",
            "items": len(faulty),
            "config": {"question_s": QUESTION_S, **LLM},
            "models": {"gguf": "" if told.no_gguf else SMALL},
            "seconds": round(time.perf_counter() - began_s, 1),
            "systems": {"ours": {**shares, "redirects_followed": elsewhere}},
            "by": {
                "fault": {row.fault: {one: getattr(row, one) for one in row.__slots__[1:]} for row in rows},
                "withdrawn": {fault: {"left_s": a, "free_s": b} for fault, a, b in cancels},
            },
        }
        told.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return int(any(count < len(faulty) for count in shares.values()) or elsewhere > 0)


def run(told: argparse.Namespace, folder: Path) -> tuple[list[Row], list[tuple[str, float, float]], int]:
    """All rows, all withdrawals, and how often somebody followed a redirect."""
    store = folder / "store"
    canary = Canary(folder / "canary")
    with House(store, "test") as house:
        fill(house, folder)
        own = {question: house.ask(question) for question in (*QUESTIONS, PICTURED)}
    rows: list[Row] = []
    cancels: list[tuple[str, float, float]] = []
    for row in server_rows(store, own, told.faults, canary):
        rows.append(row)
        _progress(row.fault)
    cancels += cancel_rows(store, canary)
    if not told.no_gguf and _has_gguf():
        for row in gguf_rows(store, own, folder / "models"):
            rows.append(row)
            _progress(row.fault)
        cancels += gguf_cancel()
    canary.close()
    return rows, cancels, canary.connections


def _has_gguf() -> bool:
    if importlib.util.find_spec("xllamacpp") is None:
        return False
    with contextlib.suppress(ModelMissing):
        named_model(SMALL)
        return True
    return False


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
