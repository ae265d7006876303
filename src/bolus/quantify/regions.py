"""Numbers of regions: means with intervals, and the fractional tumour burden."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from bolus.core import LabelMap, MapSet, Mask, MaskVolume, ParameterMap, Volume
from bolus.errors import Code, QuantityError

REFERENCE_ERROR = "reference_relative_std"
"""Argument of the step that divided a map by a reference: its relative standard error, which all
voxels share and which therefore does not average out."""
_LONGEST_LAG = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRow:
    """One quantity in one region; numbers are NaN where no voxel has an answer."""

    region: str
    key: str
    unit: str
    voxels: int
    """Voxels with an answer."""
    volume_ml: float
    """Their volume [mL]."""
    mean: float
    median: float
    p05: float
    p95: float
    mean_std: float
    """Standard error of the mean."""
    low95: float
    high95: float
    """95 % interval of the mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionalTumourBurden:
    """Shares of a tumour by nCBV: at or below `low`, between, above `high`.

    Percentages are of the voxels with an answer; each has a 95 % interval (low, high).
    """

    low: float
    high: float
    low_percent: float
    middle_percent: float
    high_percent: float
    low_interval: tuple[float, float]
    middle_interval: tuple[float, float]
    high_interval: tuple[float, float]
    low_ml: float
    middle_ml: float
    high_ml: float
    voxels: int
    """Voxels with an answer."""
    lost: int
    """Tumour voxels without one."""


def region_table(maps: MapSet, regions: LabelMap) -> tuple[RegionRow, ...]:
    """Summarise every map in every named region.

    The interval is for the mean of tissue like this, measured like this: the spread between
    voxels, which holds biology and noise, over the effective number of independent voxels; never
    less than what the voxels' own standard errors give; and the error of a reference the map was
    divided by. Repeating the scan on the same voxels moves the mean by less than the interval
    says, for biology does not change then.

    Args:
        maps: maps on one grid.
        regions: labels on that grid.

    Returns:
        One row per region and map, regions in the order of their labels. A region without any
        voxel with an answer gives NaN.

    Raises:
        GeometryError: maps and labels lie on different grids.

    Assumes:
        Correlation between voxels is a product of that along the three directions, and can be
        estimated within the region.

    Source:
        Effective number of correlated observations: Bayley and Hammersley, J R Stat Soc Suppl
        1946;8:184-197.

    Example:
        >>> grid = Grid(shape=(2, 2, 1), affine=np.eye(4))
        >>> brain = Mask(values=np.ones((2, 2, 1), bool), grid=grid, name="brain")
        >>> cbv = ParameterMap.from_voxels(np.array([2.0, 3, 4, 5]), quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> labels = LabelMap(values=np.array([[[1], [1]], [[0], [2]]]), grid=grid,
        ...                   names={1: "core", 2: "rim"})
        >>> [(row.region, row.mean) for row in region_table(MapSet({"cbv": cbv}), labels)]
        [('core', 2.5), ('rim', 5.0)]
    """
    for item in maps.values():
        item.grid.require_match(regions.grid, what="the label map")
    return tuple(
        _row(item, regions.values == label, name)
        for label, name in sorted(regions.names.items())
        for item in maps.values()
    )


def fractional_tumour_burden(
    ncbv: ParameterMap, tumour: Mask, *, low: float = 1.0, high: float = 1.75
) -> FractionalTumourBurden:
    """Divide a tumour into classes of white-matter-normalised CBV.

    Shares are plain counts. Their intervals come from the probability m of each voxel to be on the
    wrong side of a limit, Σ m being the variance of the count, widened for voxels that are
    correlated, and from moving the limits by the error of the white-matter reference, which all
    voxels share.

    Args:
        ncbv: normalised CBV [ratio]; without a `std` the intervals are NaN.
        tumour: voxels to count.
        low: at or below is the low class [ratio].
        high: above is the high class [ratio].

    Returns:
        Shares [%] with 95 % intervals, and volumes [mL]; NaN shares if no voxel has an answer.

    Raises:
        QuantityError: the map is not nCBV, or the limits are not in order.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Errors of voxels are normal. The count itself is not corrected for noise, which moves
        voxels from a full class to its neighbours; limits depend on the protocol, and these
        defaults are no diagnosis.

    Source:
        Hu et al., Neuro-Oncology 2012;14:919-930 (limit 1.0); Iv et al., AJNR 2019;40:1642-1649
        (limits 1.0 and 1.75).

    Example:
        >>> grid = Grid(shape=(4, 1, 1), affine=np.diag([2.0, 2, 5, 1]))
        >>> tumour = Mask(values=np.ones((4, 1, 1), bool), grid=grid, name="tumour")
        >>> ncbv = ParameterMap.from_voxels(np.array([0.5, 1.2, 3, 4]), mask=tumour,
        ...     quantity=QUANTITIES["ncbv"], provenance=Provenance(), std=np.full(4, 0.1))
        >>> fractional_tumour_burden(ncbv, tumour).high_percent
        50.0
    """
    if ncbv.quantity.key != "ncbv" or not 0 < low < high:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"expected nCBV and limits 0 < low < high, got {ncbv.quantity.key}, {low:g}, {high:g}",
            mend="normalise the CBV map to white matter first",
        )
    ncbv.grid.require_match(tumour.require_some().grid, what=f"the {tumour.name} mask")
    inside = tumour.values & np.isfinite(ncbv.values)
    values = ncbv.values[inside]
    shared = shared_error(ncbv)
    own = np.full(len(values), np.nan) if ncbv.std is None else ncbv.std[inside]
    own = np.sqrt(np.maximum(own**2 - (shared * values) ** 2, 0))
    clusters = len(values) / effective_count(ncbv.values, inside) if len(values) else 1.0
    classes = [_share(values, own, ends, shared, clusters) for ends in _ends(low, high)]
    volume = len(values) * tumour.grid.voxel_volume_ml
    (p1, i1), (p2, i2), (p3, i3) = classes
    return FractionalTumourBurden(
        low=low,
        high=high,
        low_percent=p1,
        middle_percent=p2,
        high_percent=p3,
        low_interval=i1,
        middle_interval=i2,
        high_interval=i3,
        low_ml=p1 / 100 * volume,
        middle_ml=p2 / 100 * volume,
        high_ml=p3 / 100 * volume,
        voxels=len(values),
        lost=tumour.count - len(values),
    )


def mean_ratio(
    values: Float[np.ndarray, " voxels"], mask: Mask, region: Mask, reference: Mask
) -> float:
    """Divide the mean over a region by the mean over a reference.

    Args:
        values: (voxels,) of `mask` in its C order, such as areas under ΔR2*.
        mask: where the values lie.
        region: numerator; voxels outside `mask` or without a finite value are left out.
        reference: denominator, likewise.

    Returns:
        The ratio; NaN if either holds no finite value.

    Raises:
        GeometryError: masks lie on different grids.

    Assumes:
        Values of both regions share their scale.

    Source:
        Ratio of means, as in the definition of nCBV.

    Example:
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> def mask(*values):
        ...     return Mask(values=np.array(values, bool).reshape(2, 1, 1), grid=grid, name="m")
        >>> mean_ratio(np.array([6.0, 2.0]), mask(1, 1), mask(1, 0), mask(0, 1))
        3.0
    """
    means = []
    for part in (region, reference):
        chosen = values[part.within(mask).values[mask.values]]
        finite = chosen[np.isfinite(chosen)]
        means.append(float(finite.mean()) if finite.size else np.nan)
    return means[0] / means[1] if means[1] else np.nan


def effective_count(values: Volume, inside: MaskVolume) -> float:
    """Return how many independent voxels a region is worth.

    n / Π (1 + 2 Σ ρ_k) over the three directions, ρ_k being the correlation of voxels k apart in
    the region after its mean is taken off, summed until it falls below 0.05; at least 1, at most n.

    Args:
        values: map (x, y, z).
        inside: the region (x, y, z); only finite values count.

    Returns:
        Effective number of voxels; 0 if there is none.

    Assumes:
        Correlation in space is a product of that along the three directions.

    Source:
        Bayley and Hammersley, J R Stat Soc Suppl 1946;8:184-197.

    Example:
        >>> noise = stream(1, "example").normal(size=(20, 20, 20))
        >>> bool(effective_count(noise, np.ones(noise.shape, bool)) > 6000)
        True
    """
    finite = inside & np.isfinite(values)
    count = float(np.count_nonzero(finite))
    if count < 2:
        return count
    centred = np.where(finite, values - values[finite].mean(), 0.0)
    variance = (centred[finite] ** 2).mean()
    inflation = 1.0
    for axis in range(3):
        inflation *= _correlation_sum(centred, finite, axis, variance)
    return float(min(max(count / inflation, 1.0), count))


def mean_with_error(item: ParameterMap, inside: MaskVolume) -> tuple[float, float, float]:
    """Return mean, standard error and degrees of freedom of a map in a region.

    Args:
        item: the map.
        inside: the region (x, y, z); voxels without an answer are left out.

    Returns:
        Mean and its standard error [unit of the map], and degrees of freedom of the error; NaN
        where there is no answer, or a single voxel without a standard error of its own.

    Assumes:
        As `region_table`.

    Source:
        As `region_table`.

    Example:
        >>> grid = Grid(shape=(4, 1, 1), affine=np.eye(4))
        >>> brain = Mask(values=np.ones((4, 1, 1), bool), grid=grid, name="brain")
        >>> cbv = ParameterMap.from_voxels(np.array([2.0, 3, 2, 3]), quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> [round(number, 3) for number in mean_with_error(cbv, brain.values)]
        [2.5, 0.289, 3.0]
    """
    finite = inside & np.isfinite(item.values)
    values = item.values[finite]
    if not len(values):
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    shared = shared_error(item)
    count = effective_count(item.values, inside)
    noise = np.nan
    if item.std is not None:
        own = item.std[finite] ** 2 - (shared * values) ** 2
        noise = float(np.maximum(own, 0).mean()) / len(values)
    between = float(values.var(ddof=1)) / count if len(values) > 1 else np.nan
    known = [v for v in (between, noise) if np.isfinite(v)]
    error = np.sqrt(max(known) + (shared * mean) ** 2) if known else np.nan
    return mean, float(error), max(count - 1, 1.0)


def shared_error(item: ParameterMap) -> float:
    """Return the relative standard error that all voxels of a map share, from its history.

    Args:
        item: a map, divided by a reference or not.

    Returns:
        The relative standard error of the reference [1]; 0 if there was none.

    Assumes:
        The last step that recorded one is the one that counts.

    Source:
        Bookkeeping of `normalise_to_white_matter`.

    Example:
        >>> mask = Mask(values=np.ones((1, 1, 1), bool), grid=Grid(shape=(1, 1, 1),
        ...             affine=np.eye(4)), name="brain")
        >>> shared_error(ParameterMap.from_voxels(np.ones(1), quantity=QUANTITIES["cbv"],
        ...                                       mask=mask, provenance=Provenance()))
        0.0
    """
    if item.quantity.key not in ("ncbv", "ncbf"):
        return 0.0
    for step in reversed(item.provenance.steps):
        if (value := step.arguments.get(REFERENCE_ERROR)) is not None:
            return float(value)
    return 0.0


def _correlation_sum(centred: Volume, finite: MaskVolume, axis: int, variance: float) -> float:
    """Return 1 + 2 Σ ρ_k along one direction."""
    size = centred.shape[axis]
    total = 1.0
    for lag in range(1, min(size, _LONGEST_LAG + 1)):
        here, there = np.arange(size - lag), np.arange(lag, size)
        both = np.take(finite, here, axis) & np.take(finite, there, axis)
        if np.count_nonzero(both) < 10 or variance == 0:
            break
        product = np.take(centred, here, axis)[both] * np.take(centred, there, axis)[both]
        rho = float(product.mean()) / variance
        if rho < 0.05:
            break
        total += 2 * min(rho, 1.0)
    return total


def _row(item: ParameterMap, inside: MaskVolume, name: str) -> RegionRow:
    values = item.values[inside & np.isfinite(item.values)]
    mean, error, freedom = mean_with_error(item, inside)
    half = float(stats.t.ppf(0.975, freedom)) * error if np.isfinite(error) else np.nan
    p05, median, p95 = np.percentile(values, (5, 50, 95)) if len(values) else (np.nan,) * 3
    return RegionRow(
        region=name,
        key=item.quantity.key,
        unit=item.quantity.unit,
        voxels=len(values),
        volume_ml=len(values) * item.grid.voxel_volume_ml,
        mean=mean,
        median=float(median),
        p05=float(p05),
        p95=float(p95),
        mean_std=error,
        low95=mean - half,
        high95=mean + half,
    )


def _ends(low: float, high: float) -> tuple[tuple[float, float], ...]:
    return (-np.inf, low), (low, high), (high, np.inf)


def _share(
    values: np.ndarray, own: np.ndarray, ends: tuple[float, float], shared: float, clusters: float
) -> tuple[float, tuple[float, float]]:
    """Return the share of a class [%] and its interval."""
    if not len(values):
        return np.nan, (np.nan, np.nan)

    def percent(scale: float) -> float:
        return 100.0 * float(np.mean((values > ends[0] * scale) & (values <= ends[1] * scale)))

    safe = np.maximum(own, 1e-12)
    p = stats.norm.cdf((ends[1] - values) / safe) - stats.norm.cdf((ends[0] - values) / safe)
    wrong = np.where((values > ends[0]) & (values <= ends[1]), 1 - p, p)
    random = 100 * np.sqrt(wrong.sum() * clusters) / len(values)
    moved = (percent(1 + shared) - percent(1 - shared)) / 2
    half = 1.96 * float(np.hypot(random, moved))
    share = percent(1.0)
    return share, (float(max(share - half, 0.0)), float(min(share + half, 100.0)))
