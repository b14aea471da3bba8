"""How sure an answer is: features to a probability, by coefficients that were fitted on data.

The file beside this one says by what they were fitted, and for which encoder: the scores of recall rest on
its cosines. Another encoder, or the same one quantised, needs a file of its own
(`python -m tools.eval_answers --fit`); without one nothing is said of confidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from stream.errors import ConfigError

FILE = Path(__file__).with_name("calibrated.json")


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A logistic model of whether evidence supports what is asked of a person, and where its lines are.

    `mean` and `scale` are those of the features where it was fitted, `weights` of the standardised ones.
    Confidence below `not_seen_below` is no answer, one below `uncertain_below` is uncertain.
    """

    version: int
    encoder_id: str
    fitted_on: str
    questions: int
    mean: dict[str, float]
    scale: dict[str, float]
    weights: dict[str, float]
    bias: float
    uncertain_below: float
    not_seen_below: float

    def confidence(self, features: Mapping[str, float]) -> float:
        """The probability that the evidence supports what is asked, 0 to 1.

        Raises:
            KeyError: If a feature is missing.
        """
        total = self.bias + sum(
            weight * (features[name] - self.mean[name]) / self.scale[name]
            for name, weight in self.weights.items()
        )
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


@cache
def calibrations(path: Path = FILE) -> Mapping[str, Calibration]:
    """The calibrations of a file, by encoder id.

    Raises:
        ConfigError: If it is not such a file.
    """
    try:
        told = msgspec.json.decode(path.read_bytes(), type=list[Calibration])
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path} holds no calibrations: {error}",
            remedy="install omnirecall anew, or write it by python -m tools.eval_answers --fit",
        ) from error
    return {one.encoder_id: one for one in told}
