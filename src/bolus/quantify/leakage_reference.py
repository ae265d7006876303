"""Brain in which contrast stays in the vessels: where the reference curve of leakage comes from."""

import numpy as np
from scipy.ndimage import binary_dilation

from bolus.core import DELTA_R2S, Curve, Mask, PerfusionSeries
from bolus.errors import Code, MetadataError
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.leakage_models import integration_weights

_CHUNK = 8192
_FEWEST = 200
"""Voxels below which the mean curve is too noisy to integrate twice."""
_VESSEL = 2.5
"""Times the median area: grey matter reaches about 1.6, arteries and veins 4 and more."""
_EMPTY = 0.3
"""Times the median area: white matter reaches about 0.6; CSF and necrosis have less than this."""


def find_leakage_reference(
    series: PerfusionSeries,
    brain: Mask,
    bolus: BolusTiming,
    tumour: Mask | None = None,
    *,
    deviations: float = 2.0,
) -> Mask:
    """Find brain tissue that neither leaks nor is vessel or fluid.

    After the first pass a voxel without leakage keeps what recirculates: a share of its own
    first-pass area that is the same all over the brain. What is above (T2*-dominant leakage) or
    below (T1-dominant) that by more than `deviations` robust standard deviations is left out, as
    are vessels (area above 2.5 times the median), fluid and necrosis (below 0.3 times), and the
    tumour with a margin of two voxels in plane.

    Args:
        series: ΔR2* [1/s], not corrected.
        brain: where to look.
        bolus: frames of the first pass.
        tumour: never part of the reference.
        deviations: how far the late level may lie off, in standard deviations.

    Returns:
        The reference tissue, to be shown in the report.

    Raises:
        QuantityError: the series is not ΔR2*.
        MetadataError: fewer than 200 voxels are left.

    Assumes:
        Most of the brain does not leak.

    Source:
        Reference of non-enhancing brain: Boxerman, Schmainda, Weisskoff, AJNR 2006;27:859-867,
        who compare the end of every curve with its baseline noise; recirculation is allowed for
        here.

    Example:
        >>> bolus = BolusTiming(steady=0, baseline=slice(0, 8), arrival=8, peak=12,
        ...     first_pass_end=20, mean_signal=np.ones(40), contrast_to_noise=80.0)
        >>> curve = np.exp(-((np.arange(40) - 12) / 2.5) ** 2) + 0.1 * (np.arange(40) > 20)
        >>> values = np.tile(curve, (8, 8, 8, 1))
        >>> values[0] += 0.02 * np.maximum(np.arange(40) - 12, 0)
        >>> series = PerfusionSeries(values=values, quantity=DELTA_R2S,
        ...     grid=Grid(shape=(8, 8, 8), affine=np.eye(4)), time=TimeAxis.regular(40, step_s=1.5),
        ...     acquisition=Acquisition(), provenance=Provenance())
        >>> brain = Mask(values=np.ones((8, 8, 8), bool), grid=series.grid, name="brain")
        >>> find_leakage_reference(series, brain, bolus).count
        448
    """
    series.require(DELTA_R2S)
    candidates = brain if tumour is None else brain.without(_widened(tumour))
    area, late, noise = _levels(series, candidates, bolus)
    tissue = np.isfinite(area) & np.isfinite(late) & (area > 0)
    middle = float(np.median(area[tissue])) if tissue.any() else np.nan
    tissue &= (area > _EMPTY * middle) & (area < _VESSEL * middle)
    if np.count_nonzero(tissue) >= _FEWEST:
        share = float(np.median(late[tissue] / area[tissue]))
        excess = late - share * area
        spread = 1.4826 * float(np.median(np.abs(excess[tissue] - np.median(excess[tissue]))))
        limit = deviations * np.hypot(max(spread, 1e-12), noise)
        tissue &= np.abs(excess) <= limit
    if (count := int(np.count_nonzero(tissue))) < _FEWEST:
        raise MetadataError(
            Code.REFERENCE_NOT_FOUND,
            f"{count} of {candidates.count} brain voxels show a bolus without leakage; the "
            f"reference curve needs {_FEWEST}",
            mend="check the brain and tumour masks, or switch the leakage correction off",
        )
    values = np.zeros(series.grid.shape, bool)
    values[candidates.values] = tissue
    return Mask(values=values, grid=series.grid, name="leakage reference")


def _widened(tumour: Mask) -> Mask:
    plane = np.zeros((3, 3, 3), bool)
    plane[:, :, 1] = True
    values = binary_dilation(tumour.values, structure=plane, iterations=2)
    return Mask(values=values, grid=tumour.grid, name=tumour.name)


def _levels(series: PerfusionSeries, mask: Mask, bolus: BolusTiming) -> tuple[Curve, Curve, Curve]:
    """Return first-pass area [1], late mean [1/s] and the noise of that mean, voxel by voxel."""
    seconds = series.time.seconds
    end = min(bolus.first_pass_end, len(seconds) - 4)
    weights = integration_weights(seconds[: end + 1], from_frame=bolus.baseline.stop)
    rows = np.flatnonzero(mask.values.ravel())
    flat = series.values.reshape(-1, len(seconds))
    area, late, noise = (np.empty(len(rows)) for _ in range(3))
    for at in range(0, len(rows), _CHUNK):
        part = slice(at, at + _CHUNK)
        curves = flat[rows[part]].astype(np.float64)
        area[part] = curves[:, : end + 1] @ weights
        late[part] = curves[:, end:].mean(axis=1)
        frames = 1 / (len(seconds) - end) + 1 / bolus.baseline_frames
        noise[part] = curves[:, bolus.baseline].std(axis=1, ddof=1) * np.sqrt(frames)
    return area, late, noise
