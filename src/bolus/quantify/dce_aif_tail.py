"""The late part of an arterial curve in DCE: what has mixed decays, and the vein shows it best."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from bolus.core.arrays import Curve
from bolus.core.curves import ArterialInput
from bolus.core.provenance import Step
from bolus.core.quantities import CONCENTRATION
from bolus.errors import Code, QuantityError
from bolus.quantify.enhancement import half_rise_s

MIXED_AFTER_S = 30.0
"""From this long after the half rise the agent has mixed: arteries hold what veins hold."""
_RATES_PER_MIN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_FEWEST_FRAMES = 5
_ROUNDS = 20
_HUBER = 1.345
_MAD_TO_STD = 1.4826


def with_smooth_tail(artery: ArterialInput, vein: ArterialInput | None = None) -> ArterialInput:
    """Replace the late part of an arterial curve by the smooth decay of a vein's.

    From `MIXED_AFTER_S` after its half rise the artery takes the decay that fits the vein from the
    same time after the vein's half rise: a sum of exponentials with rates of 0 to 2 per minute and
    amplitudes that are not negative, by least squares with Huber's weights. A head that moves, or a
    sinus that fills its voxels unevenly, makes steps in a measured tail; a step makes the
    model see washout that is not there.

    Args:
        artery: concentration in whole blood [mM], scaled (`scale_to_vein` or `aif_from_dsc`).
        vein: the same; None to smooth the artery's own late part.

    Returns:
        The curve on the same samples; as it was where fewer than five frames are late enough.

    Raises:
        QuantityError: a curve is no concentration.

    Assumes:
        Both vessels hold the same concentration once the agent has mixed; one injection.

    Source:
        Decay after mixing as a sum of exponentials: Tofts and Kermode, Magn Reson Med
        1991;17:357-367. The join is ours; measured in docs/science/dce_aif.md.

    Example:
        >>> from bolus.core import Provenance, TimeAxis
        >>> t = TimeAxis.regular(60, step_s=4.0)
        >>> late = np.maximum(t.seconds - 20.0, 0.0)
        >>> blood = late / 6 * np.exp(1 - late / 6) + (late > 0) * np.exp(-late / 300)
        >>> moved = np.where(t.seconds > 180, 0.7, 1.0) * blood
        >>> def curve(values):
        ...     return ArterialInput(values=values, time=t, quantity=CONCENTRATION, method="",
        ...         provenance=Provenance(), voxels=np.empty((0, 3), int))
        >>> mended = with_smooth_tail(curve(moved), curve(blood)).values
        >>> bool(np.abs(mended - blood)[20:].max() < 0.03)
        True
    """
    source = artery if vein is None else vein
    for given in (artery, source):
        if given.quantity.key != CONCENTRATION.key:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"a curve of {given.quantity.symbol} where {CONCENTRATION.symbol} is needed",
                mend="convert the signal to concentration first",
            )
    mixed = _since_rise(source)
    late = (mixed >= MIXED_AFTER_S) & np.isfinite(source.values)
    own = _since_rise(artery)
    if int(late.sum()) < _FEWEST_FRAMES or not np.isfinite(own).all():
        return artery
    amplitudes = _decay(mixed[late] - MIXED_AFTER_S, source.values[late])
    tail = _columns(np.maximum(own - MIXED_AFTER_S, 0.0)) @ amplitudes
    step = Step("quantify.with_smooth_tail", {"from": source.method, "after_s": MIXED_AFTER_S})
    return replace(
        artery,
        values=np.where(own >= MIXED_AFTER_S, tail, artery.values),
        provenance=artery.provenance.merged(source.provenance).then(step),
    )


def _since_rise(given: ArterialInput) -> Curve:
    seconds = given.time.seconds
    return np.asarray(seconds - half_rise_s(given.values[None], seconds)[0])


def _columns(seconds: Curve) -> Float[np.ndarray, "t rates"]:
    return np.asarray(np.exp(-np.outer(seconds, _RATES_PER_MIN) / 60))


def _decay(seconds: Curve, values: Curve) -> Float[np.ndarray, " rates"]:
    """Fit amplitudes that are not negative; weights of a step's frames fall in a few rounds."""
    columns = _columns(seconds)
    weights = np.ones(len(values))
    amplitudes = np.zeros(columns.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)
        amplitudes, _ = nnls(columns * root[:, None], values * root)
        residual = values - columns @ amplitudes
        spread = _MAD_TO_STD * np.median(np.abs(residual))
        if not spread > 0:
            break
        weights = np.minimum(1.0, _HUBER * spread / np.maximum(np.abs(residual), 1e-12))
    return np.asarray(amplitudes)
