"""What the owner keeps from a live source: parts of its picture, and hours of the week.

Masks are black before a picture is compared, sampled or shown, so that nothing of what they cover
leaves the capture process, not even how much it moves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stream.capture.addresses import kind_of, public

if TYPE_CHECKING:
    from stream.capture.picture import Pixels, Turn

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)")
_SITE = re.compile(r"^([^:/?#]+://)(?:[^/?#]*@)?([^/?#]*)")


class Mask(BaseModel):
    """A rectangle that is made black, in shares of the picture as it is seen, from its upper left corner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(default="*", description="sources that it is of: a uri, * stands for anything")
    left: float = Field(default=0.0, ge=0, le=1, description="left edge, share of the width")
    top: float = Field(default=0.0, ge=0, le=1, description="upper edge, share of the height")
    right: float = Field(default=1.0, ge=0, le=1, description="right edge, share of the width")
    bottom: float = Field(default=1.0, ge=0, le=1, description="lower edge, share of the height")

    @field_validator("source")
    @classmethod
    def _is_public(cls, told: str) -> str:
        return named(told)

    @model_validator(mode="after")
    def _covers_something(self) -> Mask:
        if self.left >= self.right or self.top >= self.bottom:
            raise ValueError("a mask covers nothing: left is less than right, top less than bottom")
        return self


class Hours(BaseModel):
    """Hours of the week in which a source may be open; where `end` is not after `begin`, over midnight."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(default="*", description="sources that they are of: a uri, * stands for anything")
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1, description="days on which they begin")
    begin: str = Field(default="00:00", description="from when on, HH:MM in this machine's time zone")
    end: str = Field(default="24:00", description="until when, HH:MM, 24:00 for midnight")

    @field_validator("source")
    @classmethod
    def _is_public(cls, told: str) -> str:
        return named(told)

    @field_validator("begin", "end")
    @classmethod
    def _is_clock(cls, told: str) -> str:
        minutes_of(told)
        return told

    def holds(self, at: datetime) -> bool:
        """Whether a local time lies within."""
        begin, end, here = minutes_of(self.begin), minutes_of(self.end), at.hour * 60 + at.minute
        if begin < end:
            return DAYS[at.weekday()] in self.days and begin <= here < end
        before = DAYS[(at - timedelta(days=1)).weekday()]
        return (DAYS[at.weekday()] in self.days and here >= begin) or (before in self.days and here < end)


def minutes_of(clock: str) -> int:
    """Minutes since midnight of HH:MM.

    Raises:
        ValueError: If it is no time of day.
    """
    found = _CLOCK.fullmatch(clock)
    hours, minutes = (int(part) for part in found.groups()) if found else (99, 0)
    if minutes > 59 or hours * 60 + minutes > MINUTES_A_DAY:
        raise ValueError(f"{clock!r} is no time of day, such as 08:30")
    return hours * 60 + minutes


def named(pattern: str) -> str:
    """A pattern of sources as sources are called: one copied from `capture.sources` has its password there.

    Nothing is shown of that either, wherever the configuration is.
    """
    if kind_of(pattern) != "network":
        return pattern
    pattern = _SITE.sub(lambda site: f"{site[1]}{site[2]}".lower(), pattern)
    called = public(pattern)
    # A pattern need not be an address: of one whose port is * nothing but the scheme would be left.
    return pattern if called.endswith("://") else called


def fits(uri: str, pattern: str) -> bool:
    """Whether a pattern is of a source. A bracket is itself, as around hosts, or a choice of letters."""
    literal = pattern.replace("[", "[[]")
    return uri == pattern or fnmatchcase(uri, pattern) or fnmatchcase(uri, literal)


def fitting_none(parts: Sequence[Mask | Hours], uris: Sequence[str]) -> tuple[str, ...]:
    """Patterns that are of none of some sources, and so perhaps misspelt: what they keep is not kept.

    Those of browsers are left out, since any page may be called anything.
    """
    told = dict.fromkeys(part.source for part in parts if not part.source.startswith(("*", "browser:")))
    return tuple(pattern for pattern in told if not any(fits(uri, pattern) for uri in uris))


def masks_of(uri: str, masks: Sequence[Mask]) -> tuple[Mask, ...]:
    """Those of a source."""
    return tuple(mask for mask in masks if fits(uri, mask.source))


def may_be_open(uri: str, schedule: Sequence[Hours], at: datetime) -> bool:
    """Whether a source may be open at a local time: one that no hours are told of always may."""
    own = [hours for hours in schedule if fits(uri, hours.source)]
    return not own or any(hours.holds(at) for hours in own)


def blacken(pixels: Pixels, masks: Sequence[Mask], turn: Turn | None = None) -> Pixels:
    """A picture with its masks black; the same one where there are none.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        masks: Of the picture as it is seen; edges are rounded outwards.
        turn: How `pixels` have still to be turned to be seen upright; None: they are.
    """
    if not masks:
        return pixels
    import numpy as np

    masked = pixels.copy()
    upright = masked if turn is None else turn.apply(masked)  # A view: what is set in it is set in both.
    height_px, width_px = upright.shape[:2]
    for mask in masks:
        rows = slice(math.floor(mask.top * height_px), math.ceil(mask.bottom * height_px))
        columns = slice(math.floor(mask.left * width_px), math.ceil(mask.right * width_px))
        upright[rows, columns] = 0
    return np.ascontiguousarray(masked)
