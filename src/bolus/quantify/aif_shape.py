"""Five numbers of an arterial curve, and how far those of another curve are from them."""

from dataclasses import dataclass

import numpy as np

from bolus.core import Curve
from bolus.errors import Code, MetadataError


@dataclass(frozen=True, slots=True, kw_only=True)
class AifShape:
    """Height [unit of the curve], times [s], area [unit x s] and steepest rise [unit / s]."""

    peak: float
    time_to_peak_s: float
    fwhm_s: float
    area: float
    wash_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AifBias:
    """Difference from the true curve over the true value [1]; that of the time to peak in s."""

    peak: float
    time_to_peak_s: float
    fwhm: float
    area: float
    wash_in: float

    @property
    def largest(self) -> float:
        """The larger of the biases of peak and width [1], without their signs."""
        return max(abs(self.peak), abs(self.fwhm))


def aif_shape(curve: Curve, seconds: Curve) -> AifShape:
    """Describe an arterial curve.

    Peak and its time come from the parabola through the three highest samples in a row; the width
    is where straight lines between samples cross half of the peak; the area is that of trapezoids.

    Args:
        curve: concentration or ΔR2*, 0 before the bolus.
        seconds: times of its samples [s], rising.

    Returns:
        The numbers; the width is inf for a curve that never falls to half of its peak.

    Raises:
        MetadataError: fewer than three samples, or no sample above 0.

    Assumes:
        The highest sample belongs to the first pass.

    Source:
        The descriptors of Choi et al., Radiology 297 (2020) 178.

    Example:
        >>> t = np.arange(0, 60, 1.5)
        >>> shape = aif_shape(6 * np.exp(-(((t - 20.4) / 4) ** 2)), t)
        >>> round(shape.peak, 1), round(shape.time_to_peak_s, 1), round(shape.fwhm_s, 1)
        (6.0, 20.4, 6.7)
    """
    if len(curve) < 3 or not np.max(curve) > 0:
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"an arterial curve of {len(curve)} samples, none of them above 0"
            if len(curve) >= 3
            else f"an arterial curve of {len(curve)} samples",
            mend="give the curve with its first pass",
        )
    top = int(np.clip(np.argmax(curve), 1, len(curve) - 2))
    peak_s, peak = _vertex(seconds[top - 1 : top + 2], curve[top - 1 : top + 2])
    high = int(np.argmax(curve))
    sides = [_crossing(curve, seconds, high, peak / 2, way) for way in (-1, 1)]
    return AifShape(
        peak=peak,
        time_to_peak_s=peak_s,
        fwhm_s=sides[1] - sides[0],
        area=float(np.trapezoid(curve, seconds)),
        wash_in=float(np.max(np.diff(curve[: high + 1]) / np.diff(seconds[: high + 1]), initial=0)),
    )


def aif_bias(curve: Curve, truth: Curve, seconds: Curve) -> AifBias:
    """Return how far the shape of a curve is from that of the true one at the same times.

    Args:
        curve: what is judged.
        truth: in the same unit.
        seconds: times of both [s].

    Raises:
        MetadataError: as `aif_shape`.

    Assumes:
        As `aif_shape`.

    Source:
        As `aif_shape`.

    Example:
        >>> t = np.arange(0, 60, 1.5)
        >>> true = 6 * np.exp(-(((t - 20.4) / 4) ** 2))
        >>> round(aif_bias(0.9 * true, true, t).peak, 3)
        -0.1
    """
    own, known = aif_shape(curve, seconds), aif_shape(truth, seconds)
    return AifBias(
        peak=own.peak / known.peak - 1,
        time_to_peak_s=own.time_to_peak_s - known.time_to_peak_s,
        fwhm=own.fwhm_s / known.fwhm_s - 1,
        area=own.area / known.area - 1,
        wash_in=own.wash_in / known.wash_in - 1,
    )


def _vertex(seconds: Curve, values: Curve) -> tuple[float, float]:
    """Return time and height of the top of a parabola; of the highest sample if it has no top."""
    bend, slope, level = np.polyfit(seconds - seconds[1], values, 2)
    highest = int(np.argmax(values))
    if bend >= 0:
        return float(seconds[highest]), float(values[highest])
    off = float(np.clip(-slope / (2 * bend), *(seconds[[0, 2]] - seconds[1])))
    return float(seconds[1] + off), float(level + slope * off + bend * off**2)


def _crossing(curve: Curve, seconds: Curve, high: int, level: float, way: int) -> float:
    """Return when the curve crosses a level next to its top, going one way [s]."""
    end = len(curve) if way > 0 else -1
    for place in range(high + way, end, way):
        if curve[place] <= level:
            part = (curve[place - way] - level) / (curve[place - way] - curve[place])
            return float(seconds[place - way] + part * (seconds[place] - seconds[place - way]))
    return float("inf") * way
