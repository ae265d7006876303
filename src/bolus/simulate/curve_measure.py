"""nCBV of an exam without images, by the functions that quantify patients."""

import warnings

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.provenance import Provenance
from bolus.core.quantities import SIGNAL
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import Acquisition, TimeAxis
from bolus.errors import BolusError, QualityWarning
from bolus.quantify import Bsw, correct_leakage, find_bolus, signal_to_delta_r2s


def measured_ncbv(
    signal: np.ndarray,
    *,
    solid: np.ndarray,
    white: slice,
    brain: slice,
    time: TimeAxis,
    acquisition: Acquisition,
) -> float:
    """Return the mean nCBV of solid tumour: area under corrected ΔR2* over white matter's.

    Args:
        signal: (voxels, t) of one exam [a.u.].
        solid: which voxels are solid tumour.
        white: normal white matter.
        brain: normal brain, the reference of the leakage correction.
        time: of the frames.
        acquisition: with the echo time.

    Returns:
        The ratio; NaN where no bolus is found, or none is solid tumour.

    Source:
        Boxerman, Schmainda, Weisskoff, AJNR 2006;27:859; mean of the tumour: Law et al., AJNR
        2003;24:1989.
    """
    if not len(solid):
        return float("nan")
    grid = Grid(shape=(1, len(signal), 1), affine=np.eye(4))  # one slab: steps go slab by slab
    series = PerfusionSeries(
        values=signal[None, :, None, :], quantity=SIGNAL, grid=grid, time=time,
        acquisition=acquisition, provenance=Provenance(),
    )  # fmt: skip
    everything = np.ones(grid.shape, bool)
    normal = np.zeros(grid.shape, bool)
    normal[:, brain] = True
    try:
        with warnings.catch_warnings():  # curves of a tumour may look odd, and nobody can look
            warnings.simplefilter("ignore", QualityWarning)
            bolus = find_bolus(series, Mask(values=everything, grid=grid, name="brain"))
        corrected = correct_leakage(
            signal_to_delta_r2s(series, baseline=bolus.baseline),
            Mask(values=everything, grid=grid, name="brain"),
            reference=Mask(values=normal, grid=grid, name="normal brain"),
            baseline=bolus.baseline,
            model=Bsw(),
        )
    except BolusError:
        return float("nan")
    return float(np.nanmean(corrected.area[solid]) / np.nanmean(corrected.area[white]))
