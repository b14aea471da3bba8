"""What a picture says of the place it was taken at: a key, points, and how much that is worth.

The key pools the maps of a network that names pictures, two of its layers beside each other: the middle one
(stride 16), averaged, knows surfaces, light and edges; the last one, by generalised means (GeM, Radenovic et
al., 2018: a power between the average and the maximum), knows things. The network sees the whole picture, not
its centre, at one of a few shapes near the picture's own. It is the network that labels come from already, so
nothing more is downloaded; DINOv2, CLIP or SigLIP take its place by configuration, their patch tokens pooled
the same way. Memory whitens the keys by the statistics of its own store.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from perception.cpu_network import CpuNetwork
from perception.video.labels import label_names
from perception.video.place_points import PRODUCER as POINTS
from perception.video.place_points import points_of
from perception.video.view_gate import OWN_NETWORK, USUAL_POINTS
from stream.errors import ConfigError, Malformed, ModelDamaged, ModelFailed
from stream.messages.place_view import MOST_POINTS, PlaceView
from stream.models import model_file

if TYPE_CHECKING:
    from perception.encoder.pretrained import Device
    from stream.models.named import NamedModel

Picture = npt.NDArray[np.uint8]
Key = npt.NDArray[np.float32]

POOLING = "gem3"
VERSION = "1"
GEM_POWER = 3.0
"""Of the generalised mean: what its authors learnt for most networks, and kept here as it is."""
MIDDLE, LAST = "/_blocks.10/Add_output_0", "/Clip_1_output_0"
"""Values inside `features.onnx`: behind the last block of 112 channels, and what is pooled for the labels."""
SHAPES_PX = ((224, 384), (256, 320), (288, 288), (320, 256), (384, 224), (192, 448))
"""Height and width of what the network sees: multiples of 32, of nearly equal area."""
QUALITY_WIDTH_PX = 320
SHARP = 120.0
"""Variance of the Laplacian at that width from which a picture is as sharp as it needs to be."""
DARK, LIGHT = 20.0, 60.0
"""Mean luma at which a picture says nothing, and from which it is light enough."""
BURNT = 245.0
"""Mean luma at which a picture is blank for being too light."""
ENOUGH_POINTS = 60
"""Points from which there is enough to see in a picture."""
WORN = frozenset(
    (
        "jersey",
        "suit",
        "jean",
        "lab coat",
        "sweatshirt",
        "cardigan",
        "miniskirt",
        "trench coat",
        "bow tie",
        "Windsor tie",
        "academic gown",
        "abaya",
        "apron",
        "kimono",
        "swimming trunks",
        "bikini",
        "maillot",
        "poncho",
        "sarong",
        "stole",
        "fur coat",
        "wig",
        "sunglasses",
        "sunglass",
        "brassiere",
        "pajama",
        "hoopskirt",
        "overskirt",
        "vestment",
        "gown",
        "mortarboard",
        "military uniform",
    )
)
"""Names of what people wear: the nearest that ImageNet has to a person before the camera."""


class Seen(NamedTuple):
    """The key of a picture, (D,) float32 of unit length, and how likely it shows somebody near, 0 to 1."""

    key: Key
    people: float


class PlaceNetwork(Protocol):
    """Pictures to keys of places."""

    encoder_id: str

    def see(self, picture: Picture) -> Seen:
        """The key of a picture (H, W, 3) uint8 RGB."""
        ...


class LitePlaces:
    """EfficientNet-Lite0, two of its layers pooled; any number of threads, one after another.

    Args:
        threads: Of one run.

    Raises:
        ModelMissing: If the model was not pulled.
        ModelDamaged: If its files cannot be read.
    """

    encoder_id = f"place-{OWN_NETWORK}-{POOLING}/{VERSION}"

    def __init__(self, threads: int = 1) -> None:
        self._path = model_file(OWN_NETWORK, "features.onnx")
        self._threads = threads
        self._networks: dict[tuple[int, int], CpuNetwork] = {}
        self._weight, self._bias = _worn_head(model_file(OWN_NETWORK, "head.npz"))

    def see(self, picture: Picture) -> Seen:
        """As `PlaceNetwork.see`.

        Raises:
            ModelFailed: If the network fails.
        """
        import cv2

        shape = shape_of(picture)
        how = cv2.INTER_AREA if picture.shape[0] > shape[0] else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(picture, shape[::-1], interpolation=how), np.float32)
        batch = np.asarray(((pixels - 127) / 128).transpose(2, 0, 1)[None], np.float32)
        if shape not in self._networks:
            self._networks[shape] = CpuNetwork(
                self._path, self._threads, inner=(MIDDLE, LAST), shape=(1, 3, *shape)
            )
        try:
            middle, last = (
                maps[0].reshape(len(maps[0]), -1) for maps in self._networks[shape].outputs(batch)
            )
        except Exception as error:  # OpenVINO raises RuntimeError and kinds of its own
            raise ModelFailed(f"the network of places failed on {batch.shape}: {error}") from error
        key = np.concatenate([_unit(middle.mean(axis=1)), _unit(generalised_mean(last.T))])
        logits = self._weight @ last.mean(axis=1) + self._bias
        shares = np.exp(logits - logits.max())
        return Seen(_unit(key), float(shares[: self._worn].sum() / shares.sum()))

    @property
    def _worn(self) -> int:
        return len(WORN & set(label_names()))


class TorchPlaces:
    """A vision transformer of a folder or a hub: DINOv2, or the image tower of CLIP or SigLIP.

    Args:
        model: Its folder: weights, and the configuration of its image processor.
        device: Where it runs.
        threads: Of torch.

    Raises:
        ModelDamaged: If it cannot be opened.
    """

    def __init__(self, model: NamedModel, device: Device, threads: int = 1) -> None:
        from perception.encoder.pretrained import opened, quiet_libraries

        quiet_libraries(threads)
        from transformers import AutoImageProcessor, AutoModel

        self.encoder_id = f"place-{model.id}-{POOLING}-{device.precision}/{VERSION}"
        self._configured, self._device = model.configured, device
        self._pictures = opened(model, "image processor", AutoImageProcessor.from_pretrained, backend="pil")
        network = opened(
            model, "weights", AutoModel.from_pretrained, use_safetensors=True, dtype=device.dtype
        )
        self._network = getattr(network, "vision_model", network).to(device.name).eval()
        if not hasattr(self._network.config, "patch_size"):
            raise ConfigError(
                f"{model.configured} has no patches to pool",
                remedy="name a model of the DINOv2, CLIP or SigLIP class in video.place_network",
            )

    def see(self, picture: Picture) -> Seen:
        """As `PlaceNetwork.see`; who is before the camera is not known to these.

        Raises:
            ModelFailed: If the processor or the network fails.
        """
        import torch

        try:
            made = self._pictures(images=[picture], return_tensors="pt", input_data_format="channels_last")
            pixels = made["pixel_values"].to(self._device.name, self._device.dtype)
            with torch.inference_mode():
                tokens = self._network(pixel_values=pixels).last_hidden_state[0].float().cpu().numpy()
        except Exception as error:  # transformers and torch share no base of errors
            raise ModelFailed(f"{self._configured} failed on a picture: {error}") from error
        side = pixels.shape[-1] // int(self._network.config.patch_size)
        # What is not a patch (class and register tokens) stands before them.
        patches = tokens[len(tokens) - side * side :]
        return Seen(_unit(generalised_mean(patches)), 0.0)


class PlaceDescriber:
    """Makes views of pictures.

    Args:
        network: Makes the key.
        most_points: Points of one view; 0 for none.
    """

    def __init__(self, network: PlaceNetwork, most_points: int = USUAL_POINTS) -> None:
        if not 0 <= most_points <= MOST_POINTS:
            raise ConfigError(f"a view has 0 to {MOST_POINTS} points, not {most_points}")
        self._network = network
        self._most_points = most_points
        self.encoder_id = network.encoder_id

    def describe(self, picture: Picture) -> tuple[Key, PlaceView]:
        """The key of a picture (H, W, 3) uint8 RGB, (D,) float32 of unit length, and what goes with it.

        Raises:
            Malformed: If it is no picture.
            ModelFailed: If the network fails.
        """
        import cv2

        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise Malformed(f"a picture is (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        seen = self._network.see(picture)
        xy, around = points_of(grey, self._most_points or ENOUGH_POINTS)
        quality = quality_of(grey, len(xy), seen.people)
        if not self._most_points:
            xy, around = xy[:0], around[:0]
        return seen.key, PlaceView(
            quality=quality,
            xy=xy.astype("<u2").tobytes(),
            descriptors=around.tobytes(),
            depth=around.shape[1],
        )


def quality_of(grey: Picture, n_points: int, people: float) -> float:
    """How much a picture says of its place, 0 to 1, rounded to 3 digits.

    The product of how sharp, how light and how full it is, and of how little of it people cover; each at
    most 1. None of them alone takes away more than four fifths, but darkness and blankness take all.

    Args:
        grey: (H, W) uint8.
        n_points: Found in it.
        people: How likely somebody stands before the camera, 0 to 1.
    """
    import cv2

    height, width = grey.shape
    small = grey
    if width > QUALITY_WIDTH_PX:
        size = (QUALITY_WIDTH_PX, max(1, round(height * QUALITY_WIDTH_PX / width)))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    luma = float(small.mean())
    light = min(1.0, max(0.0, (luma - DARK) / (LIGHT - DARK)), max(0.0, (255.0 - luma) / (255.0 - BURNT)))
    sharp = min(1.0, float(np.var(cv2.Laplacian(small, cv2.CV_64F))) / SHARP)
    full = min(1.0, n_points / ENOUGH_POINTS)
    return round(light * (0.2 + 0.8 * sharp) * (0.2 + 0.8 * full) * (1.0 - 0.5 * min(1.0, people)), 3)


def open_place_network(configured: str, device: str, threads: int) -> PlaceNetwork:
    """The network of a setting.

    Raises:
        ConfigError: If it names nothing that can be one.
        ModelMissing: If it was not pulled.
        ModelDamaged: If it cannot be opened.
    """
    if configured == OWN_NETWORK:
        return LitePlaces(threads)
    from perception.encoder.networks import other_model
    from perception.encoder.pretrained import choose_device

    model = other_model(configured, "video.place_network")
    wanted: Any = device
    return TorchPlaces(model, choose_device(wanted), threads)


def producer_of(configured: str) -> str:
    """The producer id of views, from the configuration alone: what makes their keys, and their points.

    It stands in their ids.

    Raises:
        ConfigError: If the setting names nothing that can be a network.
        ModelMissing: If it was not pulled.
    """
    if configured == OWN_NETWORK:
        return f"{LitePlaces.encoder_id}+{POINTS}"
    from perception.encoder.networks import other_model

    return f"place-{other_model(configured, 'video.place_network').id}-{POOLING}/{VERSION}+{POINTS}"


def shape_of(picture: Picture) -> tuple[int, int]:
    """Height and width, of `SHAPES_PX`, whose proportions are the nearest to the picture's."""
    wanted = np.log(picture.shape[1] / picture.shape[0])
    return min(SHAPES_PX, key=lambda shape: (abs(np.log(shape[1] / shape[0]) - wanted), shape))


def generalised_mean(rows: npt.NDArray[np.floating], power: float = GEM_POWER) -> Key:
    """Of places (P, D) what each dimension is by a generalised mean, (D,) float32; what is negative is 0."""
    raised = np.maximum(rows.astype(np.float64), 0.0) ** power
    return np.asarray(raised.mean(axis=0) ** (1.0 / power), np.float32)


def _unit(vector: npt.NDArray[np.floating]) -> Key:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def _worn_head(path: Path) -> tuple[Key, Key]:
    """The label head, the rows of `WORN` first: weight (1000, D) and bias (1000,)."""
    try:
        with np.load(path, allow_pickle=False) as head:
            weight, bias = np.asarray(head["weight"], np.float32), np.asarray(head["bias"], np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise ModelDamaged(
            f"{path}: the label head cannot be read: {error}", remedy="run: omnirecall models pull"
        ) from error
    order = sorted(range(len(bias)), key=lambda row: (label_names()[row] not in WORN, row))
    return weight[order], bias[order]
