"""Large vessels as tubes in template millimetres, laid into voxels with their partial volume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.arrays import Affine
from bolus.core.geometry import Grid

_SPACING_MM = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A vessel along straight pieces between points [MNI mm].

    `delay_s` is by how much the agent comes later than at the carotid bifurcation.
    """

    points_mm: tuple[tuple[float, float, float], ...]
    radius_mm: float
    delay_s: float


def _both(
    points: Sequence[tuple[float, float, float]], radius_mm: float, delay_s: float
) -> tuple[Tube, Tube]:
    mirrored = tuple((-x, y, z) for x, y, z in points)
    return (
        Tube(points_mm=tuple(points), radius_mm=radius_mm, delay_s=delay_s),
        Tube(points_mm=mirrored, radius_mm=radius_mm, delay_s=delay_s),
    )


VESSELS: Mapping[str, tuple[Tube, ...]] = MappingProxyType(
    {
        "artery": (
            # internal carotid: cavernous part to the bifurcation
            *_both([(14, -8, -40), (13, 2, -28), (14, 6, -20), (14, 3, -13)], 2.4, 0.0),
            # M1, M2 in the Sylvian fissure, and opercular branches
            *_both([(14, 3, -13), (24, 6, -15), (34, 5, -13), (40, 3, -8)], 1.6, 0.1),
            *_both([(40, 3, -8), (41, -4, 2), (42, -16, 10), (46, -28, 18)], 1.3, 0.3),
            *_both([(40, 3, -8), (42, 12, 0), (44, 16, 12), (50, 10, 22)], 1.2, 0.3),
            *_both([(46, -28, 18), (54, -36, 28), (56, -40, 40)], 0.9, 0.5),
            # A1, A2 and the pericallosal arteries
            *_both([(14, 3, -13), (8, 10, -13), (3, 14, -12)], 1.2, 0.1),
            *_both([(3, 14, -12), (2, 30, -6), (2, 40, 8), (2, 36, 22), (2, 20, 34),
                    (2, 0, 40)], 1.2, 0.3),
            # basilar, posterior cerebral
            Tube(points_mm=((0, -34, -46), (0, -28, -32), (0, -24, -20)), radius_mm=1.8,
                 delay_s=0.2),
            *_both([(0, -24, -20), (12, -22, -16), (22, -32, -8), (22, -48, -2), (16, -66, 2)],
                   1.2, 0.4),
        ),
        "vein": (
            # superior sagittal sinus
            Tube(points_mm=((0, 64, 30), (0, 52, 52), (0, 32, 68), (0, 8, 78), (0, -18, 82),
                            (0, -42, 82), (0, -64, 72), (0, -84, 54), (0, -98, 32),
                            (0, -106, 10), (0, -104, -8)), radius_mm=3.6, delay_s=0.0),
            # internal cerebral veins, vein of Galen, straight sinus
            Tube(points_mm=((0, 0, 14), (0, -24, 12), (0, -40, 8), (0, -56, 2), (0, -80, -6),
                            (0, -104, -8)), radius_mm=1.9, delay_s=-0.5),
            # transverse sinuses
            *_both([(0, -104, -8), (26, -96, -18), (48, -76, -26), (60, -52, -30)], 3.2, 0.3),
        ),
    }
)  # fmt: skip
"""Courses drawn from atlases of cerebral vessels, to a few millimetres; radii of adults."""


def lay_tubes(
    tubes: Sequence[Tube], *, to_scanner: Affine, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of every voxel that tubes fill, and their mean delay there [s].

    Args:
        tubes: in template millimetres.
        to_scanner: from template to scanner millimetres.
        grid: of the scan.

    Returns:
        (x, y, z) fraction 0 to 1, and (x, y, z) delay [s], 0 where there is no tube.

    Example:
        >>> grid = Grid(shape=(9, 9, 9), affine=np.diag([2.0, 2.0, 2.0, 1.0]))
        >>> tube = Tube(points_mm=((8, 8, 4), (8, 8, 12)), radius_mm=1.0, delay_s=0.5)
        >>> share, _ = lay_tubes([tube], to_scanner=np.eye(4), grid=grid)
        >>> bool(abs(share.sum() * 8 / (np.pi * 8) - 1) < 0.05)
        True
    """
    filled = np.zeros(grid.shape)
    delayed = np.zeros(grid.shape)
    to_voxels = np.linalg.inv(grid.affine) @ to_scanner
    voxel_mm3 = grid.voxel_volume_ml * 1000
    for tube in tubes:
        points, volume_mm3 = _fill(tube)
        index = np.rint(points @ to_voxels[:3, :3].T + to_voxels[:3, 3]).astype(int)
        index = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
        share = np.zeros(grid.shape)
        np.add.at(share, tuple(index.T), volume_mm3 / voxel_mm3)
        filled += share
        delayed += share * tube.delay_s
    delay_s = np.divide(delayed, filled, out=np.zeros_like(filled), where=filled > 0)
    return np.minimum(filled, 1.0), delay_s


def _fill(tube: Tube) -> tuple[np.ndarray, float]:
    """Return points that fill the tube evenly, and the volume [mm³] each stands for."""
    offsets = np.arange(-tube.radius_mm, tube.radius_mm + _SPACING_MM / 2, _SPACING_MM)
    across = np.array(
        [(a, b) for a in offsets for b in offsets if np.hypot(a, b) <= tube.radius_mm]
    )
    pieces = []
    length_mm = 0.0
    for begin, end in zip(tube.points_mm[:-1], tube.points_mm[1:], strict=True):
        axis = np.subtract(end, begin)
        piece_mm = float(np.linalg.norm(axis))
        first, second = _normals(axis / piece_mm)
        steps = (np.arange(round(piece_mm / _SPACING_MM)) + 0.5) / round(piece_mm / _SPACING_MM)
        spine = np.asarray(begin) + steps[:, None] * axis
        disc = across[:, :1] * first + across[:, 1:] * second
        pieces.append((spine[:, None, :] + disc[None, :, :]).reshape(-1, 3))
        length_mm += piece_mm
    points = np.concatenate(pieces)
    return points, float(np.pi * tube.radius_mm**2 * length_mm / len(points))


def _normals(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two unit vectors across a unit vector."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)
