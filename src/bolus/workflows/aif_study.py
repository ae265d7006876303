"""How much the arterial curve decides: Ktrans of two picks by several curves, against the truth."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core import CONCENTRATION, ArterialInput, Provenance, TimeAxis
from bolus.errors import BolusError, QualityWarning
from bolus.metrics.agreement import Agreement, BlandAltman, bland_altman, icc_2_1
from bolus.quantify import (
    between_samples,
    population_input,
    scale_to_vein,
    with_smooth_tail,
)
from bolus.quantify.convolution import convolve_exponential
from bolus.quantify.dce_models import ExtendedTofts
from bolus.quantify.enhancement import half_rise_s
from bolus.simulate.aif_pairs import PICKS, AifPair

HAEMATOCRIT = 0.45
"""Assumed of every patient, who has another."""
_KEP_PER_MIN = (0.0, 5.0)
_REFERENCE_DOSE = 0.1
_DELAYS_S = np.arange(-3.0, 8.1, 0.5)
_DISPERSIONS_S = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0)
_FINE_S, _GRID_S = 0.5, 1.0
Plasma = tuple[np.ndarray, np.ndarray]
"""Times [s] and concentration in plasma [mM]."""
AifMethod = Callable[[AifPair, int], Plasma]
"""The plasma curve of an exam by its pick (0 or 1)."""
DESCRIPTORS = ("peak", "time_to_peak_s", "width_s", "area", "wash_in")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AifScore:
    """What one way to the arterial curve gave in n exams, two picks each.

    `ktrans` (n, 2): median of the fit over the tumour's voxels [1/min], NaN where there was none;
    `truth` (n,) the median of the truth; `voxel_error` (n, 2): median over voxels of the relative
    error without sign. `described` (n, 2, 5) and `described_truth` (n, 5): `DESCRIPTORS`.
    """

    name: str
    ktrans: np.ndarray
    truth: np.ndarray
    voxel_error: np.ndarray
    described: np.ndarray
    described_truth: np.ndarray

    @property
    def icc(self) -> Agreement:
        """ICC(2,1) of Ktrans between the picks."""
        return icc_2_1(self.ktrans)

    @property
    def repeat(self) -> BlandAltman:
        """Difference of the logarithms of Ktrans of both picks."""
        return bland_altman(*np.log(np.maximum(self.ktrans, 1e-4)).T)

    @property
    def accuracy(self) -> BlandAltman:
        """Difference of the logarithms of Ktrans and its truth, first picks."""
        return bland_altman(np.log(np.maximum(self.ktrans[:, 0], 1e-4)), np.log(self.truth))

    @property
    def error(self) -> float:
        """Median relative error of an exam's Ktrans, without sign; no answer counts as 1."""
        off = np.abs(self.ktrans / self.truth[:, None] - 1)
        return float(np.median(np.nan_to_num(off, nan=1.0)))

    @property
    def bias(self) -> float:
        """Median relative error with its sign."""
        return float(np.nanmedian(self.ktrans / self.truth[:, None] - 1))

    def descriptor_error(self, name: str) -> float:
        """Return the median relative error of a descriptor, without sign."""
        at = DESCRIPTORS.index(name)
        off = self.described[:, :, at] / self.described_truth[:, None, at] - 1
        return float(np.nanmedian(np.abs(off)))

    def descriptor_icc(self, name: str) -> float:
        """Return ICC(2,1) of a descriptor between the picks."""
        return icc_2_1(self.described[:, :, DESCRIPTORS.index(name)]).value


def study_aif(pairs: Sequence[AifPair], methods: Mapping[str, AifMethod]) -> tuple[AifScore, ...]:
    """Fit extended Tofts to the tumour of every exam, with every curve of both picks.

    The chain is that of `bolus dce`: one delay and dispersion to the capillaries from normal brain,
    here on a coarse grid, then the model with kep up to 5 per minute. R10 and B1 of the tissue are
    known, so that only the arterial curve differs.

    Args:
        pairs: with voxels of tumour.
        methods: ways to the plasma curve, by name.
    """
    truth = np.array([float(np.median(pair.tissue.ktrans_per_min)) for pair in pairs])
    ideal = np.array([describe(true_aif(p, 0), end_s=float(p.seconds[-1])) for p in pairs])
    scores = []
    for name, method in methods.items():
        ktrans, error = np.full((2, len(pairs), PICKS), np.nan)
        described = np.full((len(pairs), PICKS, len(DESCRIPTORS)), np.nan)
        for n, pair in enumerate(pairs):
            for pick in range(PICKS):
                try:
                    plasma = method(pair, pick)
                    found = ktrans_of(pair, plasma)
                except BolusError:
                    continue
                described[n, pick] = describe(plasma, end_s=float(pair.seconds[-1]))
                own = pair.tissue.ktrans_per_min
                ktrans[n, pick] = np.median(found)
                error[n, pick] = np.median(np.abs(found / own - 1))
        scores.append(
            AifScore(
                name=name, ktrans=ktrans, truth=truth, voxel_error=error, described=described,
                described_truth=ideal,
            )
        )  # fmt: skip
    return tuple(scores)


def ktrans_of(pair: AifPair, plasma: Plasma) -> np.ndarray:
    """Return Ktrans [1/min] of the tumour's voxels, 0 where the fit has no answer.

    Args:
        pair: with voxels of tumour.
        plasma: the arterial curve.

    Raises:
        BolusError: nothing can be fitted with the curve.
    """
    bent = between_samples(_input(plasma))
    times = np.arange(bent.time.seconds[0], pair.seconds[-1] + _GRID_S, _GRID_S)
    values = np.interp(times, bent.time.seconds, bent.values)
    delay_s, values = _to_capillaries(pair, times, values)
    fit = ExtendedTofts(kep_range_per_min=_KEP_PER_MIN)(
        pair.tissue.tumour, values, seconds=pair.seconds, arterial_seconds=times, delay_s=delay_s
    )
    return np.asarray(np.nan_to_num(fit["ktrans"]))


def describe(plasma: Plasma, *, end_s: float) -> np.ndarray:
    """Return `DESCRIPTORS` of a curve: mM, s from the half rise, s, mM s to the end, mM/s.

    Args:
        plasma: the curve; it is taken as linear between its samples.
        end_s: nothing after this is looked at.

    Example:
        >>> seconds = np.arange(0.0, 40.0, 4.0)
        >>> describe((seconds, np.where(seconds == 20, 8.0, 0.0)), end_s=40.0).round(1).tolist()
        [8.0, 2.0, 4.5, 32.0, 2.0]
    """
    seconds, values = plasma
    fine = np.arange(seconds[0], min(seconds[-1], end_s), _FINE_S)
    curve = np.interp(fine, seconds, values)
    top = int(np.argmax(curve))
    peak = float(curve[top])
    below = np.flatnonzero(curve[:top] < peak / 2)
    rise = int(below[-1]) + 1 if len(below) else 0
    fallen = np.flatnonzero(curve[top:] < peak / 2)
    fall = top + (int(fallen[0]) if len(fallen) else len(curve) - top - 1)
    area = float(np.trapezoid(curve, fine))
    slope = float(np.diff(curve[: top + 1]).max(initial=0.0)) / _FINE_S
    return np.array([peak, fine[top] - fine[rise], fine[fall] - fine[rise], area, slope])


def true_aif(pair: AifPair, pick: int) -> Plasma:
    """Return the truth, at all times of the scan."""
    del pick
    inside = pair.fine_s <= pair.seconds[-1] + 2 * pair.protocol.frame_s
    return pair.fine_s[inside][::5], pair.plasma[inside][::5]


def measured_aif(pair: AifPair, pick: int) -> Plasma:
    """Return the pick as it is, in plasma by the usual haematocrit."""
    return pair.seconds, pair.artery[pick] / (1 - HAEMATOCRIT)


def scaled_aif(pair: AifPair, pick: int) -> Plasma:
    """Return the pick on the scale of its vein, with a smooth tail, as `bolus dce` does it."""
    artery, vein = (_input((pair.seconds, curves[pick])) for curves in (pair.artery, pair.vein))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        scaled, _ = scale_to_vein(artery, vein)
    return pair.seconds, with_smooth_tail(scaled, vein).values / (1 - HAEMATOCRIT)


def population_aif(pair: AifPair, pick: int) -> Plasma:
    """Return Parker's curve for the dose, where the pick is half risen."""
    seconds = np.arange(pair.seconds[0], pair.seconds[-1] + _FINE_S, _FINE_S)
    time = TimeAxis(seconds=seconds)
    rise_s = float(half_rise_s(pair.artery[pick][None], pair.seconds)[0])
    curve = population_input("parker", time, arrival_s=rise_s, haematocrit=HAEMATOCRIT)
    own_s = float(half_rise_s(curve.values[None], seconds)[0])
    curve = population_input("parker", time, arrival_s=2 * rise_s - own_s, haematocrit=HAEMATOCRIT)
    return seconds, curve.values * (pair.protocol.dose_mmol_per_kg / _REFERENCE_DOSE)


BASELINES: Mapping[str, AifMethod] = MappingProxyType(
    {
        "truth": true_aif,
        "measured": measured_aif,
        "scaled to the vein": scaled_aif,
        "population (Parker)": population_aif,
    }
)
"""Ways without learning; the first is what no scan has."""


def _to_capillaries(
    pair: AifPair, times: np.ndarray, values: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return delay and dispersed curve by which Patlak's model explains normal brain best."""
    best, found = np.inf, (0.0, values)
    tissue = pair.tissue.normal
    for dispersion_s in _DISPERSIONS_S:
        spread = values
        if dispersion_s:
            rate = np.array([1 / dispersion_s])
            spread = convolve_exponential(values, seconds=times, rates_per_s=rate)[0] / dispersion_s
        summed = np.cumsum(spread) * _GRID_S
        for delay_s in _DELAYS_S:
            late = pair.seconds - delay_s
            columns = np.stack([np.interp(late, times, c, left=0.0) for c in (spread, summed)], 1)
            _, left, rank, _ = np.linalg.lstsq(columns, tissue, rcond=None)
            if rank == columns.shape[1] and left[0] < best:
                best, found = float(left[0]), (float(delay_s), spread)
    return found


def _input(plasma: Plasma) -> ArterialInput:
    return ArterialInput(
        values=plasma[1], time=TimeAxis(seconds=plasma[0]), quantity=CONCENTRATION,
        method="study", provenance=Provenance(), voxels=np.empty((0, 3), np.int64),
    )  # fmt: skip
