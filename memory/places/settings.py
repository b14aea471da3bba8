"""Settings of the map of places."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PlaceSettings(BaseModel):
    """How views become places. Likeness is what the recogniser gives, at most 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(
        default=True,
        description="whether a map is made of the views that perception commits; without any, none",
    )
    same: float = Field(
        default=0.65,
        ge=-1,
        le=1,
        description="likeness of two views that says neither same place nor another",
    )
    scale: float = Field(
        default=0.3, gt=0, description="likeness above `same` that is one whole sign of the same place"
    )
    most: float = Field(
        default=0.75,
        ge=0,
        description="signs of the likeness of one view at most; twin rooms are alike in all but points",
    )
    stay: float = Field(
        default=0.3,
        ge=-1,
        le=1,
        description="likeness to the place one is at, below which one may have left it",
    )
    switch: float = Field(
        default=0.15, ge=0, description="likeness by which another place must lead the one that one is at"
    )
    accept: float = Field(
        default=1.5, gt=0, description="sum of signs, view by view, from which a place is known again"
    )
    margin: float = Field(
        default=0.5, ge=0, description="sum of signs by which it must lead every other place for that"
    )
    leave_after: int = Field(
        default=2, ge=1, le=16, description="views in a row that are not of a place before it was left"
    )
    fresh: float = Field(
        default=0.8,
        ge=-1,
        le=1,
        description="likeness to a prototype of its place, below which a view becomes a prototype, too",
    )
    redundant: float = Field(
        default=0.5,
        ge=-1,
        le=1,
        description="likeness of two prototypes, from which one of them may give way",
    )
    prototypes: int = Field(default=24, ge=1, le=256, description="views that stand for one place at most")
    least_quality: float = Field(
        default=0.15,
        ge=0,
        le=1,
        description="quality of a view (blur, darkness), below which it says nothing",
    )
    candidates: int = Field(default=32, ge=1, le=1024, description="likest views that are looked at")
    verified: int = Field(
        default=3,
        ge=0,
        le=32,
        description="places whose likest view is compared point by point, the likest first",
    )
    chance_inliers: float = Field(
        default=12.0, ge=0, description="points that agree between pictures of different places"
    )
    sure_inliers: float = Field(
        default=20.0, gt=0, description="points beyond these that are two whole signs of the same place"
    )
    gap_s: float = Field(
        default=180.0,
        gt=0,
        description="seconds without a view that end a visit; of a still picture there is one a minute",
    )
    reach_s: float = Field(
        default=60.0,
        ge=0,
        description="seconds that a visit goes on after its last view where nothing follows",
    )
    far_m: float = Field(
        default=200.0, gt=0, description="metres by GPS from which a place is another, however alike"
    )
    near_m: float = Field(default=40.0, gt=0, description="metres by GPS within which half a sign is added")
    camera_prior: float = Field(
        default=0.5,
        ge=0,
        description="signs added to the place where a camera was last; it seldom moves in between",
    )
    fixed: tuple[str, ...] = Field(
        default=(),
        description="cameras that never move, by their uri or a part of it: all that they see is one place",
    )
    object_share: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="probability of a label from which an object was there; of a reading its confidence",
    )
    object_hint: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="probability of a label from which the object may have been there: it is not called new "
        "after that, nor gone",
    )
    object_look_s: float = Field(
        default=5.0,
        ge=0,
        description="seconds of pictures from which a stay at a place tells that an object was not there",
    )
