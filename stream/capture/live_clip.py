"""A clip of a live source: packets that were kept, written into a file of their own as they are."""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.capture.clip import in_decoding_order, shift, template
from stream.capture.clip_form import FORMS, Form, codec_of
from stream.capture.packets import Encoded, Stretch, TrackForm
from stream.disk import whole_file

if TYPE_CHECKING:
    from av.packet import Packet

_HASH_STEP_BYTES = 1 << 20
_SUFFIXES = (".webm", ".mp4", ".mkv")
"""Containers in the order in which they are tried: what browsers play comes first."""
MEDIA_TYPES = {
    ".webm": ("video/webm", "audio/webm"),
    ".mp4": ("video/mp4", "audio/mp4"),
    ".mkv": ("video/x-matroska", "audio/x-matroska"),
}
"""By suffix, with pictures and of sound alone."""


@dataclass(frozen=True, slots=True)
class LiveClip:
    """A file that was made, and the stretch of its source that it holds, in ns."""

    path: Path
    media_type: str
    begins_ns: int
    ends_ns: int
    n_bytes: int
    content_hash: str


def write_clip(stretch: Stretch, folder: Path, name: str) -> LiveClip:
    """Writes a stretch of packets, durably and whole or not at all. Nothing is encoded anew.

    Times in the file count from the keyframe that it begins with.

    Args:
        stretch: What `PacketRing.stretch` gave.
        folder: Where to; on the disk of the store.
        name: Of the file, without suffix.

    Raises:
        OmniRecallError: `DiskFull` or `ConfigError`, if it cannot be written.
        Exception: What libavformat raises of packets that no container takes.
    """
    suffix, form = _form_for(stretch)
    path = folder / f"{name}{suffix}"
    with whole_file(path) as unfinished:
        _mux(stretch, form, unfinished)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
            digest = hash_of(file)
            n_bytes = os.fstat(file.fileno()).st_size
    is_film = stretch.forms[stretch.main].stream.type == "video"
    media_type = MEDIA_TYPES[suffix][0 if is_film else 1]
    return LiveClip(path, media_type, stretch.begins_ns, stretch.ends_ns, n_bytes, digest)


def hash_of(file: Any) -> str:
    """The blake2b-128 of what is read of a binary file from where it stands, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    while block := file.read(_HASH_STEP_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _form_for(stretch: Stretch) -> tuple[str, Form]:
    """The first container that takes every track."""
    codecs = [codec_of(form.stream) for form in stretch.forms.values()]
    for suffix in _SUFFIXES:
        if all(FORMS[suffix].takes(codec) for codec in codecs):
            return suffix, FORMS[suffix]
    return ".mkv", FORMS[".mkv"]


def _mux(stretch: Stretch, form: Form, target: Path) -> None:
    import av

    options = {"movflags": "+faststart"} if form.format == "mp4" else {}
    with av.open(f"file:{target.absolute()}", "w", format=form.format, options=options) as out:
        made = {track: template(out, form.stream) for track, form in stretch.forms.items()}
        readers = [
            _in_order(track, form, stretch.packets[track]) for track, form in sorted(stretch.forms.items())
        ]
        for _, track, packet in heapq.merge(*readers, key=lambda item: item[0]):
            packet.stream = made[track]
            shift(packet, stretch.begins_ns + stretch.forms[track].origin_ns)
            out.mux(packet)


def _in_order(track: int, form: TrackForm, packets: list[Encoded]) -> Iterator[tuple[int, int, Packet[Any]]]:
    """Packets with their times of decoding in the source."""
    for at_ns, packet in in_decoding_order(_packet(one, form) for one in packets):
        yield at_ns - form.origin_ns, track, packet


def _packet(one: Encoded, form: TrackForm) -> Packet[Any]:
    import av

    packet: Packet[Any] = av.Packet(one.body)
    packet.pts, packet.dts, packet.duration = one.pts, one.dts, one.duration
    packet.time_base = form.time_base
    packet.is_keyframe = one.is_keyframe
    return packet
