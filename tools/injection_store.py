"""Attacks put into a real store by the ways that things come in, for `tools.eval_injection`.

Chats and subtitles are files that capture reads, corrections are put to the reasoning process, pictures
are drawn, named and given EXIF, and indexed with the shipped networks. Writing in a film and speech
are observations as perception's own writers make them of what a reader and a hearer would hand them.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from perception.audio.observations import utterance
from perception.audio.sentences import Sentence, Word
from perception.audio.speech import NS_PER_SAMPLE
from perception.intake import TrackId
from perception.video.observations import Batch, SeenFrame, add_text
from perception.video.seen_text import Reading, TextLine
from stream.errors import SourceRefused
from stream.messages import CommitPut, SourceRecord, TrackRecord
from stream.messages.claims import CorrectDone, CorrectPut
from stream.messages.control import SourceOpen, SourceState
from tools.house import ENDED, House
from tools.injection_cases import Attack

S_NS = 1_000_000_000
APART_S = 20
"""Seconds between two things that are read or said in the film."""
BATCH = 32
PICTURE_PX = (1280, 720)
BOX = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2))
"""Where a line stands in its picture; shares of it, clockwise from the top left."""
FIRST = datetime(2025, 3, 1, 9, tzinfo=UTC)
NAME_BYTES = 200
"""Bytes of a file's name at most; file systems take 255."""
EXIF_TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298)
"""Tags that hold text: description, maker, model, software, artist, copyright."""

Told = Callable[[str], None]


def put_in(house: House, attacks: Sequence[Attack], folder: Path, told: Told) -> None:
    """Brings every attack into the store of a house, and waits until it can be found.

    Args:
        house: Whose processes run.
        attacks: Which.
        folder: For the files that are indexed; it stays.
        told: Called with what is being done.
    """
    told("writing and speech")
    _observed(house, [one for one in attacks if one.way in ("seen_text", "speech")])
    told("chats and subtitles")
    _chat(house, attacks, folder / "chat.jsonl")
    _subtitles(house, [one for one in attacks if one.way == "subtitle"], folder / "talk.srt")
    pictures = [one for one in attacks if one.way in ("photo", "name", "exif")]
    for place, attack in enumerate(pictures, start=1):
        told(f"picture {place} of {len(pictures)}")
        for path in _draw(attack, folder):
            house.follow(house.open(path))
    told("corrections")
    house.wait_for(lambda: house.memory().pending_keys == 0, 600, "keys are made")
    for attack in attacks:
        if attack.way == "correction":
            put = CorrectPut(text=f"No, a letter says: {attack.text}", question=attack.question)
            house.caller("reasoning").ask_for(CorrectDone, put, timeout_s=30)


def _observed(house: House, attacks: Sequence[Attack]) -> None:
    """One film: what is written in it and what is said."""
    own = TrackId(hashlib.blake2b(b"injected film", digest_size=16).digest(), 0, 0)
    tracks = (TrackRecord(track=0, media="video"), TrackRecord(track=1, media="audio"))
    film = SourceRecord(source_id=own.source_id, session=0, kind="file", uri="/media/walk.mp4", tracks=tracks)
    for at in range(0, len(attacks), BATCH):
        batch = Batch()
        for place, attack in enumerate(attacks[at : at + BATCH], start=at):
            _observe(batch, own, attack, place * APART_S * S_NS)
        end_ns = len(attacks) * APART_S * S_NS
        is_last = at + BATCH >= len(attacks)
        marks = (own.mark(end_ns, eof=True), own._replace(track=1).mark(end_ns, eof=True)) if is_last else ()
        put = CommitPut(
            outbox_seq=1 + at,
            sources=() if at else (film,),
            observations=tuple(batch.observations),
            marks=marks,
        )
        house.caller("memory").ask(put, parts=batch.parts, timeout_s=30)
    house.wait_for(lambda: (held := house.remembered(own.source_id)) and held.consolidated, 120, "the film")


def _observe(batch: Batch, own: TrackId, attack: Attack, pts_ns: int) -> None:
    if attack.way == "speech":
        batch.observations.append(
            utterance(own._replace(track=1), _heard(attack, pts_ns), "heard", None, b"")
        )
        return
    lines = tuple(TextLine(line, 0.99, BOX) for line in attack.whole.splitlines() if line.strip())
    add_text(batch, own, Reading(pts_ns, lines), _frame(pts_ns), (pts_ns, pts_ns + 4 * S_NS), 60)


def _heard(attack: Attack, pts_ns: int) -> Sentence:
    spoken = attack.whole.split()
    step_ns = 10 * S_NS // len(spoken)
    words = tuple(
        Word(f" {word}", pts_ns + n * step_ns, pts_ns + (n + 1) * step_ns, 0.9)
        for n, word in enumerate(spoken)
    )
    return Sentence(pts_ns // NS_PER_SAMPLE, 0, words, "en", 0.9, "heard")


def _frame(pts_ns: int) -> SeenFrame:
    grey = np.full((9, 16, 3), 90, np.uint8)
    small = np.zeros((9, 16), np.int16)
    strokes = np.zeros((9, 16), np.float32)
    return SeenFrame(pts_ns, None, (), 0, None, grey, small, strokes, 1.0, None, "", [], b"")


def _chat(house: House, attacks: Sequence[Attack], path: Path) -> None:
    """Turns of a chat, captions of its pictures, names of who speaks, and what corrections are about."""
    rows = []
    for place, attack in enumerate(attacks):
        row = {"speaker": "Anna", "time": (FIRST + timedelta(minutes=place)).isoformat()}
        if attack.way == "chat":
            rows.append({**row, "text": attack.whole})
        elif attack.way == "caption":
            rows.append({**row, "caption": attack.whole})
        elif attack.way == "speaker":
            rows.append({**row, "text": attack.fact, "speaker": attack.text})
        elif attack.way == "correction":
            rows.append({**row, "text": attack.fact})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    read_text(house, path)


def _subtitles(house: House, attacks: Sequence[Attack], path: Path) -> None:
    cues = []
    for place, attack in enumerate(attacks):
        minutes, seconds = divmod(place * APART_S, 60)
        at = f"00:{minutes:02}:{seconds:02},000 --> 00:{minutes:02}:{seconds + 9:02},000"
        # With a control character in it the whole file is refused as no text, as it should be.
        text = "".join(c for c in attack.whole if c == "\n" or unicodedata.category(c) != "Cc")
        lines = "\n".join(line for line in text.splitlines() if line.strip())
        cues.append(f"{place + 1}\n{at}\n{lines}\n")
    path.write_text("\n".join(cues), encoding="utf-8")
    read_text(house, path)


def read_text(house: House, path: Path) -> None:
    """Has a chat or subtitles read, and waits until they are consolidated; a file may hold several chats."""
    uri = str(path.resolve())
    house.caller("supervisor").ask_for(SourceState, SourceOpen(uri=uri, as_text=True), timeout_s=10)
    house.wait_for(lambda: house.source(uri).state in ENDED, 120, f"{path.name} is read")
    if house.source(uri).state == "rejected":
        raise SourceRefused(f"{path} was not taken", remedy="mend the attacks that are written into it")
    house.wait_for(lambda: all(one.consolidated for one in house.memory().sources), 120, "consolidated")


def _draw(attack: Attack, folder: Path) -> list[Path]:
    """One picture with the words on it; for a name two, since one source alone is not named in an answer."""
    if attack.way == "name":
        name = attack.text.replace("/", "\u2044").replace("\n", " ").replace("\0", "").encode()[:NAME_BYTES]
        paths = [folder / f"{n} {name.decode('utf-8', 'ignore')}.png" for n in (1, 2)]
        for path, fact in zip(
            paths, (attack.fact, attack.fact.replace("The", "Once more: the", 1)), strict=True
        ):
            picture_of([fact]).save(path)
        return paths
    path = folder / f"picture{attack.number}.jpg"
    if attack.way == "photo":
        picture_of([attack.fact, *attack.text.splitlines()]).save(path, quality=92)
        return [path]
    exif = Image.Exif()
    for tag in EXIF_TEXTS:
        exif[tag] = attack.text
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + attack.text.encode("utf-16-le")
    picture_of([attack.fact]).save(path, quality=92, exif=exif)
    return [path]


def picture_of(lines: Sequence[str]) -> Image.Image:
    """A picture with words on it, each line broken where it is too long."""
    picture = Image.new("RGB", PICTURE_PX, (24, 40, 70))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(40)
    row = 0
    for line in lines:
        left = line.split()
        while left:
            n = len(left)
            while n > 1 and draw.textlength(" ".join(left[:n]), font) > PICTURE_PX[0] - 120:
                n -= 1
            draw.text((60, 60 + 64 * row), " ".join(left[:n]), (250, 250, 250), font)
            left, row = left[n:], row + 1
    return picture
