"""What a second measurement of an unchanged lesion would show: errors of maps, and repeats."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage, optimize

from bolus.core import Grid, Mask
from bolus.habitats.clustering import most_probable
from bolus.habitats.model import HabitatMap, HabitatModel
from bolus.habitats.table import VoxelTable

REFERRED = ("ncbv", "ncbf")
"""Features that were divided by normal white matter, and are wrong where it was misjudged."""
OUTLINE_JITTER = 0.46
"""By how much the number of voxels of a lesion varies from one laying onto a grid to another, over
the root of its border voxels; measured on simulated lesions, see docs/science/habitat_change.md."""
_TAP = 0.25
"""Weight of each neighbour along an axis: more than one linear interpolation gives (0.125 at most),
because an outline that is brought along by nearest neighbours takes in surroundings as well."""
_LEVELS = 4
_FEWEST = 12
"""Second differences that a level needs for its error to be estimated."""
_MAD = 1.4826
_THICK = 1.5
"""Axes along which voxels are longer than the shortest edge by this hold tissue, not noise."""
_ROWS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitNoise:
    """Errors of the features of one visit.

    The standard error of a value v in one voxel is sqrt(floor² + (relative v)²), in the units of
    the feature; `shared` is the standard deviation of the logarithm of a factor that all voxels of
    a visit have in common. `side` voxels of the grid along each axis share one error, because they
    were one voxel when they were measured. `estimated` says that maps came without errors.
    """

    features: tuple[str, ...]
    floor: Float[np.ndarray, " features"]
    relative: Float[np.ndarray, " features"]
    shared: Float[np.ndarray, " features"]
    side: tuple[int, int, int] = (1, 1, 1)
    estimated: bool = False

    def std(self, values: Float[np.ndarray, "voxels features"]) -> Float[np.ndarray, "voxels f"]:
        """Return the standard error of every value."""
        return np.asarray(np.hypot(self.floor, self.relative * values))


def measure_noise(
    table: VoxelTable, *, reference_error: float, acquired_voxel_ml: float = 0.0
) -> VisitNoise:
    """Return the errors of a visit: those of its maps, or an estimate from neighbours.

    Where `table.std` holds errors, their level against the value is described by two numbers.
    Where it does not, the error comes from second differences between voxels so far apart that
    they were measured apart: the median absolute one over sqrt(6), on up to four levels of the
    value. Tissue that varies over that distance counts as noise; if the lesion is too small for
    it, all variation in the lesion does.

    Args:
        table: of the lesion.
        reference_error: standard deviation of the logarithm by which white matter is misjudged.
        acquired_voxel_ml: volume of a voxel as measured; 0 for that of the grid.

    Assumes:
        Errors of different voxels as measured hang together in nothing but the reference.

    Source:
        Second differences: Immerkaer, Comput Vis Image Underst 1996;64:300-302.

    Example:
        >>> from bolus.core import SessionKey
        >>> grid = Grid(shape=(20, 20, 4), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
        >>> mask = Mask(values=np.ones(grid.shape, bool), grid=grid, name="lesion")
        >>> values = 3 + 0.2 * np.random.default_rng(0).standard_normal((mask.count, 1))
        >>> noise = measure_noise(VoxelTable(key=SessionKey("01"), features=("ncbv",), mask=mask,
        ...     values=values, std=np.full(values.shape, np.nan)), reference_error=0.05)
        >>> bool(abs(noise.std(np.array([[3.0]]))[0, 0] - 0.2) < 0.02), noise.estimated
        (True, True)
    """
    side = _side(table.mask.grid, acquired_voxel_ml)
    known = np.isfinite(table.std)
    curves, guessed = [], False
    for column in range(len(table.features)):
        if known[:, column].mean() > 0.5:
            values, std = (
                table.values[known[:, column], column],
                table.std[known[:, column], column],
            )
            curves.append(_curve(*_levels(values, std, lambda part: float(np.median(part)))))
        else:
            guessed = True
            curves.append(_from_neighbours(table, column, side))
    floor, relative = np.array(curves).T
    shared = [reference_error if name in REFERRED else 0.0 for name in table.features]
    return VisitNoise(
        features=table.features,
        floor=floor,
        relative=relative,
        shared=np.array(shared),
        side=side,
        estimated=guessed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """A lesion as it was measured: what repeats of the measurement begin from.

    `border` marks voxels with a neighbour (one of six) outside; `placing` is by how much values
    vary when voxels come to lie elsewhere: the gradient over a voxel, over sqrt(12).
    """

    table: VoxelTable
    habitats: HabitatMap
    border: Bool[np.ndarray, " voxels"]
    placing: Float[np.ndarray, "voxels features"]
    doubt: Float[np.ndarray, "habitats habitats"]

    @classmethod
    def of(cls, table: VoxelTable, habitats: HabitatMap) -> "Lesion":
        """Return the lesion of a table and its habitats."""
        inside = table.mask.values
        border = inside & ~ndimage.binary_erosion(inside)
        share = habitats.membership
        doubt = np.diag(share.sum(axis=0)) - share.T @ share
        return cls(table, habitats, border[inside], _placing(table), doubt)

    def volumes_ml(self) -> Float[np.ndarray, " habitats"]:
        """Return the volume of every habitat as labelled."""
        return np.array(list(self.habitats.volumes_ml.values()))


def repeat_volumes(
    lesion: Lesion,
    noise: VisitNoise,
    *,
    model: HabitatModel,
    count: int,
    random: np.random.Generator,
    surroundings: Float[np.ndarray, " features"] | None = None,
) -> Float[np.ndarray, "repeats habitats"]:
    """Return volumes [mL] of habitats in repeated measurements of an unchanged lesion.

    Each repeat adds errors of the maps and of the placing of voxels, misjudges white matter, lays
    the outline onto voxels anew and draws habitats where memberships leave doubt.

    Args:
        lesion: as measured.
        noise: of the visit that the repeats shall be like.
        model: of the habitats.
        count: repeats.
        random: decides them.
        surroundings: features of what lies around; given, every repeat is also interpolated onto
            the grid, as a visit that was brought there.

    Assumes:
        The measured values are like the true ones: a repeat has errors on top of errors.

    Source:
        Own; docs/science/habitat_change.md.
    """
    voxel_ml = lesion.table.mask.grid.voxel_volume_ml
    labels = repeat_labels(
        lesion, noise, model=model, count=count, random=random,
        surroundings=surroundings,
    )  # fmt: skip
    weights = np.ones(labels.shape)
    jitter = random.standard_normal((count, int(lesion.border.sum())))
    laid = 1 if surroundings is None else 2
    weights[:, lesion.border] += OUTLINE_JITTER * np.sqrt(laid) * jitter
    kinds = len(model.names)
    held = [(weights * (labels == kind + 1)).sum(axis=1) for kind in range(kinds)]
    size, way = np.linalg.eigh(lesion.doubt * np.prod(noise.side))
    drawn = random.standard_normal((count, kinds)) * np.sqrt(np.maximum(size, 0))
    return np.asarray(np.maximum(np.stack(held, axis=1) + drawn @ way.T, 0.0) * voxel_ml)


def repeat_labels(
    lesion: Lesion,
    noise: VisitNoise,
    *,
    model: HabitatModel,
    count: int,
    random: np.random.Generator,
    surroundings: Float[np.ndarray, " features"] | None = None,
) -> np.ndarray:
    """Return labels (repeats, voxels) of the lesion's voxels in repeated measurements.

    Args:
        lesion: as measured.
        noise: of the visit that the repeats shall be like.
        model: of the habitats.
        count: repeats.
        random: decides them.
        surroundings: see `repeat_volumes`.

    Assumes:
        See `repeat_volumes`.

    Source:
        Own; docs/science/habitat_change.md.
    """
    clean = np.broadcast_to(lesion.table.values, (count, *lesion.table.values.shape))
    if surroundings is not None:
        clean = np.broadcast_to(_blurred(lesion.table, surroundings), clean.shape)
    spread = np.hypot(noise.std(lesion.table.values), lesion.placing)
    seen = clean + spread * _scores(lesion.table.mask, noise.side, clean.shape, random)
    seen *= np.exp(noise.shared * random.standard_normal((count, 1, clean.shape[2])))
    return _labelled(seen.reshape(-1, clean.shape[2]), lesion, model).reshape(count, -1)


def _labelled(values: np.ndarray, lesion: Lesion, model: HabitatModel) -> np.ndarray:
    """Label rows, many repeats at once."""
    found = [
        most_probable(values[start : start + _ROWS_AT_ONCE], lesion.table.features, model)
        for start in range(0, len(values), _ROWS_AT_ONCE)
    ]
    return np.concatenate(found)


def _scores(
    mask: Mask, side: tuple[int, int, int], shape: tuple[int, ...], random: np.random.Generator
) -> np.ndarray:
    """Draw N(0, 1) for every repeat, voxel and feature; voxels measured as one share theirs."""
    count, voxels, features = shape
    if side == (1, 1, 1):
        return random.standard_normal(shape)
    places = np.argwhere(mask.values) // np.array(side)
    whose = np.unique(places, axis=0, return_inverse=True)[1].reshape(voxels)
    return random.standard_normal((count, int(whose.max()) + 1, features))[:, whose]


def _blurred(table: VoxelTable, surroundings: np.ndarray) -> np.ndarray:
    """Return values as interpolation leaves them, with what lies around mixed into the border."""
    inside = table.mask.values
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    taps = (_TAP,) * 3
    result = np.empty(table.values.shape)
    for column, outside in enumerate(surroundings):
        field = np.full(inside.shape, outside)
        field[inside] = table.values[:, column]
        smooth = np.pad(field[box], 1, constant_values=outside)
        for axis, tap in enumerate(taps):
            smooth = ndimage.convolve1d(smooth, [tap, 1 - 2 * tap, tap], axis=axis, mode="nearest")
        result[:, column] = smooth[1:-1, 1:-1, 1:-1][inside[box]]
    return result


def _placing(table: VoxelTable) -> np.ndarray:
    """Return how much values vary when voxels come to lie up to half a voxel elsewhere."""
    result = np.zeros(table.values.shape)
    inside = table.mask.values
    for column in range(len(table.features)):
        field = np.full(inside.shape, np.nan)
        field[inside] = table.values[:, column]
        padded = np.pad(field, 1, constant_values=np.nan)
        total = np.zeros(table.count)
        for axis in range(3):
            steps = np.stack(
                [
                    np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1][inside] - field[inside]
                    for shift in (1, -1)
                ]
            )
            steps[1] *= -1
            total += np.nan_to_num(_mean_of_known(steps)) ** 2
        result[:, column] = np.sqrt(total / 12)
    return result


def _mean_of_known(steps: np.ndarray) -> np.ndarray:
    known = np.isfinite(steps)
    return np.asarray(np.where(known, steps, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _side(grid: Grid, acquired_voxel_ml: float) -> tuple[int, int, int]:
    """Return how many voxels along each axis were one as measured, thin ones first."""
    share = max(1.0, acquired_voxel_ml / grid.voxel_volume_ml)
    side = max(1, round(float(np.cbrt(share))))
    return (side, side, side)


def _from_neighbours(
    table: VoxelTable, column: int, side: tuple[int, int, int]
) -> tuple[float, float]:
    """Return floor and relative error from second differences within the lesion."""
    inside = table.mask.values
    field = np.full(inside.shape, np.nan)
    field[inside] = table.values[:, column]
    sizes = np.array(table.mask.grid.voxel_sizes_mm)
    levels, differences = [], []
    for axis in np.flatnonzero(sizes < _THICK * sizes.min()):
        lag = side[axis]
        if field.shape[axis] <= 2 * lag:
            continue
        near = np.moveaxis(field, axis, 0)
        low, middle, high = near[: -2 * lag], near[lag:-lag], near[2 * lag :]
        levels.append(((low + middle + high) / 3).ravel())
        differences.append(((low - 2 * middle + high) / np.sqrt(6)).ravel())
    level = np.concatenate(levels) if levels else np.zeros(0)
    difference = np.concatenate(differences) if levels else np.zeros(0)
    known = np.isfinite(difference)
    if known.sum() < _FEWEST:
        values = table.values[:, column]
        return _MAD * float(np.median(np.abs(values - np.median(values)))), 0.0
    return _curve(
        *_levels(
            level[known], np.abs(difference[known]), lambda part: _MAD * float(np.median(part))
        )
    )


def _levels(
    values: np.ndarray, spread: np.ndarray, middle: Callable[[np.ndarray], float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle value and the standard error on up to four levels of the value."""
    parts = np.array_split(np.argsort(values), max(1, min(_LEVELS, len(values) // _FEWEST)))
    return (
        np.array([float(np.median(values[part])) for part in parts]),
        np.array([middle(spread[part]) for part in parts]),
    )


def _curve(values: np.ndarray, std: np.ndarray) -> tuple[float, float]:
    """Return floor and relative error that describe standard errors at values."""
    weights = 1 / np.maximum(std, 1e-12) ** 2
    if not std.any():
        return 0.0, 0.0
    scale = np.maximum(np.median(values**2), 1e-30)
    design = np.stack(
        [np.full(len(values), np.median(std) ** 2), values**2 / scale * np.median(std) ** 2], axis=1
    )
    shares = optimize.nnls(design * weights[:, None], std**2 * weights)[0]
    floor, relative = shares * np.median(std) ** 2 / np.array([1.0, scale])
    return float(np.sqrt(floor)), float(np.sqrt(relative))
