"""What lies beside a photo: Google Takeout's JSON and XMP, with the time, the place and the people of it.

Both are written by programs of others: they are bounded in size, an XML document with a type declaration is
not read at all (entities), and of everything only times, positions and names are taken, as data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

MOST_BYTES = 1 << 20
MOST_PEOPLE = 12
NAME_CHARS = 60
_TAKEOUT_ENDS = (".json", ".supplemental-metadata.json", ".supplemental-meta.json", ".suppl.json")
_COORDINATE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])")
_TIME_NAMES = ("DateTimeOriginal", "DateCreated", "CreateDate")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What files beside a photo say: `taken` may lack a zone, `lat` and `lon` are degrees."""

    taken: datetime | None = None
    lat: float | None = None
    lon: float | None = None
    people: tuple[str, ...] = ()


def sidecar_of(path: Path) -> Sidecar:
    """What lies beside a photo; empty where nothing does, or nothing that can be read."""
    told = Sidecar()
    for file in _candidates(path):
        try:
            if not file.is_file() or file.stat().st_size > MOST_BYTES:
                continue
            body = file.read_bytes()
        except OSError:
            continue
        found = _takeout(body) if file.suffix.lower() == ".json" else _xmp(body)
        told = Sidecar(
            told.taken or found.taken,
            found.lat if told.lat is None else told.lat,
            found.lon if told.lat is None else told.lon,
            told.people or found.people,
        )
    return told


def _candidates(path: Path) -> Iterator[Path]:
    for end in _TAKEOUT_ENDS:
        yield path.with_name(path.name + end)
    yield path.with_suffix(".json")
    for end in (".xmp", ".XMP"):
        yield path.with_name(path.name + end)
        yield path.with_suffix(end)


def _takeout(body: bytes) -> Sidecar:
    try:
        told = json.loads(body)
        if not isinstance(told, dict):
            return Sidecar()
        stamp = told.get("photoTakenTime", {}).get("timestamp")
        taken = datetime.fromtimestamp(int(stamp), UTC) if stamp is not None else None
        people = [one.get("name") for one in told.get("people", []) if isinstance(one, dict)]
        lat, lon = _on_earth(told.get("geoData", {}))
        if lat is None:
            lat, lon = _on_earth(told.get("geoDataExif", {}))
    except (ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return Sidecar()
    return Sidecar(_plausible(taken), lat, lon, _names(people))


def _on_earth(told: Any) -> tuple[float | None, float | None]:
    lat, lon = float(told.get("latitude", 0.0)), float(told.get("longitude", 0.0))
    is_there = math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180
    return (lat, lon) if is_there and (lat, lon) != (0.0, 0.0) else (None, None)


def _xmp(body: bytes) -> Sidecar:
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body[:64]:
        return Sidecar()
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - bounded, and without a type declaration
        facts, people = _facts(root)
        taken = next((t for name in _TIME_NAMES if (t := _time(facts.get(name, "")))), None)
        lat, lon = _coordinate(facts.get("GPSLatitude", "")), _coordinate(facts.get("GPSLongitude", ""))
    except (ElementTree.ParseError, ValueError, RecursionError):
        return Sidecar()
    if lat is None or lon is None:
        lat = lon = None
    return Sidecar(_plausible(taken), lat, lon, _names(people))


def _facts(root: ElementTree.Element) -> tuple[dict[str, str], list[str]]:
    """Simple properties by name, whether written as attributes or elements, and names of people."""
    facts: dict[str, str] = {}
    people: list[str] = []
    for element in root.iter():
        tag = _bare(element.tag)
        for name, value in element.attrib.items():
            facts.setdefault(_bare(name), value)
            if _bare(name) == "Name" and _is_region(element):
                people.append(value)
        if element.text and element.text.strip():
            facts.setdefault(tag, element.text.strip())
        if tag == "PersonInImage":
            people += [one.text or "" for one in element.iter() if _bare(one.tag) == "li"]
    return facts, people


def _is_region(element: ElementTree.Element) -> bool:
    return any(_bare(name) == "Type" and value == "Face" for name, value in element.attrib.items())


def _bare(name: object) -> str:
    return str(name).rpartition("}")[2]


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()) if text else None
    except ValueError:
        return None


def _coordinate(text: str) -> float | None:
    found = _COORDINATE.fullmatch(text.strip())
    if found is None:
        return None
    degrees = float(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SW" else degrees


def _plausible(taken: datetime | None) -> datetime | None:
    return taken if taken is not None and taken.year >= 1990 else None


def _names(values: list[Any]) -> tuple[str, ...]:
    names = [" ".join(one.split())[:NAME_CHARS] for one in values if isinstance(one, str) and one.strip()]
    return tuple(dict.fromkeys(names))[:MOST_PEOPLE]
