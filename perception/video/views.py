"""The views of a shot while they are made, and their observations.

A view is made in a lane of its own, and put before the mark of its shot; live, as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from perception.intake import TrackId
from perception.video.observations import Batch, SeenFrame
from perception.video.place_descriptor import PlaceDescriber, open_place_network, producer_of
from perception.video.settings import VideoSettings
from perception.video.view_gate import ViewGate
from stream.messages.observation import KeyRef, Observation
from stream.messages.place_view import PLACE_KEY, VIEW, PlaceView
from stream.process.lanes import Lane
from stream.wire.parts import array_part

if TYPE_CHECKING:
    import numpy.typing as npt

VIEWS_PER_BATCH = 16
"""Views that are put together: 27 kB each at most, in a header of a megabyte."""


@dataclass(frozen=True, slots=True, eq=False)
class MadeView:
    """A view: of a frame, its key (D,) float32 of unit length by `encoder_id`, and what goes with it."""

    frame: SeenFrame
    key: npt.NDArray[np.float32]
    view: PlaceView
    encoder_id: str


@dataclass(slots=True)
class ShotViews:
    """The views of a shot: how many were asked for, and what came of them, None where one failed."""

    gate: ViewGate
    asked: int = 0
    made: dict[int, MadeView | None] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    @property
    def is_made(self) -> bool:
        """Whether nothing is awaited."""
        return len(self.made) == self.asked

    def untold(self) -> list[MadeView]:
        """Those that were not told before, in the order of time; they are from now on."""
        new = sorted(turn for turn, view in self.made.items() if view is not None and turn not in self.told)
        self.told.update(new)
        return [view for turn in new if (view := self.made[turn]) is not None]


def add_view(batch: Batch, own: TrackId, made: MadeView, producer_id: str) -> None:
    """Adds the observation of a view, with its key as float16."""
    frame = made.frame
    name = f"key{len(batch.parts)}"
    batch.parts.append(array_part(name, made.key.astype(np.float16)))
    batch.observations.append(
        Observation(
            observation_id=own.observation_id(VIEW, producer_id, frame.pts_ns),
            source_id=own.source_id,
            session=own.session,
            track=own.track,
            kind=VIEW,
            producer_id=producer_id,
            pts0_ns=frame.pts_ns,
            pts1_ns=frame.pts_ns,
            t0_ns=frame.t_ns,
            t1_ns=frame.t_ns,
            lat=frame.lat,
            lon=frame.lon,
            confidence=made.view.quality,
            payload=made.view.payload(),
            keys=(KeyRef(part=name, kind=PLACE_KEY, encoder_id=made.encoder_id),),
            trace_id=frame.trace_id,
        )
    )


class ViewDesk:
    """Makes views in a lane; the network is opened there when the first is made.

    Args:
        lane: With one thread.
        settings: Of the role.
        threads: Of the network.

    Raises:
        ConfigError: If the setting names nothing that can be a network.
        ModelMissing: If its model was not pulled.
    """

    def __init__(self, lane: Lane, settings: VideoSettings, threads: int) -> None:
        self._lane, self._settings, self._threads = lane, settings, threads
        self._describer: PlaceDescriber | None = None
        self.producer_id = producer_of(settings.place_network)

    def make(
        self,
        views: ShotViews,
        turn: int,
        frame: SeenFrame,
        pixels: npt.NDArray[np.uint8],
        done: Callable[[BaseException | None], None],
    ) -> None:
        """Makes view `turn` of a shot; `done` is called in the loop, with the error where there is one."""

        def told(made: MadeView | None, error: BaseException | None = None) -> None:
            views.made[turn] = made
            done(error)

        self._lane.submit(self._made, frame, pixels, done=told, failed=lambda error: told(None, error))

    def batches(self, own: TrackId, views: ShotViews) -> Iterator[Batch]:
        """The views of a shot that were not told before."""
        new = views.untold()
        for first in range(0, len(new), VIEWS_PER_BATCH):
            batch = Batch(trace_id=new[first].frame.trace_id)
            for made in new[first : first + VIEWS_PER_BATCH]:
                add_view(batch, own, made, self.producer_id)
            yield batch

    def _made(self, frame: SeenFrame, pixels: npt.NDArray[np.uint8]) -> MadeView:
        if self._describer is None:
            settings = self._settings
            network = open_place_network(settings.place_network, settings.place_device, self._threads)
            self._describer = PlaceDescriber(network, settings.place_points)
        key, view = self._describer.describe(pixels)
        return MadeView(frame, key, view, self._describer.encoder_id)
