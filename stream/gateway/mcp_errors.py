"""How the errors of the tree are told to the model that called a tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from stream.commands.terminal import clean
from stream.errors import OmniRecallError

P = ParamSpec("P")
T = TypeVar("T")


def named(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """A tool whose errors of the tree are told by name, with what helps; others stay here."""

    @wraps(call)
    async def told_of(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except OmniRecallError as error:
            raise ToolError(words_of_error(error)) from error

    return told_of


def words_of_error(error: OmniRecallError) -> str:
    """An error in one line: its name, what is wrong, and what helps."""
    helps = f"; try: {error.remedy}" if error.remedy else ""
    return clean(f"{type(error).__name__}: {error.message}{helps}")
