"""How plasma gets from the artery that was measured to the capillaries: late, and dispersed."""

from dataclasses import dataclass, replace

import numpy as np

from bolus.core.arrays import Curve
from bolus.core.curves import ArterialInput
from bolus.core.maps import FitStatus
from bolus.core.provenance import Step
from bolus.core.timing import TimeAxis
from bolus.quantify.convolution import convolve_exponential
from bolus.quantify.dce_models import Patlak
from bolus.quantify.vascular_artery import artery_between_samples

DELAY_RANGE_S = (-10.0, 10.0)
"""How far the artery's clock may be from that of the tissue."""
_DISPERSIONS_S = (*np.arange(0.0, 4.1, 0.5), *np.arange(5.0, 12.1, 1.0))
_FINEST_S = 0.2
_PARTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Transit:
    """From artery to capillary: the delay [s], and the mean time of an exponential spread [s]."""

    delay_s: float
    dispersion_s: float


def between_samples(artery: ArterialInput) -> ArterialInput:
    """Return an arterial curve with samples between its own, bent as a first pass is.

    A line between frames cuts the peak off; at 3 to 5 s a frame ve is then wrong by several percent
    (docs/science/dce_models.md). New samples are 0.2 s apart, or a twentieth of the shortest frame
    where that is longer.

    Args:
        artery: any quantity, at least four samples.

    Returns:
        The curve from its first to its last sample; it passes through both.

    Assumes:
        Samples stand for moments.

    Source:
        `vascular_artery.artery_between_samples`.
    """
    seconds = artery.time.seconds
    step_s = max(_FINEST_S, float(np.diff(seconds).min()) / _PARTS)
    count = int(np.ceil((seconds[-1] - seconds[0]) / step_s)) + 1
    fine = np.linspace(seconds[0], seconds[-1], count)
    return replace(
        artery,
        values=artery_between_samples(artery.values, seconds, fine),
        time=TimeAxis(seconds=fine),
        candidates=None,
        provenance=artery.provenance.then(Step("quantify.between_samples", {})),
    )


def find_transit(tissue: Curve, plasma: ArterialInput, *, seconds: Curve) -> Transit | None:
    """Find by how much the typical curve of the brain lags behind the artery and is dispersed.

    Blood spends 3 to 6 s in the capillaries, and the artery of the image is not theirs. Extended
    Tofts has no term for that: given an undispersed artery it calls the width of the first pass
    fast leakage (kep of 10 to 30 per minute, vp of 0) in tissue that does not leak. One exponential
    for all of the brain, chosen by the squares that Patlak's model leaves, takes it away.

    Args:
        tissue: concentration typical of the brain, such as its median (t,) [mM].
        plasma: arterial plasma concentration [mM], from `between_samples`.
        seconds: times of the tissue [s].

    Returns:
        Delay and dispersion, or None where no fit has an answer.

    Raises:
        TimingError, QuantityError: as of `Patlak`.

    Assumes:
        Most of the brain does not leak; delay and dispersion are alike throughout it.

    Source:
        Ours; measured in docs/science/dce_aif.md. Plasma that is dispersed on its way: Calamante et
        al., Magn Reson Med 2000;44:466-473.

    Example:
        >>> from bolus.core import CONCENTRATION, Provenance
        >>> t = 0.5 * np.arange(400)
        >>> a = np.where(t > 20, (t - 20) / 4 * np.exp(1 - (t - 20) / 4) + 0.2, 0.0)
        >>> artery = ArterialInput(values=a, time=TimeAxis(seconds=t), quantity=CONCENTRATION,
        ...     method="", provenance=Provenance(), voxels=np.empty((0, 3), int))
        >>> tissue = 0.03 * disperse(artery, 3.0).values[:390]
        >>> find_transit(tissue, artery, seconds=t[:390] + 2.0)
        Transit(delay_s=2.0, dispersion_s=3.0)
    """
    best, found = np.inf, None
    model = Patlak(delay_range_s=DELAY_RANGE_S)
    for dispersion_s in _DISPERSIONS_S:
        spread = disperse(plasma, float(dispersion_s))
        fit = model(
            tissue[None], spread.values, seconds=seconds, arterial_seconds=spread.time.seconds
        )
        if fit.status[0] == FitStatus.OK and fit.sum_of_squares[0] < best:
            best = float(fit.sum_of_squares[0])
            delay_s = round(float(fit["delay"][0]), 2)
            found = Transit(delay_s=delay_s, dispersion_s=float(dispersion_s))
    return found


def disperse(artery: ArterialInput, dispersion_s: float) -> ArterialInput:
    """Return an arterial curve spread by exp(-t / dispersion) / dispersion; its area is kept.

    Args:
        artery: any quantity, on fine samples.
        dispersion_s: mean time of the spread [s]; 0 for none.

    Raises:
        InputError: the time is negative.

    Assumes:
        The curve is linear between its samples and 0 before the first.

    Source:
        One exponential as the spread of a bolus: Calamante et al., Magn Reson Med 2000;44:466-473.
    """
    if dispersion_s == 0:
        return artery
    rate = np.array([1 / dispersion_s])
    spread = convolve_exponential(artery.values, seconds=artery.time.seconds, rates_per_s=rate)
    step = Step("quantify.disperse", {"dispersion_s": dispersion_s})
    return replace(
        artery,
        values=spread[0] / dispersion_s,
        candidates=None,
        provenance=artery.provenance.then(step),
    )
