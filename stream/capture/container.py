"""Opening media files safely, and naming what goes wrong with them.

PyAV is kept on a short lead: only regular files, only the `file` protocol, and only
containers that hold their media themselves. Playlists and session descriptions make
libavformat open whatever they name; a concat script under the name of a film is enough.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from stream.capture.holding import is_same, keep_open, place_of
from stream.errors import SourceCorrupt, SourceError, SourceGone, SourceRefused

if TYPE_CHECKING:
    from av.container.input import InputContainer

SELF_CONTAINED = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,av1,caf,dhav,dsf,dts,dtshd,dv,eac3,flac,flv,gif,gxf,h264,hevc,ivf,"
    "m4v,matroska,mjpeg,mov,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,truehd,tta,vc1,voc,w64,"
    "wav,webm,wtv,wv,yuv4mpegpipe"
)
"""Demuxers of libavformat that read nothing but the file they are given."""

WAIT_S = 30.0
"""Longest time in seconds that opening a file, or reading one packet, may take."""

_HEAD_BYTES = 64
_MAGIC = (
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"RIFF"),  # AVI, WAV
    (0, b"OggS"),
    (0, b"fLaC"),
    (0, b"ID3"),  # MP3
    (0, b"FLV"),
    (0, b"\x00\x00\x01\xba"),  # MPEG program stream
    (0, b"\x30\x26\xb2\x75"),  # ASF, WMV
    (0, b"FORM"),  # AIFF
    (0, b"caff"),
    *((4, kind) for kind in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")),  # MP4, MOV
)

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV, errno.EIO, errno.ESTALE})


def path_of(uri: str) -> Path:
    """The file that a plain path or a `file://` uri names; absolute.

    Raises:
        SourceRefused: If the uri has another scheme or another host, or holds a NUL byte.
    """
    scheme, separator, _ = uri.partition("://")
    if not separator:
        path = Path(uri)
    elif scheme.lower() == "file" and urlsplit(uri).netloc in ("", "localhost"):
        path = Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))
    else:
        raise SourceRefused(
            f"{scheme}:// is no address of a local file", remedy="give the path of a file on this machine"
        )
    if "\0" in str(path):
        raise SourceRefused("the path holds a NUL byte", remedy="rename the file")
    return path.absolute()


def uri_of(path: Path) -> str:
    """How a file is called in messages and in the store: its absolute path, as people write it.

    A path that is not UTF-8 cannot travel as text and becomes a percent-encoded
    `file://` uri; `path_of` reads both.
    """
    text = str(path.absolute())
    try:
        text.encode()
    except UnicodeEncodeError:
        return path.absolute().as_uri()
    return path.absolute().as_uri() if "://" in text else text


def regular_file(path: Path) -> int:
    """Makes sure that a path is a file that may be read and is not empty; returns its bytes.

    Raises:
        SourceGone: If it is missing or may not be read.
        SourceRefused: If it is a folder, a device, a pipe or a socket, or empty.
    """
    try:
        status = place_of(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceRefused(f"{uri_of(path)} is not a file", remedy="give a film, a recording or a photo")
        with place_of(path).open("rb"):
            pass
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path.
        raise named(path, error) from error
    if status.st_size == 0:
        raise SourceRefused(f"{uri_of(path)} is empty", remedy="copy or record the file again")
    return status.st_size


def hold(path: Path) -> None:
    """Holds a file open, so that all that reads it by this path from now on reads this very file.

    Raises:
        SourceError: As `regular_file` does.
    """
    regular_file(path)
    try:
        keep_open(path)
    except OSError as error:
        raise named(path, error) from error


def ensure_same(path: Path) -> None:
    """Makes sure that a held file is what it was when it was first opened.

    Raises:
        SourceGone: If it is not, or not there any more.
    """
    try:
        same = is_same(path)
    except OSError as error:
        raise _lost(path, error) from error
    if not same:
        raise SourceGone(
            f"{uri_of(path)} was changed while it was read", remedy="index it again when it is finished"
        )


def ensure_readable(path: Path) -> None:
    """Makes sure that the bytes of a file can still be read: libav may take a lost disk for an end.

    Raises:
        SourceGone: If they cannot.
    """
    try:
        with place_of(path).open("rb") as file:
            descriptor = file.fileno()
            n_bytes = os.fstat(descriptor).st_size
            for at in (0, n_bytes // 2, max(0, n_bytes - 1)):
                if hasattr(os, "posix_fadvise"):  # What the system remembers says nothing of the disk.
                    os.posix_fadvise(descriptor, at, 1, os.POSIX_FADV_DONTNEED)
                os.pread(descriptor, 1, at)
    except OSError as error:
        raise _lost(path, error) from error


def _lost(path: Path, error: OSError) -> SourceGone:
    found = named(path, error)
    if isinstance(found, SourceGone):
        return found
    return SourceGone(
        f"{uri_of(path)} cannot be read any more ({error.strerror})", remedy="plug the disk in again"
    )


@contextmanager
def opened(path: Path, max_pixels: int = 0, *, header_only: bool = False) -> Iterator[InputContainer]:
    """A container, open for reading and closed at the end of the block.

    Errors that the block itself raises pass through untouched.

    Args:
        path: The file.
        max_pixels: Opening decodes some pictures to learn what they are: none larger than this (0: any).
        header_only: Decode none at all: sizes are those that the header states.

    Raises:
        SourceGone: If the file is missing or may not be read.
        SourceRefused: If it is no medium, or one that points at others.
        SourceCorrupt: If it begins like a medium and cannot be opened.
    """
    import av

    regular_file(path)
    try:
        container = av.open(
            # The scheme keeps a name such as "concat:a.mp4" from being read as one.
            f"file:{place_of(path).absolute()}",
            mode="r",
            options={"max_pixels": str(max_pixels)} if max_pixels else {},
            container_options={
                "protocol_whitelist": "file",
                "format_whitelist": SELF_CONTAINED,
                **({"probesize": "32", "analyzeduration": "0"} if header_only else {}),
            },
            metadata_errors="replace",
            timeout=(WAIT_S, WAIT_S),
        )
    except Exception as error:  # What a damaged file makes libav and PyAV raise is open-ended.
        raise _unopened(path, error) from error
    try:
        yield container
    finally:
        container.close()


def named(path: Path, error: BaseException) -> SourceError:
    """The error of the project's tree for whatever reading a file raised.

    libav's errors arrive under many names (InvalidDataError, EOFError, OSError,
    UnicodeDecodeError, IndexError, ValueError, MemoryError were all met).
    """
    uri = uri_of(path)
    if isinstance(error, SourceError):
        return error
    if isinstance(error, PermissionError):
        return SourceGone(f"{uri} may not be read", remedy="give this user the right to read the file")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return SourceGone(f"{uri[:80]}… is too long for a path", remedy="check the path")
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return SourceGone(f"{uri} is a link that leads to itself", remedy="name the file that is meant")
    if isinstance(error, FileNotFoundError) or (isinstance(error, OSError) and error.errno in _GONE):
        return SourceGone(f"{uri} is not there", remedy="check the path, or plug the disk in again")
    if isinstance(error, MemoryError):
        return SourceCorrupt(
            f"{uri} asks for more memory than there is", remedy="the file is damaged; convert it anew"
        )
    return SourceCorrupt(
        f"{uri} is damaged ({type(error).__name__})", remedy="play it elsewhere to see what is left of it"
    )


def _unopened(path: Path, error: Exception) -> SourceError:
    """Why a file that is there could not be opened, judged by how it begins."""
    if isinstance(error, FileNotFoundError | MemoryError):
        return named(path, error)
    try:
        with place_of(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as gone:
        return named(path, gone)
    uri = uri_of(path)
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return SourceCorrupt(
            f"{uri} begins like a medium but cannot be opened; it may have been cut off",
            remedy="copy the file again, or repair its index with a tool of your choice",
        )
    return SourceRefused(
        f"{uri} is not a video or sound file, or one that points at other files",
        remedy="give the media file itself; playlists and scripts are not read",
    )
