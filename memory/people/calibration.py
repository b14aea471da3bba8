"""How alike two voices must be to be one person's: by who made their keys, and by how much was heard.

A key of two seconds lies further from its speaker's mean than one of ten. Measured for this project with the
Resemblyzer weights on four readers of LibriSpeech test-other (ten sentences each, of each the mean of the
others of its reader left out): to their own reader cosines from .771 (2 s), .841 (4 s) and .874 (whole), to
other readers up to .697, .749 and .755. Two whole sentences of one reader have cosines from .81 (19 of 20),
of two readers up to .745. Checked on meetings, which took no part: see `tools.eval_people`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Calibration:
    """Cosines and seconds for the keys of one encoder.

    A voice of `least_s` seconds joins a person from `join_short` on, one of `full_s` or more from `join_full`
    on; between them in proportion. Shorter ones found no person. Two persons of `sure_s` or more each become
    one from `merge_at` on.
    """

    encoder_id: str
    join_short: float
    join_full: float
    merge_at: float
    least_s: float = 1.6
    full_s: float = 4.0
    sure_s: float = 8.0

    def join_at(self, seconds: float) -> float:
        """The cosine from which a voice of so many seconds joins a person."""
        share = (seconds - self.least_s) / (self.full_s - self.least_s)
        return self.join_short + (self.join_full - self.join_short) * min(1.0, max(0.0, share))


MEASURED = {
    "voice-resemblyzer/1": Calibration("voice-resemblyzer/1", join_short=0.77, join_full=0.80, merge_at=0.84)
}
"""By encoder id; a changed encoder has another one, and needs a measurement of its own."""
UNKNOWN = Calibration("", join_short=0.80, join_full=0.85, merge_at=0.90)
"""Of encoders that nobody measured: rather two persons for one than one for two: easier put right."""


def calibration_of(encoder_id: str, join_at: float | None = None) -> Calibration:
    """What was measured for an encoder; `join_at` is the owner's own bound for long voices."""
    scale = replace(MEASURED.get(encoder_id, UNKNOWN), encoder_id=encoder_id)
    if join_at is None:
        return scale
    moved = join_at - scale.join_full
    return replace(
        scale,
        join_short=scale.join_short + moved,
        join_full=join_at,
        merge_at=min(1.0, scale.merge_at + moved),
    )
