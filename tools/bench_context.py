"""What the context plan saves: `python -m tools.bench_context --data FILE --json OUT`.

LoCoMo format; a GGUF model in this process. Contexts are runs of turns of one chat each, and requests are
questions whose evidence lies in them, all put at the same moment, context after context in turn (the
worst order for a cache of one prompt). Systems: `no cache`; `as before` (a mark and the question before
the evidence, so that no two prompts begin alike); `arrival` (who came first goes first) and `ours`
(`reasoning.language.plan`), both with what stays in front. Told are the tokens of prompts that were read
and kept, time to the first word with and without waiting, how many would have been in time, and whether
each text is the one that is written without a cache, at temperature 0.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import statistics
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reasoning.language.gguf import GgufModel, PromptUse
from reasoning.language.model import ChatMessage, Limits
from reasoning.language.plan import ContextPlan
from reasoning.language.prompt import RULES, prompt_of
from stream.capture.text import read
from stream.capture.turns import Chat, Turn
from stream.errors import DeadlineExceeded
from stream.messages import EvidenceItem
from stream.models.named import named_model
from tools.eval_recall import Asked, questions_of

LONG_S = 3600.0
PROMPT_CHARS = 20_000
"""More than any context here has: nothing is cut."""


class Request(NamedTuple):
    """One prompt, and the number of its context."""

    context: int
    messages: tuple[ChatMessage, ...]


@dataclass
class Reply:
    """A text, seconds from the request and from its turn to the first piece, and to its end."""

    text: str = ""
    waited_first_s: float = float("nan")
    own_first_s: float = float("nan")
    ended_s: float = float("nan")


def contexts_of(path: Path, turns: int, contexts: int, each: int) -> list[tuple[Chat, int, list[Asked]]]:
    """The runs of turns that hold the evidence of most questions, at most one of each chat in turn."""
    chats = read(path)
    asked = questions_of(path, chats)
    found: list[tuple[Chat, int, list[Asked]]] = []
    for place, chat in enumerate(chats):
        refs = [turn.ref for turn in chat.turns]
        for first in range(0, len(refs) - turns, turns):
            inside = set(refs[first : first + turns])
            own = [one for one in asked if one.chat == place and one.evidence <= inside][:each]
            if len(own) == each:
                found.append((chat, first, own))
                break
    return found[:contexts]


def requests_of(found: Sequence[tuple[Chat, int, list[Asked]]], turns: int) -> list[Request]:
    """Their prompts, one of each context in turn."""
    made: list[list[Request]] = []
    for number, (chat, first, asked) in enumerate(found):
        run = chat.turns[first : first + turns]
        items = [_item(turn, place) for place, turn in enumerate(run)]
        rows = []
        for one in asked:
            draft = [turn.text for turn in run if turn.ref in one.evidence]
            rows.append(Request(number, prompt_of(one.text, draft, items, PROMPT_CHARS).messages))
        made.append(rows)
    return [one for row in zip(*made, strict=True) for one in row]


def _item(turn: Turn, place: int) -> EvidenceItem:
    key = place.to_bytes(16, "big")
    return EvidenceItem(
        observation_id=key,
        span_id=b"",
        source_id=b"",
        session=0,
        uri="chat",
        kind="utterance",
        level="event",
        pts0_ns=place * 60_000_000_000,
        pts1_ns=place * 60_000_000_000 + 1,
        t0_ns=None,
        t1_ns=None,
        text=turn.text,
        speaker=turn.speaker,
    )


def as_before(request: Request) -> Request:
    """The prompt as it was laid out before: a new mark near the front, and the question first."""
    user = request.messages[1]
    tag = f"DATA-{secrets.token_hex(8)}"
    lines = re.sub(r"DATA-[0-9a-f]{16}", tag, user.text).split("\n")
    question = [line for line in lines if line.startswith("Question: ")]
    rest = [line for line in lines[1:] if line not in question]
    rules = f"The mark is {tag}. {RULES.replace(' The mark is {tag}.', '')}"
    laid_out = ChatMessage("user", "\n".join([tag, *question, *rest]))
    return Request(request.context, (ChatMessage("system", rules), laid_out))


def run(
    model: GgufModel, requests: Sequence[Request], plan: ContextPlan, tokens: int, deadline_s: float
) -> list[Reply]:
    """All requests at the same moment, each in a thread of its own."""
    replies = [Reply() for _ in requests]
    began_s = time.monotonic()

    def ask(request: Request, reply: Reply) -> None:
        limits = Limits(tokens, began_s + deadline_s)
        try:
            with plan.turn(request.messages, limits):
                turn_s = time.monotonic()
                for piece in model.generate(request.messages, limits):
                    if not reply.text:
                        now_s = time.monotonic()
                        reply.waited_first_s, reply.own_first_s = now_s - began_s, now_s - turn_s
                    reply.text += piece
        except DeadlineExceeded:
            return
        reply.ended_s = time.monotonic() - began_s

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(requests, replies, strict=True)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)  # They come in this order.
    for thread in threads:
        thread.join()
    return replies


def measured(
    model: GgufModel, requests: Sequence[Request], args: argparse.Namespace, **how: Any
) -> tuple[dict[str, float], list[Reply]]:
    """The figures of one system."""
    model.use = PromptUse()
    plan = ContextPlan(1, args.slice_s, is_grouped=how["is_grouped"])
    began_s = time.monotonic()
    replies = run(model, requests, plan, args.tokens, LONG_S)
    seconds = time.monotonic() - began_s
    use = model.use
    row = {
        "prompt_tokens_read": use.read_tokens,
        "prompt_tokens_kept": use.kept_tokens,
        "kept_share": use.kept_tokens / max(1, use.kept_tokens + use.read_tokens),
        "bytes_per_token": sum(len(m.text.encode()) for one in requests for m in one.messages)
        / max(1, use.kept_tokens + use.read_tokens),
        "first_word_p50_s": statistics.median(one.own_first_s for one in replies),
        "first_word_mean_s": statistics.fmean(one.own_first_s for one in replies),
        "waited_first_word_mean_s": statistics.fmean(one.waited_first_s for one in replies),
        "all_s": seconds,
    }
    in_time = run(
        model,
        requests,
        ContextPlan(1, args.slice_s, is_grouped=how["is_grouped"]),
        args.tokens,
        args.deadline_s,
    )
    row["in_time"] = sum(one.ended_s == one.ended_s for one in in_time) / len(in_time)
    return row, replies


def compared(args: argparse.Namespace) -> dict[str, Any]:
    """All systems over the same requests, in one run."""
    requests = requests_of(contexts_of(args.data, args.turns, args.contexts, args.each), args.turns)
    named = named_model(args.model)
    systems: dict[str, dict[str, float]] = {}
    texts: dict[str, list[str]] = {}
    for name, is_kept, is_grouped, made in (
        ("no cache", False, False, requests),
        ("as before", True, False, [as_before(one) for one in requests]),
        ("arrival", True, False, requests),
        ("ours", True, True, requests),
    ):
        model = GgufModel(named, args.context_tokens, args.threads, keeps_prefix=is_kept)
        model.load()
        systems[name], replies = measured(model, made, args, is_grouped=is_grouped)
        model.close()
        texts[name] = [one.text for one in replies]
        print(f"{name}: {systems[name]['all_s']:.0f} s", file=sys.stderr)
    for name in ("arrival", "ours"):
        same = [a == b for a, b in zip(texts["no cache"], texts[name], strict=True)]
        systems[name]["same_text"] = sum(same) / len(same)
    return {"items": len(requests), "models": {"language": named.id}, "systems": systems}


def main(argv: Sequence[str] | None = None) -> int:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="a file in LoCoMo's format")
    parser.add_argument(
        "--model", default="smollm2-135m-instruct", help="of the lock, or a folder with a GGUF file"
    )
    parser.add_argument("--contexts", type=int, default=3)
    parser.add_argument("--each", type=int, default=4, help="questions over one context")
    parser.add_argument("--turns", type=int, default=12, help="turns of a context")
    parser.add_argument("--tokens", type=int, default=24, help="of a reply at most")
    parser.add_argument("--context-tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slice-s", type=float, default=10.0)
    parser.add_argument("--deadline-s", type=float, default=10.0, help="for the share that is in time")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    began_s = time.monotonic()
    told = compared(args)
    config = {key: value for key, value in vars(args).items() if key not in ("data", "json")}
    told = {"tool": "bench_context", "data": args.data.name, **told, "config": config}
    told["seconds"] = round(time.monotonic() - began_s, 1)
    names = list(told["systems"])
    print(
        f"{told['items']} requests over {args.contexts} contexts\n{'':26}"
        + "".join(f"{n:>12}" for n in names)
    )
    for figure in told["systems"]["ours"]:
        row = (told["systems"][name].get(figure) for name in names)
        print(f"{figure:26}" + "".join(f"{'':>12}" if v is None else f"{v:12.3f}" for v in row))
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
