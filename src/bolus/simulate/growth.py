"""How a glioma grows into a brain, and what it is made of.

Cells c (a share of what tissue can hold) follow Fisher's equation, dc/dt = div(D grad c) +
rho c (1 - c), with D five times larger in white than in grey matter and none through fluid, the
falx or bone. The time at which the front arrives, together with a smooth field of irregularity,
ranks the voxels; the first `volume_ml` of them are the mass. Ranking makes visits of one patient
grow into each other, and volumes exact. Tissue is replaced, not pushed aside: there is no mass
effect and no shift of the midline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from bolus.core.arrays import Affine, read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.anatomy import VOXEL_MM, smooth_field
from bolus.simulate.growth_kernels import arrival_time, closest, distance_mm, fill, travel

_VOXEL_ML = VOXEL_MM**3 / 1000.0
_GREY_SHARE = 0.2
"""D in grey as a share of D in white matter."""
_HALF_MM = 64.0
"""Half the edge of the cube around the centre in which growth is computed."""
_BORDER = 0.5
"""Cells, as a share of capacity, at the border of the mass."""
_MARGIN = 0.35
"""Cells at the end of the infiltrated margin."""
_START = 1.5
"""Radius of the first ball of cells, as a multiple of sqrt(D / rho) in white matter."""
_GROWN_ML = 220.0
"""Growth is computed up to this volume; beyond it the front keeps its speed."""
_ROUGH_MM = 15.0
"""Up to this radius the border is rough in proportion to it."""
_SATELLITE_RINGS_MM = (15.0, 23.0, 32.0, 42.0)
_SATELLITE_GAP_MM = (8.0, 20.0)
"""How far the border is from a satellite when the satellite begins."""
_SATELLITE_SPEED = 0.45
"""Of a satellite's growth, relative to the front's."""
_RESIDUE_MM = 4.0
"""Cells left behind by a resection lie this close to its cavity."""
INFILTRATION_MOST_MM = 12.0
"""Farther than this around a mass the head is not built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glioma:
    """What the tumour is like; where and how exactly it grows is drawn from the patient's seed.

    `volume_ml` is of the mass: necrosis, nonviable, radiation, hypo- and hypervascular tissue
    together, as shares of it (hypovascular is the rest). `cavity_ml` was resected before and does
    not count. `oedema_ml` and the infiltrated margin lie outside the mass. `infiltration_mm` is
    sqrt(D / rho) in white matter, `patch_mm` the reach of the smooth fields that part one habitat
    from the next, `irregularity` how far the border departs from where growth alone would put it.
    `satellites` is how many chains of foci lie in front of the border; about one focus of a chain
    stands alone at a time. `centre_mm` [MNI mm] is drawn from the deep white matter of one
    hemisphere if it is None.
    """

    volume_ml: float = 30.0
    necrosis: float = 0.22
    nonviable: float = 0.10
    hypervascular: float = 0.30
    radiation: float = 0.0
    cavity_ml: float = 0.0
    oedema_ml: float = 45.0
    infiltration_mm: float = 4.0
    satellites: int = 1
    patch_mm: float = 7.0
    irregularity: float = 0.28
    centre_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        shares = (self.necrosis, self.nonviable, self.hypervascular, self.radiation)
        amounts = (self.volume_ml, self.cavity_ml, self.oedema_ml, self.irregularity)
        if min(*shares, *amounts, self.satellites) < 0 or sum(shares) > 1 + 1e-9:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"shares {shares} of the mass, or a negative amount in {self}",
                mend="give amounts of at least 0 and shares that sum to at most 1",
            )
        if not 0.5 <= self.infiltration_mm <= INFILTRATION_MOST_MM or self.patch_mm < 1.0:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"infiltration of {self.infiltration_mm} mm, patches of {self.patch_mm} mm",
                mend=f"choose 0.5 to {INFILTRATION_MOST_MM:g} mm of infiltration and patches of "
                "at least 1 mm",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What a glioma grows into: shares of 2 mm template voxels, `fluid` with the falx."""

    affine: Affine
    grey: np.ndarray
    white: np.ndarray
    fluid: np.ndarray


def grow(
    glioma: Glioma, *, seed: int, ground: Ground, centre_mm: tuple[float, float, float]
) -> Mapping[str, np.ndarray]:
    """Grow a glioma.

    Args:
        glioma: how much of what.
        seed: decides its shape and patches.
        ground: the healthy tissue. Keep one object for all visits of a patient: the growth is
            remembered for it.
        centre_mm: where it began [template mm].

    Returns:
        Shares of template voxels, float32 (x, y, z), for "cavity", "necrosis", "nonviable",
        "radiation", "hypervascular", "hypovascular", "infiltrated", "oedema". They sum to at most
        what tissue there is. All have their volume within 5 %, except oedema if white matter ends.

    Raises:
        MetadataError: there is not enough brain within 64 mm of the centre.

    Source:
        Fisher's equation for gliomas with D of white matter five times that of grey: Swanson et
        al., Cell Prolif 2000;33:317. Levels, satellites, patches, depth of necrosis: set by us.

    Example:
        >>> white = np.ones((40, 40, 40), np.float32)
        >>> ground = Ground(affine=np.diag([2.0, 2.0, 2.0, 1.0]), grey=0 * white, white=white,
        ...     fluid=0 * white)
        >>> parts = grow(Glioma(), seed=1, ground=ground, centre_mm=(40.0, 40.0, 40.0))
        >>> round(float(0.008 * parts["necrosis"].sum()), 1)
        6.6
    """
    box = _box(ground, centre_mm)
    grey, white, room = _tissue(ground, box)
    cavity = np.zeros_like(room)
    if glioma.cavity_ml > 0:
        cavity = _cavity(seed, ground, centre_mm, glioma.infiltration_mm, glioma.cavity_ml)
    level, within = _level(glioma, seed, ground, centre_mm)
    mass = _claim(level, (room - cavity) * within, glioma.volume_ml)
    grey, white = grey * (room > 0), white * (room > 0)
    spread = _margin(glioma, seed, grey=grey, white=white, mass=mass)
    outside = room - cavity - mass
    infiltrated = spread * np.minimum(outside, white + 0.5 * grey)
    oedema = _oedema(glioma, seed, grey=grey, white=white, held=mass + cavity, other=infiltrated)
    parts = {"cavity": cavity, "infiltrated": infiltrated, "oedema": oedema}
    parts |= _habitats(glioma, seed, mass=mass, cavity=cavity)
    whole = {}
    for name, values in parts.items():
        whole[name] = np.zeros(ground.white.shape, np.float32)
        whole[name][box] = values
    return whole


def _box(ground: Ground, centre_mm: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Return the cube around the centre, cut by the template."""
    centre = _voxel(ground.affine, centre_mm)
    half = round(_HALF_MM / VOXEL_MM)
    low = [max(round(c) - half, 0) for c in centre]
    high = [min(round(c) + half + 1, n) for c, n in zip(centre, ground.white.shape, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise _no_room(f"centre {centre_mm} mm lies outside the template")
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def _voxel(affine: Affine, place_mm: tuple[float, float, float]) -> np.ndarray:
    return np.asarray(np.linalg.solve(affine, [*place_mm, 1.0])[:3])


def _local(
    ground: Ground, box: tuple[slice, slice, slice], centre_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return the distance [mm] of every voxel of the box from the centre."""
    where = _voxel(ground.affine, centre_mm) - [s.start for s in box]
    shape = tuple(s.stop - s.start for s in box)
    return distance_mm(shape, where)


def _tissue(
    ground: Ground, box: tuple[slice, slice, slice]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grey, white, and the room that a tumour may take, a little fluid included."""
    grey, white, fluid = ground.grey[box], ground.white[box], ground.fluid[box]
    brain = np.clip(grey + white + fluid, 0, 1) * (grey + white > 0.02)
    return grey, white, np.asarray(brain * np.clip((0.8 - fluid) / 0.4, 0, 1), np.float32)


@lru_cache(maxsize=24)
def _fields(seed: int, name: str, shape: tuple[int, ...], reach_mm: float) -> np.ndarray:
    """Return a smooth field of the box that belongs to the patient."""
    random = stream(seed, "glioma", name)
    return read_only(smooth_field(shape, reach_voxels=reach_mm / VOXEL_MM, random=random))


def _level(
    glioma: Glioma,
    seed: int,
    ground: Ground,
    centre_mm: tuple[float, float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Make the front's arrival irregular and put satellites before it; say where it can come."""
    front, within = _front(seed, ground, centre_mm, glioma.infiltration_mm, glioma.cavity_ml)
    box, shape = _box(ground, centre_mm), front.shape
    rough = 0.9 * _fields(seed, "border", shape, 8.0) + 0.45 * _fields(seed, "ragged", shape, 3.5)
    # large tumours are not rougher in mm than small ones
    rough = rough * np.minimum(1.0, _ROUGH_MM / np.maximum(front, 1.0))
    level = np.asarray(front * np.exp(glioma.irregularity * rough), np.float32)
    far_mm, white = _local(ground, box, centre_mm), ground.white[box]
    border = level.copy()
    for place, gap_mm in _satellite_places(seed, glioma.satellites, white, far_mm):
        born_mm = border[tuple(place)] - gap_mm
        if born_mm > 0:
            level = np.minimum(level, born_mm + distance_mm(shape, place) / _SATELLITE_SPEED)
    return level, within


@lru_cache(maxsize=4)
def _front(
    seed: int,
    ground: Ground,
    centre_mm: tuple[float, float, float],
    reach_mm: float,
    cavity_ml: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Let cells spread from the centre, or from what a resection left.

    Returns the radius [mm] of a ball as large as the tumour is when the front arrives, and
    where it can arrive at all.
    """
    box = _box(ground, centre_mm)
    grey, white, _ = _tissue(ground, box)
    far_mm = _local(ground, box, centre_mm)
    open_ = (ground.fluid[box] < 0.5) & (grey + white > 0.3)
    start_mm = min(max(_START * reach_mm, 4.0), 10.0)
    cells = np.clip((start_mm - far_mm) / VOXEL_MM + 0.5, 0, 1)
    if cavity_ml > 0:
        gone = _cavity(seed, ground, centre_mm, reach_mm, cavity_ml) >= 0.5
        open_ &= ~gone
        cells = _residue(seed, gone)
    else:
        open_ |= (far_mm < 4.0) & (grey + white > 0.1)
    if not (open_ & (cells > 0)).any():
        raise _no_room(f"there is no brain at {centre_mm} mm that could hold a tumour")
    spread = reach_mm**2 * (white + _GREY_SHARE * grey) * open_
    spread = np.where(open_, np.maximum(spread, 0.02 * reach_mm**2), 0.0)
    time = arrival_time(
        np.where(open_, cells, 0.0), spread, open_, border=_BORDER, grown_ml=_GROWN_ML
    )
    if cavity_ml == 0:
        # where cells begin, the first come from the middle
        time = np.where(time == 0, 1e-3 * far_mm, time + 1e-3 * start_mm)
    reached = np.isfinite(time)
    order = np.sort(time[reached])
    radius = np.cbrt(3000.0 / (4.0 * np.pi) * _VOXEL_ML * np.arange(1, len(order) + 1))
    within = closest(reached.astype(np.float32), open_) > 0.5
    return read_only(closest(np.interp(time, order, radius), reached)), read_only(within)


def _residue(seed: int, cavity: np.ndarray) -> np.ndarray:
    """Leave cells around a cavity, most of them on one side, so that they regrow as nodules."""
    away_mm = VOXEL_MM * ndimage.distance_transform_edt(~cavity)
    field = _fields(seed, "residue", cavity.shape, 14.0)
    shell = (away_mm > 0) & (away_mm <= _RESIDUE_MM)
    most = field[shell].max() if shell.any() else 0.0
    return np.where(shell, 0.4 * np.exp(2.2 * (field - most)), 0.0)


def _satellite_places(
    seed: int, count: int, white: np.ndarray, far_mm: np.ndarray
) -> list[tuple[np.ndarray, float]]:
    """Draw chains of voxels in white matter, ever farther from the centre, and their gaps [mm]."""
    drawn = []
    for n in range(count):
        random = stream(seed, "glioma", "satellite", str(n))
        for ring_mm in _SATELLITE_RINGS_MM:
            gap_mm = float(random.uniform(*_SATELLITE_GAP_MM))
            pick = random.random()
            places = np.argwhere((white > 0.8) & (np.abs(far_mm - ring_mm) < 2.0))
            if len(places):
                drawn.append((places[int(pick * len(places))], gap_mm))
    return drawn


@lru_cache(maxsize=4)
def _cavity(
    seed: int,
    ground: Ground,
    centre_mm: tuple[float, float, float],
    reach_mm: float,
    cavity_ml: float,
) -> np.ndarray:
    """Resect where the tumour began, with a smoother border than it had."""
    box = _box(ground, centre_mm)
    front, within = _front(seed, ground, centre_mm, reach_mm, 0.0)
    mixed = 0.8 * front + 0.2 * _local(ground, box, centre_mm)
    # the surgeon follows the border of the tumour, but not its every corner
    rough = np.exp(0.18 * _fields(seed, "border", front.shape, 8.0))
    rank = np.asarray(ndimage.gaussian_filter(mixed, 1.5) * rough, np.float32)
    return read_only(_claim(rank, _tissue(ground, box)[2] * within, cavity_ml))


def _margin(
    glioma: Glioma,
    seed: int,
    *,
    grey: np.ndarray,
    white: np.ndarray,
    mass: np.ndarray,
) -> np.ndarray:
    """Return where a steady front holds cells between the two levels beyond the border.

    The profile (1 + exp(z / sqrt(6)))^-2, z in units of sqrt(D / rho), is the closed form of
    Fisher's front (Ablowitz and Zeppetella, Bull Math Biol 1979;41:835).
    """
    if glioma.volume_ml == 0:
        return np.zeros_like(mass)
    near, far = (np.sqrt(6.0) * np.log(level**-0.5 - 1.0) for level in (_BORDER, _MARGIN))
    rough = np.exp(glioma.irregularity * _fields(seed, "margin", mass.shape, 5.0))
    ease = np.sqrt(white + _GREY_SHARE * grey)
    cost = np.where(ease > 0.3, VOXEL_MM * rough / np.maximum(ease, 0.3), np.inf)
    source = mass >= min(0.5, 0.5 * float(mass.max()))
    start = np.where(source, 0.0, np.inf).astype(np.float32)
    away_mm = travel(start, np.where(source, VOXEL_MM, cost).astype(np.float32), 6)
    reach_mm = float(far - near) * glioma.infiltration_mm
    return np.asarray(np.clip((reach_mm - away_mm) / VOXEL_MM + 0.5, 0, 1), np.float32)


def _oedema(
    glioma: Glioma,
    seed: int,
    *,
    grey: np.ndarray,
    white: np.ndarray,
    held: np.ndarray,
    other: np.ndarray,
) -> np.ndarray:
    """Let fluid run from the border along white matter until its volume is met."""
    if glioma.oedema_ml == 0:
        return np.zeros_like(white)
    source = held >= min(0.5, max(0.5 * float(held.max()), 1e-3))
    if not source.any():
        source = np.zeros_like(source)
        source[tuple(n // 2 for n in source.shape)] = True
    rough = np.exp(0.6 * _fields(seed, "oedema", white.shape, 6.0))
    ease = white**2 + 0.1 * grey
    cost = np.where(source | (ease > 0.02), VOXEL_MM * rough / np.maximum(ease, 0.02), np.inf)
    time = travel(np.where(source, 0.0, np.inf).astype(np.float32), cost.astype(np.float32), 8)
    weight = np.clip(np.minimum(white - other, 1 - held - other), 0, 1) * np.isfinite(time)
    return _take(closest(time, np.isfinite(time)), weight, glioma.oedema_ml)


def _habitats(
    glioma: Glioma, seed: int, *, mass: np.ndarray, cavity: np.ndarray
) -> dict[str, np.ndarray]:
    """Part the mass: dying tissue by distance from the rim and supply, the rest in patches."""
    total_ml = glioma.volume_ml
    body = np.pad(mass + cavity >= 0.5, 1)
    depth_mm = (VOXEL_MM * ndimage.distance_transform_edt(body))[(slice(1, -1),) * 3]
    depth_mm = ndimage.gaussian_filter(depth_mm.astype(np.float32), 0.7)
    supply = _fields(seed, "supply", mass.shape, 5.0)
    starved = -depth_mm * np.exp(-0.55 * supply)
    rest, parts = mass, {}
    patches = {
        name: -_fields(seed, name, mass.shape, glioma.patch_mm)
        for name in ("radiation", "hypervascular")
    }
    for name, rank, share in (
        ("necrosis", starved, glioma.necrosis),
        ("nonviable", starved, glioma.nonviable),
        ("radiation", patches["radiation"], glioma.radiation),
        ("hypervascular", patches["hypervascular"], glioma.hypervascular),
    ):
        parts[name] = _take(rank, rest, share * total_ml)
        rest = rest - parts[name]
    parts["hypovascular"] = rest
    return parts


def _claim(rank: np.ndarray, room: np.ndarray, volume_ml: float) -> np.ndarray:
    """Give the first voxels by rank away; complain if there are too few."""
    if volume_ml > 1.0001 * _VOXEL_ML * room.sum(dtype=np.float64):
        raise _no_room(f"{volume_ml:.1f} mL do not fit into the brain around the centre")
    return _take(rank, room, volume_ml)


def _take(rank: np.ndarray, room: np.ndarray, volume_ml: float) -> np.ndarray:
    """Give the first voxels by rank away, or all of them if there are too few."""
    return fill(rank, room, volume_ml / _VOXEL_ML)


def _no_room(what: str) -> MetadataError:
    return MetadataError(
        Code.ARGUMENT_INVALID, what, mend="choose a smaller volume or another centre"
    )
