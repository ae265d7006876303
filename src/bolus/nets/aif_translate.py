"""Use the translation of arterial curves: a plasma curve with interval, quality and a warning."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from bolus.core.arrays import read_only
from bolus.core.learned import Weights
from bolus.nets.aif_input import AXIS_S, AifCurves, aif_inputs, aif_summaries, from_scale
from bolus.nets.aif_translation_fit import UNLIKE, aif_network
from bolus.nets.machine import one_thread_count
from bolus.nets.unlike import unlike_scores

_TAIL = 4
"""Points at the end of the axis whose decay goes on after it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TranslatedAif:
    """The curve that networks make of a measured one.

    `concentration` (f,) in arterial **plasma** [mM] at `seconds` (f,) on the clock of the input,
    1.5 s apart in the first pass; 90 % of true values lie between `low` and `high`, point by point.
    `quality` is 1 minus the area of the interval's half width over that of the curve, 0 at least.
    `unlike` is how unlike the input is to the curves of the training: above 1 is more unlike than
    99 % of them.
    """

    seconds: Float[np.ndarray, " f"]
    concentration: Float[np.ndarray, " f"]
    low: Float[np.ndarray, " f"]
    high: Float[np.ndarray, " f"]
    quality: float
    unlike: float

    def __post_init__(self) -> None:
        for name in ("seconds", "concentration", "low", "high"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def usable(self) -> bool:
        """Whether the input is like the curves of the training."""
        return self.unlike <= 1.0


def translate_aif(
    concentration: Float[np.ndarray, " t"],
    seconds: Float[np.ndarray, " t"],
    weights: Weights,
    *,
    vein: Float[np.ndarray, " t"] | None = None,
    dose_mmol_per_kg: float | None = None,
) -> TranslatedAif:
    """Translate an arterial curve of DCE into the plasma curve on the scale of the patient.

    Args:
        concentration: in whole arterial blood [mM], as measured, baseline 0; any frames.
        seconds: of the frames [s].
        weights: of `fit_aif`, such as the shipped "aif-translation".
        vein: concentration in a large vein [mM] in the same frames, where there is one.
        dose_mmol_per_kg: of the injection, where it is known.

    Returns:
        The plasma curve, from the first frame to 380 s after the half rise or the last frame.

    Raises:
        QuantityError: a curve is not finite or does not rise.
        TimingError: fewer than eight frames, or times that do not increase.
        FileError: the weights are of another kind of network.

    Assumes:
        One injection; the artery rises within the scan. Ask `weights.card.protocol.outside` for
        what the networks were not trained for.

    Source:
        As `fit_aif`.
    """
    curve = AifCurves(
        artery=concentration, seconds=seconds, vein=vein, dose_mmol_per_kg=dose_mmol_per_kg
    )
    return translate_curves([curve], weights)[0]


@one_thread_count(1)
def translate_curves(curves: list[AifCurves], weights: Weights) -> list[TranslatedAif]:
    """Translate many curves at once; see `translate_aif`.

    Args:
        curves: measured.
        weights: of `fit_aif`.
    """
    ensemble = aif_network(weights)
    channels, scalars = aif_inputs(curves)
    with torch.inference_mode():
        mean, spread = (t.numpy().astype(float) for t in ensemble(channels, scalars))
    reach = float(ensemble.reach)
    unlike = unlike_scores(
        aif_summaries(channels, scalars),
        ensemble.usual.double().numpy(),
        ensemble.spread.double().numpy(),
    )
    limit = weights.card.measured[UNLIKE]
    three = (from_scale(mean + side * reach * spread) for side in (0.0, -1.0, 1.0))
    return [
        _translated(curve, rows, unlike=float(score) / limit)
        for curve, rows, score in zip(curves, zip(*three, strict=True), unlike, strict=True)
    ]


def _translated(curve: AifCurves, rows: tuple[np.ndarray, ...], *, unlike: float) -> TranslatedAif:
    """Return curves on the clock of the input, from its first frame to its last at least."""
    own = AXIS_S + curve.rise_s
    end = float(curve.seconds[-1])
    later = np.arange(own[-1] + 20.0, end + 20.0, 20.0) if end > own[-1] else np.zeros(0)
    earlier = np.array([curve.seconds[0]]) if curve.seconds[0] < own[0] else np.zeros(0)
    times = np.concatenate([earlier, own, later])
    made = [
        np.concatenate([np.full(len(earlier), row[0]), row, _decayed(row, later - own[-1])])
        for row in rows
    ]
    after = times >= curve.rise_s
    area = float(np.trapezoid(made[0][after], times[after]))
    half = float(np.trapezoid((made[2] - made[1])[after], times[after])) / 2
    quality = max(0.0, 1 - half / area) if area > 0 else 0.0
    return TranslatedAif(
        seconds=times, concentration=made[0], low=made[1], high=made[2], quality=quality,
        unlike=unlike,
    )  # fmt: skip


def _decayed(row: np.ndarray, since_s: np.ndarray) -> np.ndarray:
    """Return how a curve goes on after the axis: by the exponential of its last points."""
    last, before = max(float(row[-1]), 1e-6), max(float(row[-_TAIL]), 1e-6)
    rate = max(np.log(before / last) / (AXIS_S[-1] - AXIS_S[-_TAIL]), 0.0)
    return np.asarray(row[-1] * np.exp(-rate * since_s))
