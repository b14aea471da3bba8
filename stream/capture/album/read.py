"""A folder as an album: its files read one after the other, put in order, and chosen from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stream.capture.album.choose import Chosen, LeftOut, choose
from stream.capture.album.clock import in_order
from stream.capture.album.picture import CLIP_SUFFIXES, PHOTO_SUFFIXES, AlbumPicture, read_picture, refusal
from stream.capture.probe import ContentHash
from stream.capture.settings import CaptureSettings
from stream.errors import SourceError, SourceGone, SourceRefused

MOST_PICTURES = 5000
"""Files of one album; of more the first are read, and it is said."""
MOST_PIXELS = 256_000_000
"""A picture of an album may be larger than one of a film: JPEGs are decoded at the size that is wanted."""
_STORE_FILES = frozenset(("log.sqlite", "writer.lock"))

Told = Callable[[int, int], None]
"""Told how many files were looked at, of how many."""


@dataclass(frozen=True)
class Album:
    """What a folder holds: all that could be read, what is told of it, and what is left out with its reason.

    `notes` say what was assumed of times.
    """

    folder: Path
    pictures: tuple[AlbumPicture, ...]
    chosen: tuple[Chosen, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...] = ()


def read_album(folder: Path, settings: CaptureSettings, told: Told, now: datetime | None = None) -> Album:
    """Reads the album of a folder.

    Args:
        folder: With all below.
        settings: Bounds, and the zone of times without one.
        told: Progress.
        now: For clocks that run ahead; this moment.

    Raises:
        SourceGone: If there is no such folder.
        SourceRefused: If it holds no photo and no clip, or none that can be read.
    """
    now = now or datetime.now(UTC)
    files = _files_of(folder)
    notes = []
    if len(files) > MOST_PICTURES:
        notes.append(f"of {len(files)} files the first {MOST_PICTURES} were read")
        files = files[:MOST_PICTURES]
    pictures: list[AlbumPicture] = []
    left_out: list[LeftOut] = []
    for order, path in enumerate(files):
        try:
            pictures.append(
                replace(read_picture(path, order, settings, now), source_id=ContentHash(path).all())
            )
        except SourceError as error:
            left_out.append(LeftOut(path, f"cannot be read: {refusal(error, path)}"))
        told(order + 1, len(files))
    if not pictures:
        first = f": {left_out[0].path.name} {left_out[0].reason}" if left_out else ""
        raise SourceRefused(
            f"{folder} holds no photos or clips that can be read{first}",
            remedy="name a folder with JPEG, PNG, WebP, HEIC, TIFF or GIF pictures, or films",
        )
    ordered, of_times = in_order(pictures)
    chosen, unchosen = choose(ordered)
    return Album(folder, tuple(ordered), tuple(chosen), (*left_out, *unchosen), (*notes, *of_times))


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SourceGone(f"{folder} is no folder", remedy="name the folder with the album's pictures")
    return sorted(_below(folder), key=_natural)


def _below(folder: Path) -> Iterator[Path]:
    """Files that are called like pictures, without links to folders, stores and hidden ones."""
    for place, folders, files in os.walk(folder):
        if set(files) >= _STORE_FILES:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place) / name
            if not name.startswith(".") and path.suffix.lower() in PHOTO_SUFFIXES | CLIP_SUFFIXES:
                yield path


def _natural(path: Path) -> tuple[object, ...]:
    """`IMG_2` before `IMG_10`."""
    parts = re.split(r"(\d+)", str(path).lower())
    return tuple(
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts
    )
